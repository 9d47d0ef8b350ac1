"""Our records in HubSpot's words, and its answers in ours. Pure.

Properties: https://developers.hubspot.com/docs/api-reference/crm-meetings-v3/guide and the guides of notes, tasks and
contacts beside it. Raise MAPPING_VERSION with every change of what is sent: it is part of the digest that tells whether
a record must be sent again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from integrations.providers.base import ContactFacts, ShowingFacts
from integrations.providers.likeness import Likeness, Person, person
from integrations.providers.likeness import likeness as alike
from integrations.providers.phrasing import address, one_line, showing_title, tag, untagged

MAPPING_VERSION = 1
MAX_TEXT = 255
CONTACT_PROPERTIES = ("firstname", "lastname", "email", "hs_additional_emails")

CANCELED = "CANCELED"
# Ours to theirs; an outcome counts only while a stop is live.
_OUTCOME = {"showed": "COMPLETED", "no_show": "NO_SHOW"}
_STANDS = ("pending", "confirmed")
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li)\s*>", re.IGNORECASE)
_ELEMENT = re.compile(r"<[^>]*>")
_NORTH_AMERICA = re.compile(r"\+1([0-9]{10})")


# --- people --------------------------------------------------------------------------------------------------------


def contact_body(contact: ContactFacts) -> dict[str, str]:
    """The properties of a new contact. What we do not know is left out, never sent empty."""
    known = {
        "firstname": one_line(contact.first_name, 80),
        "lastname": one_line(contact.last_name, 80),
        "email": contact.email,
        "phone": contact.phone,
    }
    return {name: value for name, value in known.items() if value}


def search_groups(contact: ContactFacts) -> list[dict[str, Any]]:
    """Filter groups, any of which may fit: what a read by e-mail does not find. Five is the most the search takes.

    Numbers as people typed them are not compared: HubSpot searches area code and local number, kept without the rest.
    https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm
    """
    found = [("hs_additional_emails", "CONTAINS_TOKEN", contact.email)] if contact.email else []
    if contact.phone:
        found += [(name, "EQ", contact.phone) for name in ("phone", "mobilephone")]
        local = _NORTH_AMERICA.fullmatch(contact.phone)
        calculated = ("hs_searchable_calculated_phone_number", "hs_searchable_calculated_mobile_number")
        found += [(name, "EQ", local.group(1)) for name in calculated if local]
    return [
        {"filters": [{"propertyName": name, "operator": operator, "value": value}]} for name, operator, value in found
    ]


def likeness(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Likeness:
    """Whether their contact is the person of our properties; it was found by e-mail or by phone."""
    return alike(_person(ours), _person(theirs))


def _person(properties: Mapping[str, Any]) -> Person:
    parts = [properties.get("firstname"), properties.get("lastname")]
    more = properties.get("hs_additional_emails")
    others = more.split(";") if isinstance(more, str) else []
    return person(" ".join(part for part in parts if isinstance(part, str)), properties.get("email"), *others)


# --- meetings ------------------------------------------------------------------------------------------------------


def meeting_body(showing: ShowingFacts, *, marker: str, contact: str) -> dict[str, str]:
    """Whose it is, and its properties. No attendee is named and nothing is put in a calendar: nobody is invited.

    Given to nobody it names no owner: on an edit that leaves whose it is.
    """
    starts = utc(showing.starts_at)
    return {
        "contact": contact,
        # "should match the value for hs_timestamp"
        "hs_timestamp": starts,
        "hs_meeting_start_time": starts,
        "hs_meeting_end_time": utc(showing.ends_at),
        "hs_meeting_title": title(showing, marker),
        "hs_meeting_location": address(showing),
        "hs_meeting_outcome": outcome(showing),
        # What is cancelled is nobody's: a user who left must not stand in its way.
        **({"hubspot_owner_id": showing.assignee} if showing.assignee and showing.live else {}),
    }


def outcome(showing: ShowingFacts) -> str:
    """The hs_meeting_outcome of a stop."""
    if not showing.live or showing.appointment_status not in _STANDS:
        return CANCELED
    return _OUTCOME.get(showing.outcome, "SCHEDULED")


def title(showing: ShowingFacts, marker: str) -> str:
    """At most 255 characters; however long the street, the marker stays whole, and there is only one.

    An outcome cannot say that a showing is not confirmed yet, so the title does.
    """
    pending = showing.appointment_status == "pending" and outcome(showing) == "SCHEDULED"
    begin = "Not confirmed yet · " if pending else ""
    end = f" {tag(marker)}"
    return one_line(untagged(begin + showing_title(showing)), MAX_TEXT - len(end)) + end


def utc(moment: datetime) -> str:
    """ISO 8601 in UTC, as the guides write times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- rich text -----------------------------------------------------------------------------------------------------


def rich(text: str) -> str:
    """Plain text as HubSpot's rich text, in which a line break is an element."""
    return html.escape(text, quote=False).replace("\n", "<br>")


def plain(value: str) -> str:
    """What people read in a rich text, however their editor wrapped it."""
    return html.unescape(_ELEMENT.sub("", _BREAK.sub("\n", value))).replace("\xa0", " ").strip()
