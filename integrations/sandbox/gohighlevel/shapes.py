"""The bodies GoHighLevel takes, and the errors it answers with.

Follows ``apps/*.json`` of https://github.com/GoHighLevel/highlevel-api-docs. Properties that are not listed there
are refused, as the vendor's validation does.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

SLUG = "gohighlevel"
ALPHABET = string.ascii_letters + string.digits
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[^@\s.]{1,63}\Z")
APPOINTMENT_STATUSES = ("new", "confirmed", "cancelled", "showed", "noshow", "invalid")
MEETING_LOCATION_TYPES = ("custom", "zoom", "gmeet", "phone", "address", "ms_teams", "google")
ERROR_NAMES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 413: "Payload Too Large",
    422: "Unprocessable Entity",
}  # fmt: skip

Check = Callable[[object], str | None]
Shape = Mapping[str, Check]


class VendorError(Exception):
    """An error answer. ``message`` is a string or a list of strings, as the vendor mixes them."""

    def __init__(self, status: int, message: str | list[str], **extra: object) -> None:
        super().__init__(status)
        self.status = status
        self.message = message
        self.extra = extra

    def document(self) -> dict[str, object]:
        """The body of the answer."""
        document: dict[str, object] = {"statusCode": self.status, "message": self.message, **self.extra}
        if self.status in ERROR_NAMES and self.status != 400:
            document["error"] = ERROR_NAMES[self.status]
        return document


def new_id() -> str:
    """An id as the vendor makes them: 20 letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(20))


def iso(now: float) -> str:
    """Seconds since the epoch as ``2021-07-02T05:18:26.704Z``."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def phone_key(phone: str) -> str | None:
    """A phone number reduced to + and digits; None if it cannot be one.

    A number that begins with a space is none: that is what an unescaped + becomes in a query, and the vendor asks
    for %2B.
    """
    digits = re.sub(r"[()\s.\-]", "", phone)
    if phone[:1] == " " or not re.fullmatch(r"\+?[0-9]{7,15}", digits):
        return None
    if digits.startswith("+"):
        return digits
    return f"+1{digits}" if len(digits) == 10 else f"+{digits}"


def problems(document: Mapping[str, object], shape: Shape, required: tuple[str, ...] = ()) -> list[str]:
    """Everything that is wrong with a body, in the vendor's words."""
    found = [f"property {name} should not exist" for name in document if name not in shape]
    for name, check in shape.items():
        if name in document:
            message = check(document[name])
            if message is not None:
                found.append(
                    f"each value in {name} {message[5:]}" if message.startswith("each ") else f"{name} {message}"
                )
        elif name in required:
            found += [f"{name} should not be empty", f"{name} must be a string"]
    return found


def text(value: object) -> str | None:
    """A string."""
    return None if isinstance(value, str) else "must be a string"


def filled(value: object) -> str | None:
    """A string with something in it."""
    return None if isinstance(value, str) and value else "should not be empty"


def text_or_null(value: object) -> str | None:
    """A string or null."""
    return None if value is None else text(value)


def flag(value: object) -> str | None:
    """A boolean."""
    return None if isinstance(value, bool) else "must be a boolean value"


def number(value: object) -> str | None:
    """A number."""
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return None if good else "must be a number conforming to the specified constraints"


def texts(value: object) -> str | None:
    """A list of strings."""
    if not isinstance(value, list):
        return "must be an array"
    return None if all(isinstance(item, str) for item in value) else "each must be a string"


def mapping(value: object) -> str | None:
    """An object."""
    return None if isinstance(value, dict) else "must be an object"


def date_or_null(value: object) -> str | None:
    """A date. The contract types it as an object and shows a string; both are taken."""
    return None if value is None or isinstance(value, str | dict) else "must be a date"


def email(value: object) -> str | None:
    """An e-mail address or null."""
    return None if value is None or (isinstance(value, str) and EMAIL.match(value)) else "must be an email"


def phone(value: object) -> str | None:
    """A phone number or null."""
    good = value is None or (isinstance(value, str) and phone_key(value) is not None)
    return None if good else "must be a valid phone number"


