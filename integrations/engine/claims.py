"""Moves of operation rows in the database: claim, mark sent, hand back, heartbeat, recover.

Every move is a compare-and-set UPDATE whose row count is read: whoever gets 0 rows does not hold the row any more.
`states.py` says what each move changes; a property test holds the two together. Times are milliseconds, UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import BigIntegerField, Case, Exists, F, OuterRef, QuerySet, Subquery, Value, When

from integrations.models import CLAIMABLE, Attempt, Connection, ConnectionState, ExternalRef, GateMode, Operation, State

from . import postgresql, states
from .clock import db_now


class LeaseLost(Exception):
    """The row is not ours any more: nothing may be sent or settled by us."""


class CancelAsked(Exception):
    """A person asked to cancel while we held the row, and nothing was sent yet."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claimed operation. `lease_end` is on this process's monotonic clock, seconds, and errs early."""

    operation: Operation
    owner: str
    lease_end: float

    @property
    def token(self) -> int:
        return self.operation.token


def row_of(operation: Operation) -> states.Row:
    """The operation's columns as the pure state machine's row."""
    return states.Row(
        state=operation.state,
        reason=operation.reason,
        in_doubt=operation.in_doubt,
        blockers=operation.blockers,
        token=operation.token,
        lease_until_ms=operation.lease_until_ms,
        entered=operation.entered,
        sent_ms=operation.sent_ms,
        attempts=operation.attempts,
        waits=operation.waits,
        strikes=operation.strikes,
        due_ms=operation.due_ms,
        cancel_requested=operation.cancel_requested,
        redrive_no=operation.redrive_no,
    )


def columns_of(row: states.Row) -> dict[str, object]:
    """The pure row as columns to UPDATE."""
    return {name: getattr(row, name) for name in states.Row.__slots__}


def due(now_ms: int) -> QuerySet[Operation]:
    """Operations that could be claimed at `now_ms`, whatever their connection says."""
    return Operation.objects.claimable().filter(due_ms__lte=now_ms)


def sending(now_ms: int) -> QuerySet[Connection]:
    """Connections that may send at `now_ms`: active and not held, unless a person has to say go first."""
    active = Connection.objects.filter(state=ConnectionState.ACTIVE, hold_until_ms__lte=now_ms)
    return active.exclude(Exists(GateMode.objects.filter(pk=1, paused_ms__gt=0)))


def claim(connection_id: int, owner: str, limit: int, lease_ms: int, monotonic: float) -> list[Claim]:
    """Takes up to `limit` due operations of one connection. One short transaction.

    `monotonic` was read before the call, so that `lease_end` errs early.
    """
    if postgresql.can():
        rows = postgresql.claim(connection_id, owner, limit, lease_ms)
    else:
        rows = _claim_in_steps(connection_id, owner, limit, lease_ms)
    return [Claim(row, owner, monotonic + lease_ms / 1000) for row in rows]


def _claim_in_steps(connection_id: int, owner: str, limit: int, lease_ms: int) -> list[Operation]:
    with transaction.atomic():
        now = db_now()
        first = Subquery(_priorities(OuterRef("pk"))[:1])
        found = sending(now).filter(pk=connection_id).values_list(first).first()
        ids = _choose(connection_id, found[0], limit, now) if found else []
        if not ids:
            return []
        held = Operation.objects.filter(pk__in=ids, state__in=CLAIMABLE, blockers=0).update(
            state=State.LEASED,
            token=F("token") + 1,
            lease_owner=owner,
            lease_until_ms=now + lease_ms,
            entered=False,
            sent_ms=Case(When(in_doubt=True, then=F("sent_ms")), default=Value(None), output_field=BigIntegerField()),
            attempts=F("attempts") + 1,
        )
        rows = list(Operation.objects.filter(pk__in=ids, lease_owner=owner, state=State.LEASED))
    if held != len(rows):
        raise LeaseLost(f"claimed {held}, read {len(rows)}")
    order = {pk: place for place, pk in enumerate(ids)}
    rows.sort(key=lambda row: order[row.pk])
    return rows


def _choose(connection_id: int, priority: int | None, limit: int, now: int) -> list[int]:
    """Ids in claim order: one per entity and kind, none whose sibling is leased, a suspect only alone.

    Priority by priority (`priority`: the most urgent), each in the order of the index: neither what is due later nor
    what is due and not taken is read, however much of either there is.
    """
    seen: set[tuple[Any, ...]] = set()
    ids: list[int] = []
    left = limit
    while priority is not None:
        rows = list(_due_at(connection_id, priority, now)[:left])
        for pk, strikes, *entity in rows:
            if strikes >= states.ALONE_STRIKES:
                return ids or [pk]
            if (which := tuple(entity)) not in seen:
                seen.add(which)
                ids.append(pk)
        left -= len(rows)
        priority = _priorities(connection_id).filter(priority__gt=priority).first() if left else None
    return ids


def _priorities(connection_id: int | OuterRef) -> QuerySet[Operation, int]:
    """Of what may be claimed some time, the most urgent first; the first is one look at the index."""
    rows = Operation.objects.claimable().filter(connection_id=connection_id).order_by("priority")
    return rows.values_list("priority", flat=True)


