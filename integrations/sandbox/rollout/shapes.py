"""The bodies Rollout takes, and the errors it answers with.

Follows ``rollout-crm-openapi.json`` of https://github.com/RolloutHQ/crm-activity-sync. The file leaves open what
becomes of a property that it does not list; here it is refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

SLUG = "rollout"
END_MS = 253_370_764_800_000
NOT_READY = "Data for this credential is not ready yet. Please try again."

Check = Callable[[str, object], list[str]]


class RolloutError(Exception):
    """An error answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status)
        self.status = status
        self.message = message

    def document(self) -> dict[str, object]:
        """The body of the answer."""
        return {"errorMessage": self.message}


def new_id() -> str:
    """A new id: the file says no more than that ids are strings."""
    return secrets.token_hex(12)


def iso(seconds: float) -> str:
    """Seconds since the epoch as ``2026-09-14T17:00:00.000Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_ms(value: object) -> int:
    """A date, a time (UTC unless it says otherwise) or a number of milliseconds, as epoch milliseconds.

    Raises ValueError, also for what lies outside the years 1970 to 9998.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = int(value)
    else:
        moment = datetime.fromisoformat(str(value))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        found = int(moment.timestamp() * 1000)
    if not 0 <= found < END_MS:
        raise ValueError(value)
    return found


def text(where: str, value: object) -> list[str]:
    """A string."""
    return [] if isinstance(value, str) else [f"{where} must be a string"]


def flag(where: str, value: object) -> list[str]:
    """A boolean."""
    return [] if isinstance(value, bool) else [f"{where} must be a boolean"]


def flag_or_null(where: str, value: object) -> list[str]:
    """A boolean or null."""
    return [] if value is None else flag(where, value)


def number(where: str, value: object) -> list[str]:
    """A number."""
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return [] if good else [f"{where} must be a number"]


def instant(where: str, value: object) -> list[str]:
    """A date, a time or a number of milliseconds."""
    try:
        moment_ms(value)
    except ValueError:
        return [f"{where} must be a date or a time of ISO 8601, or a number of milliseconds"]
    return []


def instant_text(where: str, value: object) -> list[str]:
    """A date or a time as a string."""
    return text(where, value) or instant(where, value)


def each(check: Check) -> Check:
    """A list of such values."""

    def items(where: str, value: object) -> list[str]:
        if not isinstance(value, list):
            return [f"{where} must be an array"]
        return [problem for index, item in enumerate(value) for problem in check(f"{where}[{index}]", item)]

    return items


def shape(properties: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """An object with these properties and no others."""

    def members(where: str, value: object) -> list[str]:
        if not isinstance(value, dict):
            return [f"{where or 'the body'} must be an object"]
        prefix = f"{where}." if where else ""
        found = [f"{prefix}{name} is not a known property" for name in value if name not in properties]
        found += [f"{prefix}{name} is required" for name in required if name not in value]
        for name, check in properties.items():
            if name in value:
                found += check(f"{prefix}{name}", value[name])
        return found

    return members


ADDRESS_PARTS = ("type", "street", "city", "state", "code", "country")
CONSENTS = ("email", "call", "text", "massEmail", "postalMail", "visit")
_PERSON: Mapping[str, Check] = {
    "firstName": text, "lastName": text, "stage": text, "assignedUserId": text, "officeId": text,
    "emails": each(shape({"value": text, "type": text, "status": text, "isPrimary": flag}, ("value",))),
    "phones": each(shape({"value": text, "type": text, "status": text, "isPrimary": flag_or_null}, ("value",))),
    "addresses": each(shape(dict.fromkeys(ADDRESS_PARTS, text))), "tags": each(text), "source": text,
    "averageBeds": number, "averagePrice": number, "birthday": text, "rating": number, "lastActivity": text,
    "lastActivityType": text, "contactTypes": each(text), "jobTitle": text, "companyName": text,
    "communicationsConsent": shape(dict.fromkeys(CONSENTS, flag)),
}  # fmt: skip
PERSON_CREATE = shape(_PERSON, ("firstName", "lastName"))
PERSON_UPDATE = shape(_PERSON)
TAGS = shape({"tags": each(text)}, ("tags",))
_NOTE: Mapping[str, Check] = {"personId": text, "subject": text, "body": text, "isHtml": flag}
NOTE_CREATE = shape(_NOTE, ("personId",))
NOTE_UPDATE = shape(_NOTE)
_TASK: Mapping[str, Check] = {
    "personId": text, "name": text, "type": text, "assignedUserId": text, "isCompleted": flag,
    "dueDateTime": instant_text,
}  # fmt: skip
TASK_CREATE = shape(_TASK, ("personId",))
TASK_UPDATE = shape(_TASK)
_APPOINTMENT: Mapping[str, Check] = {
    "personId": text, "userId": text, "appointmentTypeId": text, "appointmentOutcomeId": text, "title": text,
    "description": text, "location": text, "isAllDay": flag, "startsAt": instant, "endsAt": instant,
}  # fmt: skip
APPOINTMENT_CREATE = shape(_APPOINTMENT, ("personId", "appointmentTypeId", "title", "location"))
APPOINTMENT_UPDATE = shape(_APPOINTMENT)
_CHOICE: Mapping[str, Check] = {"name": text, "orderWeight": number}
CHOICE_CREATE = shape(_CHOICE, ("name", "orderWeight"))
CHOICE_UPDATE = shape(_CHOICE)
FIELD_TYPES: Mapping[str, Mapping[str, Check]] = {
    "text": {}, "date": {"isRecurring": flag}, "number": {}, "dropdown": {"choices": each(text)},
}  # fmt: skip
