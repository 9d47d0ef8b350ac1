"""The end of a try: row, Attempt, ref and whoever waited, in one transaction."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from integrations.models import (
    AgentUser,
    Attempt,
    AuditEvent,
    Connection,
    ConnectionHold,
    ConnectionState,
    ExternalRef,
    Operation,
    OperationDependency,
    State,
)
from integrations.texts import readable

from . import postgresql, states
from .claims import Claim, columns_of, row_of
from .clock import db_now
from .verdict import VERDICTS, Due, Fact, Hold, Verdict, decide

MESSAGE_LENGTH = 500
SPELL_GAP_MS, SPELL_STEP_MS = 60_000, 5_000
DECIDED = frozenset({"left_out", "kept_theirs"})
"""Reasons of a cancelled operation that let those go on that waited for it: a person settled what becomes of it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a try ended, as the work on it saw it.

    `until_ms`: when the gate or the provider allows the next try. `acknowledged`: the provider holds what `digest`
    and `version` say, under `external_id` (None: it wants to hold nothing, and does). `unmapped_id`: the agent whose
    user there is not known. `body`: what of that can be read back; None: not known.
    """

    fact: Fact
    message: str = ""
    until_ms: int | None = None
    retry_after_s: float | None = None
    external_id: str | None = None
    acknowledged: bool = False
    body: Mapping[str, Any] | None = None
    version: int = 0
    digest: str = ""
    status: int | None = None
    request_id: str = ""
    calls: int = 0
    started_ms: int = 0
    sent_ms: int | None = None
    circuit_open: bool = False
    circuit_until_ms: int | None = None
    settle_s: float = 0.0
    credentials_version: int | None = None
    requests: tuple[Mapping[str, Any], ...] = ()
    unmapped_id: int | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """The engine's figures that settling needs; seconds."""

    total_deadline_s: float
    max_attempts: int
    backoff_base_s: float
    backoff_cap_s: float
    settle_s: float = 5.0
    unmapped_s: float = 3600.0


def backoff_ms(attempts: int, figures: Figures, rand: Callable[[], float]) -> int:
    """Full jitter: uniform(0, min(cap, base · 2ⁿ)), milliseconds."""
    ceiling = min(figures.backoff_cap_s, figures.backoff_base_s * 2.0 ** min(attempts, 30))
    return int(rand() * ceiling * 1000)


def settle(
    claimed: Claim, ref: ExternalRef | None, ending: Ending, figures: Figures, rand: Callable[[], float] = random.random
) -> Verdict | None:
    """Writes the end of a try. None when the row was not ours any more: then only the Attempt is added to."""
    try:
        if _is_done(claimed, ref, ending):
            return VERDICTS[ending.fact]
        with transaction.atomic():
            return _settle(claimed, ref, ending, figures, rand)
    except IntegrityError:
        # Another record of ours was linked to the same provider record between our look and this commit.
        if not ending.acknowledged or not _linked_elsewhere(ref, ending.external_id):
            raise
        clash = Ending(
            fact=Fact.MAPPED_ELSEWHERE,
            message=f"{ending.external_id} is linked to another record",
            calls=ending.calls,
            started_ms=ending.started_ms,
            sent_ms=ending.sent_ms,
            requests=ending.requests,
        )
        with transaction.atomic():
            return _settle(claimed, ref, clash, figures, rand)


def _is_done(claimed: Claim, ref: ExternalRef | None, ending: Ending) -> bool:
    """Whether the most frequent end, a write that was understood, was written in one round trip."""
    understood = ending.fact is Fact.UNDERSTOOD and ending.acknowledged and ending.sent_ms is not None
    if not understood or ending.circuit_open or ref is None or not postgresql.can():
        return False
    verdict = VERDICTS[ending.fact]
    values = {
        "state": verdict.state,
        "reason": verdict.reason,
        **_told(ending),
        "external_id": ending.external_id,
        "version": ending.version,
        "digest": ending.digest,
        "body": ending.body,
    }
    return postgresql.settle_done(claimed.operation.pk, claimed.token, ref.pk, values)


def _linked_elsewhere(ref: ExternalRef | None, external_id: str | None) -> bool:
    if ref is None:
        return False
    others = ExternalRef.objects.filter(
        connection_id=ref.connection_id, resource=ref.resource, external_id=external_id
    ).exclude(pk=ref.pk)
    return others.exists()


