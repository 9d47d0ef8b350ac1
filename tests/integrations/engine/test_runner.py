"""The threads of a sending process: what wakes it, what it shares out, how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError

from integrations.engine import leases, process, sweep
from integrations.engine import runner as runner_module
from integrations.engine.clock import db_now
from integrations.engine.runner import Runner
from integrations.models import Connection, Lease, Operation, WorkerProcess
from tests.crm import Crm, make_connection, make_tour

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def running(crm: Crm) -> Iterator[Runner]:
    runner = Runner(crm.engine, threads=4, sweep_s=10.0)
    yield runner
    runner.stop(5)


def wait_for(condition: Any, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not happen")
        time.sleep(0.02)


def all_settled() -> bool:
    return not Operation.objects.exclude(state="succeeded").exists()


def test_due_rows_are_found_without_a_doorbell(crm: Crm, running: Runner, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow, stops=3))
    running.start()
    wait_for(all_settled)
    assert [op for op, _ in crm.appointments()] == ["create"] * 3


def test_a_row_due_in_a_moment_is_not_found_a_sweep_later(crm: Crm, running: Runner, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    Operation.objects.update(due_ms=db_now() + 700)
    running.start()
    wait_for(all_settled, 6.0)  # the next sweep is ten seconds away


def test_the_timer_sleeps_until_the_next_due_row(crm: Crm, running: Runner, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    Operation.objects.update(due_ms=db_now() + 3_000)
    assert 2.0 < running.hand_out() <= 3.0


def test_a_held_connection_is_looked_at_when_its_hold_ends(crm: Crm, running: Runner, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    Connection.objects.update(hold_until_ms=db_now() + 4_000)
    assert 3.0 < running.hand_out() <= 4.0


def test_connections_that_may_not_send_wake_nobody(crm: Crm, running: Runner, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    Connection.objects.update(state="paused")
    assert running.hand_out() == 10.0


def test_a_connection_gets_at_most_half_the_threads(crm: Crm, running: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, go = [0], [0], threading.Event()
    lock = threading.Lock()

    def slow_drain(engine: object, connection_id: int) -> Any:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        go.wait(5)
        with lock:
            inside[0] -= 1
        return runner_module.outbound.Drained()

    monkeypatch.setattr(runner_module.outbound, "drain", slow_drain)
    threads = [threading.Thread(target=running.drain, args=(1,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    wait_for(lambda: inside[0] == 2)
    go.set()
    for thread in threads:
        thread.join()
    assert most[0] == 2


def test_a_stopped_runner_sends_nothing_more(crm: Crm, running: Runner, tomorrow: datetime) -> None:
    running.stop(5)
    crm.plan(make_tour(tomorrow))
    running.drain(crm.connection.pk)
    assert crm.requests() == []


def test_the_sweep_recovers_what_a_lost_worker_held(crm: Crm, running: Runner, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    Operation.objects.filter(blockers=0).update(state="leased", lease_until_ms=1, token=1, attempts=1, lease_owner="x")
    running.sweep(db_now())
    assert crm.operation("contact.link").state == "pending"


def test_only_the_holder_of_the_sweepers_lease_recovers(crm: Crm, running: Runner, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    Operation.objects.filter(blockers=0).update(state="leased", lease_until_ms=1, token=1, attempts=1, lease_owner="x")
    assert leases.take("sweeper", "another", 60_000)
    running.sweep(db_now())
    assert crm.operation("contact.link").state == "leased"


def test_a_sweep_says_that_the_process_lives_and_forgets_the_old(crm: Crm, running: Runner) -> None:
    WorkerProcess.objects.create(name="gone", started_ms=0, seen_ms=0)
    running.sweep(db_now())
    assert list(WorkerProcess.objects.values_list("name", flat=True)) == [crm.engine.name]


def test_the_timer_goes_on_after_an_error_nobody_expected(
    crm: Crm, running: Runner, tomorrow: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = [False]

    def fail_once(point: str) -> None:
        if point == "in_sweep" and not failed[0]:
            failed[0] = True
            raise RuntimeError(point)

    crm.engine.observe = fail_once
    crm.plan(make_tour(tomorrow))
    running.start()
    wait_for(all_settled)
    assert failed == [True]


def test_a_lease_is_one_owners_until_it_ends(db: None) -> None:
    assert leases.take("job", "a", 60_000)
    assert not leases.take("job", "b", 60_000)
    assert leases.take("job", "a", 60_000)
    Lease.objects.update(until_ms=1)
    assert leases.take("job", "b", 60_000)


def test_giving_a_lease_up_lets_the_next_in(db: None) -> None:
    leases.take("job", "a", 60_000)
    leases.give_up("job", "a")
    assert leases.take("job", "b", 60_000)


def test_the_schedule_names_each_sending_connection_once(crm: Crm, tomorrow: datetime) -> None:
    other = make_connection(account_key="loc_other", config={"location_id": "loc_other", "calendar_id": "c"})
    crm.plan(make_tour(tomorrow, stops=2))
    Operation.objects.filter(connection=other).update(due_ms=77)
    Connection.objects.filter(pk=other.pk).update(hold_until_ms=99)
    assert sweep.schedule()[other.pk] == 99
    assert set(sweep.schedule()) == {crm.connection.pk, other.pk}


# --- heartbeat ----------------------------------------------------------------------------------------------------


def hold_one(crm: Crm, tomorrow: datetime) -> Any:
    from integrations.engine import claims

    crm.plan(make_tour(tomorrow))
    return claims.claim(crm.connection.pk, "me", 1, 60_000, crm.engine.monotonic())


def test_a_heartbeat_extends_the_leases_of_a_thread_at_work(crm: Crm, tomorrow: datetime) -> None:
    batch = hold_one(crm, tomorrow)
    Operation.objects.filter(lease_owner="me").update(lease_until_ms=5)
    with crm.engine.held("me", batch):
        crm.engine.beat()
    assert Operation.objects.get(lease_owner="me", state="leased").lease_until_ms > db_now()


def test_a_heartbeat_does_not_extend_for_a_thread_that_is_stuck(crm: Crm, tomorrow: datetime) -> None:
    batch = hold_one(crm, tomorrow)
    Operation.objects.filter(lease_owner="me").update(lease_until_ms=5)
    with crm.engine.held("me", batch) as heart:
        heart.last_progress -= 60
        crm.engine.beat()
    assert Operation.objects.get(lease_owner="me", state="leased").lease_until_ms == 5


@pytest.mark.parametrize("error", [InterfaceError("the connection is closed"), RuntimeError("whatever")])
def test_a_heartbeat_that_failed_beats_again(
    crm: Crm, tomorrow: datetime, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = hold_one(crm, tomorrow)
    monkeypatch.setattr("integrations.engine.context.connections.close_all", lambda: None)

    def fail(_point: str) -> None:
        raise error

    with crm.engine.held("me", batch) as heart:
        crm.engine.observe, end = fail, heart.lease_end
        crm.engine.beat()
        assert heart.lease_end == end  # what was not confirmed is not counted on
        crm.engine.observe = lambda _point: None
        crm.engine.beat()
        assert heart.lease_end > end


def test_a_heartbeat_that_fails_for_half_a_lease_stops_sending(
    crm: Crm, tomorrow: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = hold_one(crm, tomorrow)
    ended: list[int] = []
    monkeypatch.setattr("integrations.engine.context.os.kill", lambda _pid, number: ended.append(number))

    def fail(*_: object) -> int:
        raise DatabaseError("away")

    monkeypatch.setattr("integrations.engine.context.claims.extend", fail)
    monkeypatch.setattr("integrations.engine.context.connections.close_all", lambda: None)
    with crm.engine.held("me", batch) as heart:
        crm.engine.beat()
        assert not crm.engine.stopping()
        heart.lease_end -= 40
        crm.engine.beat()
    assert crm.engine.stopping()
    assert len(ended) == 1


def test_the_batch_is_what_the_budget_and_the_lease_allow(crm: Crm) -> None:
    engine = crm.engine
    assert engine.batch_size(1, 20) == 20
    engine.note(1, seconds=0.1, budget=4)
    assert engine.batch_size(1, 20) == 4
    engine.note(1, seconds=0.1, budget=0)
    assert engine.batch_size(1, 20) == 1
    engine.note(2, seconds=10.0, budget=None)
    assert engine.batch_size(2, 20) == 3


def test_two_processes_share_the_work_and_double_nothing(crm: Crm, running: Runner, tomorrow: datetime) -> None:
    crm.plan(*[make_tour(tomorrow, stops=2) for _ in range(12)])
    other = Runner(process.make_engine(), threads=4, sweep_s=10.0)
    running.start()
    other.start()
    try:
        wait_for(all_settled, 60.0)
    finally:
        other.stop(5)
    assert sorted(row["kind"] for row in crm.sandbox.effects()) == ["appointment"] * 24 + ["contact"] * 12
    assert len({row["id"] for row in crm.sandbox.effects()}) == 36
