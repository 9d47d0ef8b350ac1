"""After the database was restored from a backup: what was sent since is not known here, so everything looks first.

The database says what was acknowledged when the backup was made; the CRMs may have been told more. Until a person says
go nothing is sent. Then whatever is open, and every record that may have been touched, is looked up in its CRM before
anything is written. Run again after it was interrupted, it goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from integrations.engine.clock import db_now
from integrations.engine.kinds import KINDS
from integrations.models import (
    OPEN,
    Attempt,
    Connection,
    ConnectionState,
    ExternalRef,
    GateMode,
    Lease,
    Operation,
    State,
    TourStop,
    TrickleScope,
    WorkerProcess,
)
from integrations.tasks import ring_after_commit

from . import audit
from .audit import Who
from .refusals import NotPossible

RAISED_BY = 1_000
"""Tokens rise by so much: a process of the time before the restore holds none that is valid."""

BATCH = 200
REASON = "restored"
_KIND_OF = {row.resource: row for row in KINDS.values()}


@dataclass(frozen=True, slots=True)
class Plan:
    """What `restore` would do. `operations`: open ones by state; `refs`: records that are looked up, by connection."""

    since: datetime
    until: datetime
    operations: dict[str, int]
    refs: dict[str, int]


def plan(since: datetime, until: datetime) -> Plan:
    """Changes nothing. Raises NotPossible for a window that ends before it begins."""
    if until <= since:
        raise NotPossible("The window must end after it begins.")
    states = Operation.objects.open().order_by().values_list("state").annotate(Count("pk"))
    labels = dict(Connection.objects.values_list("pk", "label"))
    counts: dict[str, int] = {}
    for ref in _touched(since, until).values_list("connection_id", flat=True):
        counts[labels[ref]] = counts.get(labels[ref], 0) + 1
    return Plan(since, until, dict(sorted(states)), dict(sorted(counts.items())))


def restore(since: datetime, until: datetime, who: Who) -> Plan:
    """Stops sending until `go`, and puts in doubt what `plan` counts. Raises NotPossible."""
    wanted = plan(since, until)
    now = db_now()
    with transaction.atomic():
        # First of all, and by itself: whatever happens from here on, nothing is sent.
        values = {"mode": GateMode.Mode.BACK, "since_ms": now, "sealed_ms": 0, "paused_ms": now, "restored_ms": now}
        row, _ = GateMode.objects.update_or_create(pk=1, defaults=values)
        TrickleScope.objects.all().delete()
        told = {"since": since, "until": until, "operations": sum(wanted.operations.values())}
        audit.record(
            "restore", row, actor=who.actor, via=who.via, reason=who.reason,
            after={**told, "records": sum(wanted.refs.values())},
        )  # fmt: skip
    Lease.objects.update(until_ms=0, owner="")
    WorkerProcess.objects.all().delete()
    Connection.objects.update(refresh_owner="", refresh_until_ms=0, hold_until_ms=0)
    _doubt_operations(now)
    for connection_id in Connection.objects.values_list("pk", flat=True):
        _doubt_refs(connection_id, since, until, now)
    return wanted


def paused_since() -> int:
    """Since when (ms) a person has to say go; 0: not."""
    return GateMode.objects.filter(pk=1).values_list("paused_ms", flat=True).first() or 0


@transaction.atomic
def go(who: Who) -> bool:
    """Sending goes on. False when nothing was stopped: safe under double clicks."""
    if not GateMode.objects.filter(pk=1, paused_ms__gt=0).update(paused_ms=0):
        return False
    audit.record("restore.go", GateMode.objects.get(pk=1), actor=who.actor, via=who.via, reason=who.reason)
    for pk in Connection.objects.filter(state=ConnectionState.ACTIVE).values_list("pk", flat=True):
        ring_after_commit(pk)
    return True


def _doubt_operations(now: int) -> None:
    """Every open operation: in doubt, due, in nobody's hand. Questions that only a person can answer stay."""
    asked = Q(state=State.NEEDS_PERSON) & ~Q(reason="changed_at_provider")
    doubted: dict[str, Any] = {
        "in_doubt": True,
        "sent_ms": now,
        "token": F("token") + RAISED_BY,
        "lease_owner": "",
        "lease_until_ms": None,
        "entered": False,
        "strikes": 0,
    }
    for ids in _batches(Operation.objects.open().order_by("pk").values_list("pk", flat=True)):
        rows = Operation.objects.filter(pk__in=ids, state__in=OPEN)
        with transaction.atomic():
            rows.filter(asked).update(**doubted)
            rows.exclude(asked).update(**doubted, state=State.UNKNOWN, reason=REASON, attempts=0, due_ms=now)


def _doubt_refs(connection_id: int, since: datetime, until: datetime, now: int) -> None:
    """Every link that may have been touched: what the CRM acknowledged is not known, and it is looked up once."""
    touched = _touched(since, until).filter(connection_id=connection_id).order_by("pk")
    for ids in _batches(touched.values_list("pk", flat=True)):
        with transaction.atomic():
            refs = list(ExternalRef.objects.select_for_update().filter(pk__in=ids))
            ExternalRef.objects.filter(pk__in=ids).update(acked_digest=None)
            Operation.objects.bulk_create(_looks(refs, now), ignore_conflicts=True)


def _looks(refs: list[ExternalRef], now: int) -> Iterator[Operation]:
    """An operation in doubt for each link that has none open: nothing is written before it was looked up."""
    for ref in refs:
        kind = _KIND_OF.get(ref.resource)
        if kind is None or ref.external_id is None:
            continue
        mine = Operation.objects.filter(
            connection_id=ref.connection_id, entity_type=ref.entity_type, entity_id=ref.entity_id, kind=kind.name
        )
        newest = mine.order_by("-version", "-pk").first()
        if newest is None or newest.state not in (State.SUCCEEDED, State.IGNORED):
            continue
        yield Operation(
            op_key=f"{ref.connection_id}:{kind.name}:{ref.entity_type}:{ref.entity_id}:v{newest.version}:r{now}",
            connection_id=ref.connection_id,
            kind=kind.name,
            entity_type=ref.entity_type,
            entity_id=ref.entity_id,
            version=newest.version,
            priority=newest.priority,
            state=State.UNKNOWN,
            reason=REASON,
            in_doubt=True,
            sent_ms=now,
            token=RAISED_BY,
            due_ms=now,
        )


def _touched(since: datetime, until: datetime) -> QuerySet[ExternalRef]:
    """Links made, changed or written through in the window, and those of showings that were not over when it began."""
    window_ms = (int(since.timestamp() * 1000), int(until.timestamp() * 1000))
    window = (since, until)
    tried = Attempt.objects.filter(started_ms__range=window_ms).values("operation_id")
    worked = Operation.objects.filter(
        Q(pk__in=tried) | Q(settled_ms__range=window_ms) | Q(created_at__range=window),
        connection=OuterRef("connection"),
    )
    same = worked.filter(entity_type=OuterRef("entity_type"), entity_id=OuterRef("entity_id"))
    ahead = TourStop.objects.filter(appointment_end__gte=since).values("pk")
    return ExternalRef.objects.filter(
        Q(created_at__range=window)
        | Q(updated_at__range=window)
        | Exists(same)
        | Q(entity_type="stop", entity_id__in=ahead)
    )


def _batches(ids: Iterable[int]) -> Iterator[list[int]]:
    rows = list(ids)
    for at in range(0, len(rows), BATCH):
        yield rows[at : at + BATCH]
