"""The bodies Lofty takes, and the errors it answers with.

From the prose of https://developer.lofty.com (no contract file is published), where it says nothing as other programs
use it. What becomes of a property that is not listed is left open; here it is refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

SLUG = "lofty"
END_MS = 253_370_764_800_000
LONGEST_NOTE = 5000
# Above what a float holds exactly: who reads ids as numbers of JavaScript is found out.
FIRST_ID = 2**53 + 1
MAX_INT64 = 2**63

Check = Callable[[str, object], str | None]
Shape = Mapping[str, Check]


class LoftyError(Exception):
    """An error answer; `code` is a number or a name, as the vendor mixes them."""

    def __init__(self, status: int, code: int | str, message: str) -> None:
        super().__init__(status)
        self.status, self.code, self.message = status, code, message

    def document(self) -> dict[str, object]:
        """The body of the answer."""
        return {"code": self.code, "message": self.message}


def new_id() -> str:
    """A 64-bit integer, as text."""
    return str(FIRST_ID + secrets.randbelow(MAX_INT64 - FIRST_ID))


def stamp(now: float) -> str:
    """Seconds since the epoch as leads and notes tell times: ``2026-04-22 10:15:30``."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S")


def moment_ms(value: object) -> int:
    """ISO 8601 with an offset as epoch milliseconds. Raises ValueError, also outside the years 1970 to 9998."""
    moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        raise ValueError(value)
    found = int(moment.timestamp() * 1000)
    if not 0 <= found < END_MS:
        raise ValueError(value)
    return found


def text(name: str, value: object) -> str | None:
    """A string."""
    return None if isinstance(value, str) else f"{name} must be a string"


def filled(name: str, value: object) -> str | None:
    """A string with something in it."""
    return None if isinstance(value, str) and value.strip() else f"{name} must not be empty"


def short(longest: int) -> Check:
    """A string of so many characters at most."""

    def check(name: str, value: object) -> str | None:
        if not isinstance(value, str):
            return f"{name} must be a string"
        return None if len(value) <= longest else f"{name} is longer than {longest} characters"

    return check


def flag(name: str, value: object) -> str | None:
    """A boolean."""
    return None if isinstance(value, bool) else f"{name} must be a boolean"


def number(name: str, value: object) -> str | None:
    """A 64-bit integer: a text with digits is none."""
    good = isinstance(value, int) and not isinstance(value, bool) and 0 < value < MAX_INT64
    return None if good else f"{name} must be a number"


def texts(name: str, value: object) -> str | None:
    """A list of strings."""
    good = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return None if good else f"{name} must be a list of strings"


def numbers(name: str, value: object) -> str | None:
    """A list of small integers."""
    good = isinstance(value, list) and all(isinstance(item, int) and not isinstance(item, bool) for item in value)
    return None if good else f"{name} must be a list of numbers"


def one_of(*values: str) -> Check:
    """One of some strings."""
    return lambda name, value: None if value in values else f"{name} must be one of: {', '.join(values)}"


def instant(name: str, value: object) -> str | None:
    """A time with its offset."""
    try:
        moment_ms(value)
    except ValueError:
        return f"{name} must be ISO 8601 with an offset"
    return None


def instant_ms(name: str, value: object) -> str | None:
    """Milliseconds since the epoch."""
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < END_MS
    return None if good else f"{name} must be a number of milliseconds"


def zone(name: str, value: object) -> str | None:
    """A time zone of the IANA database."""
    try:
        ZoneInfo(value if isinstance(value, str) else "")
    except (ValueError, OSError, KeyError):
        return f"{name} is not a time zone"
    return None


def check(body: Mapping[str, object], shape: Shape, required: tuple[str, ...] = ()) -> None:
    """Refuse a body that is not as documented."""
    for name in required:
        if name not in body:
            raise LoftyError(400, "MISSING_PARAMETER", f"{name} is missing")
    for name, value in body.items():
        if name not in shape:
            raise LoftyError(400, "INVALID_PARAMETER", f"{name} is not a known parameter")
        if problem := shape[name](name, value):
            too_long = "longer than" in problem
            raise LoftyError(400, "PARAMETER_TOO_LONG" if too_long else "INVALID_PARAMETER", problem)


LEAD: Shape = {
    "firstName": short(30), "lastName": short(30), "emails": texts, "phones": texts, "leadTypes": numbers,
    "source": text, "stage": text, "tags": texts, "tagsAdd": texts, "assignedUserId": number, "streetAddress": text,
    "city": text, "state": text, "zipCode": text, "referredBy": text, "groups": texts, "segments": texts,
    "cannotText": flag, "cannotCall": flag, "cannotEmail": flag, "welcomeEmail": flag,
}  # fmt: skip
NOTE_EDIT: Shape = {"content": short(LONGEST_NOTE), "isPin": flag}
NOTE: Shape = {**NOTE_EDIT, "leadId": number}
_TIMES: Shape = {"startAt": instant, "endAt": instant, "timeZoneCode": zone, "address": text}
TASK_EDIT: Shape = {"content": text, **_TIMES}
TASK: Shape = {
    **TASK_EDIT, "type": one_of("Other", "Call", "Email", "Text", "Appointment"), "leadId": number,
    "assignedRole": one_of("Agent", "Assistant"),
}  # fmt: skip
EVENT_EDIT: Shape = {
    "content": filled, **_TIMES, "startAtMs": instant_ms, "endAtMs": instant_ms, "leadId": number,
    "reminderType": text, "reminderTime": text,
}  # fmt: skip
EVENT: Shape = {
    **{name: check for name, check in EVENT_EDIT.items() if not name.startswith("reminder")},
    "type": one_of("TASK", "APPOINTMENT"), "taskWay": one_of("Call", "Email", "Text", "Other"),
    "assignedRole": one_of("Agent", "Assistant"),
}  # fmt: skip
