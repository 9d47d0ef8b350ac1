"""How a connection is doing: what its limits leave, its circuit, what waits and what it sent last, who changed what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.urls import reverse

from integrations.gate import MODES, BreakerState, Snapshot, Window
from integrations.models import CLAIMABLE, Attempt, AuditEvent, Connection, ConnectionState, Operation, TourStop
from integrations.operations import circuits, moments, wording
from integrations.operations.expected import Forecast, Looks
from integrations.operations.operation_state import next_time
from integrations.operations.tour_state import holder_of
from integrations.providers import registry

from .entities import UTC, About, about
from .pages import history_url

SHOWN = 10


@dataclass(frozen=True, slots=True)
class LimitLine:
    """One limit of the CRM as the gate counts it. `left` of `limit` requests in `seconds`."""

    name: str
    used: int
    limit: int
    left: int
    seconds: int
    percent: int


@dataclass(frozen=True, slots=True)
class WaitingLine:
    """A showing that waits for this connection. `next_time`: when its turn is expected, in the tour's zone."""

    url: str
    label: str
    when: str
    state: str
    state_words: str
    reason: str
    next_time: str


@dataclass(frozen=True, slots=True)
class CallLine:
    """One try of an operation that made requests."""

    url: str
    label: str
    kind: str
    when: str
    took: str
    outcome: str
    status: int | None
    calls: int


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """Something staff (or the product itself) did to the connection."""

    when: str
    who: str
    verb: str
    reason: str


@dataclass(frozen=True, slots=True)
class Health:
    """`gate_words`: why limits and circuit are not known; empty when they are."""

    gate_words: str
    limits: list[LimitLine]
    shared: bool
    circuit: str
    set_by: str
    verbs: Sequence[circuits.Verb]
    waiting: list[WaitingLine]
    calls: list[CallLine]
    changes: list[ChangeLine]
    history_url: str


def load(connection: Connection, now_ms: int, mode: str) -> Health:
    """Six queries at most and one question to Redis, which waits no longer than the gate's own time-out.

    `mode`: the gate's (`tour_state.gate_mode`).
    """
    looks = Looks()
    look = looks.at(connection)
    snapshot = look.snapshot
    return Health(
        gate_words=look.why,
        limits=[] if snapshot is None else [_limit(window, snapshot) for window in look.windows],
        shared=_shared(connection),
        circuit="" if snapshot is None else circuit_words(snapshot.breaker, now_ms),
        set_by=_set_by(connection, now_ms),
        verbs=() if snapshot is None else _verbs(snapshot.breaker),
        waiting=_waiting(connection, now_ms, mode, looks),
        calls=_calls(connection, now_ms),
        changes=_changes(connection, now_ms),
        history_url=history_url(connection),
    )


def _set_by(connection: Connection, now_ms: int) -> str:
    """Who put what in the circuit's place, and why; empty when nobody did, or it has ended."""
    mode = connection.circuit_mode
    waits = "" if not mode or mode.get("told", True) else "Not in force yet: Redis cannot be reached. "
    if not mode or not (waits or mode["mode"] in MODES) or (mode["until_ms"] or now_ms + 1) <= now_ms:
        return ""
    return f"{waits}Set by {mode['by']} {moments.ago(mode['since_ms'], UTC, now_ms)}: {mode['reason']}"


def _verbs(breaker: BreakerState) -> list[circuits.Verb]:
    """What a person may do to a circuit as it is."""
    by_hand = breaker.state in ("forced_open", "disabled", "metrics_only")
    useless = {breaker.state} if by_hand else {"automatic"}
    if not breaker.stops:
        useless.add("closed")
    return [verb for verb in circuits.VERBS if verb.setting not in useless]


def _shared(connection: Connection) -> bool:
    known = connection.provider in registry.slugs()
    return known and registry.manifest(connection.provider).limit_key is not None


def _limit(window: Window, snapshot: Snapshot) -> LimitLine:
    used, allowed = snapshot.used[window.name], snapshot.limits[window.name]
    return LimitLine(
        name=window.name,
        used=used,
        limit=allowed,
        left=max(0, allowed - used),
        seconds=window.seconds,
        percent=min(100, round(100 * used / allowed)),
    )


_CAUSES = {
    "failures": "its answers failed one after another",
    "failure_rate": "too many of its last answers failed",
    "slow_rate": "too many of its last answers were slow",
    "probe": "it still failed when it was tried",
    "ramp": "it failed again while it recovered",
    "person": "a person stopped it",
}


def circuit_words(breaker: BreakerState, now_ms: int) -> str:
    """What the circuit does, why and until when, as staff read it."""
    own = _own_words(breaker, now_ms)
    if breaker.host == "closed" or not breaker.stops or breaker.state == "forced_open":
        return own
    until = f"; {moments.until(breaker.host_until_ms, UTC, now_ms)}" if breaker.host_until_ms else ""
    return f"Stopped: the CRM fails for several accounts{until}. This account by itself: {own[0].lower()}{own[1:]}"


