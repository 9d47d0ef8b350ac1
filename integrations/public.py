"""What other apps may ask of integrations (they see no models): plain data, read in a few queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from integrations.models import Connection, GateMode, Operation, State, WorkerProcess
from integrations.operations import counting

# A process that sends beats every 15 s; one that missed three beats is taken for dead.
SILENT_MS = 45_000


def engine_status(now: datetime) -> dict[str, Any]:
    """Operations by state and connection, the oldest that is due, the gate's mode, and the processes that send.

    Times are ISO 8601 in UTC, or None. A number of operations is one of `counting`: beyond 10,000,
    or 1,000 for one connection, it says so in words.
    """
    now_ms = int(now.timestamp() * 1000)
    connections = list(Connection.objects.defer("secrets"))
    counted = counting.by_connection([each.pk for each in connections], State.values)
    return {
        "operations": dict(sorted(counting.by_state(State.values).items())),
        "connections": [_connection(each, counted.get(each.pk, {}), now_ms) for each in connections],
        "oldest_due": _oldest_due([each.pk for each in connections], now_ms),
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


def _oldest_due(connection_ids: Iterable[int], now_ms: int) -> dict[str, Any] | None:
    """The operation that should have gone first of all and has not, whatever keeps it.

    The first of each connection is the first entry of its index.
    """
    due = Operation.objects.claimable().filter(due_ms__lte=now_ms)
    heads = [due.filter(connection=pk).order_by("due_ms").values("pk")[:1] for pk in connection_ids]
    firsts = [Operation.objects.filter(pk__in=head).order_by() for head in heads]
    told = [rows.values("id", "connection_id", "state", "reason", "due_ms") for rows in firsts]
    found = list(told[0].union(*told[1:], all=True)) if told else []
    oldest = min(found, key=lambda row: (row["due_ms"], row["id"]), default=None)
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
