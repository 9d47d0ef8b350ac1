"""The doorbell: after commit, once per connection, never at the cost of the person saving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from kombu.exceptions import OperationalError

from integrations import reach, tasks
from reanna.celery import app


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the broker was given. Only the publish is replaced: tests have no broker."""
    calls: list[int] = []
    monkeypatch.setattr(tasks.drain, "apply_async", lambda args, **_: calls.append(args[0]))
    monkeypatch.setattr(tasks, "doorbell", tasks.Doorbell())
    return calls


@pytest.mark.django_db(transaction=True)
def test_it_rings_after_the_commit(rung: list[int]) -> None:
    with transaction.atomic():
        tasks.ring_after_commit(7)
        assert rung == []
    assert rung == [7]


@pytest.mark.django_db(transaction=True)
def test_it_rings_once_for_each_connection_of_a_commit(rung: list[int]) -> None:
    with transaction.atomic():
        for connection_id in (7, 8, 7):
            tasks.ring_after_commit(connection_id)
    assert rung == [7, 8]


@pytest.mark.django_db(transaction=True)
def test_a_rollback_rings_nothing_and_the_next_commit_rings_again(rung: list[int]) -> None:
    with transaction.atomic():
        tasks.ring_after_commit(7)
        transaction.set_rollback(True)
    assert rung == []
    with transaction.atomic():
        tasks.ring_after_commit(7)
    assert rung == [7]


def fail(error: Exception) -> Callable[..., Any]:
    def publish(**_: Any) -> None:
        raise error

    return publish


@pytest.mark.parametrize(
    "error", [OperationalError("away"), ConnectionError("reset"), TimeoutError("frozen"), ValueError("a defect")]
)
def test_a_broker_that_fails_is_not_the_savers_trouble(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    bell = tasks.Doorbell()
    monkeypatch.setattr(tasks.drain, "apply_async", fail(error))
    assert bell.ring(7) is False
    assert bell.missed == 1


def test_after_a_failure_it_keeps_quiet_for_a_while(rung: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    bell = tasks.Doorbell()
    now = [100.0]
    monkeypatch.setattr(tasks.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(reach, "redis", reach.Reach(lambda: now[0]))
    with monkeypatch.context() as broken:
        broken.setattr(tasks.drain, "apply_async", fail(OperationalError("away")))
        bell.ring(7)
    assert bell.ring(7) is False
    now[0] += 5.1
    assert bell.ring(7) is True
    assert rung == [7]


def test_a_silent_broker_is_waited_for_once_and_no_longer_than_the_gate_is() -> None:
    with app.connection_for_write() as broker:
        options = broker.transport_options
        assert (options["socket_timeout"], options["socket_connect_timeout"], broker.connect_timeout) == (0.5,) * 3
    with app.connection_for_read() as broker:
        assert broker.transport_options["socket_timeout"] == 1.0


def test_every_task_takes_ids_only() -> None:
    assert tasks.drain.name == "integrations.drain"
    annotations = tasks.drain.run.__annotations__
    assert annotations["connection_id"] == "int"
