"""When a connection changes whom it serves: planning what joins, the end of what leaves, and whose the rest is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from integrations.models import (
    CLAIMABLE,
    Agent,
    AgentUser,
    Connection,
    ConnectionState,
    LeftOut,
    Operation,
    Tour,
    TourStop,
)
from integrations.routing import LeftOutReasons, TourFacts, connections_for, why_left_out

from . import planning, unmapped
from .tour_saving import lock_tours

_BATCH = 20


@dataclass(frozen=True, slots=True)
class RoutingFacts:
    """What routing reads of a connection, as it was at one moment. `pk` 0: it is not stored yet."""

    pk: int
    scope: str
    office_id: int | None
    agent_id: int | None
    sync_from: datetime
    state: str

    @classmethod
    def of(cls, connection: Connection) -> RoutingFacts:
        return cls(
            connection.pk or 0,
            connection.scope,
            connection.office_id,
            connection.agent_id,
            connection.sync_from,
            connection.state,
        )


@dataclass(frozen=True, slots=True)
class Reach:
    """How many tours a change of a connection would bring in and leave out; shown before it is made."""

    joining: int
    leaving: int


@dataclass(frozen=True, slots=True)
class Handover:
    """What it does that a connection begins, or ends, to give showings to its agents' users; shown before it is done.

    `handed_over`: upcoming showings that stand there and are given to somebody. `waiting`: of them those whose agent
    has no user there, which wait. `sent`: operations that wait for a user and are sent without one.
    """

    assigns: bool
    handed_over: int = 0
    waiting: int = 0
    sent: int = 0


def handover(connection: Connection, *, assigns: bool) -> Handover:
    """What changing `assigns` to this would do. Writes nothing."""
    if not assigns:
        return Handover(assigns, sent=unmapped.held_up(connection.pk).total())
    known = set(AgentUser.objects.filter(connection=connection).values_list("agent_id", flat=True))
    agents = [stop.tour.agent_id for stop in upcoming(connection)]
    return Handover(assigns, handed_over=len(agents), waiting=sum(pk not in known for pk in agents))


def reach(after: RoutingFacts, before: RoutingFacts | None = None) -> Reach:
    """What changing from `before` (None: a new connection) to `after` would do. Writes nothing."""
    turned = [joins for _, joins in _turned(before, after)]
    return Reach(joining=turned.count(True), leaving=turned.count(False))


def follow(connection_id: int, *, before: RoutingFacts | None) -> int:
    """Plan every tour that joined or left since `before` (None: a new connection). How many tours those were.

    Short transactions of some tours each. Doing it again is harmless: nothing is sent twice.
    Raises Connection.DoesNotExist.
    """
    connection = Connection.objects.get(pk=connection_id)
    if connection.state == ConnectionState.DISABLED:
        return 0
    return _replan([pk for pk, _ in _turned(before, RoutingFacts.of(connection))], [connection])


def follow_agent(agent_id: int, *, office_before: int | None) -> int:
    """After an agent moved to another office: plan the agent's tours where an office's connection is concerned.

    To be called after the change is committed; otherwise as `follow`. Raises Agent.DoesNotExist.
    """
    offices = {office_before, Agent.objects.get(pk=agent_id).office_id}
    if len(offices) == 1:
        return 0
    concerned = Connection.objects.filter(office_id__in=[office for office in offices if office is not None])
    connections = list(concerned.exclude(state=ConnectionState.DISABLED))
    if not connections:
        return 0
    tours = Tour.objects.filter(agent_id=agent_id, archived_at__isnull=True)
    return _replan(list(tours.order_by("pk").values_list("pk", flat=True)), connections)


def follow_agent_name(agent_id: int) -> int:
    """After an agent's name changed: plan the tours that are not over anew, for some CRMs show it. How many.

    To be called after the change is committed. A CRM that does not show the name is sent nothing.
    """
    tours = Tour.objects.filter(agent_id=agent_id, archived_at__isnull=True, status__in=("scheduled", "in_progress"))
    connections = list(Connection.objects.exclude(state=ConnectionState.DISABLED).defer("secrets"))
    return _replan(list(tours.order_by("pk").values_list("pk", flat=True)), connections)


def _replan(tour_ids: list[int], connections: list[Connection]) -> int:
    for at in range(0, len(tour_ids), _BATCH):
        with transaction.atomic():
            tours = lock_tours(pk__in=tour_ids[at : at + _BATCH])
            known = Operation.objects.filter(
                connection__in=connections, entity_type="stop", entity_id__in=_stop_ids(tours)
            )
            # What was planned here before must be planned anew: a version rises, and an equal request is not sent.
            stops = TourStop.objects.filter(pk__in=list(known.values_list("entity_id", flat=True)))
            stops.update(version=F("version") + 1)
            planning.newly_told(tours)
            planning.plan_tours(tours)
            planning.plan_feedback_of(tours)
    return len(tour_ids)


def upcoming(connection: Connection, *, agent_id: int | None = None) -> list[TourStop]:
    """Showings from now on, of one agent or all, that the CRM may show under another user than it should.

    Left out is what was not sent yet: its request names whoever is right when its turn comes. Tours and their agents
    are loaded.
    """
    planned = Operation.objects.filter(connection=connection, kind="appointment.sync", entity_type="stop")
    unsent = planned.filter(state__in=CLAIMABLE, in_doubt=False)
    stops = TourStop.objects.live().filter(appointment_start__gte=timezone.now(), tour__archived_at__isnull=True)
    if agent_id is not None:
        stops = stops.filter(tour__agent_id=agent_id)
    stops = stops.filter(pk__in=planned.values("entity_id")).exclude(pk__in=unsent.values("entity_id"))
    left_out = _left_out(connection.pk)
    return [
        stop
        for stop in stops.select_related("tour__agent").order_by("tour_id", "pk")
        if connections_for(stop.tour, [connection], left_out)[0].included
        and not why_left_out(left_out, connection.pk, ("stop", stop.pk))
    ]


def _left_out(connection_id: int) -> LeftOutReasons:
    """All that people keep out of this CRM."""
    rows = LeftOut.objects.filter(connection=connection_id).values_list("entity_type", "entity_id", "reason")
    return {(connection_id, kind, pk): reason for kind, pk, reason in rows}


def regive(connection_id: int, *, agent_id: int | None = None) -> int:
    """After it changed whose an agent's (or everyone's) showings are there: plan the upcoming ones anew. How many.

    To be called after the change is committed; short transactions of some tours each. Nothing where the connection
    gives nothing to anybody. Raises Connection.DoesNotExist.
    """
    connection = Connection.objects.defer("secrets").get(pk=connection_id)
    if connection.state == ConnectionState.DISABLED or not connection.assigns:
        return 0
    stops: dict[int, list[int]] = {}
    for stop in upcoming(connection, agent_id=agent_id):
        stops.setdefault(stop.tour_id, []).append(stop.pk)
    tour_ids = list(stops)
    for at in range(0, len(tour_ids), _BATCH):
        batch = tour_ids[at : at + _BATCH]
        with transaction.atomic():
            tours = lock_tours(pk__in=batch)
            concerned = [pk for tour_id in batch for pk in stops[tour_id]]
            TourStop.objects.filter(pk__in=concerned).update(version=F("version") + 1)
            planning.plan_tours(tours)
    return sum(map(len, stops.values()))


def _turned(before: RoutingFacts | None, after: RoutingFacts) -> Iterator[tuple[int, bool]]:
    """(tour id, whether it joins) of each tour in use whose route differs."""
    # What people left out stays out, whatever the connection serves.
    left_out = _left_out(after.pk)
    rows = Tour.objects.filter(archived_at__isnull=True).order_by("pk")
    for row in rows.values_list("pk", "starts_at", "agent_id", "agent__office_id", "buyer_id"):
        tour = TourFacts(*row)
        was = before is not None and connections_for(tour, [before], left_out)[0].included
        now = connections_for(tour, [after], left_out)[0].included
        if was != now:
            yield tour.id, now


def _stop_ids(tours: list[Tour]) -> list[int]:
    return list(TourStop.objects.filter(tour__in=tours).values_list("pk", flat=True))
