"""Finding work without a doorbell: leases that ran out, connections with due rows, when to look next."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Subquery

from integrations.models import Connection, ConnectionState, GateMode, Operation, WorkerProcess

from . import claims
from .clock import db_now
from .settling import Figures

WORKER_FORGOTTEN_MS = 86_400_000


def recover_all(figures: Figures) -> int:
    """Ends every lease that ran out. Returns how many."""
    settle_ms = int((figures.total_deadline_s + figures.settle_s) * 1000)
    total = 0
    while True:
        changed = claims.recover(db_now(), settle_ms=settle_ms)
        total += len(changed)
        if not changed:
            return total


def schedule() -> dict[int, int]:
    """For each connection that may send: when (ms) its next row is due. A time in the past means now. One query."""
    rows = Operation.objects.claimable().filter(connection_id=OuterRef("pk")).order_by("due_ms")
    active = Connection.objects.filter(state=ConnectionState.ACTIVE)
    active = active.exclude(Exists(GateMode.objects.filter(pk=1, paused_ms__gt=0))).order_by("pk")
    found = active.values_list("pk", "hold_until_ms", Subquery(rows.values("due_ms")[:1]))
    return {pk: max(first, hold_until) for pk, hold_until, first in found if first is not None}


def report_alive(name: str, started_ms: int) -> None:
    """Says that this process lives; forgets processes not seen for a day."""
    now = db_now()
    WorkerProcess.objects.update_or_create(name=name, defaults={"seen_ms": now, "started_ms": started_ms})
    WorkerProcess.objects.filter(seen_ms__lt=now - WORKER_FORGOTTEN_MS).delete()
