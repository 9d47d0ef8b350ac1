"""What a person may do to an operation as it stands, and when it goes on by itself."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from integrations.models import CLAIMABLE, ConnectionState, GateMode, Operation, State

from . import left_out, moments, wording
from .expected import Expected
from .sync_state import HolderFacts
from .wording import MERGEABLE


def allowed(operation: Operation, waits_for: Iterable[str] | None = None) -> list[wording.Verb]:
    """What applies to it as it stands. `waits_for`: states of what it waits for; asked for when not given."""
    decision = wording.decision(operation.state, operation.reason)
    if decision:
        # What is no record of ours (a CRM's own appointment type) cannot be left out.
        return [v for v in decision if v is not wording.LEAVE_OUT or operation.entity_type in left_out.RECORDS]
    verbs: list[wording.Verb] = []
    if operation.state == State.CANCELLED and operation.reason == "left_out":
        return verbs
    if operation.state in (State.DEAD, State.CANCELLED, State.NEEDS_PERSON):
        verbs.append(wording.RETRY)
    if operation.state == State.NEEDS_PERSON and wording.answerable(operation.reason):
        verbs += [wording.ARRIVED, wording.NOT_ARRIVED]
    if (operation.state, operation.reason) == MERGEABLE and operation.entity_type == "contact":
        verbs.insert(0, wording.MERGE)
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


def next_time(
    operation: Operation, holder: HolderFacts, now_ms: int, zone: ZoneInfo, expected: Expected | None = None
) -> str:
    """When it may go on, or why that is not a matter of time; then when it is expected to."""
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
    if holder.gate_mode == "paused":
        return "when a person says go"
    until = max(operation.due_ms, holder.hold_until_ms)
    if until <= now_ms and holder.gate_mode != GateMode.Mode.NORMAL:
        return "when Redis is back and counted in"
    turn = f"; {expected.words(zone, now_ms)}" if expected else ""
    if until <= now_ms:
        return f"now{turn if expected and expected.ahead else ''}"
    clock = moments.clock(moments.at_ms(until), zone, now=moments.at_ms(now_ms))
    return f"in {moments.duration((until - now_ms) / 1000)} ({clock}){turn}"
