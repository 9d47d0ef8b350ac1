"""Our records in Lofty's words, and its answers in ours. Pure.

Bodies follow https://developer.lofty.com/api-reference/leads/create-lead and …/calendar/v2/create-event. Raise
MAPPING_VERSION with every change of what is sent: it is part of the digest that tells whether a record must be sent
again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from integrations.providers.base import ContactFacts, ShowingFacts
from integrations.providers.comparing import different
from integrations.providers.likeness import Person, folded, person
from integrations.providers.phrasing import address, one_line, showing_title, tag, untagged

MAPPING_VERSION = 1
SOURCE = "REanna Router"
BUYER = 2
MAX_NAME = 30
# How long the text of an appointment may be is not said; with everything else this stays below 500 characters.
MAX_TITLE = 200
APPOINTMENT, TASK = "appointment", "task"

# What only a create takes: https://developer.lofty.com/api-reference/calendar/v2/update-event
_CREATE_ONLY = ("type", "taskWay", "assignedRole")
_STATUS = {"pending": "not confirmed yet", "confirmed": "confirmed"}
_OUTCOME = {"showed": "showed", "no_show": "no-show"}
_CALENDAR_ID = re.compile(r"([0-9]{1,19})-(?:task|appointment)\Z")


# --- leads ---------------------------------------------------------------------------------------------------------


def lead_body(contact: ContactFacts, taker: str) -> dict[str, Any]:
    """The body of POST /v1.0/leads. No marker: a buyer always has an e-mail or a phone, and those identify.

    It goes to the tour's agent where showings are given to agents, else to the member `taker`, else to whom the
    brokerage's own routing rules say, as every lead it gets. `welcomeEmail` false: no message ever reaches a buyer
    because of us.
    """
    known: dict[str, Any] = {
        "firstName": one_line(contact.first_name, MAX_NAME),
        "lastName": one_line(contact.last_name, MAX_NAME),
        "emails": [contact.email] if contact.email else [],
        "phones": [contact.phone] if contact.phone else [],
        "assignedUserId": contact.assignee or taker.strip(),
    }
    body = {name: value for name, value in known.items() if value}
    return {**body, "leadTypes": [BUYER], "source": SOURCE, "welcomeEmail": False}


def person_of(lead: Mapping[str, Any]) -> Person:
    """Who they say it is."""
    parts = [name for name in (lead.get("firstName"), lead.get("lastName")) if isinstance(name, str)]
    return person(" ".join(parts), *texts(lead, "emails"))


def has_email(lead: Mapping[str, Any], email: str) -> bool:
    """Whether this address is one of the lead's."""
    return folded(email) in [folded(mail) for mail in texts(lead, "emails")]


def has_phone(lead: Mapping[str, Any], phone: str) -> bool:
    """Whether this number is one of the lead's."""
    return digits(phone) in [digits(number) for number in texts(lead, "phones")]


def digits(phone: str) -> str:
    """Digits alone, the trunk and country code of North America left out."""
    found = "".join(filter(str.isdecimal, phone))
    return found[1:] if len(found) == 11 and found[0] == "1" else found


def texts(record: Mapping[str, Any], name: str) -> list[str]:
    """The texts of a list; none when there is no list."""
    values = record.get(name)
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def tags_of(lead: Mapping[str, Any]) -> set[str] | None:
    """The names of its tags, which reads show as objects; None: the answer does not tell."""
    tags = lead.get("tags")
    if not isinstance(tags, list):
        return None
    return {str(one.get("tagName") if isinstance(one, dict) else one) for one in tags}


# --- showings ------------------------------------------------------------------------------------------------------


def showing_body(showing: ShowingFacts, *, marker: str, lead: str, kind: str) -> dict[str, Any]:
    """The body of POST /v2.0/calendar: an appointment, or a task with the place in its text.

    The text carries the marker: the list by lead shows texts. There is no status and no outcome, so they are told in
    words. Neither can be given to a user: both are the lead's own agent's, which a task has to say.
    """
    zone = ZoneInfo(showing.time_zone)
    as_task = kind == TASK
    where = address(showing)
    body = {
        "type": kind.upper(),
        "content": content(showing, marker, where if as_task else ""),
        "leadId": lead,
        "timeZoneCode": showing.time_zone,
        "startAt": showing.starts_at.astimezone(zone).isoformat(timespec="seconds"),
        "endAt": showing.ends_at.astimezone(zone).isoformat(timespec="seconds"),
    }
    if as_task:
        return {**body, "taskWay": "Other", "assignedRole": "Agent"}
    return {**body, **({"address": where} if where else {})}


def content(showing: ShowingFacts, marker: str, where: str) -> str:
    """What it is, where, what came of it, who shows it, and the marker alone on the last line, whole."""
    status = _OUTCOME.get(showing.outcome) or _STATUS.get(showing.appointment_status, showing.appointment_status)
    lines = [
        one_line(showing_title(showing), MAX_TITLE),
        where,
        f"Tour {showing.tour_reference}, stop {showing.sequence}: {status}.",
        f"Shown by {one_line(showing.agent_name, 80)}." if showing.agent_name else "",
    ]
    return untagged("\n".join(line for line in lines if line)) + f"\n{tag(marker)}"


def edit_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of PUT /v2.0/calendar/{id}, from what would create it."""
    return {name: value for name, value in body.items() if name not in _CREATE_ONLY}


def number_of(calendar_id: str) -> str:
    """The number that /v2.0/tasks knows it by; another id as it is."""
    found = _CALENDAR_ID.match(calendar_id)
    return found[1] if found else calendar_id


def calendar_id(number: str, record: Mapping[str, Any]) -> str:
    """What /v2.0/calendar calls a record of /v2.0/tasks: one numbering for both, the kind behind it."""
    return f"{number}-{APPOINTMENT if folded(record.get('type')) == APPOINTMENT else TASK}"


def is_calendar_id(text: str) -> bool:
    """Whether it is of that form."""
    return _CALENDAR_ID.match(text) is not None


SHOWING_FIELDS = ("content", "leadId", "startAt", "endAt", "address")
"""What we own of a showing, as GET /v2.0/tasks/{taskId} shows it."""


def showing_differs(body: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of ours that their record shows otherwise."""
    return different(body, record, SHOWING_FIELDS, times=("startAt", "endAt"))


def same_showing(body: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool | None:
    """Whether their record already is as wanted, by the fields we own; None: the answer does not tell."""
    told = [_equal(body[name], theirs.get(name)) for name in ("content", "leadId", "address") if name in body]
    told += [_same_instant(body[name], theirs.get(name)) for name in ("startAt", "endAt")]
    return all_same(told)


def all_same(told: Sequence[bool | None]) -> bool | None:
    """One answer of several."""
    if False in told:
        return False
    return None if None in told else True


def _equal(ours: str, theirs: object) -> bool | None:
    return ours.split() == theirs.split() if isinstance(theirs, str) else None


def _same_instant(ours: str, theirs: object) -> bool | None:
    if not isinstance(theirs, str):
        return None
    try:
        moment = datetime.fromisoformat(theirs)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment == datetime.fromisoformat(ours)
