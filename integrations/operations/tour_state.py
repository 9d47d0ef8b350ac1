"""What the tour page shows and the API tells: its stops, what was said after them and its buyer at every connection.

The number of queries is fixed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q, Subquery

from integrations.engine.kinds import KINDS, offered
from integrations.models import (
    Agent,
    Connection,
    ConnectionState,
    ExternalRef,
    Feedback,
    GateMode,
    LeftOut,
    Operation,
    OperationDependency,
    State,
    Tour,
    TourStatus,
    TourStop,
)
from integrations.operations import one_click
from integrations.operations.one_click import Verb
from integrations.routing import LeftOutReasons, Route, connections_for, why_left_out

from . import crm_links, expected, moments, tour_trail, wording
from .left_out import Choice
from .sync_state import Blocker, Cell, HolderFacts, Line, OperationFacts, ToMap, Tone, explain
from .tour_trail import Change

_OPERATION_FIELDS = (
    "connection_id", "kind", "entity_type", "entity_id", "version", "state", "reason", "message", "blockers",
    "in_doubt", "priority", "due_ms", "sent_ms", "cancel_requested", "settled_ms", "created_at",
)  # fmt: skip
# Claims read these; the page needs no others of a connection, least of all its secrets.
_CONNECTION_FIELDS = (
    *expected.FIELDS, "scope", "office_id", "agent_id", "sync_from", "state_reason", "hold_reason",
)  # fmt: skip

ConnectionRoute = Route[Any]  # of a Connection; model fields do not fit a Protocol with settable attributes
Key = tuple[int, str, int]
"""connection id, kind of operation or resource, entity id"""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One answer; at each connection a line for its note and one for its task, if it is to have one."""

    answer: Feedback
    lines: list[list[Line]]


@dataclass(frozen=True, slots=True)
class Press:
    """One button. `asks`: it leads to a page that asks first. `number`: how many stops it is about, of several."""

    verb: Verb
    asks: bool = False
    number: int = 0


@dataclass(frozen=True, slots=True)
class StopRow:
    """One stop and its line at each connection, in the order of `TourState.routes`; then what was said after it.

    `linked`: it stands in some CRM, so it cannot be deleted.
    """

    stop: TourStop
    when: str
    lines: list[Line]
    said: list[AnswerRow]
    presses: list[Press]
    linked: bool


@dataclass(frozen=True, slots=True)
class TourState:
    """All of it; times are texts in the tour's zone."""

    tour: Tour
    zone: ZoneInfo
    now: str
    starts: str
    routes: list[ConnectionRoute]
    choices: list[tuple[ConnectionRoute, Choice]]
    stops: list[StopRow]
    buyer: list[Line]
    summary: list[Line | None]
    """At each connection; empty as long as there is nothing to sum up and nothing was. None: it has no such kind."""
    presses: list[Press]
    bulk: list[Press]
    trail: list[Change]

    @property
    def counts(self) -> list[tuple[Tone, int]]:
        """How many stops-at-a-connection there are of each tone, in the tones' order."""
        tones = [line.tone for row in self.stops for line in row.lines]
        return [(tone, tones.count(tone)) for tone in Tone if tone in tones]


def zone_of(tour: Tour) -> ZoneInfo:
    return ZoneInfo(tour.time_zone)


def load(tour: Tour, now_ms: int, *, timeline: bool = True) -> TourState:
    """Eleven queries at most, however much there is (and none for what the tour has loaded: agent, buyer)."""
    zone = zone_of(tour)
    now = moments.at_ms(now_ms)
    stops = list(tour.stops.order_by("sequence"))
    for stop in stops:
        stop.tour = tour
    connections = _connections()
    answers = list(Feedback.objects.filter(stop__tour=tour).order_by("stop", "submitted_at", "id"))
    facts = _Facts.load(tour, stops, answers, connections, now_ms)
    routes = connections_for(tour, connections, facts.left_out)
    rows = [
        StopRow(
            stop,
            moments.span(stop.appointment_start, stop.appointment_end, zone),
            [
                facts.line(_stop_cell(tour, stop, at), "appointment.sync", stop.pk, at, now_ms, zone)
                for at in (facts.route_of("stop", stop.pk, route) for route in routes)
            ],
            [
                AnswerRow(said, [facts.answer_lines(said, at, now_ms, zone) for at in routes])
                for said in answers
                if said.stop_id == stop.pk
            ],
            [Press(verb, asks=verb.ends and facts.stands(stop.pk)) for verb in one_click.stop_verbs(stop, now)],
            facts.stands(stop.pk),
        )
        for stop in stops
    ]
    buyer = [facts.line(_buyer_cell(tour, at), "contact.link", tour.buyer_id, at, now_ms, zone) for at in routes]
    summary = [facts.summary_line(tour, bool(answers), at, now_ms, zone) for at in routes]
    several = [(verb, len(one_click.bulk(verb, stops, now))) for verb in one_click.BULK_VERBS.values()]
    told = tour_trail.About(tour, stops, facts.operations, {at.pk: at.label for at in connections})
    return TourState(
        tour=tour,
        zone=zone,
        now=moments.clock(now, zone),
        starts=_start(tour.starts_at, zone),
        routes=routes,
        choices=[(route, facts.choice(tour, route)) for route in routes],
        stops=rows,
        buyer=buyer,
        summary=summary if any(summary) else [],
        presses=[Press(verb, asks=verb.ends) for verb in one_click.tour_verbs(tour, stops, now)],
        bulk=[Press(verb, number=number) for verb, number in several if number],
        trail=tour_trail.latest(told, zone, now_ms) if timeline else [],
    )


