"""Our records in GoHighLevel's words, and its answers in ours. Pure.

Bodies follow CreateContactDto of apps/contacts.json, AppointmentCreateSchema and AppointmentEditSchema of
apps/calendars.json (https://github.com/GoHighLevel/highlevel-api-docs). Raise MAPPING_VERSION with every change of
what is sent: it is part of the digest that tells whether a record must be sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from integrations.providers.base import ContactFacts, ShowingFacts
from integrations.providers.comparing import different
from integrations.providers.likeness import Likeness, Person, person, same_user
from integrations.providers.likeness import likeness as alike
from integrations.providers.phrasing import address, one_line, showing_title, tag, untagged

MAPPING_VERSION = 1
SOURCE = "REanna Router"
MAX_TEXT = 255

# Ours (RESO) to theirs. What is not live is cancelled whatever its status; an outcome counts only while live.
_STATUS = {"pending": "new", "confirmed": "confirmed"}
_OUTCOME = {"showed": "showed", "no_show": "noshow"}

# What only steers the call, or cannot be changed by an edit: AppointmentEditSchema has neither place nor person.
_CREATE_ONLY = ("locationId", "contactId")


def contact_body(contact: ContactFacts, location: str) -> dict[str, Any]:
    """CreateContactDto. What we do not know is left out, never sent empty."""
    known = {
        "firstName": one_line(contact.first_name, 80),
        "lastName": one_line(contact.last_name, 80),
        "email": contact.email,
        "phone": contact.phone,
    }
    return {"locationId": location, **{name: value for name, value in known.items() if value}, "source": SOURCE}


def appointment_body(
    showing: ShowingFacts, *, marker: str, contact: str, location: str, calendar: str
) -> dict[str, Any]:
    """AppointmentCreateSchema. `toNotify` false: no message ever reaches a buyer because of us.

    Given to nobody it names no user: the calendar chooses one, and an edit leaves whose it is.
    """
    zone = ZoneInfo(showing.time_zone)
    return {
        "calendarId": calendar,
        "locationId": location,
        "contactId": contact,
        "title": title(showing, marker),
        "address": address(showing),
        "startTime": showing.starts_at.astimezone(zone).isoformat(timespec="seconds"),
        "endTime": showing.ends_at.astimezone(zone).isoformat(timespec="seconds"),
        "appointmentStatus": status(showing),
        "meetingLocationType": "custom",
        # "true - if only meetingLocationType is provided": else the calendar's own location is shown.
        "overrideLocationConfig": True,
        "toNotify": False,
        # Tours are agreed with the seller's side: the CRM calendar's opening hours have no say.
        "ignoreFreeSlotValidation": True,
        "ignoreDateRange": True,
        # What is cancelled is nobody's: a user who left must not stand in its way.
        **({"assignedUserId": showing.assignee} if showing.assignee and showing.live else {}),
    }


def edit_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """AppointmentEditSchema, from what would create it."""
    return {name: value for name, value in body.items() if name not in _CREATE_ONLY}


def status(showing: ShowingFacts) -> str:
    """The appointmentStatus of a stop."""
    if not showing.live:
        return "cancelled"
    return _OUTCOME.get(showing.outcome) or _STATUS.get(showing.appointment_status, "cancelled")


def title(showing: ShowingFacts, marker: str) -> str:
    """At most 255 characters; however long the street, the marker stays whole, and there is only one.

    It stands in the title because the list by contact returns titles but no descriptions.
    """
    end = f" {tag(marker)}"
    return one_line(untagged(showing_title(showing)), MAX_TEXT - len(end)) + end


def likeness(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Likeness:
    """Whether their contact is the person of our CreateContactDto; it was found by e-mail or by phone."""
    return alike(_person(ours), _person(theirs))


APPOINTMENT_FIELDS = (
    "title", "address", "startTime", "endTime", "appointmentStatus", "calendarId", "assignedUserId",
)  # fmt: skip
"""What we own of an appointment, as GET /calendars/events/appointments/{id} shows it."""


def appointment_differs(body: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of ours that their appointment shows otherwise."""
    return different(body, record, APPOINTMENT_FIELDS, times=("startTime", "endTime"))


def same_appointment(body: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool | None:
    """Whether their appointment already is as wanted, by the fields we own; None: the answer does not tell.

    For one that should be cancelled only the status counts. A field that is absent, or a time without an offset (the
    list by contact gives local times and no zone), does not tell.
    """
    if body["appointmentStatus"] == "cancelled" or theirs.get("appointmentStatus") == "cancelled":
        return bool(body["appointmentStatus"] == theirs.get("appointmentStatus"))
    told = [
        *(_equal(body[name], theirs.get(name)) for name in ("title", "address", "appointmentStatus", "calendarId")),
        *(_same_instant(body[name], theirs.get(name)) for name in ("startTime", "endTime")),
        same_user(body, theirs, "assignedUserId"),
    ]
    if False in told:
        return False
    return None if None in told else True


def _equal(ours: str, theirs: object) -> bool | None:
    return ours == theirs if isinstance(theirs, str) else None


def _same_instant(ours: str, theirs: object) -> bool | None:
    if not isinstance(theirs, str):
        return None
    try:
        moment = datetime.fromisoformat(theirs)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment == datetime.fromisoformat(ours)


def _person(contact: Mapping[str, Any]) -> Person:
    parts = [contact.get("firstName"), contact.get("lastName")]
    known = " ".join(part for part in parts if isinstance(part, str))
    return person(known if known.strip() else contact.get("name"), contact.get("email"))
