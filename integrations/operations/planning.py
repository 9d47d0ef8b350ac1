"""From what changed to the operations that make every CRM follow. Called inside the transaction of the change.

Planning is idempotent: an operation is added only where the newest planned version of a record at a connection is
older than the record. So whoever saves need not know what was planned before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from integrations.engine import settling, states
from integrations.engine.claims import columns_of, row_of
from integrations.engine.clock import db_now
from integrations.engine.kinds import KINDS, account_needs, offered
from integrations.models import (
    OPEN,
    Connection,
    ConnectionState,
    Contact,
    ExternalRef,
    Feedback,
    ImportRun,
    Operation,
    OperationDependency,
    State,
    Tour,
    TourStop,
)
from integrations.routing import connections_for
from integrations.tasks import ring_after_commit

SOON_MS = 24 * 3600 * 1000
PRIORITY_SOON, PRIORITY_NORMAL, PRIORITY_PAST = 50, 100, 150


@dataclass(frozen=True, slots=True)
class Need:
    """One operation to plan. `live`: it should stand there; what never stood and should not needs nothing."""

    kind: str
    entity_id: int
    version: int
    priority: int
    live: bool = True
    buyer_id: int | None = None


def plan_tour(tour: Tour, *, import_run: ImportRun | None = None) -> list[Operation]:
    """Plans buyer and stops of a tour at every connection it is routed to; at others, the end of what stands there."""
    return plan_tours([tour], import_run=import_run)


def plan_tours(tours: Sequence[Tour], *, import_run: ImportRun | None = None) -> list[Operation]:
    """The same for several tours with a number of queries that does not grow with them. Rings after commit."""
    made: list[Operation] = []
    if not tours:
        return made
    stops_of: dict[int, list[TourStop]] = {tour.pk: [] for tour in tours}
    for stop in TourStop.objects.filter(tour__in=tours).order_by("tour_id", "sequence"):
        stops_of[stop.tour_id].append(stop)
    connections = list(Connection.objects.exclude(state=ConnectionState.DISABLED).order_by("pk"))
    for connection in connections:
        contacts: dict[int, Need] = {}
        stops: dict[int, Need] = {}
        for tour in tours:
            included = connections_for(tour, [connection])[0].included
            _collect(tour, stops_of[tour.pk], included, contacts, stops)
        made += _plan_connection(connection, contacts, {"appointment.sync": stops}, import_run)
    return made


def plan_feedback(answers: Sequence[Feedback], *, import_run: ImportRun | None = None) -> list[Operation]:
    """Plans what follows from answers whose `stop` is loaded, where their tours go; a fixed number of queries.

    A task only for what calls for action; one that an older version called for is left as it stands.
    """
    made: list[Operation] = []
    if not answers:
        return made
    tours = Tour.objects.select_related("agent", "buyer").in_bulk({said.stop.tour_id for said in answers})
    for connection in Connection.objects.exclude(state=ConnectionState.DISABLED).order_by("pk"):
        contacts: dict[int, Need] = {}
        notes: dict[int, Need] = {}
        tasks: dict[int, Need] = {}
        fields: dict[int, Need] = {}
        for said in answers:
            tour = tours[said.stop.tour_id]
            if not connections_for(tour, [connection])[0].included:
                continue
            need = Need("feedback.note", said.pk, said.version, PRIORITY_NORMAL, buyer_id=tour.buyer_id)
            notes[said.pk] = need
            if said.calls_for_action:
                tasks[said.pk] = replace(need, kind="feedback.task")
            contacts[tour.buyer_id] = Need("contact.link", tour.buyer_id, 1, PRIORITY_NORMAL)
            fields[tour.buyer_id] = replace(
                need, kind="contact.fields", entity_id=tour.buyer_id, version=tour.buyer.version
            )
        wanted = {"feedback.note": notes, "feedback.task": tasks, "contact.fields": fields}
        offers = {kind: needs for kind, needs in wanted.items() if offered(kind, connection.provider)}
        if offers and contacts:
            made += _plan_connection(connection, contacts, offers, import_run)
    return made


def plan_new_feedback(answers: Sequence[Feedback], *, import_run: ImportRun | None = None) -> list[Operation]:
    """The same for answers that were just given or changed: what is told of their buyers has a new version."""
    buyers = Tour.objects.filter(stops__in=[said.stop_id for said in answers]).values("buyer")
    # Locked in the order that everyone locks buyers in.
    locked = list(Contact.objects.select_for_update().filter(pk__in=buyers).order_by("pk").values_list("pk", flat=True))
    Contact.objects.filter(pk__in=locked).update(version=F("version") + 1)
    return plan_feedback(answers, import_run=import_run)


def plan_feedback_of(tours: Iterable[Tour]) -> list[Operation]:
    """What was said on these tours, for connections that they join."""
    return plan_feedback(list(Feedback.objects.filter(stop__tour__in=tours).select_related("stop").order_by("pk")))


def forgettable(answer: Feedback, *, forget: bool) -> bool:
    """Whether no CRM can know of the answer: nothing of it was ever sent. `forget`: takes its operations away."""
    mine = {"entity_type": "feedback", "entity_id": answer.pk}
    rows = Operation.objects.filter(**mine).order_by("pk")
    # A token above 0: a worker had it in hand.
    if (
        any(row.token for row in (rows.select_for_update() if forget else rows))
        or ExternalRef.objects.filter(**mine).exists()
    ):
        return False
    if forget:
        rows.delete()
    return True


def _collect(
    tour: Tour,
    tour_stops: Iterable[TourStop],
    included: bool,
    contacts: dict[int, Need],
    stops: dict[int, Need],
) -> None:
    now = timezone.now()
    wants_buyer = included and tour.status not in ("draft", "cancelled")
    most_urgent = PRIORITY_PAST
    for stop in tour_stops:
        stop.tour = tour
        seconds = (stop.appointment_start - now).total_seconds()
        priority = PRIORITY_PAST if seconds < 0 else PRIORITY_SOON if seconds * 1000 < SOON_MS else PRIORITY_NORMAL
        most_urgent = min(most_urgent, priority)
        live = included and stop.live
        stops[stop.pk] = Need("appointment.sync", stop.pk, stop.version, priority, live, tour.buyer_id)
    if wants_buyer:
        old = contacts.get(tour.buyer_id)
        priority = min(most_urgent, old.priority) if old else most_urgent
        contacts[tour.buyer_id] = Need("contact.link", tour.buyer_id, 1, priority)


def _plan_connection(
    connection: Connection,
    contacts: Mapping[int, Need],
    records: Mapping[str, Mapping[int, Need]],
    import_run: ImportRun | None,
) -> list[Operation]:
    """The links of buyers, then what hangs on them: `records` is kind → entity → need."""
    make = _Maker(connection, import_run, db_now())
    planned_links = _newest(connection, "contact.link", contacts)
    made = [make.operation(need) for pk, need in contacts.items() if pk not in planned_links]
    Operation.objects.bulk_create(made)
    for kind, needs in records.items():
        made += _plan_kind(connection, make, kind, needs)
    if made:
        ring_after_commit(connection.pk)
    return made


def _plan_kind(connection: Connection, make: _Maker, kind: str, needs: Mapping[int, Need]) -> list[Operation]:
    planned = _newest(connection, kind, needs)
    wanted = [need for pk, need in needs.items() if _is_due(need, planned.get(pk))]
    if not wanted:
        return []
    open_links = _open_links(connection, {need.buyer_id for need in wanted if need.buyer_id is not None})
    account, prepared = _account_links(connection, make, kind, wanted)
    buyers = [open_links.get(need.buyer_id or 0) for need in wanted]
    blockers = [account if buyer is None else [*account, buyer] for buyer in buyers]
    syncs = [make.operation(need, blockers=len(before)) for need, before in zip(wanted, blockers, strict=True)]
    Operation.objects.bulk_create(syncs)
    waits = [(sync, link) for sync, before in zip(syncs, blockers, strict=True) for link in before]
    OperationDependency.objects.bulk_create(OperationDependency(operation=sync, needs=link) for sync, link in waits)
    _hurry(waits)
    for sync in syncs:
        if sync.entity_id in planned:
            _after_older(sync)
    return [*prepared, *syncs]


def _account_links(
    connection: Connection, make: _Maker, kind: str, wanted: Sequence[Need]
) -> tuple[list[Operation], list[Operation]]:
    """What must stand in the account before the first record of a kind: operations to wait for, and those made here."""
    waiting: list[Operation] = []
    made: list[Operation] = []
    for row in account_needs(kind, connection.provider):
        need = Need(row.name, connection.pk, 1, min(need.priority for need in wanted))
        if not _newest(connection, row.name, [connection.pk]):
            # Once in the life of a connection: two who save a tour in the same moment must not both plan it.
            Connection.objects.select_for_update().only("pk").get(pk=connection.pk)
            if not _newest(connection, row.name, [connection.pk]):
                made.append(make.operation(need))
        # Locked for the same reason as the links of buyers.
        mine = Operation.objects.select_for_update().filter(connection=connection, kind=row.name)
        waiting += mine.exclude(state__in=(State.SUCCEEDED, State.SUPERSEDED))
    Operation.objects.bulk_create(made)
    return [*waiting, *made], made


def _hurry(waits: Iterable[tuple[Operation, Operation]]) -> None:
    """What others wait for becomes as urgent as the most urgent of them."""
    urgent: dict[int, int] = {}
    for waiting, needs in waits:
        urgent[needs.pk] = min(waiting.priority, urgent.get(needs.pk, needs.priority))
    for priority in sorted(set(urgent.values())):
        ids = [pk for pk, wanted in urgent.items() if wanted == priority]
        Operation.objects.filter(pk__in=ids, priority__gt=priority).update(priority=priority)


def _is_due(need: Need, planned: int | None) -> bool:
    return need.live if planned is None else need.version > planned


def _newest(connection: Connection, kind: str, ids: Iterable[int]) -> dict[int, int]:
    """The newest planned version of each entity; those never planned are missing."""
    rows = (
        Operation.objects.filter(
            connection=connection, kind=kind, entity_type=KINDS[kind].entity_type, entity_id__in=list(ids)
        )
        .values("entity_id")
        .annotate(newest=Max("version"))
        .order_by()
    )
    return {row["entity_id"]: row["newest"] for row in rows}


def _open_links(connection: Connection, contact_ids: set[int]) -> dict[int, Operation]:
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


@dataclass(frozen=True, slots=True)
class _Maker:
    """New operations of one connection, not saved yet."""

    connection: Connection
    import_run: ImportRun | None
    now_ms: int

    def operation(self, need: Need, *, blockers: int = 0) -> Operation:
        """`blockers`: so many edges will be added; the caller adds them in the same transaction."""
        entity_type = KINDS[need.kind].entity_type
        return Operation(
            op_key=f"{self.connection.pk}:{need.kind}:{entity_type}:{need.entity_id}:v{need.version}",
            connection=self.connection,
            kind=need.kind,
            entity_type=entity_type,
            entity_id=need.entity_id,
            version=need.version,
            priority=need.priority,
            due_ms=self.now_ms,
            blockers=blockers,
            import_run=self.import_run,
        )


def _after_older(operation: Operation) -> None:
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
            _depend(operation, old)


def _depend(operation: Operation, needs: Operation) -> None:
    """`operation` waits for `needs`, which becomes at least as urgent."""
    OperationDependency.objects.create(operation=operation, needs=needs)
    Operation.objects.filter(pk=operation.pk).update(blockers=F("blockers") + 1)
    operation.blockers += 1
    _hurry([(operation, needs)])


def plan_contact(contact: Contact) -> list[Operation]:
    """After a change of a buyer: stops of open tours whose request names them follow by their own versions."""
    with transaction.atomic():
        tours = list(contact.tours.exclude(status__in=("draft", "cancelled", "completed")).select_related("agent"))
        return plan_tours(tours)
