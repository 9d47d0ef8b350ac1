"""Agents and buyers: finding who is meant, creating who is missing, changing a buyer."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Lower

from integrations.models import Agent, Contact, ImportRun, Tour

from . import audit, planning
from .audit import Changes, Who
from .refusals import NotPossible
from .validation import AgentInput, ContactInput


class People:
    """The agents and buyers of a set of tours: fetched together, created together. Inside a transaction.

    A buyer is recognised within the same name by e-mail address, else by phone; one who was merged is who stands for
    them now. What is known of a buyer is never
    overwritten by an import, only gaps are filled: two rows that disagree would otherwise undo one another each time
    the file is read.
    """

    def __init__(self, agents: Sequence[AgentInput | int | None], buyers: Sequence[ContactInput | int | None]) -> None:
        self._agents = _agents_by_email([item for item in agents if isinstance(item, AgentInput)])
        agent_ids = {item for item in agents if isinstance(item, int)}
        self._agents_by_id = Agent.objects.in_bulk(agent_ids) if agent_ids else {}
        wanted = [item for item in buyers if isinstance(item, ContactInput)]
        self._by_name: dict[tuple[str, str], list[Contact]] = defaultdict(list)
        self._same: dict[int, Contact] = {}
        for contact in _contacts_like(wanted):
            self._by_name[_name_key(contact)].append(contact)
            self._same[contact.pk] = contact
        contact_ids = {item for item in buyers if isinstance(item, int)}
        by_id = Contact.objects.select_related("merged_into").in_bulk(contact_ids) if contact_ids else {}
        self._contacts_by_id = {pk: contact.survivor for pk, contact in by_id.items()}
        self.created_agents: list[Agent] = []
        self.created: list[Contact] = []
        self.filled: dict[int, tuple[Contact, Changes]] = {}

    def agent(self, wanted: AgentInput | int) -> Agent:
        """The agent; created (in `create_missing`) when the address is new."""
        if isinstance(wanted, int):
            return self._agents_by_id[wanted]
        known = self._agents.get(wanted.email)
        if known is None:
            known = Agent(email=wanted.email, name=wanted.name)
            self._agents[wanted.email] = known
            self.created_agents.append(known)
        return known

    def buyer(self, wanted: ContactInput | int, current: Contact | None = None) -> Contact:
        """Who is meant. `current`, the tour's buyer so far, stays when it fits at all."""
        if isinstance(wanted, int):
            return self._contacts_by_id[wanted]
        same_name = self._by_name[_name_key(wanted)]
        if current is not None:
            current = self._same.setdefault(current.pk, current)
        fits = (
            (current if current is not None and _is(current, wanted) else None)
            or next((known for known in same_name if _same_email(known, wanted)), None)
            or next((known for known in same_name if _same_phone(known, wanted)), None)
        )
        if fits is None:
            fits = Contact(
                first_name=wanted.first_name, last_name=wanted.last_name, email=wanted.email, phone=wanted.phone
            )
            same_name.append(fits)
            self.created.append(fits)
        else:
            fits = self._standing_for(fits)
            self._fill(fits, wanted)
        return fits

    def _standing_for(self, contact: Contact) -> Contact:
        if contact.merged_into is None:
            return contact
        return self._same.setdefault(contact.merged_into.pk, contact.merged_into)

    def _fill(self, contact: Contact, wanted: ContactInput) -> None:
        changes: Changes = {}
        for name in ("email", "phone"):
            value = getattr(wanted, name)
            if value and not getattr(contact, name):
                changes[name] = (getattr(contact, name), value)
                setattr(contact, name, value)
        if changes and contact.pk is not None:
            _, earlier = self.filled.get(contact.pk, (contact, {}))
            self.filled[contact.pk] = (contact, {**earlier, **changes})

    def create_missing(self) -> None:
        """Insert the new agents and buyers; afterwards all that was handed out is stored."""
        for agent in self.created_agents:
            # Someone may have created the same agent in this very moment: take theirs.
            stored, _ = Agent.objects.get_or_create(
                email__iexact=agent.email, defaults={"email": agent.email, "name": agent.name}
            )
            agent.pk = stored.pk
        if self.created:
            Contact.objects.bulk_create(self.created)

    def store_filled(self, who: Who, import_run: ImportRun | None = None) -> None:
        """Write the gaps that were filled, under the row's lock: a version each, an audit event, and the plan."""
        if not self.filled:
            return
        fresh = Contact.objects.select_for_update().filter(pk__in=self.filled).order_by("pk").in_bulk()
        for pk, (contact, changes) in self.filled.items():
            still = {name: change for name, change in changes.items() if not getattr(fresh[pk], name)}
            if still:
                contact.version = fresh[pk].version
                _write(contact, still, who, import_run)


