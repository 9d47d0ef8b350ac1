"""Our records in Follow Up Boss's words, and its answers in ours. Pure.

Bodies follow POST and PUT of /people and /appointments (https://docs.followupboss.com/reference/people-post,
https://docs.followupboss.com/reference/appointments-post). Raise MAPPING_VERSION with every change of what is sent: it
is part of the digest that tells whether a record must be sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from integrations.providers.base import ContactFacts, ShowingFacts
from integrations.providers.comparing import different
from integrations.providers.likeness import Person, folded, person
from integrations.providers.phrasing import address, one_line, showing_title, tag, untagged

from .answers import number

MAPPING_VERSION = 1
SOURCE = "REanna Router"
MAX_TITLE = 255
PERSON, USER = "person ", "user "

_STATUS = {"pending": "not confirmed yet", "confirmed": "confirmed"}
_OUTCOME = {"showed": "showed", "no_show": "no-show"}
# What an account's own list may call them; compared without case, blanks and punctuation.
_OUTCOME_NAMES = {
    "showed": ("showed", "completed", "attended", "met", "held"),
    "no_show": ("noshow", "didnotshow"),
}


# --- people --------------------------------------------------------------------------------------------------------


def person_body(contact: ContactFacts) -> dict[str, Any]:
    """What POST /people says. What we do not know is left out; no marker: e-mail or phone identify a buyer.

    Whose a new person is: the agent's, where showings are given to agents; else the key's own user gets it.
    """
    names = {"firstName": one_line(contact.first_name, 80), "lastName": one_line(contact.last_name, 80)}
    body: dict[str, Any] = {name: value for name, value in names.items() if value}
    if contact.email:
        body["emails"] = [{"value": contact.email}]
    if contact.phone:
        body["phones"] = [{"value": contact.phone}]
    if contact.assignee:
        body["assignedUserId"] = contact.assignee
    return {**body, "source": SOURCE}


def person_request(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is sent. Raises Rejected for a user that is none of theirs."""
    if "assignedUserId" not in body:
        return dict(body)
    return {**body, "assignedUserId": number(body["assignedUserId"], "the agent's user")}


def person_of(record: Mapping[str, Any]) -> Person:
    """Who they say it is; the whole name where its parts are not told."""
    parts = [record.get("firstName"), record.get("lastName")]
    known = " ".join(part for part in parts if isinstance(part, str))
    return person(known if known.strip() else record.get("name"), *_values(record, "emails"))


def has_email(record: Mapping[str, Any], email: str) -> bool:
    """Whether the address is one of the person's."""
    return folded(email) in map(folded, _values(record, "emails"))


def has_phone(record: Mapping[str, Any], phone: str) -> bool:
    """Whether the number is one of the person's, however it is written."""
    return _digits(phone) in map(_digits, _values(record, "phones"))


def _digits(phone: str) -> str:
    """Digits alone, the trunk and country code of North America left out."""
    digits = "".join(filter(str.isdecimal, phone))
    return digits[1:] if len(digits) == 11 and digits[0] == "1" else digits


