"""Merging two buyers who are one person: one survives with all tours, the other is archived and points to it.

ADR 13 says what becomes of operations and of links to CRMs, and why it has no undo.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from integrations.engine import settling, states
from integrations.engine.claims import columns_of, row_of
from integrations.engine.clock import db_now
from integrations.models import Contact, ExternalRef, ImportItem, LeftOut, Operation, State, Tour
from integrations.tasks import ring_after_commit

from . import archiving, audit, left_out, planned, planning
from .audit import Changes, Who
from .merge_plan import MERGED, SURVIVOR, Links, MergePlan, open_of, plan_merge, refusals, under
from .people import changes_of
from .refusals import NotPossible, Stale
from .tour_saving import lock_stops, lock_tours
from .validation import clean_contact

VERB, VERB_OF_MERGED, VERB_OF_TOUR = "contact.merge", "contact.merged", "tour.buyer_merged"


@dataclass(frozen=True, slots=True)
class Merged:
    """`changed`: False when it had been done already."""

    survivor: Contact
    changed: bool


@transaction.atomic
def merge(
    merged_id: int, survivor_id: int, who: Who, *, picks: Mapping[str, str] | None = None, seen: str | None = None
) -> Merged:
    """Merge the one buyer into the other. Safe under double clicks.

    `picks`: field → "survivor" or "merged", for fields where both have a value and differ (else the survivor's stays).
    `seen`: `MergePlan.seen` of the plan that the person confirmed. Raises ValidationError naming a field or `into`,
    NotPossible when something stands in the way, Stale when the plan is another by now, Contact.DoesNotExist.
    """
    tours = _locked_tours(merged_id, survivor_id)
    both = Contact.objects.select_for_update().filter(pk__in=(merged_id, survivor_id)).order_by("pk").in_bulk()
    if merged_id in both and both[merged_id].merged_into_id == survivor_id:
        return Merged(both[survivor_id], changed=False)
    rows = list(open_of(survivor_id, merged_id).select_for_update(of=("self",)))
    plan = plan_merge(merged_id, survivor_id)
    if seen is not None and seen != plan.seen:
        raise Stale
    if {tour.pk for tour in tours} != _tour_ids(merged_id, survivor_id):
        raise NotPossible("A tour of these buyers was saved in this very moment. Try again.")
    refused = refusals(rows, plan.places, survivor_id, merged_id)
    if refused:
        raise NotPossible(" ".join(refused[:3]))
    survivor, merged = plan.buyers
    changes = _store_fields(plan, picks or {})
    refs = _move_links(plan)
    ended = _end_operations(row for row in rows if (row.entity_type, row.entity_id) == ("contact", merged_id))
    moved = _move_tours(tours, survivor, merged, who)
    runs = _move_import_items(plan)
    _keep_left_out(plan, moved, who)
    _plan(plan, rows, ended, moved)
    _put_away(plan, changes, moved, {"links": refs, "import items": runs}, who)
    return Merged(survivor, changed=True)


def _tour_ids(merged_id: int, survivor_id: int) -> set[int]:
    both = (merged_id, survivor_id)
    return set(Tour.objects.filter(Q(buyer__in=both) | Q(further_buyers__in=both)).values_list("pk", flat=True))


def _locked_tours(merged_id: int, survivor_id: int) -> list[Tour]:
    """The tours of both, their stops too, in the order that every verb takes them: before the buyers."""
    tours = lock_tours(pk__in=_tour_ids(merged_id, survivor_id))
    lock_stops(tours)
    return tours


def _store_fields(plan: MergePlan, picks: Mapping[str, str]) -> Changes:
    """The values that stay. The survivor's version rises in any case: what is told of it may be another's now."""
    names = {field.name for field in plan.fields}
    wrong = {name: ["There is no such field of a buyer."] for name in picks.keys() - names}
    wrong |= {
        name: [f"Choose “{SURVIVOR}” or “{MERGED}”."]
        for name, pick in picks.items()
        if name in names and pick not in (SURVIVOR, MERGED)
    }
    if wrong:
        raise ValidationError(wrong)
    survivor = plan.survivor
    wanted = {field.name: field.value(picks.get(field.name, SURVIVOR)) for field in plan.fields}
    if any(getattr(survivor, name) != value for name, value in wanted.items()):
        clean_contact(wanted)
    changes = changes_of(survivor, wanted)
    for name, (_, value) in changes.items():
        setattr(survivor, name, value)
    survivor.version += 1
    survivor.save(update_fields=[*changes, "version", "updated_at"])
    return changes


def _move_links(plan: MergePlan) -> list[str]:
    """The links a survivor takes, with marker and what was acknowledged; elsewhere what stands is marked as theirs."""
    told = []
    apart = [there.connection_id for there in plan.places if there.links is Links.APART]
    under(apart, plan.merged.pk).update(under=plan.merged, updated_at=timezone.now())
    for there in plan.places:
        if there.links is Links.TAKEN:
            for resource in ("contact", "contact_fields"):
                _swap(there.connection_id, resource, plan)
            told.append(f"{there.label}: {there.merged_id}")
    return told


def _swap(connection_id: int, resource: str, plan: MergePlan) -> None:
    """The two change their rows: the one that is not linked keeps nothing that anything could be found by."""
    mine = ExternalRef.objects.filter(connection=connection_id, resource=resource, entity_type="contact")
    ours = mine.filter(entity_id=plan.survivor.pk).first()
    theirs = mine.filter(entity_id=plan.merged.pk).first()
    if ours is not None:
        mine.filter(pk=ours.pk).update(entity_id=-ours.pk)  # out of the way: each buyer has one row
    if theirs is not None:
        mine.filter(pk=theirs.pk).update(entity_id=plan.survivor.pk)
    if ours is not None:
        mine.filter(pk=ours.pk).update(entity_id=plan.merged.pk)


def _end_operations(rows: Iterable[Operation]) -> list[Operation]:
    """Ends what is open about the merged buyer itself; those that wait for it are looked after once all is planned."""
    ended = list(rows)
    for row in ended:
        changes = columns_of(states.merge_away(row_of(row)))
        Operation.objects.filter(pk=row.pk).update(**changes, settled_ms=db_now())
    return ended


def _move_tours(tours: Iterable[Tour], survivor: Contact, merged: Contact, who: Who) -> list[Tour]:
    """Tours whose buyer was the merged one; as a further buyer it is replaced too, and none is named twice."""
    moved = [tour for tour in tours if tour.buyer_id == merged.pk]
    now = timezone.now()
    Tour.objects.filter(pk__in=[tour.pk for tour in moved]).update(buyer=survivor, updated_at=now)
    for tour in moved:
        tour.buyer = survivor
    pairs = Tour.further_buyers.through.objects
    named = set(pairs.filter(contact_id=merged.pk).values_list("tour_id", flat=True))
    pairs.filter(contact_id=merged.pk).delete()
    pairs.filter(contact_id=survivor.pk, tour__buyer=survivor).delete()
    there = set(pairs.filter(contact_id=survivor.pk).values_list("tour_id", flat=True))
    mine = set(Tour.objects.filter(pk__in=named, buyer=survivor).values_list("pk", flat=True))
    pairs.bulk_create(
        Tour.further_buyers.through(tour_id=pk, contact_id=survivor.pk) for pk in sorted(named - there - mine)
    )
    Tour.objects.filter(pk__in=named).update(updated_at=now)
    # Archived ones are left as they were told of last: a file may bring back what an undo put away.
    sides = {"before": {"buyer": str(merged)}, "after": {"buyer": str(survivor)}}
    audit.record_all(audit.event(VERB_OF_TOUR, tour, who, **sides) for tour in moved if tour.archived_at is None)
    return moved


def _move_import_items(plan: MergePlan) -> int:
    """What imports did to the merged buyer is shown with the survivor; undoing one never takes the survivor away."""
    items = ImportItem.objects.filter(entity_type="contact", entity_id=plan.merged.pk)
    known = ImportItem.objects.filter(entity_type="contact", entity_id=plan.survivor.pk)
    runs = set(known.values_list("run", flat=True))
    return items.exclude(run__in=runs).update(entity_id=plan.survivor.pk, created=False)


def _keep_left_out(plan: MergePlan, moved: list[Tour], who: Who) -> None:
    """Whoever of the two is kept out of a CRM, both are."""
    rows = LeftOut.objects.select_for_update().filter(entity_type="contact")
    theirs = {row.connection_id: row for row in rows.filter(entity_id=plan.merged.pk)}
    ours = set(rows.filter(entity_id=plan.survivor.pk).values_list("connection", flat=True))
    for connection_id, row in theirs.items():
        row.delete()
        if connection_id not in ours:
            left_out.leave_out("contact", plan.survivor.pk, connection_id, row.reason, who)
    for connection_id in sorted(ours - theirs.keys()):
        left_out.join(moved, connection_id)


def _plan(plan: MergePlan, rows: list[Operation], ended: list[Operation], moved: list[Tour]) -> None:
    """The survivor's own operations, and what hangs on them."""
    taken = {there.connection_id for there in plan.places if there.links is Links.TAKEN}
    for row in rows:
        asks = row.state in (State.NEEDS_PERSON, State.DEAD)
        mine = (row.entity_type, row.entity_id, row.kind) == ("contact", plan.survivor.pk, "contact.link")
        if mine and asks and row.connection_id in taken:
            changes = columns_of(states.redrive(row_of(row), db_now()))
            Operation.objects.filter(pk=row.pk, state=row.state).update(**changes, settled_ms=None)
            ring_after_commit(row.connection_id)
    planning.plan_tours(moved)
    planning.plan_feedback_of(moved)
    for row in ended:
        _go_on(row, plan.survivor.pk)
        ring_after_commit(row.connection_id)


def _go_on(row: Operation, survivor_id: int) -> None:
    """Whoever waited for the merged buyer's operation waits for the survivor's, if that is not linked yet."""
    if row.kind == "contact.link":
        link = planned.open_links(row.connection, {survivor_id}).get(survivor_id)
        if link is not None:
            settling.move_edges(row.pk, link.pk)
            planned.hurry([(row, link)])
    settling.release(row, states.merge_away(row_of(row)))


def _put_away(plan: MergePlan, changes: Changes, moved: list[Tour], more: dict[str, Any], who: Who) -> None:
    survivor, merged = plan.buyers
    if survivor.archived_at is not None and merged.archived_at is None:
        archiving.bring_back([survivor], who)
        survivor.archived_at = None
    # Nobody is ever two steps away from who stands for them.
    Contact.objects.filter(merged_into=merged).update(merged_into=survivor, updated_at=timezone.now())
    merged.archived_at = merged.archived_at or timezone.now()
    merged.merged_into = survivor
    merged.save(update_fields=["archived_at", "merged_into", "updated_at"])
    told = {"tours": [tour.reference for tour in moved], **more}
    sides = audit.sides(changes)
    audit.record_all(
        [
            audit.event(VERB, survivor, who, before=sides["before"], after={**sides["after"], "merged": str(merged),
                        "merged id": merged.pk, **told}),
            audit.event(VERB_OF_MERGED, merged, who, before={name: getattr(merged, name) for name in changes},
                        after={"merged into": str(survivor), "merged into id": survivor.pk, **told}),
        ]
    )  # fmt: skip