def give_to_survivors(tours: Sequence[Tour]) -> None:
    """Gives tours that were stored just now to who stands for their buyer, if that was merged meanwhile. One query.

    A merge that comes later waits for the stored rows; one that came before is seen here.
    """
    ids = {tour.buyer_id for tour in tours}
    if not ids:
        return
    gone = Contact.objects.filter(pk__in=ids, merged_into__isnull=False).select_related("merged_into").in_bulk()
    for tour in tours:
        if tour.buyer_id in gone:
            tour.buyer = gone[tour.buyer_id].survivor
            tour.save(update_fields=["buyer"])


def save_contact(data: ContactInput, *, actor: str, via: str, contact_id: int | None = None) -> Contact:
    """Create a buyer, or change one: then its version rises and what must follow is planned. Unchanged: no write.

    Raises NotPossible for one who was merged, Contact.DoesNotExist.
    """
    who = Who(actor, via)
    values = {name: getattr(data, name) for name in ("first_name", "last_name", "email", "phone")}
    with transaction.atomic():
        if contact_id is None:
            contact = Contact.objects.create(**values)
            audit.record("contact.create", contact, actor=actor, via=via, after=values)
            return contact
        contact = Contact.objects.select_for_update().get(pk=contact_id)
        if contact.merged_into is not None:
            raise NotPossible(f"This buyer was merged into “{contact.merged_into}”: change that one.")
        changes = changes_of(contact, values)
        if changes:
            _write(contact, changes, who)
        return contact


def _write(contact: Contact, changes: Changes, who: Who, import_run: ImportRun | None = None) -> None:
    for name, (_, value) in changes.items():
        setattr(contact, name, value)
    contact.version += 1
    contact.save(update_fields=[*changes, "version", "updated_at"])
    audit.record_all([audit.event("contact.update", contact, who, **audit.sides(changes))])
    planning.plan_contact(contact, import_run=import_run)


def changes_of(record: Any, values: Mapping[str, Any]) -> Changes:
    """What of `values` differs from what `record` holds: field → (old, new)."""
    return {name: (getattr(record, name), value) for name, value in values.items() if getattr(record, name) != value}


def _agents_by_email(wanted: list[AgentInput]) -> dict[str, Agent]:
    emails = {item.email for item in wanted}
    if not emails:
        return {}
    found = Agent.objects.annotate(key=Lower("email")).filter(key__in=emails)
    return {agent.email.lower(): agent for agent in found}


def _contacts_like(wanted: list[ContactInput]) -> list[Contact]:
    """All who could be one of them, oldest first, those in use before archived ones."""
    emails = {item.email for item in wanted if item.email}
    phones = {item.phone for item in wanted if item.phone}
    if not emails and not phones:
        return []
    mine = Contact.objects.select_related("merged_into").annotate(key=Lower("email"))
    rows = mine.filter(Q(key__in=emails) | Q(phone__in=phones))
    return sorted(rows, key=lambda contact: (contact.archived_at is not None, contact.pk))


def _name_key(person: Contact | ContactInput) -> tuple[str, str]:
    return _folded(person.first_name), _folded(person.last_name)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _same_email(known: Contact, wanted: ContactInput) -> bool:
    return bool(wanted.email) and known.email.lower() == wanted.email


def _same_phone(known: Contact, wanted: ContactInput) -> bool:
    return bool(wanted.phone) and known.phone == wanted.phone


def _is(known: Contact, wanted: ContactInput) -> bool:
    return _name_key(known) == _name_key(wanted) and (_same_email(known, wanted) or _same_phone(known, wanted))
