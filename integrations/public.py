"""What other apps may ask of integrations (they see no models): plain data, read in a few queries."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count

from integrations.models import CLAIMABLE, Connection, GateMode, Operation, WorkerProcess

# A process that sends beats every 15 s; one that missed three beats is taken for dead.
SILENT_MS = 45_000


def engine_status(now: datetime) -> dict[str, Any]:
    """Operations by state and connection, the oldest that is due, the gate's mode, and the processes that send.

    Times are ISO 8601 in UTC, or None.
    """
    now_ms = int(now.timestamp() * 1000)
    by_connection: dict[int, dict[str, int]] = defaultdict(dict)
    totals: dict[str, int] = {}
    counted = Operation.objects.order_by().values_list("connection_id", "state").annotate(count=Count("id"))
    for connection_id, state, count in counted:
        by_connection[connection_id][state] = count
        totals[state] = totals.get(state, 0) + count
    return {
        "operations": dict(sorted(totals.items())),
        "connections": [
            _connection(connection, by_connection[connection.pk], now_ms)
            for connection in Connection.objects.defer("secrets")
        ],
        "oldest_due": _oldest_due(now_ms),
        "gate": _gate(),
        "workers": [
            {"name": each.name, "seen": _iso(each.seen_ms), "alive": now_ms - each.seen_ms < SILENT_MS}
            for each in WorkerProcess.objects.order_by("name")
        ],
    }


def _connection(connection: Connection, operations: dict[str, int], now_ms: int) -> dict[str, Any]:
    held = connection.hold_reason if connection.hold_until_ms > now_ms else ""
    return {
        "id": connection.pk,
        "label": connection.label,
        "provider": connection.provider,
        "state": connection.state,
        "held": held or None,
        "held_until": _iso(connection.hold_until_ms) if held else None,
        "operations": dict(sorted(operations.items())),
    }


def _oldest_due(now_ms: int) -> dict[str, Any] | None:
    """The operation that should have gone first of all and has not, whatever keeps it."""
    due = Operation.objects.filter(state__in=CLAIMABLE, blockers=0, due_ms__lte=now_ms)
    oldest = due.order_by("due_ms").values("id", "connection_id", "state", "reason", "due_ms").first()
    if oldest is None:
        return None
    due_ms = oldest.pop("due_ms")
    return {**oldest, "due": _iso(due_ms), "late_s": (now_ms - due_ms) // 1000}


def _gate() -> dict[str, Any]:
    row = GateMode.objects.first()
    if row is None:
        return {"mode": GateMode.Mode.NORMAL.value, "since": None, "detail": ""}
    if row.paused_ms:
        detail = "a backup was restored: manage.py restore_mode --go sends again"
        return {"mode": "paused", "since": _iso(row.paused_ms), "detail": detail}
    return {"mode": row.mode, "since": _iso(row.since_ms) if row.since_ms else None, "detail": row.detail}


def _iso(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="seconds")
