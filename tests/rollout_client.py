"""A client of the sandbox's Rollout that the sandbox's own tests use; the product's adapter has no part in it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping

import httpx

from tests.openapi import validate_request, validate_response
from tests.sandbox_server import ROLLOUT_CLIENT, ROLLOUT_CONSUMER, ROLLOUT_CREDENTIAL, ROLLOUT_SECRET

UNDOCUMENTED = (401, 403, 429, 503)


def signed(
    claims: Mapping[str, object], secret: str = ROLLOUT_SECRET, header: Mapping[str, object] | None = None
) -> str:
    """A JSON Web Token as Rollout wants it, made by hand; claims that are None are left out."""
    payload = {name: value for name, value in claims.items() if value is not None}
    parts = ".".join(
        _base64url(json.dumps(part).encode()) for part in (header or {"alg": "HS512", "typ": "JWT"}, payload)
    )
    return f"{parts}.{_base64url(hmac.new(secret.encode(), parts.encode(), hashlib.sha512).digest())}"


def good_claims(**changes: object) -> dict[str, object]:
    """Claims of now, good for a quarter of an hour."""
    now = int(time.time())
    return {"iss": ROLLOUT_CLIENT, "sub": ROLLOUT_CONSUMER, "iat": now, "exp": now + 900, **changes}


class RolloutCrm:
    """Calls the sandbox as a client of Rollout would, and can hold both sides to the vendor's contract."""

    def __init__(self, url: str, *, credential: str | None = ROLLOUT_CREDENTIAL, token: str | None = None) -> None:
        self.http = httpx.Client(base_url=f"{url}/rollout/api", timeout=10)
        self.credential = credential
        self.token = token or signed(good_claims())

    def call(self, method: str, path: str, body: object = None, **options: object) -> httpx.Response:
        """One call with token and credential; ``headers`` (None leaves one out) and ``query`` override."""
        given = options.get("headers", {})
        assert isinstance(given, dict)
        headers = {"Authorization": f"Bearer {self.token}", "X-Rollout-Credential-Id": self.credential, **given}
        kept = {name: value for name, value in headers.items() if value is not None}
        return self.http.request(method, path, json=body, params=options.get("query"), headers=kept)  # type: ignore[arg-type]

    def checked(self, method: str, path: str, body: object = None, **options: object) -> httpx.Response:
        """The same, and both request and answer must be as documented."""
        answer = self.call(method, path, body, **options)
        sent = answer.request
        validate_request(method, path, dict(sent.headers), dict(sent.url.params), body, provider="rollout")
        validate_response(method, path, answer.status_code, answer.json(), provider="rollout")
        return answer

    def refused(self, method: str, path: str, body: object = None, **options: object) -> tuple[int, str]:
        """Status and message of a call that must fail in the vendor's form."""
        answer = self.call(method, path, body, **options)
        document = answer.json()
        assert list(document) == ["errorMessage"]
        if answer.status_code not in UNDOCUMENTED:
            validate_response(method, path, answer.status_code, document, provider="rollout")
        return answer.status_code, document["errorMessage"]

    def made(self, path: str, **body: object) -> str:
        """Create a record and return its id."""
        return str(self.checked("POST", path, body).json()["id"])

    def person(self, **fields: object) -> str:
        """Create a person and return the id."""
        ana = {"firstName": "Ana", "lastName": "Ruiz", "emails": [{"value": "ana@mail.example"}]}
        return self.made("/people", **(ana | fields))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