def _settle(
    claimed: Claim, ref: ExternalRef | None, ending: Ending, figures: Figures, rand: Callable[[], float]
) -> Verdict | None:
    now = db_now()
    operation = Operation.objects.select_for_update().get(pk=claimed.operation.pk)
    if operation.token != claimed.token or operation.state != State.LEASED:
        Attempt.objects.filter(operation=operation, token=claimed.token, outcome="worker_lost").update(
            message=f"late answer: {ending.fact} {ending.external_id or ''}"[:MESSAGE_LENGTH],
            status=ending.status,
            request_id=readable(ending.request_id)[:80],
        )
        return None
    row = row_of(operation)
    verdict = decide(
        ending.fact,
        in_doubt=row.in_doubt,
        sent=ending.sent_ms is not None,
        attempts=row.attempts,
        max_attempts=figures.max_attempts,
        circuit_open=ending.circuit_open,
    )
    if ending.unmapped_id is not None and _given_meanwhile(operation, ending.unmapped_id):
        ending = replace(ending, until_ms=now)
    until = _due_ms(verdict, row, ending, figures, now, rand)
    new = states.settle(row, claimed.token, verdict, until_ms=until)
    terminal = new.state in states.TERMINAL
    Operation.objects.filter(pk=operation.pk).update(
        **columns_of(new),
        message=readable(ending.message)[:MESSAGE_LENGTH],
        settled_ms=now if terminal else None,
    )
    _write_attempt(claimed, ending, verdict, now)
    _write_ref(ref, ending)
    if terminal:
        release(operation, new)
    _hold(operation.connection_id, verdict, ending, until, now)
    return verdict


def _given_meanwhile(operation: Operation, agent_id: int) -> bool:
    """Whether a person decided while we held the row, looking for rows that wait: the agent was mapped, or it was
    cancelled. Then it goes on at once."""
    if operation.cancel_requested:
        return True
    if AgentUser.objects.filter(connection_id=operation.connection_id, agent_id=agent_id).exists():
        return True
    return Connection.objects.filter(pk=operation.connection_id, assigns=False).exists()


def _due_ms(
    verdict: Verdict, row: states.Row, ending: Ending, figures: Figures, now: int, rand: Callable[[], float]
) -> int:
    if verdict.due is Due.UNTIL:
        if ending.until_ms is not None:
            return max(ending.until_ms, now)
        return now + int((ending.retry_after_s or 1.0) * 1000)
    if verdict.due is Due.BACKOFF:
        if ending.retry_after_s is not None:
            return now + int(ending.retry_after_s * 1000)
        return now + backoff_ms(row.attempts, figures, rand)
    if verdict.due is Due.SETTLE:
        sent = ending.sent_ms or row.sent_ms or now
        earliest = sent + int((figures.total_deadline_s + ending.settle_s) * 1000)
        return max(earliest, now) + backoff_ms(max(row.attempts - 1, 0), figures, rand)
    return now


def _write_attempt(claimed: Claim, ending: Ending, verdict: Verdict, now: int) -> None:
    """Fills the Attempt made with `sent_ms`, or adds one for a try that only asked; none for a try that did nothing."""
    values = {**_told(ending), "ended_ms": now}
    if ending.sent_ms is not None:
        Attempt.objects.filter(operation=claimed.operation, token=claimed.token, ended_ms=None).update(**values)
    elif ending.calls:
        Attempt.objects.create(
            operation=claimed.operation,
            connection_id=claimed.operation.connection_id,
            token=claimed.token,
            version=ending.version,
            digest=ending.digest,
            started_ms=ending.started_ms or now,
            **values,
        )


def _told(ending: Ending) -> dict[str, object]:
    """What an Attempt keeps of its end."""
    return {
        "outcome": str(ending.fact),
        "status": ending.status,
        "request_id": readable(ending.request_id)[:80],
        "message": readable(ending.message)[:MESSAGE_LENGTH],
        "calls": ending.calls,
        "requests": list(ending.requests),
    }


def _write_ref(ref: ExternalRef | None, ending: Ending) -> None:
    if ref is None:
        return
    mine = ExternalRef.objects.filter(pk=ref.pk)
    if ending.fact is Fact.GONE:
        nothing = {"external_id": None, "acked_digest": None, "acked_version": None, "acked_body": None}
        mine.update(**nothing, gone_at=timezone.now())
    elif ending.acknowledged:
        mine.update(
            external_id=ending.external_id,
            acked_version=ending.version,
            acked_digest=ending.digest,
            acked_body=ending.body,
            gone_at=None,
        )


