"""HubSpot's properties and what may stand in them, and the errors it answers with.

https://developers.hubspot.com/docs/api-reference/error-handling and the guides of contacts, meetings, notes and tasks.
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

SLUG = "hubspot"
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[^@\s.]{1,63}\Z")
OUTCOMES = ("SCHEDULED", "COMPLETED", "RESCHEDULED", "NO_SHOW", "CANCELED")
MAX_TEXT = 65_536

Check = Callable[[str], str | None]
"""The name of what is wrong with a value, or None."""


class VendorError(Exception):
    """An error answer."""

    def __init__(self, status: int, category: str, message: str, **extra: object) -> None:
        super().__init__(status)
        self.status = status
        self.category = category
        self.message = message
        self.extra = extra

    def document(self) -> dict[str, object]:
        """The body of the answer."""
        return {
            "status": "error",
            "message": self.message,
            "correlationId": str(uuid.uuid4()),
            "category": self.category,
            **self.extra,
        }


def invalid(message: str, **extra: object) -> VendorError:
    """400 of something that is not as it should be."""
    return VendorError(400, "VALIDATION_ERROR", message, **extra)


def not_found() -> VendorError:
    """404 of a record."""
    return VendorError(404, "OBJECT_NOT_FOUND", "resource not found")


def new_id() -> str:
    """An id that no JavaScript number can hold."""
    return str(2**54 + secrets.randbelow(2**60))


def iso(now: float) -> str:
    """Seconds since the epoch as ``2019-10-30T03:30:17.883Z``."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(value: str) -> datetime | None:
    """A time as the guides allow it: milliseconds since the epoch, or ISO 8601 with an offset."""
    try:
        if re.fullmatch(r"-?[0-9]{1,15}", value):
            return datetime.fromtimestamp(int(value) / 1000, UTC)
        found = datetime.fromisoformat(value)
    except (ValueError, OverflowError, OSError):
        return None
    return None if found.tzinfo is None else found.astimezone(UTC)


def _text(value: str) -> str | None:
    return None if len(value) <= MAX_TEXT else "INVALID_STRING_LENGTH"


def _email(value: str) -> str | None:
    return None if not value or EMAIL.match(value) else "INVALID_EMAIL"


def _time(value: str) -> str | None:
    return None if not value or moment(value) is not None else "INVALID_DATE"


def _one_of(*options: str) -> Check:
    return lambda value: None if not value or value in options else "INVALID_OPTION"


class Type(NamedTuple):
    """One kind of records: as what the sandbox files it, its association with a contact, and its properties."""

    kind: str
    type_id: int
    properties: Mapping[str, Check]
    times: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    shown: tuple[str, ...] = ("hs_createdate", "hs_lastmodifieddate", "hs_object_id")


_OWNED: Mapping[str, Check] = {"hs_timestamp": _time, "hubspot_owner_id": _text, "hs_attachment_ids": _text}
TYPES: Mapping[str, Type] = {
    "contacts": Type(
        "contact", 0,
        {"email": _email, "hs_additional_emails": _text, "hubspot_owner_id": _text,
         **dict.fromkeys(("firstname", "lastname", "phone", "mobilephone", "company", "website", "city"), _text)},
        shown=("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"),
    ),
    "meetings": Type(
        "appointment", 200,
        {**_OWNED, "hs_meeting_start_time": _time, "hs_meeting_end_time": _time,
         "hs_meeting_outcome": _one_of(*OUTCOMES),
         **dict.fromkeys(("hs_meeting_title", "hs_meeting_body", "hs_internal_meeting_notes", "hs_meeting_location",
                          "hs_meeting_external_url", "hs_activity_type"), _text)},
        times=("hs_timestamp", "hs_meeting_start_time", "hs_meeting_end_time"),
    ),
    "notes": Type("note", 202, {**_OWNED, "hs_note_body": _text}, times=("hs_timestamp",), required=("hs_timestamp",)),
    "tasks": Type(
        "task", 204,
        {**_OWNED, "hs_task_subject": _text, "hs_task_body": _text, "hs_task_reminders": _time,
         "hs_task_status": _one_of("NOT_STARTED", "COMPLETED", "IN_PROGRESS", "WAITING", "DEFERRED"),
         "hs_task_priority": _one_of("LOW", "MEDIUM", "HIGH"), "hs_task_type": _one_of("EMAIL", "CALL", "TODO")},
        times=("hs_timestamp",), required=("hs_timestamp",),
    ),
}  # fmt: skip


def checked(given: object, known: Type, custom: frozenset[str]) -> dict[str, str]:
    """Properties as they are stored. Raises VendorError that names all that cannot be taken."""
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise invalid("Invalid input JSON: properties must be an object of strings")
    problems = []
    for name, value in given.items():
        check = known.properties.get(name) or (_text if name in custom else None)
        error = check(value) if check else "PROPERTY_DOESNT_EXIST"
        if error:
            words = f'Property "{name}" does not exist' if check is None else f'"{value}" was not a valid value'
            problems.append({"isValid": False, "message": words, "error": error, "name": name})
    if problems:
        message = f"Property values were not valid: {json.dumps(problems)}"
        raise invalid(message, errors=[{"message": one["message"], "code": one["error"]} for one in problems])
    return {name: _stored(name, value, known) for name, value in given.items()}


def _stored(name: str, value: str, known: Type) -> str:
    if name in known.times and value:
        found = moment(value)
        return value if found is None else iso(found.timestamp())
    return value.strip().lower() if name == "email" else value


def local_number(phone: str) -> str:
    """Area code and local number, as the search keeps them."""
    digits = "".join(filter(str.isdigit, phone))
    return digits[1:] if len(digits) == 11 and digits.startswith("1") else digits
