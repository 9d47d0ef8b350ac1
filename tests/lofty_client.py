"""A client of the sandbox's Lofty that the sandbox's own tests use; the product's adapter has no part in it."""

from __future__ import annotations

import httpx

from tests.sandbox_server import LOFTY_KEY


class LoftyCrm:
    """Calls the sandbox as a client of Lofty would."""

    def __init__(self, url: str, *, authorization: str = f"token {LOFTY_KEY}") -> None:
        self.http = httpx.Client(base_url=f"{url}/lofty", timeout=10)
        self.authorization = authorization

    def call(self, method: str, path: str, body: object = None, **options: object) -> httpx.Response:
        """One call; ``headers`` (None leaves one out) and ``query`` override."""
        given = options.get("headers", {})
        assert isinstance(given, dict)
        headers = {"Authorization": self.authorization, "Content-Type": "application/json", **given}
        kept = {name: value for name, value in headers.items() if value is not None}
        return self.http.request(method, path, json=body, params=options.get("query"), headers=kept)  # type: ignore[arg-type]

    def done(self, method: str, path: str, body: object = None, **options: object) -> dict[str, object]:
        """The answer to a call that must be taken."""
        answer = self.call(method, path, body, **options)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    def refused(self, method: str, path: str, body: object = None, **options: object) -> tuple[int, object]:
        """Status and code of a call that must fail in the vendor's form."""
        answer = self.call(method, path, body, **options)
        document = answer.json()
        assert document.keys() == {"code", "message"}
        return answer.status_code, document["code"]

    def lead(self, **fields: object) -> str:
        """Create a lead and return its id."""
        ana = {"firstName": "Ana", "lastName": "Ruiz", "emails": ["ana@mail.example"], "welcomeEmail": False}
        return str(self.done("POST", "/v1.0/leads", ana | fields)["leadId"])
