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
CHANGED_TOUR = OpenApiExample(
    "Another title, and a stop's city",
    request_only=True,
    value={"title": "One home in Davis", "stops": [{"sequence": 1, "city": "Davis"}]},
)
CONFIRM = OpenApiExample("Confirm", request_only=True, value={"status": "confirmed", "reason": "The owner agreed"})
PRESS = OpenApiExample("No-show", request_only=True, value={"verb": "no-show", "reason": "Nobody came"})
NEW_CONTACT = OpenApiExample(
    "A buyer",
    request_only=True,
    value={"first_name": "Bea", "last_name": "Lopez", "email": "bea.lopez@mail.example", "phone": "+19165550123"},
)
NEW_AGENT = OpenApiExample(
    "An agent", request_only=True, value={"name": "Dana Reyes", "email": "dana.reyes@brokerage.example"}
)
NEW_OFFICE = OpenApiExample("An office", request_only=True, value={"name": "Downtown"})
LEAVE_OUT = OpenApiExample(
    "A private sale",
    request_only=True,
    value={"connection_id": "1", "entity_type": "tour", "entity_id": "1", "reason": "Private sale"},
)
PLAN_LEAVE_OUT = OpenApiExample(
    "A tour", request_only=True, value={"connection_id": "1", "entity_type": "tour", "entity_id": "1"}
)
MERGE = OpenApiExample(
    "The other's e-mail address stays",
    request_only=True,
    value={"into": "17", "fields": {"email": "merged"}, "reason": "The same person, misspelt"},
)
NEW_FEEDBACK = OpenApiExample(
    "A buyer wants to see it again",
    request_only=True,
    value={
        "stop_id": "1",
        "author_role": "buyer",
        "submitted_at": "2031-09-15T18:05",
        "interest_level": "very_interested",
        "overall_rating": 5,
        "second_showing": "yes",
        "likes": ["Light", "Garden"],
        "comments": "We would like to come back on Saturday.",
    },
)
NEW_CONNECTION = OpenApiExample(
    "GoHighLevel for the whole brokerage",
    request_only=True,
    value={
        "provider": "gohighlevel",
        "label": "GoHighLevel, head office",
        "scope": "brokerage",
        "config": {"location_id": "ve9EPM428h8vShlRW1KT", "calendar_id": "CVokAlI8fgw4WYWoCtQz"},
        "secrets": {"token": "pit-1111-2222"},
    },
)
MAP_AGENT = OpenApiExample("A user of the CRM", request_only=True, value={"external_id": "user_ann"})
ARRIVED = OpenApiExample("It is there", request_only=True, value={"external_id": "appt_8Zq"})
