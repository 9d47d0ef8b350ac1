"""A client of the sandbox's GoHighLevel that the sandbox's own tests use; the product's adapter has no part in it."""

from __future__ import annotations

import httpx

from tests.openapi import validate_request, validate_response
from tests.sandbox_server import CALENDAR, TOKEN

PLAIN, CALENDARS = "2021-07-28", "2021-04-15"


class Crm:
    """Calls the sandbox as a client of GoHighLevel would, and can hold both sides to the vendor's contract."""

    def __init__(self, url: str, token: str = TOKEN) -> None:
        self.http = httpx.Client(base_url=url, timeout=10)
        self.token = token

    def call(self, method: str, path: str, body: object = None, **options: object) -> httpx.Response:
        """One call with token and version as the path wants them; ``headers`` and ``query`` override."""
        version = CALENDARS if path.startswith("/calendars") else PLAIN
        headers = {"Authorization": f"Bearer {self.token}", "Version": version}
        given = options.get("headers", {})
        assert isinstance(given, dict)
        headers = {name: value for name, value in (headers | given).items() if value is not None}
        return self.http.request(method, path, json=body, params=options.get("query"), headers=headers)  # type: ignore[arg-type]

    def checked(self, method: str, path: str, body: object = None, **options: object) -> httpx.Response:
        """The same, and both request and answer must be as documented."""
        answer = self.call(method, path, body, **options)
        sent = answer.request
        validate_request(method, path, dict(sent.headers), dict(sent.url.params), body)
        validate_response(method, path, answer.status_code, answer.json())
        return answer

    def contact(self, **fields: object) -> str:
        """Create a contact and return its id."""
        body = {"locationId": "loc_demo", "firstName": "Ana", "lastName": "Ruiz", "email": "ana@mail.example"} | fields
        return str(self.checked("POST", "/contacts/", body).json()["contact"]["id"])

    def appointment(self, contact_id: str, **fields: object) -> httpx.Response:
        """Create an appointment."""
        return self.call("POST", "/calendars/events/appointments", appointment_body(contact_id) | fields)


def appointment_body(contact_id: str) -> dict[str, object]:
    """What an appointment needs, silent and past every slot check."""
    return {
        "calendarId": CALENDAR,
        "locationId": "loc_demo",
        "contactId": contact_id,
        "title": "Showing: 1 Elm St",
        "startTime": "2026-09-14T10:00:00-07:00",
        "endTime": "2026-09-14T10:30:00-07:00",
        "appointmentStatus": "confirmed",
        "address": "1 Elm St, Sacramento, CA",
        "description": "Two bedrooms",
        "toNotify": False,
        "ignoreFreeSlotValidation": True,
    }