def _values(record: Mapping[str, Any], name: str) -> list[str]:
    entries = record.get(name)
    values = [entry.get("value") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [value for value in values if isinstance(value, str)]


# --- appointments --------------------------------------------------------------------------------------------------


def appointment_body(showing: ShowingFacts, *, marker: str, person_id: str) -> dict[str, Any]:
    """What POST and PUT /appointments are made of by `request_body`: `invitees` and `outcome` in our words.

    The description carries the marker: the list by person shows descriptions. `createdById` is never sent: the list
    shows only what the key's own user created.
    """
    return {
        "title": one_line(untagged(showing_title(showing)), MAX_TITLE),
        "location": address(showing),
        "description": f"{untagged(_account_of(showing))}\n{tag(marker)}",
        "allDay": False,
        "start": _utc(showing.starts_at),
        "end": _utc(showing.ends_at),
        "invitees": [f"{PERSON}{person_id}", *([f"{USER}{showing.assignee}"] if showing.assignee else [])],
        "outcome": showing.outcome if showing.outcome in _OUTCOME else "",
    }


def request_body(body: Mapping[str, Any], outcome_id: int | None, *, new: bool) -> dict[str, Any]:
    """What is sent. An edit of what is given to nobody leaves who is invited. Raises Rejected for ids not of theirs.

    Nothing asks for invitations: no message ever reaches a buyer because of us.
    """
    sent = {name: value for name, value in body.items() if name not in ("invitees", "outcome")}
    if new or _given(body):
        sent["invitees"] = [_invited(one) for one in body["invitees"]]
    return sent if outcome_id is None else {**sent, "outcomeId": outcome_id}


def outcome_id(outcome: str, outcomes: Iterable[Mapping[str, Any]]) -> int | None:
    """The account's own outcome that says the same; None when it has none."""
    return next((record["id"] for record in outcomes if _outcome_of(record.get("name")) == outcome), None)


APPOINTMENT_FIELDS = ("title", "location", "description", "start", "end", "invitees", "outcome")
"""What we own of an appointment, as `shown` has it."""


def shown(body: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Their appointment under the names of `body`. Left out: what we do not say, and an outcome that is not set.

    An account without an outcome of ours shows none, which is no difference.
    """
    told = {name: value for name, value in record.items() if name not in ("invitees", "outcome")}
    invitees, outcome = record.get("invitees"), _outcome_of(record.get("outcome"))
    if isinstance(invitees, list) and _given(body):
        told["invitees"] = sorted(filter(None, map(_invitee, invitees)))
    return {**told, "outcome": outcome} if outcome and body["outcome"] else told


def appointment_differs(body: Mapping[str, Any], told: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of ours that their appointment, as `shown`, has otherwise."""
    ours = {**body, "invitees": sorted(body["invitees"])}
    return different(ours, told, APPOINTMENT_FIELDS, times=("start", "end"))


def same_appointment(body: Mapping[str, Any], record: Mapping[str, Any]) -> bool | None:
    """Whether their appointment already is as wanted, by the fields we own; None: the answer does not tell."""
    told = shown(body, record)
    if appointment_differs(body, told):
        return False
    needed = {"title", "location", "description", "start", "end"}
    needed |= {"invitees"} if _given(body) else set()
    needed |= {"outcome"} if body["outcome"] else set()
    untold = needed - told.keys() or not all(_has_offset(told[name]) for name in ("start", "end"))
    return None if untold else True


def _given(body: Mapping[str, Any]) -> bool:
    return any(one.startswith(USER) for one in body["invitees"])


def _invited(one: str) -> dict[str, int]:
    if one.startswith(USER):
        return {"userId": number(one.removeprefix(USER), "the agent's user")}
    return {"personId": number(one.removeprefix(PERSON), "the buyer")}


def _invitee(entry: object) -> str:
    """One of theirs in our words; empty for who is neither a person nor a user."""
    known = entry if isinstance(entry, dict) else {}
    for name, word in (("userId", USER), ("personId", PERSON)):
        if isinstance(known.get(name), int | str) and known[name]:
            return f"{word}{known[name]}"
    return ""


def _outcome_of(name: object) -> str:
    """Ours for the name of one of theirs; theirs where we have none like it."""
    plain = "".join(filter(str.isalnum, folded(name)))
    return next((ours for ours, names in _OUTCOME_NAMES.items() if plain in names), str(name) if plain else "")


def _account_of(showing: ShowingFacts) -> str:
    status = _OUTCOME.get(showing.outcome) or _STATUS.get(showing.appointment_status, showing.appointment_status)
    lines = [
        f"Tour {showing.tour_reference}, stop {showing.sequence}: {status}.",
        f"Shown by {one_line(showing.agent_name, 120)}." if showing.agent_name else "",
    ]
    return "\n".join(line for line in lines if line)


def _utc(moment: datetime) -> str:
    """In UTC, as the vendor asks."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _has_offset(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