def _connections() -> list[Any]:
    """All there are, each with the mode the gate is in (`gate_mode`). One query."""
    mode = GateMode.objects.values("mode")[:1]
    return list(Connection.objects.only(*_CONNECTION_FIELDS).annotate(gate_mode=Subquery(mode)).order_by("label"))


def answer_lines(answer: Feedback, now_ms: int) -> list[tuple[str, Line]]:
    """(connection and what it is, line) of one answer; its stop's tour and agent are loaded. Eight queries at most."""
    tour = answer.stop.tour
    connections = _connections()
    facts = _Facts.load(tour, [], [answer], connections, now_ms)
    return [
        (route.connection.label, line)
        for route in connections_for(tour, connections, facts.left_out)
        for line in facts.answer_lines(answer, route, now_ms, zone_of(tour))
    ]


def _start(instant: datetime, zone: ZoneInfo) -> str:
    return f"{moments.day(instant, zone)}, {moments.clock(instant, zone, now=instant)}"


def _stop_cell(tour: Tour, stop: TourStop, route: ConnectionRoute) -> Cell:
    why = _tour_not_standing(tour)
    if not why and stop.appointment_status in ("denied", "cancelled"):
        why = f"The stop is {stop.appointment_status}."
    return Cell(standing=route.included and not why, included=route.included, route=route.reason, not_standing=why)


def _buyer_cell(tour: Tour, route: ConnectionRoute) -> Cell:
    why = _tour_not_standing(tour)
    return Cell(standing=route.included and not why, included=route.included, route=route.reason, not_standing=why)


def _tour_not_standing(tour: Tour) -> str:
    if tour.status == TourStatus.DRAFT:
        return "The tour is a draft; it is sent once it is scheduled."
    if tour.status == TourStatus.CANCELLED:
        return "The tour is cancelled."
    return ""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the database holds of these records."""

    operations: list[Operation]
    newest: dict[Key, Operation]
    refs: dict[Key, str]
    blockers: dict[int, Blocker]
    gate_mode: str
    left_out: LeftOutReasons
    agent: Agent
    forecast: expected.Forecast

    @classmethod
    def load(
        cls,
        tour: Tour,
        stops: Iterable[TourStop],
        answers: Iterable[Feedback],
        connections: Iterable[Any],
        now_ms: int,
    ) -> _Facts:
        ids = {"stop": [stop.pk for stop in stops], "feedback": [said.pk for said in answers]}
        ids |= {"contact": [tour.buyer_id], "tour": [tour.pk]}
        about = Q()
        for entity_type, pks in ids.items():
            about |= Q(entity_type=entity_type, entity_id__in=pks)
        newest: dict[Key, Operation] = {}
        operations = list(Operation.objects.filter(about).only(*_OPERATION_FIELDS).order_by("version", "id"))
        for operation in operations:
            newest[operation.connection_id, operation.kind, operation.entity_id] = operation
        known = ExternalRef.objects.filter(about, external_id__isnull=False)
        mode = next((at.gate_mode for at in connections), None) or GateMode.Mode.NORMAL
        return cls(
            operations,
            newest,
            {
                (row[0], row[1], row[2]): row[3] or ""
                for row in known.values_list("connection_id", "resource", "entity_id", "external_id")
            },
            blockers_of([operation.pk for operation in newest.values() if operation.blockers]),
            mode,
            LeftOut.objects.reasons(**ids),
            tour.agent,
            expected.Forecast.of(newest.values(), now_ms, mode, connections=connections),
        )

    def stands(self, stop_id: int) -> bool:
        """Whether the stop stands in some CRM."""
        return any(key[1:] == ("appointment", stop_id) and ref for key, ref in self.refs.items())

    def choice(self, tour: Tour, route: ConnectionRoute) -> Choice:
        """Whether the tour itself is left out there."""
        at = route.connection
        return Choice(at.pk, at.label, self.left_out.get((at.pk, "tour", tour.pk), ""))

    def route_of(self, entity_type: str, entity_id: int, route: ConnectionRoute) -> ConnectionRoute:
        """The tour's route, unless this one record of it is left out."""
        why = why_left_out(self.left_out, route.connection.pk, (entity_type, entity_id))
        return replace(route, included=False, reason=why) if why and route.included else route

    def answer_lines(self, said: Feedback, route: ConnectionRoute, now_ms: int, zone: ZoneInfo) -> list[Line]:
        """The note; the task too where there is one or should be."""
        route = self.route_of("feedback", said.pk, route)
        found = []
        for kind in ("feedback.note", "feedback.task"):
            known = (route.connection.pk, kind, said.pk) in self.newest
            wanted = offered(kind, route.connection.provider) and (kind == "feedback.note" or said.calls_for_action)
            if known or wanted:
                standing = route.included or bool(self.refs.get((route.connection.pk, KINDS[kind].resource, said.pk)))
                cell = Cell(standing=standing, included=route.included, route=route.reason)
                found.append(replace(self.line(cell, kind, said.pk, route, now_ms, zone), what=wording.kind(kind)))
        return found

    def summary_line(
        self, tour: Tour, answered: bool, route: ConnectionRoute, now_ms: int, zone: ZoneInfo
    ) -> Line | None:
        """The tour's summary, where it was planned or should stand; None elsewhere."""
        at = route.connection
        over = tour.status == TourStatus.COMPLETED and answered
        if (at.pk, "tour.summary", tour.pk) not in self.newest and not (over and offered("tour.summary", at.provider)):
            return None
        there = bool(self.refs.get((at.pk, KINDS["tour.summary"].resource, tour.pk)))
        why = "" if over else "The tour is not completed, or nothing was said on it."
        standing = there or (route.included and over)
        cell = Cell(standing=standing, included=route.included, route=route.reason, not_standing=why)
        return self.line(cell, "tour.summary", tour.pk, route, now_ms, zone)

    def line(self, cell: Cell, kind: str, entity_id: int, route: ConnectionRoute, now_ms: int, zone: ZoneInfo) -> Line:
        at = route.connection.pk
        operation = self.newest.get((at, kind, entity_id))
        external_id = self.refs.get((at, KINDS[kind].resource, entity_id), "")
        full = Cell(
            # People stay in a CRM whatever becomes of a tour: a linked buyer is there.
            standing=cell.standing or (kind == "contact.link" and bool(external_id)),
            included=cell.included,
            route=cell.route,
            operation=facts_of(operation) if operation else None,
            external_id=external_id,
            blocker=self.blockers.get(operation.pk) if operation else None,
            not_standing=cell.not_standing,
            expected=self.forecast.at(operation) if operation else None,
        )
        line = explain(full, holder_of(route.connection, self.gate_mode), now_ms=now_ms, zone=zone)
        there = crm_links.url(route.connection, KINDS[kind].resource, external_id)
        return with_map(replace(line, external_id=external_id, crm_url=there), at, self.agent)


