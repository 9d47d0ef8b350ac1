"""What the first page says: what waits, since when, what is held, and what to do first when there is nothing yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.db.models import OuterRef, Subquery
from django.urls import reverse

from integrations.engine.clock import db_now
from integrations.models import OPEN, Connection, ConnectionState, GateMode, Operation, State, Tour
from integrations.operations import counting, moments, wording
from integrations.operations.at_risk import AtRisk, tours_at_risk
from integrations.operations.tour_state import PAUSED, gate_mode
from integrations.providers import registry

from .entities import UTC

MOST_AT_RISK = 20
STOPPED = {PAUSED: "gate_paused", GateMode.Mode.AWAY: "gate_away", GateMode.Mode.TRICKLE: "gate_trickle"}
"""Modes of the gate in which every connection is held back → the reason."""
DEMO = "DEMO-"  # what `seed_demo` calls its tours
_ORDER = (
    "needs_person",
    "dead",
    "unknown",
    "retryable",
    "waiting",
    "pending",
    "leased",
    "ignored",
    "cancelled",
    "superseded",
    "succeeded",
)


@dataclass(frozen=True, slots=True)
class StateCount:
    state: str
    words: str
    number: int
    url: str


@dataclass(frozen=True, slots=True)
class ConnectionLine:
    """A connection, its state in words, what waits for it, and why it does not send now (empty: it does)."""

    label: str
    url: str
    provider: str
    state: str
    state_words: str
    why: str
    open: int
    open_url: str
    failed: int
    failed_url: str


@dataclass(frozen=True, slots=True)
class RiskLine:
    """A tour whose next showing is close and not in every CRM. `when`: in the tour's zone."""

    label: str
    url: str
    agent: str
    when: str
    away: str
    stops: int
    state: str
    state_words: str
    reason: str


@dataclass(frozen=True, slots=True)
class Overview:
    """`oldest`: since when the oldest due operation waits."""

    now: str
    counts: list[StateCount]
    oldest: str
    connections: list[ConnectionLine]
    at_risk: list[RiskLine]
    has_tours: bool
    demo: bool


def load() -> Overview:
    """Eight queries, however much there is."""
    now_ms = db_now()
    operations_url = reverse("admin:integrations_operation_changelist")
    numbers = counting.by_state(_ORDER)
    fields = ("label", "provider", "state", "state_reason", "hold_reason", "hold_until_ms")
    first = Operation.objects.claimable().filter(connection_id=OuterRef("pk")).order_by("due_ms").values("due_ms")
    rows: list[Any] = list(Connection.objects.only(*fields).annotate(first_due_ms=Subquery(first[:1])))
    oldest_ms = min((row.first_due_ms for row in rows if row.first_due_ms is not None), default=now_ms + 1)
    stopped = wording.reason(STOPPED[mode]) if (mode := gate_mode()) in STOPPED else ""
    counted = counting.by_connection([row.pk for row in rows], (*OPEN, State.DEAD))
    return Overview(
        now=moments.clock(moments.at_ms(now_ms), UTC),
        counts=[
            StateCount(state, wording.state(state), numbers[state], f"{operations_url}?{urlencode({'state': state})}")
            for state in _ORDER
            if state in numbers
        ],
        oldest=moments.ago(oldest_ms, UTC, now_ms) if oldest_ms <= now_ms else "",
        connections=[_line(row, now_ms, counted.get(row.pk, {}), stopped) for row in rows],
        at_risk=[_risk(tour, now_ms) for tour in tours_at_risk(moments.at_ms(now_ms), most=MOST_AT_RISK)],
        has_tours=Tour.objects.exists(),
        demo=Tour.objects.filter(reference__startswith=DEMO).exists(),
    )


def _line(row: Connection, now_ms: int, counted: dict[str, int], stopped: str) -> ConnectionLine:
    why = stopped
    if row.state != ConnectionState.ACTIVE:
        why = row.state_reason
    elif row.hold_until_ms > now_ms:
        why = f"{wording.reason(row.hold_reason)}; {moments.until(row.hold_until_ms, UTC, now_ms)}"
    operations_url = reverse("admin:integrations_operation_changelist")
    return ConnectionLine(
        label=row.label,
        url=reverse("admin:integrations_connection_change", args=[row.pk]),
        provider=registry.manifest(row.provider).label if row.provider in registry.slugs() else row.provider,
        state=row.state,
        state_words=row.get_state_display(),
        why=why,
        open=counting.total(number for state, number in counted.items() if state != State.DEAD),
        open_url=f"{operations_url}?{urlencode({'connection': row.pk, 'state': 'open'})}",
        failed=counted.get(State.DEAD, 0),
        failed_url=f"{operations_url}?{urlencode({'connection': row.pk, 'state': 'dead'})}",
    )


def _risk(tour: AtRisk, now_ms: int) -> RiskLine:
    zone = ZoneInfo(tour.time_zone)
    return RiskLine(
        label=f"{tour.reference} {tour.title}".strip(),
        url=reverse("admin:integrations_tour_change", args=[tour.tour_id]),
        agent=tour.agent,
        when=f"{moments.day(tour.next_start, zone)}, {moments.clock(tour.next_start, zone, now=tour.next_start)}",
        away=moments.duration(tour.next_start.timestamp() - now_ms / 1000),
        stops=tour.stops,
        state=tour.state,
        state_words=wording.state(tour.state),
        reason=wording.reason(tour.reason),
    )