def custom_fields(value: object) -> str | None:
    """A list of ``{"id", "key"?, "field_value"?}``."""
    if not isinstance(value, list):
        return "must be an array"
    good = all(
        isinstance(item, dict) and isinstance(item.get("id"), str) and item.keys() <= {"id", "key", "field_value"}
        for item in value
    )
    return None if good else "each must have an id and nothing but id, key and field_value"


def box_options(value: object) -> str | None:
    """A list of ``{"label"?, "prefillValue"?}``."""
    if not isinstance(value, list):
        return "must be an array"
    good = all(
        isinstance(item, dict)
        and item.keys() <= {"label", "prefillValue"}
        and all(isinstance(part, str) for part in item.values())
        for item in value
    )
    return None if good else "each must have nothing but label and prefillValue"


def one_of(values: tuple[str, ...]) -> Check:
    """One of some strings."""
    message = f"must be one of the following values: {', '.join(values)}"
    return lambda value: None if isinstance(value, str) and value in values else message


def instant(value: object) -> str | None:
    """An ISO 8601 time."""
    good = isinstance(value, str) and len(value) > 10
    if good:
        try:
            datetime.fromisoformat(str(value))
        except ValueError:
            good = False
    return None if good else "must be a valid ISO 8601 date string"


CONTACT_UPDATE: Shape = {
    "firstName": text_or_null, "lastName": text_or_null, "name": text_or_null, "email": email, "phone": phone,
    "address1": text_or_null, "city": text_or_null, "state": text_or_null, "postalCode": text, "website": text_or_null,
    "timezone": text_or_null, "dnd": flag, "dndSettings": mapping, "inboundDndSettings": mapping, "tags": texts,
    "customFields": custom_fields, "source": text_or_null, "dateOfBirth": date_or_null, "country": text,
    "assignedTo": text_or_null,
}  # fmt: skip
CONTACT_CREATE: Shape = {
    **CONTACT_UPDATE, "source": text, "assignedTo": text, "locationId": filled, "gender": text,
    "companyName": text_or_null,
}  # fmt: skip
CONTACT_UPSERT: Shape = {**CONTACT_CREATE, "createNewIfDuplicateAllowed": flag}
TAGS: Shape = {"tags": texts}
APPOINTMENT_EDIT: Shape = {
    "title": text, "meetingLocationType": one_of(MEETING_LOCATION_TYPES), "meetingLocationId": text,
    "overrideLocationConfig": flag, "appointmentStatus": one_of(APPOINTMENT_STATUSES), "assignedUserId": text,
    "description": text, "address": text, "ignoreDateRange": flag, "toNotify": flag, "ignoreFreeSlotValidation": flag,
    "rrule": text, "calendarId": filled, "startTime": instant, "endTime": instant,
}  # fmt: skip
APPOINTMENT_CREATE: Shape = {**APPOINTMENT_EDIT, "locationId": filled, "contactId": filled}
NOTE: Shape = {"userId": text, "body": text, "title": text, "color": text, "pinned": flag}
TASK: Shape = {"title": filled, "body": text, "dueDate": instant, "completed": flag, "assignedTo": text}
TASK_COMPLETED: Shape = {"completed": flag}
# The contract shows TEXT only; the names are those of the location's own settings.
FIELD_TYPES = (
    "TEXT", "LARGE_TEXT", "NUMERICAL", "FLOAT", "PHONE", "EMAIL", "MONETORY", "CHECKBOX", "RADIO", "SINGLE_OPTIONS",
    "MULTIPLE_OPTIONS", "DATE", "TIME", "TEXTBOX_LIST", "FILE_UPLOAD", "SIGNATURE",
)  # fmt: skip
CUSTOM_FIELD: Shape = {
    "name": filled, "dataType": one_of(FIELD_TYPES), "placeholder": text, "acceptedFormat": texts,
    "isMultipleFile": flag, "maxNumberOfFiles": number, "textBoxListOptions": box_options, "position": number,
    "model": one_of(("contact", "opportunity")),
}  # fmt: skip
TOKEN: Shape = {
    "client_id": filled, "client_secret": filled,
    "grant_type": one_of(("authorization_code", "refresh_token", "client_credentials")), "code": text,
    "refresh_token": text, "user_type": one_of(("Company", "Location")), "redirect_uri": text,
}  # fmt: skip
