"""Is it in the CRM, and if not, why and when: one pure rule over the rows as they are.

`explain` reads an operation, its connection and what the CRM acknowledged, and says which of a few lines is true. It
makes no query and reads no clock; `tour_state.py` collects what it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from . import moments, wording
from .expected import Expected

CLAIMABLE = frozenset({"pending", "waiting", "retryable", "unknown"})


class Tone(StrEnum):
    """What kind of answer it is; the pages colour and sort by it."""

    IN = "in"
    WAITS = "waits"
    BLOCKED = "blocked"
    PERSON = "person"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NOT_SENT = "not_sent"


TONES = tuple((tone.value, tone.value) for tone in Tone)
"""As choices."""


@dataclass(frozen=True, slots=True)
class OperationFacts:
    """What counts of an operation. Times in Unix milliseconds."""

    id: int
    state: str
    reason: str = ""
    message: str = ""
    blockers: int = 0
    in_doubt: bool = False
    due_ms: int = 0
    sent_ms: int | None = None
    cancel_requested: bool = False


@dataclass(frozen=True, slots=True)
class HolderFacts:
    """What counts of a connection and of the gate for whatever waits there."""

    state: str = "active"
    state_reason: str = ""
    hold_reason: str = ""
    hold_until_ms: int = 0
    gate_mode: str = "normal"


@dataclass(frozen=True, slots=True)
class Blocker:
    """An operation another one waits for."""

    id: int
    words: str
    stuck: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One record at one connection.

    `standing`: it should stand in the CRM now. `not_standing`: why it should not, in words. `included`, `route`: what
    routing says. `external_id`: the CRM's id of it, if any. `expected`: when its turn comes.
    """

    standing: bool
    included: bool
    route: str
    operation: OperationFacts | None = None
    external_id: str = ""
    blocker: Blocker | None = None
    not_standing: str = ""
    expected: Expected | None = None


@dataclass(frozen=True, slots=True)
class ToMap:
    """An agent who has no user at a connection."""

    connection_id: int
    agent_id: int
    agent: str


@dataclass(frozen=True, slots=True)
class Line:
    """What staff read: a headline, the rest of the sentence, and the operation to open.

    `what`: which of a record's several effects it is about, where there are several. `external_id`: the CRM's id of it.
    `verbs`: the decision it needs. `unmapped`: it waits because the agent has no user there; `to_map`: who that is,
    where the page knows. `expected`: when it goes. `crm_url`: the vendor's page of the record.
    """

    tone: Tone
    head: str
    text: str = ""
    operation_id: int | None = None
    blocker_id: int | None = None
    until_ms: int | None = None
    what: str = ""
    external_id: str = ""
    verbs: tuple[wording.Verb, ...] = ()
    unmapped: bool = False
    to_map: ToMap | None = None
    expected: Expected | None = None
    crm_url: str = ""


def explain(cell: Cell, holder: HolderFacts, *, now_ms: int, zone: ZoneInfo) -> Line:
    """The line for this record at this connection, times in `zone`."""
    operation = cell.operation
    if operation is None:
        return _unplanned(cell)
    if operation.state == "needs_person":
        text = _and(wording.question(operation.reason), operation.message)
        merge = (operation.state, operation.reason) == wording.MERGEABLE
        verbs = (wording.MERGE,) if merge else wording.decision(operation.state, operation.reason)
        return Line(Tone.PERSON, "Needs a person", text, operation.id, verbs=verbs)
    if operation.state == "leased":
        return _leased(operation, now_ms, zone)
    if operation.state in CLAIMABLE:
        return _open(cell, operation, holder, now_ms, zone)
    return _ended(cell, operation)


def _unplanned(cell: Cell) -> Line:
    if cell.external_id and cell.standing:
        return Line(Tone.IN, "In the CRM", cell.external_id)
    if not cell.included:
        return Line(Tone.NOT_SENT, "Not sent here", cell.route)
    if not cell.standing:
        return Line(Tone.NOT_SENT, "Not sent here", cell.not_standing)
    return Line(Tone.NOT_SENT, "Not planned yet", "Save the tour once to send it here.")


def _leased(operation: OperationFacts, now_ms: int, zone: ZoneInfo) -> Line:
    if operation.cancel_requested:
        return Line(Tone.WAITS, "Being stopped", "It stops before it leaves us, if it has not left yet.", operation.id)
    if operation.sent_ms is not None:
        sent = moments.ago(operation.sent_ms, zone, now_ms)
        return Line(Tone.WAITS, "Being sent", f"Sent {sent}; the CRM's answer is awaited.", operation.id)
    return Line(Tone.WAITS, "Being sent", "A worker has it in hand now.", operation.id)