def _own_words(breaker: BreakerState, now_ms: int) -> str:
    ends = f"; until {moments.clock(moments.at_ms(breaker.mode_until_ms), UTC)}" if breaker.mode_until_ms else ""
    if breaker.state == "forced_open":
        return f"Forced open: nothing is sent{ends or '; until it is taken back'}"
    if breaker.state == "disabled":
        return f"Disabled: requests pass whatever the CRM answers{ends}"
    if breaker.state == "metrics_only":
        return f"Only counting: requests pass; it would have opened {_times(breaker, now_ms)}{ends}"
    if breaker.state == "half_open":
        return "Half open: single requests try whether the CRM has recovered"
    until = f"; {moments.until(breaker.until_ms, UTC, now_ms)}" if breaker.until_ms else ""
    if breaker.state == "open":
        why = f", because {_CAUSES[breaker.cause]}" if breaker.cause in _CAUSES else ""
        return f"Open: nothing is sent{why}, so that the CRM can recover{until}"
    if breaker.percent < 100:
        return f"Recovering: {breaker.percent} % of the limit is used, more{until.replace(';', '')}"
    failures = f"; {breaker.failures} failures in a row" if breaker.failures else ""
    return f"Closed: requests pass{failures}"


def _times(breaker: BreakerState, now_ms: int) -> str:
    if breaker.would_open_ms is None:
        return "not once"
    often = "once" if breaker.would_open == 1 else f"{breaker.would_open} times"
    return f"{often}, last {moments.ago(breaker.would_open_ms, UTC, now_ms)}"


def _waiting(connection: Connection, now_ms: int, mode: str, looks: Looks) -> list[WaitingLine]:
    """The next showings first."""
    held = Operation.objects.unsettled(*CLAIMABLE).filter(connection=connection, entity_type="stop")
    stops = TourStop.objects.filter(pk__in=held.values("entity_id")).select_related("tour")
    rows = {stop.pk: stop for stop in stops.order_by("appointment_start", "pk")[:SHOWN]}
    waiting = list(held.filter(entity_id__in=rows)) if rows else []
    # Nothing is forecast for one that is stopped, and which others share its limit matters only where they can.
    alone = connection.state != ConnectionState.ACTIVE or not _shared(connection)
    known = [connection] if alone else None
    holder = holder_of(connection, mode)
    forecast = Forecast.of(waiting, now_ms, mode, connections=known, looks=looks)
    lines = {}
    for operation in waiting:
        stop = rows[operation.entity_id]
        zone = ZoneInfo(stop.tour.time_zone)
        lines[stop.pk] = WaitingLine(
            url=reverse("admin:integrations_operation_change", args=[operation.pk]),
            label=f"{stop.tour.reference}, stop {stop.sequence}: {stop.street}",
            when=moments.span(stop.appointment_start, stop.appointment_end, zone),
            state=operation.state,
            state_words=wording.state(operation.state),
            reason=wording.reason(operation.reason),
            next_time=next_time(operation, holder, now_ms, zone, forecast.at(operation)),
        )
    return [lines[pk] for pk in rows if pk in lines]


def _calls(connection: Connection, now_ms: int) -> list[CallLine]:
    tries = list(
        Attempt.objects.filter(connection=connection).select_related("operation").order_by("-started_ms", "-id")[:SHOWN]
    )
    known = about(attempt.operation for attempt in tries)
    return [
        _call(attempt, known[attempt.operation.entity_type, attempt.operation.entity_id], now_ms) for attempt in tries
    ]


def _call(attempt: Attempt, what: About, now_ms: int) -> CallLine:
    took = "still open" if attempt.ended_ms is None else f"{(attempt.ended_ms - attempt.started_ms) / 1000:.2f} s"
    return CallLine(
        url=reverse("admin:integrations_operation_change", args=[attempt.operation_id]),
        label=what.label,
        kind=wording.kind(attempt.operation.kind),
        when=moments.ago(attempt.started_ms, UTC, now_ms),
        took=took,
        outcome=wording.outcome(attempt.outcome),
        status=attempt.status,
        calls=attempt.calls,
    )


def _changes(connection: Connection, now_ms: int) -> list[ChangeLine]:
    events = AuditEvent.objects.filter(object_type="connection", object_id=connection.pk).order_by("-pk")[:SHOWN]
    return [
        ChangeLine(
            when=moments.ago(int(event.at.timestamp() * 1000), UTC, now_ms),
            who=event.actor or "REanna Router",
            verb=event.verb.removeprefix("connection.").replace("_", " "),
            reason=event.reason,
        )
        for event in events
    ]