def _due_at(connection_id: int, priority: int, now: int) -> QuerySet[Operation, Any]:
    sibling = Operation.objects.filter(
        connection_id=connection_id,
        entity_type=OuterRef("entity_type"),
        entity_id=OuterRef("entity_id"),
        kind=OuterRef("kind"),
        state=State.LEASED,
    )
    rows = Operation.objects.claimable().filter(connection_id=connection_id, priority=priority, due_ms__lte=now)
    rows = rows.exclude(Exists(sibling)).order_by("due_ms", "id")
    return rows.values_list("pk", "strikes", "entity_type", "entity_id", "kind")


def enter(claimed: Claim) -> None:
    """Says that work on a suspect (a row with strikes) begins, so that a further loss is surely its own."""
    held = Operation.objects.filter(pk=claimed.operation.pk, token=claimed.token, state=State.LEASED)
    if held.update(entered=True) != 1:
        raise LeaseLost(str(claimed.operation.pk))


def mark_sent(
    claimed: Claim, *, ref: ExternalRef, version: int, digest: str, started_ms: int, found_id: str | None = None
) -> int:
    """Commits that a write is about to leave us: the row, the Attempt, and the ref's acknowledged digest to NULL.

    `found_id`: what a look-up found, and the write changes. It is linked here: should the CRM definitely refuse the
    write, nothing is in doubt any more, nobody looks again, and what is not linked would be created once more.
    Returns the time written. Raises LeaseLost or CancelAsked; then nothing was written and nothing may be sent.
    """
    operation = claimed.operation
    if postgresql.can():
        sent_ms = postgresql.mark_sent(
            operation.pk,
            claimed.token,
            ref_id=ref.pk,
            version=version,
            digest=digest,
            started_ms=started_ms,
            found_id=found_id,
        )
        if sent_ms is None:
            raise _why_not(claimed)
        return sent_ms
    with transaction.atomic():
        now = db_now()
        held = Operation.objects.filter(pk=operation.pk, token=claimed.token, state=State.LEASED)
        if (
            held.filter(cancel_requested=False, lease_until_ms__gt=now).update(sent_ms=now, in_doubt=True, entered=True)
            != 1
        ):
            raise _why_not(claimed)
        Attempt.objects.create(
            operation=operation,
            connection_id=operation.connection_id,
            token=claimed.token,
            version=version,
            digest=digest,
            started_ms=started_ms,
            sent_ms=now,
        )
        linked = {} if found_id is None else {"external_id": found_id}
        ExternalRef.objects.filter(pk=ref.pk).update(acked_digest=None, **linked)
    return now


def _why_not(claimed: Claim) -> LeaseLost | CancelAsked:
    """Why a row could not be marked."""
    held = Operation.objects.filter(pk=claimed.operation.pk, token=claimed.token, state=State.LEASED)
    asked = held.filter(cancel_requested=True).exists()
    return CancelAsked(str(claimed.operation.pk)) if asked else LeaseLost(str(claimed.operation.pk))


def hand_back(claims: Sequence[Claim]) -> int:
    """Gives the rest of a batch back in one UPDATE, attempts refunded, due times kept; rows in doubt stay in doubt."""
    if not claims:
        return 0
    return Operation.objects.filter(
        pk__in=[item.operation.pk for item in claims], lease_owner=claims[0].owner, state=State.LEASED
    ).update(
        state=Case(When(in_doubt=True, then=Value(State.UNKNOWN)), default=Value(State.PENDING)),
        reason="",
        lease_until_ms=None,
        entered=False,
        attempts=F("attempts") - 1,
    )


def extend(owner: str, lease_ms: int) -> int:
    """Heartbeat: pushes the end of every lease of one drain. Returns how many rows it still holds."""
    return Operation.objects.filter(lease_owner=owner, state=State.LEASED).update(lease_until_ms=db_now() + lease_ms)


def recover(now_ms: int, *, settle_ms: int, batch: int = 100) -> list[Operation]:
    """Ends leases that ran out (`settle_ms`: total deadline + settle). Returns the rows that changed."""
    with transaction.atomic():
        expired = Operation.objects.filter(state=State.LEASED, lease_until_ms__lte=now_ms).order_by("lease_until_ms")
        if database.vendor == "postgresql":
            expired = expired.select_for_update(skip_locked=True)
        changed = []
        for operation in expired[:batch]:
            old = row_of(operation)
            new = states.recover(old, now_ms, settled_at_ms=(old.sent_ms or 0) + settle_ms)
            held = Operation.objects.filter(pk=operation.pk, token=operation.token, state=State.LEASED)
            if held.filter(lease_until_ms__lte=now_ms).update(**columns_of(new)):
                Attempt.objects.filter(operation=operation, token=operation.token, ended_ms=None).update(
                    ended_ms=now_ms, outcome="worker_lost"
                )
                for name, value in columns_of(new).items():
                    setattr(operation, name, value)
                changed.append(operation)
    return changed
