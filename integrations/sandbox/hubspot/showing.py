"""What the page shows of a HubSpot account."""

from __future__ import annotations

import re
from html import unescape

from integrations.sandbox.holdings import Holding, Status, Tab, full_name, shortened, utc

from .objects import PROPERTY
from .shapes import TYPES

_KEPT = frozenset({"created", "changed", "before", "indexed"})


def _buyer(held: Holding) -> str:
    return "" if held.contact is None else _name(held.contact.doc)


def _name(doc: dict[str, object]) -> str:
    return " ".join(str(doc[part]) for part in ("firstname", "lastname") if doc.get(part))


def _read(text: str) -> str:
    """Rich text as people read it."""
    return unescape(re.sub(r"<[^>]*>", "", re.sub(r"<br\s*/?>", "\n", text)))


def _meeting(held: Holding) -> tuple[str, ...]:
    outcome = Status(held.text("hs_meeting_outcome").lower())
    who = held.named("user", "hubspot_owner_id")
    return held.text("hs_meeting_title"), outcome, held.times, _buyer(held), held.text("hs_meeting_location"), who


def _contact(held: Holding) -> tuple[str, ...]:
    doc, known = held.record.doc, TYPES["contacts"].properties
    own = [f"{name}: {value}" for name, value in doc.items() if name not in known and name not in _KEPT and value]
    mails = ", ".join(part for part in (held.text("email"), held.text("hs_additional_emails")) if part)
    phones = ", ".join(part for part in (held.text("phone"), held.text("mobilephone")) if part)
    return _name(doc), mails, phones, shortened("\n".join(own)), utc(held.text("changed"))


def _note(held: Holding) -> tuple[str, ...]:
    return _buyer(held), shortened(_read(held.text("hs_note_body"))), utc(held.text("hs_timestamp"))


def _task(held: Holding) -> tuple[str, ...]:
    body, who = shortened(_read(held.text("hs_task_body"))), held.named("user", "hubspot_owner_id")
    due, status = utc(held.text("hs_timestamp")), held.text("hs_task_status").replace("_", " ").capitalize()
    return _buyer(held), held.text("hs_task_subject"), body, due, who, status


def _owner(held: Holding) -> tuple[str, ...]:
    return full_name(held.record.doc), held.text("email")


TABS = (
    Tab("appointment", "Meetings", ("Title", "Outcome", "Starts", "Buyer", "Location", "Owner"), _meeting),
    Tab("contact", "Contacts", ("Name", "E-mail", "Phone", "Own properties", "Changed"), _contact),
    Tab("note", "Notes", ("Buyer", "Note", "At"), _note),
    Tab("task", "Tasks", ("Buyer", "Task", "Text", "Due", "Owner", "Status"), _task),
    Tab(PROPERTY, "Own properties", ("Name",), lambda held: (held.text("name"),)),
    Tab("user", "Owners", ("Name", "E-mail"), _owner),
)