def _open(cell: Cell, operation: OperationFacts, holder: HolderFacts, now_ms: int, zone: ZoneInfo) -> Line:
    head = "May have arrived" if operation.in_doubt else "Waits"
    if operation.blockers:
        blocker = cell.blocker
        text = blocker.words if blocker else "another operation"
        return Line(Tone.BLOCKED, "Blocked by", text, operation.id, blocker.id if blocker else None)
    why = _held_by_person(holder)
    if why:
        return Line(Tone.WAITS, head, why, operation.id)
    until_ms, name = max((operation.due_ms, operation.reason), (holder.hold_until_ms, holder.hold_reason))
    if until_ms > now_ms:
        doubt = "it will be looked up " if operation.in_doubt else ""
        why = wording.reason(name or operation.reason) or "Its turn comes later"
        text = f"{why}; {doubt}{moments.until(until_ms, zone, now_ms)}{_turn(cell, zone, now_ms)}."
        unmapped = name == "agent_unmapped" == operation.reason
        last = _and(text, _last_word(operation))
        return Line(Tone.WAITS, head, last, operation.id, until_ms=until_ms, unmapped=unmapped, expected=cell.expected)
    if holder.gate_mode != "normal":
        return Line(Tone.WAITS, head, f"{wording.reason(f'gate_{holder.gate_mode}')}.", operation.id)
    if operation.in_doubt:
        text = f"{wording.reason(operation.reason) or 'Its answer is not known'}; it is looked up next."
        return Line(Tone.WAITS, head, text, operation.id, expected=cell.expected)
    since = f"due since {moments.ago(operation.due_ms, zone, now_ms)}"
    behind = cell.expected is not None and cell.expected.ahead
    text = f"{'It waits for its turn' if behind else 'Its turn comes next'}; {since}"
    turn = _turn(cell, zone, now_ms) if behind else ""
    return Line(Tone.WAITS, head, f"{text}{turn}.", operation.id, expected=cell.expected)


def _turn(cell: Cell, zone: ZoneInfo, now_ms: int) -> str:
    return f"; {cell.expected.words(zone, now_ms)}" if cell.expected else ""


def _held_by_person(holder: HolderFacts) -> str:
    """Why nothing of the connection moves until a person acts; empty when that is not so."""
    if holder.state == "paused":
        return _and("This connection is paused; resume it to send.", holder.state_reason)
    if holder.state == "auth_needed":
        return _and("This connection needs someone to sign in: give it new credentials.", holder.state_reason)
    if holder.state == "disabled":
        return "This connection is disabled; nothing is sent."
    return ""


def _ended(cell: Cell, operation: OperationFacts) -> Line:
    there = f" The CRM still shows it as {cell.external_id}." if cell.external_id else ""
    if operation.state == "dead":
        why = _and(wording.reason(operation.reason) + ".", operation.message)
        text = f"{why} {wording.remedy(operation.reason)}{there}"
        return Line(
            Tone.FAILED, "Failed", text, operation.id, verbs=wording.decision(operation.state, operation.reason)
        )
    if operation.state == "ignored":
        text = _and("The CRM answered, but did nothing.", operation.message)
        return Line(Tone.NOT_SENT, "Ignored by the CRM", text + there, operation.id)
    if operation.state == "cancelled" and operation.reason == "left_out":
        return Line(Tone.NOT_SENT, "Left out", ("" if cell.included else cell.route) + there, operation.id)
    if operation.state == "cancelled" and operation.reason == "kept_theirs":
        return Line(Tone.NOT_SENT, "Kept as the CRM shows it", f"Our next change asks again.{there}", operation.id)
    if operation.state == "cancelled":
        return Line(Tone.NOT_SENT, "Stopped by a person", f"Retry the operation to send it.{there}", operation.id)
    if operation.state == "superseded":
        return Line(Tone.NOT_SENT, "Replaced", f"A newer operation took its place.{there}", operation.id)
    if cell.standing:
        return Line(Tone.IN, "In the CRM", cell.external_id, operation.id)
    why = cell.not_standing if cell.included else cell.route
    if cell.external_id:
        return Line(Tone.CANCELLED, "Cancelled there", f"{cell.external_id}. {why}".strip(), operation.id)
    return Line(Tone.NOT_SENT, "Not there", f"It never stood there. {why}".strip(), operation.id)


def _last_word(operation: OperationFacts) -> str:
    return operation.message if operation.state in ("retryable", "unknown") else ""


def _and(text: str, message: str) -> str:
    return f"{text} (“{message}”)" if message else text
