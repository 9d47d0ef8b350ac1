"""What is planned already: the newest version of each record at a connection, and who waits for whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import F, Max, Q

from integrations.engine import settling, states
from integrations.engine.claims import columns_of, row_of
from integrations.engine.clock import db_now
from integrations.engine.kinds import KINDS
from integrations.models import OPEN, Connection, ExternalRef, Operation, OperationDependency, State


@dataclass(frozen=True, slots=True)
class Need:
    """One operation to plan. `live`: it should stand there; what never stood and should not needs nothing.

    `buyer_id`: whose link it waits for. What should not stand waits for none: without a record there is nothing to do.
    """

    kind: str
    entity_id: int
    version: int
    priority: int
    live: bool = True
    buyer_id: int | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """The newest version planned. `left_out`: it ended because its record was left out."""

    version: int
    left_out: bool


LEFT_OUT = {"state": State.CANCELLED, "reason": "left_out"}
"""How an operation ends whose record people keep out of a CRM."""


def newest(connection: Connection, kind: str, ids: Iterable[int]) -> dict[int, Planned]:
    """What was planned of each entity; those never planned are missing."""
    rows = (
        Operation.objects.filter(
            connection=connection, kind=kind, entity_type=KINDS[kind].entity_type, entity_id__in=list(ids)
        )
        .values("entity_id")
        .annotate(newest=Max("version"), ended=Max("version", filter=Q(**LEFT_OUT)))
        .order_by()
    )
    return {row["entity_id"]: Planned(row["newest"], row["newest"] == row["ended"]) for row in rows}


def again(
    connection: Connection, kind: str, needs: Mapping[int, Need], planned: Mapping[int, Planned]
) -> list[Operation]:
    """What ended because its record was left out, and is wanted again at no newer version, goes on."""
    ids = [
        pk
        for pk, need in needs.items()
        if need.live and pk in planned and planned[pk].left_out and need.version <= planned[pk].version
    ]
    if not ids:
        return []
    mine = Operation.objects.select_for_update().filter(connection=connection, kind=kind, entity_id__in=ids)
    ended: dict[int, Operation] = {}
    for row in mine.filter(entity_type=KINDS[kind].entity_type, **LEFT_OUT).order_by("version"):
        ended[row.entity_id] = row
    buyers = {needs[pk].buyer_id for pk in ended}
    links = open_links(connection, {pk for pk in buyers if pk is not None})
    for row in ended.values():
        changes = columns_of(states.redrive(row_of(row), db_now()))
        Operation.objects.filter(pk=row.pk).update(**changes, settled_ms=None)
        link = links.get(needs[row.entity_id].buyer_id or 0)
        if link is not None:
            depend(row, link)
    return list(ended.values())


def open_links(connection: Connection, contact_ids: set[int]) -> dict[int, Operation]:
    """The contact.link that each buyer's operations must wait for: those not linked yet."""
    linked = set(
        ExternalRef.objects.filter(
            connection=connection,
            entity_type="contact",
            entity_id__in=contact_ids,
            resource="contact",
            external_id__isnull=False,
        ).values_list("entity_id", flat=True)
    )
    waiting = contact_ids - linked
    # Locked: a link that settles meanwhile must either be seen as settled here or see the edge made here.
    rows = (
        Operation.objects.select_for_update()
        .filter(connection=connection, kind="contact.link", entity_type="contact", entity_id__in=waiting)
        .exclude(state__in=(State.SUCCEEDED, State.SUPERSEDED))
    )
    return {row.entity_id: row for row in rows.order_by("version")}


def hurry(waits: Iterable[tuple[Operation, Operation]]) -> None:
    """What others wait for becomes as urgent as the most urgent of them."""
    urgent: dict[int, int] = {}
    for waiting, needs in waits:
        urgent[needs.pk] = min(waiting.priority, urgent.get(needs.pk, needs.priority))
    for priority in sorted(set(urgent.values())):
        ids = [pk for pk, wanted in urgent.items() if wanted == priority]
        Operation.objects.filter(pk__in=ids, priority__gt=priority).update(priority=priority)


def after_older(operation: Operation) -> None:
    """Supersedes what was planned before for the same record; waits for what may be on its way already."""
    older = Operation.objects.select_for_update().filter(
        connection=operation.connection,
        kind=operation.kind,
        entity_type=operation.entity_type,
        entity_id=operation.entity_id,
        version__lt=operation.version,
        state__in=(*OPEN, State.DEAD),
    )
    for old in older:
        row = row_of(old)
        if states.can_supersede(row):
            changes = columns_of(states.supersede(row))
            Operation.objects.filter(pk=old.pk).update(**changes, settled_ms=db_now())
            settling.move_edges(old.pk, operation.pk)
        else:
            depend(operation, old)


def depend(operation: Operation, needs: Operation) -> None:
    """`operation` waits for `needs`, which becomes at least as urgent."""
    edge, made = OperationDependency.objects.get_or_create(operation=operation, needs=needs)
    if not made and not edge.settled:
        return  # it waits already
    OperationDependency.objects.filter(pk=edge.pk).update(settled=False)
    Operation.objects.filter(pk=operation.pk).update(blockers=F("blockers") + 1)
    operation.blockers += 1
    hurry([(operation, needs)])