def release(operation: Operation, new: states.Row) -> None:
    """After a terminal state: lets those go on that waited for it.

    A dead or cancelled predecessor keeps others waiting visibly, except a newer version of its own record: that
    supersedes it, unless something of it is in doubt. One that ended by a person's decision about the record does not:
    what waited for it is asked for itself whether it should still stand.
    """
    edges = OperationDependency.objects.filter(needs=operation, settled=False)
    if new.state in ("dead", "cancelled") and new.reason not in DECIDED:
        if new.in_doubt:
            return
        edges = edges.filter(
            operation__entity_type=operation.entity_type,
            operation__entity_id=operation.entity_id,
            operation__kind=operation.kind,
        )
        newer = edges.values_list("operation_id", flat=True).first()
        if newer is None:
            return
        if new.state == "dead":
            Operation.objects.filter(pk=operation.pk).update(state=State.SUPERSEDED, reason="newer_version")
        move_edges(operation.pk, newer)
    # Locked, and read as they are then: a person may skip the same predecessor at this moment.
    mine = list(edges.select_for_update().order_by("pk").values_list("pk", "operation_id"))
    waiting = [operation_id for _, operation_id in mine]
    if waiting:
        OperationDependency.objects.filter(pk__in=[pk for pk, _ in mine]).update(settled=True)
        Operation.objects.filter(pk__in=waiting).update(blockers=F("blockers") - 1)


def move_edges(old_id: int, new_id: int) -> None:
    """Whoever waited for the old version of a record now waits for the new one."""
    edges = OperationDependency.objects.filter(needs_id=old_id, settled=False).exclude(operation_id=new_id)
    for edge in edges:
        _, made = OperationDependency.objects.get_or_create(operation_id=edge.operation_id, needs_id=new_id)
        if not made:  # it waits for the new one already: one blocker less
            Operation.objects.filter(pk=edge.operation_id).update(blockers=F("blockers") - 1)
    edges.delete()


def _hold(connection_id: int, verdict: Verdict, ending: Ending, until_ms: int, now: int) -> None:
    """What the try said about the whole connection."""
    if verdict.hold is Hold.AUTH:
        ask_to_sign_in(connection_id, ending.message, credentials_version=ending.credentials_version)
    elif verdict.hold is Hold.UNTIL:
        until = ending.until_ms if ending.until_ms is not None else until_ms
        hold(connection_id, verdict.reason, until, now)
    if ending.circuit_open and ending.circuit_until_ms is not None:
        hold(connection_id, "circuit_open", ending.circuit_until_ms, now)


def ask_to_sign_in(connection_id: int, message: str, *, credentials_version: int | None = None) -> None:
    """Stops the connection until a person signs in; on record, for staff ask who stopped it.

    Credentials given since the refused ones (`credentials_version`) were used are left alone: they are tried first.
    """
    active = Connection.objects.filter(pk=connection_id, state=ConnectionState.ACTIVE)
    if credentials_version is not None:
        active = active.filter(secrets_version=credentials_version)
    if active.update(state=ConnectionState.AUTH_NEEDED, state_reason=message[:200]):
        AuditEvent.objects.create(
            via=AuditEvent.Via.SYSTEM,
            verb="auth_needed",
            object_type="connection",
            object_id=connection_id,
            after={"state": ConnectionState.AUTH_NEEDED},
            reason=message[:500],
        )


def hold(connection_id: int, reason: str, until_ms: int, now: int) -> None:
    """Claims skip the connection until `until_ms`; a longer hold is never shortened. The spell goes on record."""
    shorter = Connection.objects.filter(pk=connection_id, hold_until_ms__lt=until_ms)
    if shorter.update(hold_reason=reason, hold_until_ms=until_ms):
        _remember(connection_id, reason, until_ms, now)


def _remember(connection_id: int, reason: str, until_ms: int, now: int) -> None:
    """One row a spell, however often the gate says no in it: a window that fills up again and again is one."""
    spell = ConnectionHold.objects.filter(connection_id=connection_id).order_by("-began_ms", "-id").first()
    if spell is None or spell.reason != reason or spell.until_ms + SPELL_GAP_MS < now:
        ConnectionHold.objects.create(connection_id=connection_id, reason=reason, began_ms=now, until_ms=until_ms)
    elif until_ms > spell.until_ms + SPELL_STEP_MS:
        ConnectionHold.objects.filter(pk=spell.pk).update(until_ms=until_ms)
