"""Examples that stand in the schema; the tests send each of them."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample

NEW_TOUR = OpenApiExample(
    "A tour with two stops",
    request_only=True,
    value={
        "reference": "T-2031",
        "title": "Two homes in Sacramento",
        "time_zone": "America/Los_Angeles",
        "starts_at": "2031-09-15T14:00",
        "agent": {"email": "dana.reyes@brokerage.example", "name": "Dana Reyes"},
        "buyer": {"first_name": "Bea", "last_name": "Lopez", "email": "bea.lopez@mail.example"},
        "stops": [
            {
                "street": "12 Elm St",
                "city": "Sacramento",
                "state": "CA",
                "postal_code": "95838",
                "list_price": "525000.00",
                "appointment_start": "2031-09-15T14:00",
                "appointment_end": "2031-09-15T14:30",
                "appointment_status": "confirmed",
            },
            {
                "street": "40 Oak Ave",
                "city": "Sacramento",
                "state": "CA",
                "appointment_start": "2031-09-15T15:00",
                "appointment_end": "2031-09-15T15:30",
            },
        ],
    },
)
CONFIRM = OpenApiExample("Confirm", request_only=True, value={"status": "confirmed", "reason": "The owner agreed"})
