"""What taking an import back does, and what it leaves: shown before, kept afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Q

from integrations.models import AuditEvent, Connection, Contact, ExternalRef, ImportItem, ImportRun, Tour
from integrations.operations import audit
from integrations.operations.audit import Who

UNPLANNED = "it was not in the plan, so it is left as it is."
MAX_NAMED = 1000
"""So many names are kept with a run that was taken back."""
_BUYERS = 100
_CHANGES = ("contact.update", "contact.merge")


@dataclass(slots=True)
class UndoPlan:
    """What an undo does. `left`: what it leaves alone, with the reason, for people. `contacts_left` likewise.

    `appointments`: how many that stand in a CRM are cancelled there, by connection; only in a plan. `acts`: type of
    record → ids of those that something is done to. `only`: the same of the plan that was confirmed, when this is its
    doing; what is not in there is left.
    """

    run: ImportRun
    cancel: list[str] = field(default_factory=list)
    restore: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    feedback_deleted: int = 0
    feedback_restored: int = 0
    contacts_archived: int = 0
    contacts_left: list[str] = field(default_factory=list)
    agents_kept: int = 0
    appointments: Counter[str] = field(default_factory=Counter)
    acts: dict[str, set[int]] = field(default_factory=lambda: {"tour": set(), "feedback": set(), "contact": set()})
    only: dict[str, set[int]] | None = None
    cancelled_ids: set[int] = field(default_factory=set)

    def may(self, entity_type: str, pk: int) -> bool:
        """Whether something may be done to that record."""
        return self.only is None or pk in self.only.get(entity_type, ())

    @property
    def contacts_kept(self) -> int:
        return len(self.contacts_left)

    @property
    def empty(self) -> bool:
        """Whether it would change nothing."""
        return not (
            self.cancel or self.restore or self.feedback_deleted or self.feedback_restored or self.contacts_archived
        )

    def told(self, before: dict[str, Any] | None) -> dict[str, Any]:
        """As the run keeps it, added to what an interrupted attempt did."""
        old = before or {}
        counts = {
            "cancelled": len(self.cancel),
            "restored": len(self.restore),
            "answers_deleted": self.feedback_deleted,
            "answers_restored": self.feedback_restored,
            "contacts_archived": self.contacts_archived,
        }
        # What an earlier attempt left is found and named again by this one.
        return {
            **old,
            **{name: old.get(name, 0) + number for name, number in counts.items()},
            "left": self.left[:MAX_NAMED],
            "left_count": len(self.left),
            "contacts_left": self.contacts_left[:MAX_NAMED],
            "contacts_left_count": len(self.contacts_left),
        }


def standing(stop_ids: Sequence[int]) -> Counter[str]:
    """How many of these stops have an appointment in a CRM, by the connection's label."""
    known = ExternalRef.objects.filter(
        entity_type="stop", resource="appointment", entity_id__in=stop_ids, external_id__isnull=False
    )
    numbers = known.order_by().values_list("connection").annotate(Count("pk"))
    labels = dict(Connection.objects.values_list("pk", "label"))
    return Counter({labels[pk]: number for pk, number in numbers})


def decide_contacts(plan: UndoPlan, *, now: datetime | None, who: Who | None) -> None:
    """Buyers the run created: archived when nobody else came to use or change them, else left. `who`: does it."""
    items = ImportItem.objects.filter(run=plan.run, created=True, entity_type="contact").order_by("entity_id")
    ids = list(items.values_list("entity_id", flat=True))
    for at in range(0, len(ids), _BUYERS):
        part = ids[at : at + _BUYERS]
        if who is None:
            _decide(Contact.objects.filter(pk__in=part).order_by("pk"), plan)
            continue
        with transaction.atomic():
            archived = _decide(Contact.objects.select_for_update().filter(pk__in=part).order_by("pk"), plan)
            events = [audit.event("contact.archive", contact, who, after={"archived_at": now}) for contact in archived]
            Contact.objects.filter(pk__in=[contact.pk for contact in archived]).update(archived_at=now, updated_at=now)
            audit.record_all(events)


def _decide(contacts: Iterable[Contact], plan: UndoPlan) -> list[Contact]:
    found = [contact for contact in contacts if contact.archived_at is None]
    ids = [contact.pk for contact in found]
    used = _used(ids, plan.cancelled_ids)
    changed = set(
        AuditEvent.objects.filter(object_type="contact", object_id__in=ids, verb__in=_CHANGES)
        .exclude(reason=f"import {plan.run.pk}")
        .values_list("object_id", flat=True)
    )
    archived = []
    for contact in found:
        if contact.pk in used:
            plan.contacts_left.append(f"{contact}: is on tour {used[contact.pk]}.")
        elif contact.pk in changed:
            plan.contacts_left.append(f"{contact}: someone changed this buyer since.")
        elif not plan.may("contact", contact.pk):
            plan.contacts_left.append(f"{contact}: {UNPLANNED}")
        else:
            archived.append(contact)
            plan.acts["contact"].add(contact.pk)
    plan.contacts_archived += len(archived)
    return archived


def _used(contact_ids: Sequence[int], cancelled: set[int]) -> dict[int, str]:
    """Contact → the reference of a tour that keeps it in use."""
    rows = Tour.objects.filter(Q(buyer__in=contact_ids) | Q(further_buyers__in=contact_ids), archived_at__isnull=True)
    used: dict[int, str] = {}
    for pk, reference, buyer, further in rows.values_list("pk", "reference", "buyer", "further_buyers"):
        if pk not in cancelled:
            used.setdefault(buyer, reference)
            used.setdefault(further, reference)
    return used
