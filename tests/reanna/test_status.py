"""`manage.py status`: what it says of an installation, for people and for programs."""

from __future__ import annotations

import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from integrations.models import Connection, GateMode, Operation, WorkerProcess
from reanna.stack import runfile

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


@pytest.fixture
def connection() -> Connection:
    return Connection.objects.create(
        provider="gohighlevel",
        label="Main office",
        account_key="loc_1",
        sync_from=NOW,
        secrets={"token": "pit-very-secret"},
    )


def operation(connection: Connection, number: int, **values: Any) -> Operation:
    given = {"state": "pending", "due_ms": NOW_MS, "blockers": 0} | values
    return Operation.objects.create(
        op_key=f"key-{number}",
        connection=connection,
        kind="appointment.sync",
        entity_type="stop",
        entity_id=number,
        version=1,
        **given,
    )


def status(data: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, *options: str) -> str:
    settings.DATA_DIR = data
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    output = io.StringIO()
    call_command("status", *options, stdout=output)
    return output.getvalue()


def test_json_counts_operations_by_state_and_connection(
    connection: Connection, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Connection.objects.create(
        provider="gohighlevel", label="North", account_key="loc_2", sync_from=NOW, state="paused"
    )
    operation(connection, 1, state="succeeded")
    operation(connection, 2, state="succeeded")
    operation(connection, 3)
    operation(other, 4, state="dead")

    told = json.loads(status(tmp_path, settings, monkeypatch, "--json"))

    assert told["operations"] == {"dead": 1, "pending": 1, "succeeded": 2}
    assert [(each["label"], each["state"], each["operations"]) for each in told["connections"]] == [
        ("Main office", "active", {"pending": 1, "succeeded": 2}),
        ("North", "paused", {"dead": 1}),
    ]
    assert told["processes"] == []
    assert told["gate"] == {"mode": "normal", "since": None, "detail": ""}


def test_oldest_due_is_what_should_have_gone_first(
    connection: Connection, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation(connection, 1, due_ms=NOW_MS - 5_000)
    late = operation(connection, 2, due_ms=NOW_MS - 90_500, state="waiting", reason="rate_limited")
    operation(connection, 3, due_ms=NOW_MS - 200_000, blockers=1)
    operation(connection, 4, due_ms=NOW_MS - 200_000, state="succeeded")
    operation(connection, 5, due_ms=NOW_MS + 1)

    assert json.loads(status(tmp_path, settings, monkeypatch, "--json"))["oldest_due"] == {
        "id": late.pk,
        "connection_id": connection.pk,
        "state": "waiting",
        "reason": "rate_limited",
        "due": "2026-03-02T11:58:29+00:00",
        "late_s": 90,
    }


def test_processes_alive_are_listed_and_dead_ones_are_not(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runfile.write(tmp_path, "web", {"pid": os.getpid(), "command": "granian", "started": 1.0})
    (tmp_path / "run" / "worker.json").write_text('{"name": "worker", "pid": 1, "start_ticks": -1}')

    told = json.loads(status(tmp_path, settings, monkeypatch, "--json"))

    assert told["processes"] == [{"name": "web", "pid": os.getpid(), "command": "granian"}]


def test_words_for_a_person_name_what_waits_and_why(
    connection: Connection, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.hold_reason = "circuit_open"
    connection.hold_until_ms = NOW_MS + 60_000
    connection.save()
    due = operation(connection, 1, due_ms=NOW_MS - 3_000)
    GateMode.objects.create(mode="away", since_ms=NOW_MS - 1_000, detail="Connection refused")
    seen_ms = int((NOW - timedelta(minutes=5)).timestamp() * 1000)
    WorkerProcess.objects.create(name="host:1", started_ms=seen_ms, seen_ms=seen_ms)

    said = status(tmp_path, settings, monkeypatch)

    assert said.splitlines() == [
        "processes   none of this data folder (start: python3 manage.py up)",
        "worker      host:1, silent, last heard 2026-03-02T11:55:00+00:00",
        "gate        away since 2026-03-02T11:59:59+00:00 Connection refused",
        "operations  1 pending",
        "connection  Main office: active, held until 2026-03-02T12:01:00+00:00 (circuit_open); 1 pending",
        f"oldest due  operation {due.pk}, pending, due 2026-03-02T11:59:57+00:00, 3 s ago",
    ]


def test_no_secret_is_told(
    connection: Connection, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "pit-very-secret" not in status(tmp_path, settings, monkeypatch, "--json")
