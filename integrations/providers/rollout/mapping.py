"""Our records in Rollout's words, and its answers in ours. Pure.

Bodies follow POST and PUT of /people, /appointments and /appointment-types in the contract. Raise MAPPING_VERSION with
every change of what is sent: it is part of the digest that tells whether a record must be sent again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from integrations.providers.base import ContactFacts, ShowingFacts
from integrations.providers.comparing import different
from integrations.providers.likeness import Person, folded, person, same_user
from integrations.providers.phrasing import address, one_line, showing_title, tag, untagged

MAPPING_VERSION = 1
SOURCE = "REanna Router"
# Both names are required. What is not known is said so, and read back as not known.
UNKNOWN_NAME = "Unknown"
TYPE_NAME = "Showing"
# Behind the types people made for themselves.
TYPE_WEIGHT = 1000
MAX_TITLE = 255
NO_ADDRESS = "Address not known"

# Steers the call and is no field of theirs.
_OURS_ONLY = ("outcome",)
_STATUS = {"pending": "not confirmed yet", "confirmed": "confirmed"}
_OUTCOME = {"showed": "showed", "no_show": "no-show"}
# What an account's own list may call them; compared without case, blanks and punctuation.
_OUTCOME_NAMES = {"showed": ("showed", "completed", "attended"), "no_show": ("noshow", "didnotshow")}
_MARKER = re.compile(r"\[RR-([0-9A-Z]{12})\]")


# --- people --------------------------------------------------------------------------------------------------------


def person_body(contact: ContactFacts) -> dict[str, Any]:
    """The body of POST /people. No marker: a buyer always has an e-mail or a phone, and those identify.

    `source` is the only field of ours: one constant, because CRMs list every source they meet.
    """
    body: dict[str, Any] = {
        "firstName": one_line(contact.first_name, 80) or UNKNOWN_NAME,
        "lastName": one_line(contact.last_name, 80) or UNKNOWN_NAME,
        "source": SOURCE,
    }
    if contact.email:
        body["emails"] = [{"value": contact.email, "isPrimary": True}]
    if contact.phone:
        body["phones"] = [{"value": contact.phone, "isPrimary": True}]
    return body


def person_of(record: Mapping[str, Any]) -> Person:
    """Who they say it is. A name that is only the placeholder is not known."""
    parts = [name for name in (record.get("firstName"), record.get("lastName")) if isinstance(name, str)]
    known = " ".join(name for name in parts if folded(name) != folded(UNKNOWN_NAME))
    return person(known, *_values(record, "emails"))


def email_key(email: str) -> str:
    """What an e-mail address is filed under."""
    return f"email:{folded(email)}"


def phone_key(phone: str) -> str:
    """What a number is filed under: digits alone, the trunk and country code of North America left out."""
    digits = "".join(filter(str.isdecimal, phone))
    return f"phone:{digits[1:] if len(digits) == 11 and digits[0] == '1' else digits}"


def person_keys(record: Mapping[str, Any]) -> tuple[str, ...]:
    """All addresses and numbers of a person, as keys of the look-up index."""
    mails = [email_key(mail) for mail in _values(record, "emails") if folded(mail)]
    phones = [phone_key(phone) for phone in _values(record, "phones") if any(map(str.isdecimal, phone))]
    return tuple(dict.fromkeys(mails + phones))


def _values(record: Mapping[str, Any], name: str) -> list[str]:
    entries = record.get(name)
    values = [entry.get("value") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [value for value in values if isinstance(value, str)]


# --- appointments --------------------------------------------------------------------------------------------------


def appointment_body(showing: ShowingFacts, *, marker: str, person_id: str, type_id: str) -> dict[str, Any]:
    """The body of POST and PUT /appointments, and beside it `outcome`, which `request_body` takes out.

    The description carries the marker: the list shows descriptions. Status and outcome have no field that a read
    returns, so they are told in words. Given to nobody it names no user: on an edit that leaves whose it is.
    """
    return {
        "personId": person_id,
        "appointmentTypeId": type_id,
        "title": one_line(untagged(showing_title(showing)), MAX_TITLE),
        "location": address(showing) or NO_ADDRESS,
        "description": f"{untagged(_account_of(showing))}\n{tag(marker)}",
        "isAllDay": False,
        "startsAt": _utc(showing.starts_at),
        "endsAt": _utc(showing.ends_at),
        "outcome": showing.outcome if showing.outcome in _OUTCOME else "",
        **({"userId": showing.assignee} if showing.assignee and showing.live else {}),
    }


def request_body(body: Mapping[str, Any], outcome_id: str = "") -> dict[str, Any]:
    """What is sent."""
    sent = {name: value for name, value in body.items() if name not in _OURS_ONLY}
    return {**sent, "appointmentOutcomeId": outcome_id} if outcome_id else sent


def outcome_id(outcome: str, outcomes: Iterable[Mapping[str, Any]]) -> str:
    """The account's own outcome that says the same; empty when it has none."""
    wanted = _OUTCOME_NAMES.get(outcome, ())
    for record in outcomes:
        name = "".join(filter(str.isalnum, folded(record.get("name"))))
        if name in wanted and isinstance(record.get("id"), str):
            return str(record["id"])
    return ""


def appointment_keys(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The markers in a description, as keys of the look-up index."""
    return marker_keys(record.get("description"))


def marker_keys(text: object) -> tuple[str, ...]:
    """The markers in a text, as keys of the look-up index."""
    found = _MARKER.findall(text) if isinstance(text, str) else []
    return tuple(dict.fromkeys(marker_key(marker) for marker in found))


def marker_key(marker: str) -> str:
    """What a marker is filed under."""
    return f"marker:{marker}"


APPOINTMENT_FIELDS = ("personId", "title", "location", "description", "startsAt", "endsAt", "userId")
"""What we own of an appointment, as GET /appointments/{id} shows it; no read returns an outcome."""


def appointment_differs(body: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of ours that their appointment shows otherwise."""
    return different(body, record, APPOINTMENT_FIELDS, times=("startsAt", "endsAt"))


def same_appointment(body: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool | None:
    """Whether their appointment already is as wanted, by the fields we own; None: the answer does not tell.

    No read returns the outcome, so a stop that has one is never known to be the same.
    """
    told = [
        *(_equal(body[name], theirs.get(name)) for name in ("personId", "title", "location", "description")),
        *(_same_instant(body[name], theirs.get(name)) for name in ("startsAt", "endsAt")),
        None if body["outcome"] else True,
        same_user(body, theirs, "userId"),
    ]
    if False in told:
        return False
    return None if None in told else True


def _account_of(showing: ShowingFacts) -> str:
    status = _OUTCOME.get(showing.outcome) or _STATUS.get(showing.appointment_status, showing.appointment_status)
    lines = [
        f"Tour {showing.tour_reference}, stop {showing.sequence}: {status}.",
        f"Shown by {one_line(showing.agent_name, 120)}." if showing.agent_name else "",
    ]
    return "\n".join(line for line in lines if line)


def _utc(moment: datetime) -> str:
    """RFC 3339 in UTC; the contract takes `date-time`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


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
