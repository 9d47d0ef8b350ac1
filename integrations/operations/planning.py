"""From what changed to the operations that make every CRM follow. Called inside the transaction of the change.

Planning is idempotent: an operation is added only where the newest planned version of a record at a connection is
older than the record. So whoever saves need not know what was planned before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from integrations.engine.clock import db_now
from integrations.engine.kinds import KINDS, account_needs, offered
from integrations.models import (
    Connection,
    ConnectionState,
    Contact,
    ExternalRef,
    Feedback,
    ImportRun,
    LeftOut,
    Operation,
    OperationDependency,
    State,
    Tour,
    TourStatus,
    TourStop,
)
from integrations.routing import LeftOutReasons, connections_for, why_left_out
from integrations.tasks import ring_after_commit

from .planned import Need, Planned, after_older, again, hurry, newest, open_links

SOON_MS = 24 * 3600 * 1000
PRIORITY_SOON, PRIORITY_NORMAL, PRIORITY_PAST = 50, 100, 150
CLOCKS_DIFFER_MS = 60_000


def plan_tour(tour: Tour, *, import_run: ImportRun | None = None) -> list[Operation]:
    """Plans buyer and stops of a tour at every connection it is routed to; at others, the end of what stands there.

    Of a tour that is over, its summary too.
    """
    return plan_tours([tour], import_run=import_run)


def plan_tours(
    tours: Sequence[Tour], *, import_run: ImportRun | None = None, at: Iterable[int] | None = None
) -> list[Operation]:
    """The same for several tours with a number of queries that does not grow with them. Rings after commit.

    `at`: ids of the only connections to plan for.
    """
    made: list[Operation] = []
    if not tours:
        return made
    stops_of: dict[int, list[TourStop]] = {tour.pk: [] for tour in tours}
    for stop in TourStop.objects.filter(tour__in=tours).order_by("tour_id", "sequence"):
        stops_of[stop.tour_id].append(stop)
    left_out = LeftOut.objects.reasons(
        tour=stops_of,
        contact={tour.buyer_id for tour in tours},
        stop=[stop.pk for found in stops_of.values() for stop in found],
    )
    for connection in _planned_for(at):
        contacts: dict[int, Need] = {}
        stops: dict[int, Need] = {}
        for tour in tours:
            _collect(tour, stops_of[tour.pk], connection, left_out, contacts, stops)
        made += _plan_connection(connection, contacts, {"appointment.sync": stops}, import_run)
    return made + plan_summaries(tours, import_run=import_run, at=at)


def plan_summaries(
    tours: Iterable[Tour], *, import_run: ImportRun | None = None, at: Iterable[int] | None = None
) -> list[Operation]:
    """Plans the summary of each tour that is over and that something was said on, where it goes; agents are loaded.

    `at`: ids of the only connections to plan for. A fixed number of queries. Whoever changed what a summary tells has
    raised the tour's version, under its row lock.
    """
    made: list[Operation] = []
    over = {tour.pk: tour for tour in tours if tour.status == TourStatus.COMPLETED}
    if not over:
        return made
    heard = set(Feedback.objects.filter(stop__tour__in=over).order_by().values_list("stop__tour", flat=True).distinct())
    if not heard:
        return made
    left_out = LeftOut.objects.reasons(tour=heard, contact={tour.buyer_id for tour in over.values()})
    for connection in _planned_for(at):
        if not offered("tour.summary", connection.provider):
            continue
        contacts: dict[int, Need] = {}
        summaries: dict[int, Need] = {}
        for tour in over.values():
            if tour.pk in heard and connections_for(tour, [connection], left_out)[0].included:
                need = Need("tour.summary", tour.pk, tour.version, PRIORITY_PAST, buyer_id=tour.buyer_id)
                summaries[tour.pk] = need
                contacts[tour.buyer_id] = Need("contact.link", tour.buyer_id, 1, PRIORITY_PAST)
        if summaries:
            made += _plan_connection(connection, contacts, {"tour.summary": summaries}, import_run)
    return made


def newly_told(tours: Iterable[Tour]) -> list[Tour]:
    """Of these locked tours those that are over: their summaries have something new to tell, so their versions rise."""
    over = [tour for tour in tours if tour.status == TourStatus.COMPLETED]
    if over:
        Tour.objects.filter(pk__in=[tour.pk for tour in over]).update(version=F("version") + 1)
    for tour in over:
        tour.version += 1
    return over


def _planned_for(at: Iterable[int] | None) -> list[Connection]:
    connections = Connection.objects.exclude(state=ConnectionState.DISABLED).order_by("pk")
    return list(connections if at is None else connections.filter(pk__in=list(at)))


def plan_feedback(
    answers: Sequence[Feedback], *, import_run: ImportRun | None = None, at: Iterable[int] | None = None
) -> list[Operation]:
    """Plans what follows from answers whose `stop` is loaded, where their tours go; a fixed number of queries.

    `at`: ids of the only connections to plan for.
    A task only for what calls for action; one that an older version called for is left as it stands.
    """
    made: list[Operation] = []
    if not answers:
        return made
    tours = Tour.objects.select_related("agent", "buyer").in_bulk({said.stop.tour_id for said in answers})
    left_out = LeftOut.objects.reasons(
        tour=tours, contact={tour.buyer_id for tour in tours.values()}, feedback=[said.pk for said in answers]
    )
    for connection in _planned_for(at):
        contacts: dict[int, Need] = {}
        notes: dict[int, Need] = {}
        tasks: dict[int, Need] = {}
        fields: dict[int, Need] = {}
        for said in answers:
            tour = tours[said.stop.tour_id]
            kept_out = why_left_out(left_out, connection.pk, ("feedback", said.pk))
            if kept_out or not connections_for(tour, [connection], left_out)[0].included:
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
    """The same for answers that were just given or changed, whose tours are locked.

    What is told of their buyers, and of their tours that are over, has a new version.
    """
    tours = Tour.objects.filter(pk__in={said.stop.tour_id for said in answers})
    # Locked in the order that everyone locks buyers in.
    buyers = Contact.objects.select_for_update().filter(pk__in=tours.values("buyer")).order_by("pk")
    Contact.objects.filter(pk__in=list(buyers.values_list("pk", flat=True))).update(version=F("version") + 1)
    made = plan_feedback(answers, import_run=import_run)
    return made + plan_summaries(newly_told(tours.select_related("agent")), import_run=import_run)


def plan_feedback_of(
    tours: Iterable[Tour], *, import_run: ImportRun | None = None, at: Iterable[int] | None = None
) -> list[Operation]:
    """What was said on these tours, for connections that they join."""
    heard = Feedback.objects.filter(stop__tour__in=tours).select_related("stop").order_by("pk")
    return plan_feedback(list(heard), import_run=import_run, at=at)


def forgettable(answer: Feedback, *, forget: bool) -> bool:
    """Whether no CRM can know of the answer: nothing of it was ever sent. `forget`: takes its operations away.

    What is told of its tour and its buyer stays planned: it tells what is known when it is sent.
    """
    mine = {"entity_type": "feedback", "entity_id": answer.pk}
    rows = Operation.objects.filter(**mine).order_by("pk")
    tour = answer.stop.tour
    wider = Q(kind="tour.summary", entity_type="tour", entity_id=tour.pk)
    wider |= Q(kind="contact.fields", entity_type="contact", entity_id=tour.buyer_id)
    others = Operation.objects.filter(wider).order_by("pk")
    if forget:
        rows, others = rows.select_for_update(), others.select_for_update()
    # A token above 0: a worker had it in hand.
    if any(row.token for row in rows) or ExternalRef.objects.filter(**mine).exists():
        return False
    # Those that ended before the answer was there cannot have told it (hosts' clocks may differ somewhat).
    since_ms = int(answer.created_at.timestamp() * 1000) - CLOCKS_DIFFER_MS
    if any(row.token and (row.settled_ms is None or row.settled_ms >= since_ms) for row in others):
        return False
    if forget:
        Operation.objects.filter(**mine).delete()
    return True


def _collect(
    tour: Tour,
    tour_stops: Iterable[TourStop],
    connection: Connection,
    left_out: LeftOutReasons,
    contacts: dict[int, Need],
    stops: dict[int, Need],
) -> None:
    now = timezone.now()
    included = connections_for(tour, [connection], left_out)[0].included
    wants_buyer = included and tour.status not in ("draft", "cancelled")
    most_urgent = PRIORITY_PAST
    for stop in tour_stops:
        stop.tour = tour
        seconds = (stop.appointment_start - now).total_seconds()
        priority = PRIORITY_PAST if seconds < 0 else PRIORITY_SOON if seconds * 1000 < SOON_MS else PRIORITY_NORMAL
        most_urgent = min(most_urgent, priority)
        live = included and stop.live and not why_left_out(left_out, connection.pk, ("stop", stop.pk))
        buyer_id = tour.buyer_id if live else None
        stops[stop.pk] = Need("appointment.sync", stop.pk, stop.version, priority, live, buyer_id)
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
    planned_links = newest(connection, "contact.link", contacts)
    unplanned = [pk for pk in contacts if pk not in planned_links]
    if unplanned:
        # Two who save tours of one buyer in the same moment must not both plan the link. A lock that lets others
        # refer to the buyer meanwhile.
        list(Contact.objects.select_for_update(no_key=True).filter(pk__in=unplanned).order_by("pk").values_list("pk"))
        planned_links = newest(connection, "contact.link", contacts)
    made = [make.operation(need) for pk, need in contacts.items() if pk not in planned_links]
    Operation.objects.bulk_create(made)
    made += again(connection, "contact.link", contacts, planned_links)
    for kind, needs in records.items():
        made += _plan_kind(connection, make, kind, needs)
    if made:
        ring_after_commit(connection.pk)
    return made


def _plan_kind(connection: Connection, make: _Maker, kind: str, needs: Mapping[int, Need]) -> list[Operation]:
    planned = newest(connection, kind, needs)
    gone_on = again(connection, kind, needs, planned)
    wanted = [need for pk, need in needs.items() if _is_due(need, planned.get(pk))]
    if not wanted:
        return gone_on
    standing = [need for need in wanted if need.live]
    links = open_links(connection, {need.buyer_id for need in standing if need.buyer_id is not None})
    account, prepared = _account_links(connection, make, kind, standing) if standing else ([], [])
    blockers = [_before(need, account, links) for need in wanted]
    syncs = [make.operation(need, blockers=len(before)) for need, before in zip(wanted, blockers, strict=True)]
    Operation.objects.bulk_create(syncs)
    waits = [(sync, link) for sync, before in zip(syncs, blockers, strict=True) for link in before]
    OperationDependency.objects.bulk_create(OperationDependency(operation=sync, needs=link) for sync, link in waits)
    hurry(waits)
    for sync in syncs:
        if sync.entity_id in planned:
            after_older(sync)
    return [*prepared, *gone_on, *syncs]


def _before(need: Need, account: list[Operation], links: Mapping[int, Operation]) -> list[Operation]:
    """What an operation must wait for."""
    if not need.live:
        return []
    buyer = links.get(need.buyer_id or 0)
    return account if buyer is None else [*account, buyer]


def _account_links(
    connection: Connection, make: _Maker, kind: str, wanted: Sequence[Need]
) -> tuple[list[Operation], list[Operation]]:
    """What must stand in the account before the first record of a kind: operations to wait for, and those made here."""
    waiting: list[Operation] = []
    made: list[Operation] = []
    for row in account_needs(kind, connection.provider):
        need = Need(row.name, connection.pk, 1, min(need.priority for need in wanted))
        if not newest(connection, row.name, [connection.pk]):
            # Once in the life of a connection: two who save a tour in the same moment must not both plan it.
            Connection.objects.select_for_update().only("pk").get(pk=connection.pk)
            if not newest(connection, row.name, [connection.pk]):
                made.append(make.operation(need))
        # Locked for the same reason as the links of buyers.
        mine = Operation.objects.select_for_update().filter(connection=connection, kind=row.name)
        waiting += mine.exclude(state__in=(State.SUCCEEDED, State.SUPERSEDED))
    Operation.objects.bulk_create(made)
    return [*waiting, *made], made


def _is_due(need: Need, planned: Planned | None) -> bool:
    return need.live if planned is None else need.version > planned.version


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


def plan_contact(contact: Contact, *, import_run: ImportRun | None = None) -> list[Operation]:
    """After a change of a buyer: stops of open tours whose request names them follow by their own versions."""
    with transaction.atomic():
        tours = list(contact.tours.exclude(status__in=("draft", "cancelled", "completed")).select_related("agent"))
        return plan_tours(tours, import_run=import_run)
