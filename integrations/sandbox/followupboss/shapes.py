"""The bodies Follow Up Boss takes, and the errors it answers with.

Follows the pages of https://docs.followupboss.com/reference. They leave open what becomes of a property that they do
not list; here it is refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

SLUG = "followupboss"
# Above what a reader of JSON with 53 bits keeps exact.
LEAST_ID, MOST_ID = 2**53 + 1, 2**62
TASK_TYPES = (
    "Follow Up", "Call", "Text", "Email", "Appointment", "Showing", "Closing", "Open House", "Thank You",
)  # fmt: skip

Check = Callable[[str, object], list[str]]


class VendorError(Exception):
    """An error answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status)
        self.status = status
        self.message = message

    def document(self) -> dict[str, object]:
        """The body of the answer."""
        return {"errorMessage": self.message}


def new_id() -> str:
    """A new id: whole numbers, kept here as text."""
    return str(LEAST_ID + secrets.randbelow(MOST_ID - LEAST_ID))


def iso(seconds: float) -> str:
    """Seconds since the epoch as ``2026-09-14T17:00:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def moment_ms(value: object) -> int:
    """A time, in UTC unless it says otherwise, as epoch milliseconds. Raises ValueError."""
    moment = datetime.fromisoformat(str(value))
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def text(where: str, value: object) -> list[str]:
    """A string."""
    return [] if isinstance(value, str) else [f"{where} must be a string"]


def flag(where: str, value: object) -> list[str]:
    """A boolean."""
    return [] if isinstance(value, bool) else [f"{where} must be a boolean"]


def whole(where: str, value: object) -> list[str]:
    """A whole number."""
    return [] if isinstance(value, int) and not isinstance(value, bool) else [f"{where} must be an integer"]


def instant(where: str, value: object) -> list[str]:
    """A time as a string."""
    if isinstance(value, str) and len(value) > 10:
        try:
            moment_ms(value)
        except (ValueError, OverflowError):
            return [f"{where} must be a date and time"]
        return []
    return [f"{where} must be a date and time"]


def one_of(values: tuple[str, ...]) -> Check:
    """One of some strings."""
    return lambda where, value: [] if value in values else [f"{where} must be one of: {', '.join(values)}"]


def each(check: Check) -> Check:
    """A list of such values."""

    def items(where: str, value: object) -> list[str]:
        if not isinstance(value, list):
            return [f"{where} must be an array"]
        return [problem for index, item in enumerate(value) for problem in check(f"{where}[{index}]", item)]

    return items


def shape(properties: Mapping[str, Check], required: tuple[str, ...] = (), open_prefix: str = "") -> Check:
    """An object with these properties, those that begin with ``open_prefix``, and no others."""

    def members(where: str, value: object) -> list[str]:
        if not isinstance(value, dict):
            return [f"{where or 'the body'} must be an object"]
        prefix = f"{where}." if where else ""
        unknown = [name for name in value if name not in properties]
        found = [
            f"{prefix}{name} is not a known property"
            for name in unknown
            if not (open_prefix and name.startswith(open_prefix))
        ]
        found += [f"{prefix}{name} is required" for name in required if value.get(name) in (None, "")]
        for name, check in properties.items():
            if name in value:
                found += check(f"{prefix}{name}", value[name])
        return found

    return members


_REACHED = each(shape({"value": text, "type": text, "isPrimary": whole, "status": text}, ("value",)))
_ADDRESS = dict.fromkeys(("type", "street", "city", "state", "code", "country"), text)
_PERSON: Mapping[str, Check] = {
    "firstName": text, "lastName": text, "name": text, "stage": text, "source": text, "sourceUrl": text,
    "contacted": flag, "price": whole, "assignedTo": text, "assignedUserId": whole, "assignedLenderId": whole,
    "tags": each(text), "emails": _REACHED, "phones": _REACHED, "addresses": each(shape(_ADDRESS)),
    "background": text, "createdAt": instant,
}  # fmt: skip
PERSON_CREATE = shape(_PERSON, open_prefix="custom")
# "can only be set once on the creation of a person"
PERSON_UPDATE = shape(
    {name: check for name, check in _PERSON.items() if name not in ("source", "sourceUrl", "createdAt")},
    open_prefix="custom",
)
_NOTE: Mapping[str, Check] = {"subject": text, "body": text, "isHtml": flag}
NOTE_CREATE = shape({**_NOTE, "personId": whole}, ("personId", "body"))
NOTE_UPDATE = shape({**_NOTE, "personId": whole})
_TASK: Mapping[str, Check] = {
    "personId": whole, "name": text, "type": one_of(TASK_TYPES), "assignedUserId": whole, "assignedTo": text,
    "isCompleted": flag, "dueDate": text, "dueDateTime": instant, "remindSecondsBefore": whole,
}  # fmt: skip
TASK_CREATE = shape(_TASK, ("personId", "name"))
TASK_UPDATE = shape(_TASK)
_APPOINTMENT: Mapping[str, Check] = {
    "title": text, "description": text, "location": text, "start": instant, "end": instant, "allDay": flag,
    "invitees": each(shape({"userId": whole, "personId": whole, "name": text, "email": text})), "typeId": whole,
    "outcomeId": whole, "createdById": whole, "sendInvitation": flag,
}  # fmt: skip
APPOINTMENT_CREATE = shape(_APPOINTMENT, ("title", "start", "end"))
APPOINTMENT_UPDATE = shape({name: check for name, check in _APPOINTMENT.items() if name != "createdById"})
EVENT = shape(
    {
        "source": text, "system": text, "type": text, "message": text, "description": text,
        "person": shape({**_PERSON, "id": whole}, open_prefix="custom"), "property": shape({}, open_prefix=""),
        "occurredAt": instant,
    },
    ("person",),
    "custom",
)  # fmt: skip