def with_map(line: Line, connection_id: int, agent: Agent) -> Line:
    """The line with the agent to be mapped, when that is what it waits for."""
    return replace(line, to_map=ToMap(connection_id, agent.pk, agent.name)) if line.unmapped else line


PAUSED = "paused"


def gate_mode() -> str:
    """The mode the gate is in, as all processes see it; `paused` when a person has to say go."""
    return mode_of(GateMode.objects.only("mode", "paused_ms").first())


def mode_of(row: GateMode | None) -> str:
    """The same of a row that was read already."""
    if row is None:
        return GateMode.Mode.NORMAL
    return PAUSED if row.paused_ms else row.mode


def facts_of(operation: Operation) -> OperationFacts:
    """The columns of an operation that `explain` reads."""
    return OperationFacts(
        id=operation.pk,
        state=operation.state,
        reason=operation.reason,
        message=operation.message,
        blockers=operation.blockers,
        in_doubt=operation.in_doubt,
        due_ms=operation.due_ms,
        sent_ms=operation.sent_ms,
        cancel_requested=operation.cancel_requested,
    )


def holder_of(connection: Connection, gate_mode: str) -> HolderFacts:
    """The columns of a connection that `explain` reads."""
    return HolderFacts(
        state=ConnectionState(connection.state),
        state_reason=connection.state_reason,
        hold_reason=connection.hold_reason,
        hold_until_ms=connection.hold_until_ms,
        gate_mode=gate_mode,
    )


def blockers_of(operation_ids: Iterable[int]) -> dict[int, Blocker]:
    """For each operation the one it waits for (a stuck one before others); one query."""
    edges = OperationDependency.objects.filter(operation__in=list(operation_ids), settled=False)
    found: dict[int, Blocker] = {}
    for edge in edges.select_related("needs").order_by("id"):
        known = found.get(edge.operation_id)
        if known is None or (not known.stuck and edge.needs.state in _STUCK):
            found[edge.operation_id] = _blocker(edge.needs)
    return found


_STUCK = (State.DEAD, State.CANCELLED, State.NEEDS_PERSON)


def _blocker(needs: Operation) -> Blocker:
    words = f"{wording.kind(needs.kind)}: {wording.state(needs.state).lower()}"
    why = wording.reason(needs.reason)
    return Blocker(needs.pk, f"{words} ({why})" if why else words, needs.state in _STUCK)
