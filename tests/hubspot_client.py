"""A client of the sandbox's HubSpot: what staff do there; the product's adapter has no part in it."""

from __future__ import annotations

from typing import Any

import httpx

from tests.openapi import validate_request, validate_response
from tests.sandbox_server import HUBSPOT_TOKEN

# Each kind's association with a contact.
TYPE_IDS = {"meetings": 200, "notes": 202, "tasks": 204}


class HubSpotCrm:
    """Calls the sandbox as a client of HubSpot would, and can hold both sides to the vendor's contract."""

    def __init__(self, url: str, token: str = HUBSPOT_TOKEN) -> None:
        self.http = httpx.Client(base_url=f"{url}/hubspot", timeout=10)
        self.token = token

    def call(self, method: str, path: str, body: object = None, **query: str) -> httpx.Response:
        """One call with the token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.http.request(method, path, json=body, params=query, headers=headers)

    def documented(self, method: str, path: str, body: object = None, **query: str) -> httpx.Response:
        """The same; the request and, where the contract has such an answer, the answer are as the vendor documents."""
        answer = self.call(method, path, body, **query)
        validate_request(method, answer.request.url.path.removeprefix("/hubspot"), answer.request.headers, query, body,
                         provider="hubspot")  # fmt: skip
        if answer.is_success:
            told = answer.json() if answer.content else None
            validate_response(method, path, answer.status_code, told, provider="hubspot")
        return answer

    def made(self, of: str, contact: str = "", **properties: str) -> str:
        """A new record, of a contact when one is named; its id."""
        kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": TYPE_IDS.get(of, 0)}
        associations = [{"to": {"id": contact}, "types": [kind]}] if contact else []
        body = {"properties": properties, "associations": associations}
        answer = self.call("POST", f"/crm/v3/objects/{of}", body)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def shown(self, of: str, record_id: str, *names: str) -> dict[str, Any]:
        """Properties of a record."""
        answer = self.call("GET", f"/crm/v3/objects/{of}/{record_id}", properties=",".join(names))
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()["properties"]
        return found

    def change(self, of: str, record_id: str, **properties: str) -> None:
        """An edit."""
        self.call("PATCH", f"/crm/v3/objects/{of}/{record_id}", {"properties": properties}).raise_for_status()
