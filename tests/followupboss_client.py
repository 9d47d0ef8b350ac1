"""A client of the sandbox's Follow Up Boss, for its own tests and for what staff do there; no part of the adapter."""

from __future__ import annotations

import httpx

from tests.sandbox_server import FUB_KEY, FUB_SYSTEM, FUB_SYSTEM_KEY


class FollowUpBossCrm:
    """Calls the sandbox as a client of Follow Up Boss would."""

    def __init__(self, url: str, *, key: str = FUB_KEY) -> None:
        self.http = httpx.Client(base_url=f"{url}/followupboss/v1", timeout=10, auth=(key, ""))

    def call(self, method: str, path: str, body: object = None, **options: object) -> httpx.Response:
        """One call as a registered system; ``headers`` (None leaves one out) and ``query`` override."""
        given = options.get("headers", {})
        assert isinstance(given, dict)
        headers = {"X-System": FUB_SYSTEM, "X-System-Key": FUB_SYSTEM_KEY, **given}
        kept = {name: value for name, value in headers.items() if value is not None}
        return self.http.request(method, path, json=body, params=options.get("query"), headers=kept)  # type: ignore[arg-type]

    def refused(self, method: str, path: str, body: object = None, **options: object) -> tuple[int, str]:
        """Status and message of a call that must fail in the vendor's form."""
        answer = self.call(method, path, body, **options)
        document = answer.json()
        assert list(document) == ["errorMessage"]
        return answer.status_code, document["errorMessage"]

    def made(self, path: str, **body: object) -> int:
        """Create a record and return its id."""
        answer = self.call("POST", path, body)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def person(self, **fields: object) -> int:
        """Create a person and return the id."""
        ana = {"firstName": "Ana", "lastName": "Ruiz", "emails": [{"value": "ana@mail.example"}]}
        return self.made("/people", **(ana | fields))
