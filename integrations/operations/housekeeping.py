"""Deleting what is past its keeping time, in small batches; missing a run or running twice does no harm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from integrations.models import (
    OPEN,
    Attempt,
    BulkItem,
    BulkRun,
    ConnectionHold,
    Delivery,
    Operation,
    OperationDependency,
    State,
)

BATCH = 1_000
_PURGED = (State.SUCCEEDED, State.IGNORED, State.SUPERSEDED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows went."""

    operations: int
    attempts: int


def purge(now: datetime) -> Purged:
    """Settled operations after REANNA_KEEP_OPERATIONS_DAYS, attempts after REANNA_KEEP_ATTEMPTS_DAYS.

    Webhooks that are settled go with the operations.

    With the attempts go spells in which a connection was held and bulk changes that ended; plans for one that nobody
    confirmed go after a day.

    Kept whatever their age: what is dead (a person has not decided), what an open operation still hangs on, and the
    newest operation of each record at a connection, by which planning knows what the CRM was told last.
    """
    operations = _in_batches(lambda: _purge_operations(_ms(now, settings.REANNA_KEEP_OPERATIONS_DAYS)))
    attempts = _in_batches(lambda: _purge_attempts(_ms(now, settings.REANNA_KEEP_ATTEMPTS_DAYS)))
    _purge_bulk(now)
    _in_batches(lambda: _purge_deliveries(_ms(now, settings.REANNA_KEEP_OPERATIONS_DAYS)))
    ConnectionHold.objects.filter(until_ms__lt=_ms(now, settings.REANNA_KEEP_ATTEMPTS_DAYS)).delete()
    return Purged(operations, attempts)


def _ms(now: datetime, days: int) -> int:
    return int((now - timedelta(days=days)).timestamp() * 1000)


def _in_batches(one: Callable[[], int]) -> int:
    total = 0
    while done := one():
        total += done
    return total


def _purge_operations(before_ms: int) -> int:
    with transaction.atomic():
        ids = list(_purgeable(before_ms).order_by("pk").values_list("pk", flat=True)[:BATCH])
        for part in _slices(ids):
            OperationDependency.objects.filter(Q(needs__in=part) | Q(operation__in=part)).delete()
            Attempt.objects.filter(operation__in=part).delete()
            Operation.objects.filter(pk__in=part).delete()
        return len(ids)


def _purgeable(before_ms: int) -> Any:
    same = {name: OuterRef(name) for name in ("connection", "kind", "entity_type", "entity_id")}
    newer = Operation.objects.filter(**same, pk__gt=OuterRef("pk"), version__gte=OuterRef("version"))
    waiting = OperationDependency.objects.filter(needs=OuterRef("pk"), operation__state__in=OPEN)
    redriven = Operation.objects.filter(root=OuterRef("pk"))
    settled = Operation.objects.filter(state__in=_PURGED, settled_ms__lt=before_ms)
    return settled.filter(Exists(newer)).exclude(Exists(waiting)).exclude(Exists(redriven))


def _purge_attempts(before_ms: int) -> int:
    with transaction.atomic():
        old = Attempt.objects.filter(started_ms__lt=before_ms, operation__state__in=_PURGED)
        ids = list(old.order_by("pk").values_list("pk", flat=True)[:BATCH])
        for part in _slices(ids):
            Attempt.objects.filter(pk__in=part).delete()
        return len(ids)


def _purge_bulk(now: datetime) -> None:
    planned, ended = BulkRun.State.PLANNED, (BulkRun.State.DONE, BulkRun.State.STOPPED)
    forgotten = Q(state=planned, created_at__lt=now - timedelta(days=1))
    old = Q(state__in=ended, created_at__lt=now - timedelta(days=settings.REANNA_KEEP_ATTEMPTS_DAYS))
    for run in BulkRun.objects.filter(forgotten | old):
        _in_batches(lambda run=run: _purge_items(run))  # type: ignore[misc]  # a default binds the loop's variable
        run.delete()


def _purge_items(run: BulkRun) -> int:
    ids = list(run.items.order_by("pk").values_list("pk", flat=True)[:BATCH])
    for part in _slices(ids):
        BulkItem.objects.filter(pk__in=part).delete()
    return len(ids)


def _purge_deliveries(before_ms: int) -> int:
    """Webhooks that are settled; what waits for a person, is dead or in conflict stays."""
    settled = Delivery.objects.filter(
        state__in=(Delivery.State.DONE, Delivery.State.IGNORED), received_ms__lt=before_ms, conflicts__isnull=True
    )
    ids = list(settled.order_by("pk").values_list("pk", flat=True)[:BATCH])
    for part in _slices(ids):
        Delivery.objects.filter(pk__in=part).delete()
    return len(ids)


def _slices(ids: list[int]) -> list[list[int]]:
    """SQLite takes a limited number of parameters in one statement."""
    return [ids[at : at + 500] for at in range(0, len(ids), 500)]
