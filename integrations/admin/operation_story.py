"""The whole story of one operation, as its page tells it; and what a person may do to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from integrations.engine.kinds import KINDS
from integrations.models import CLAIMABLE, Attempt, ConnectionState, ExternalRef, GateMode, Operation, State

from . import entities, moments, wording
from .sync_state import Cell, HolderFacts, Line, explain
from .tour_state import blockers_of, facts_of, gate_mode, holder_of


@dataclass(frozen=True, slots=True)
class Try:
    """One row of the attempts table."""

    number: int
    version: int
    started: str
    sent: str
    took: str
    outcome: str
    status: int | None
    calls: int
    request_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Other:
    """An operation this one waits for, or that waits for this one."""

    id: int
    kind: str
    state: str
    words: str
    reason: str
    settled: bool


@dataclass(frozen=True, slots=True)
class Story:
    """All of it, in words; times in the entity's zone."""

    operation: Operation
    about: entities.About
    now: str
    state: str
    kind: str
    line: Line
    next_time: str
    created: str
    settled: str
    external_id: str
    marker: str
    tries: list[Try]
    waits_for: list[Other]
    waited_for_by: list[Other]
    verbs: list[wording.Verb]


def load(operation: Operation, now_ms: int) -> Story:
    """Seven queries; the operation's connection is loaded already."""
    about = entities.about([operation])[operation.entity_type, operation.entity_id]
    zone = about.zone
    waits_for = [_other(edge.needs, edge.settled) for edge in operation.dependencies.select_related("needs")]
    dependants = operation.dependants.select_related("operation").order_by("settled", "id")[:100]
    waited_for_by = [_other(edge.operation, edge.settled) for edge in dependants]
    ref = ExternalRef.objects.filter(
        connection_id=operation.connection_id,
        entity_type=operation.entity_type,
        entity_id=operation.entity_id,
        resource=KINDS[operation.kind].resource,
    ).first()
    external_id = (ref.external_id if ref else "") or ""
    holder = holder_of(operation.connection, gate_mode())
    cell = Cell(
        standing=operation.state == State.SUCCEEDED and operation.reason != "nothing_to_do",
        included=True,
        route="",
        operation=facts_of(operation),
        external_id=external_id,
        blocker=blockers_of([operation.pk]).get(operation.pk) if operation.blockers else None,
    )
    line = explain(cell, holder, now_ms=now_ms, zone=zone)
    attempts = list(operation.tries.order_by("-id")[:100])
    return Story(
        operation=operation,
        about=about,
        now=moments.clock(moments.at_ms(now_ms), zone),
        state=wording.state(operation.state),
        kind=wording.kind(operation.kind),
        line=line,
        next_time=next_time(operation, holder, now_ms, zone),
        created=moments.clock(operation.created_at, zone),
        settled=moments.clock(moments.at_ms(operation.settled_ms), zone) if operation.settled_ms else "",
        external_id=external_id,
        marker=ref.marker if ref else "",
        tries=_tries(attempts, zone),
        waits_for=waits_for,
        waited_for_by=waited_for_by,
        verbs=allowed(operation, [other.state for other in waits_for if not other.settled]),
    )


def allowed(operation: Operation, waits_for: Iterable[str] | None = None) -> list[wording.Verb]:
    """What applies to it as it stands. `waits_for`: states of what it waits for; asked for when not given."""
    verbs = []
    if operation.state in (State.DEAD, State.CANCELLED, State.NEEDS_PERSON):
        verbs.append(wording.RETRY)
    if operation.state == State.NEEDS_PERSON and wording.answerable(operation.reason):
        verbs += [wording.ARRIVED, wording.NOT_ARRIVED]
    if operation.state in CLAIMABLE and operation.blockers:
        if waits_for is None:
            edges = operation.dependencies.filter(settled=False)
            waits_for = edges.values_list("needs__state", flat=True)
        if {State.DEAD, State.CANCELLED} & set(waits_for):
            verbs.append(wording.SKIP)
    if _can_be_cancelled(operation):
        verbs.append(wording.CANCEL)
    return verbs


def _can_be_cancelled(operation: Operation) -> bool:
    if operation.state == State.LEASED:
        return not operation.cancel_requested
    can = (State.PENDING, State.WAITING, State.RETRYABLE, State.NEEDS_PERSON)
    return operation.state in can and not operation.in_doubt


def next_time(operation: Operation, holder: HolderFacts, now_ms: int, zone: ZoneInfo) -> str:
    """When it may go on, or why that is not a matter of time."""
    if operation.state == State.LEASED:
        return "now"
    if operation.state == State.NEEDS_PERSON:
        return "when a person answers"
    if operation.state not in CLAIMABLE:
        return "—"
    if operation.blockers:
        return "after what it waits for"
    if holder.state != ConnectionState.ACTIVE:
        return f"when the connection is no longer {ConnectionState(holder.state).label.lower()}"
    until = max(operation.due_ms, holder.hold_until_ms)
    if until <= now_ms:
        return "now" if holder.gate_mode == GateMode.Mode.NORMAL else "when Redis is back and counted in"
    clock = moments.clock(moments.at_ms(until), zone, now=moments.at_ms(now_ms))
    return f"in {moments.duration((until - now_ms) / 1000)} ({clock})"


def _tries(attempts: list[Attempt], zone: ZoneInfo) -> list[Try]:
    return [
        Try(
            number=attempt.token,
            version=attempt.version,
            started=moments.clock(moments.at_ms(attempt.started_ms), zone),
            sent=moments.clock(moments.at_ms(attempt.sent_ms), zone) if attempt.sent_ms else "not sent",
            took=_took(attempt),
            outcome=attempt.outcome.replace("_", " ") or "no answer yet",
            status=attempt.status,
            calls=attempt.calls,
            request_id=attempt.request_id,
            message=attempt.message,
        )
        for attempt in attempts
    ]


def _took(attempt: Attempt) -> str:
    if attempt.ended_ms is None:
        return "still open"
    return f"{max(0, attempt.ended_ms - attempt.started_ms) / 1000:.2f} s"


def _other(operation: Operation, settled: bool) -> Other:
    return Other(
        id=operation.pk,
        kind=wording.kind(operation.kind),
        state=operation.state,
        words=wording.state(operation.state),
        reason=wording.reason(operation.reason),
        settled=settled,
    )
