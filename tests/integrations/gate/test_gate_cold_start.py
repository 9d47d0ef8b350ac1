"""What happens when Redis forgot: wiped, restarted with and without its data, clock set back; seeding."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import redis

from integrations.gate import (
    BreakerPolicy,
    BreakerState,
    Gate,
    GateAway,
    Outcome,
    Permit,
    Reason,
    Refusal,
    Scope,
    Seed,
    Window,
)

if TYPE_CHECKING:
    from tests.integrations.gate.conftest import Memory, RedisServer

BURST = Window("burst", 5, 1)
DAILY = Window("daily", 200_000, 86_400)
HOURLY = Window("hourly", 10, 3_600)
HOUR_MS = 3_600_000


def _cold(gate: Gate, scope: Scope) -> Refusal:
    got = gate.admit(scope)
    assert isinstance(got, Refusal), got
    assert got.reason is Reason.COLD
    return got


def test_the_first_ever_admission_is_a_cold_start(
    make_gate: Callable[..., Gate],
    redis_now: Callable[[], int],
    first_permit: Callable[[Gate, Scope, int], Permit],
    memory: Memory,
) -> None:
    gate, scope = make_gate(), Scope("crm:first", (BURST, DAILY))
    before = redis_now()
    assert gate.look(scope).ready_ms >= before + 1_250
    refused = _cold(gate, scope)
    assert before + 1_250 <= refused.until_ms <= redis_now() + 1_250
    assert memory.asked == []
    first_permit(gate, scope, refused.until_ms)
    assert memory.asked == ["crm:first"]
    assert gate.look(scope).ready_ms == refused.until_ms


def test_the_longest_window_up_to_a_minute_is_waited_out(
    make_gate: Callable[..., Gate], redis_now: Callable[[], int]
) -> None:
    scope = Scope("crm:minute", (Window("ten", 5, 10), Window("minute", 50, 60), HOURLY, DAILY))
    before = redis_now()
    until = _cold(make_gate(), scope).until_ms
    assert before + 62_500 <= until <= redis_now() + 62_500


def test_flushall_is_a_cold_start(
    gate: Gate, client: redis.Redis, sleep_until: Callable[[int], None], redis_now: Callable[[], int]
) -> None:
    scope = Scope("crm:flushed", (BURST,))
    permits = [gate.admit(scope) for _ in range(5)]
    assert all(isinstance(permit, Permit) for permit in permits)
    client.flushall()
    wiped = redis_now()
    refused = _cold(gate, scope)
    assert refused.until_ms >= wiped + 1_250
    for permit in permits:
        assert isinstance(permit, Permit)
        assert gate.report(permit, Outcome.FAILURE).failures == 0, "of a permit Redis does not know"
    _cold(gate, scope)
    sleep_until(refused.until_ms)
    assert isinstance(gate.admit(scope), Permit)


def test_429_reported_into_a_wiped_redis_still_holds_back(
    gate: Gate, client: redis.Redis, sleep_until: Callable[[int], None], prefix: str
) -> None:
    scope = Scope("crm:wiped429", (BURST,))
    permit = gate.admit(scope)
    assert isinstance(permit, Permit)
    client.flushall()
    gate.report(permit, Outcome.RATE_LIMITED, retry_after_s=60)
    assert client.pttl(f"{prefix}:{{crm:wiped429}}:state") > 0
    sleep_until(_cold(gate, scope).until_ms)
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.NOT_BEFORE


@pytest.mark.parametrize("wipe", [True, False], ids=["wiped", "data kept"])
def test_a_restarted_server_is_a_cold_start_for_every_client(
    gate: Gate,
    make_gate: Callable[..., Gate],
    redis_server: RedisServer,
    sleep_until: Callable[[int], None],
    wipe: bool,
) -> None:
    scope, other = Scope("crm:restarted", (BURST,)), make_gate()
    assert isinstance(gate.admit(scope), Permit)
    assert isinstance(other.admit(scope), Permit)
    redis_server.restart(wipe=wipe)
    until = _until_answered(gate, scope)
    assert _until_answered(other, scope) == until, "two clients see one and the same epoch"
    assert _cold(gate, scope).until_ms == until
    sleep_until(until)
    assert isinstance(gate.admit(scope), Permit)
    assert gate.look(scope).used == {"burst": 1}


def _until_answered(gate: Gate, scope: Scope) -> int:
    """The first call on a connection the server closed may fail; then the answer must be: cold."""
    try:
        return _cold(gate, scope).until_ms
    except GateAway:
        return _cold(gate, scope).until_ms


def test_a_restart_with_data_keeps_what_long_windows_and_circuit_know(
    gate: Gate, redis_server: RedisServer, sleep_until: Callable[[int], None], memory: Memory
) -> None:
    scope = Scope("crm:kept", (BURST, HOURLY, DAILY))
    permits = [gate.admit(scope) for _ in range(4)]
    for permit in permits[:3]:
        assert isinstance(permit, Permit)
        state = gate.report(permit, Outcome.FAILURE)
    redis_server.restart(wipe=False)
    day = permits[0].admitted_ms // HOUR_MS * HOUR_MS  # type: ignore[union-attr]
    memory.answer = Seed(
        used={"hourly": [(day, 2)], "daily": [(day - HOUR_MS, 7), (day, 3)]},
        breaker=BreakerState("closed", 0, 1, None, None),
        not_before_ms=None,
    )
    sleep_until(_until_answered(gate, scope))
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.until_ms) == (Reason.CIRCUIT_OPEN, state.until_ms)
    assert gate.look(scope).used == {"burst": 0, "hourly": 4, "daily": 11}
    gate.report(permits[3], Outcome.NOT_SENT)  # type: ignore[arg-type]
    assert gate.look(scope).used["daily"] == 11, "slots of an older epoch are not given back"


def test_a_clock_set_back_is_a_cold_start_once(
    gate: Gate, client: redis.Redis, prefix: str, redis_now: Callable[[], int], sleep_until: Callable[[int], None]
) -> None:
    scope, other = Scope("crm:clock", (BURST,)), Scope("crm:clock2", (BURST,))
    for one in (scope, other):
        assert isinstance(gate.admit(one), Permit)
        client.hset(f"{prefix}:{{{one.key}}}:state", "last", redis_now() + 300_000)
        client.zadd(f"{prefix}:{{{one.key}}}:ring:burst", {"ahead": redis_now() + 300_000})
    until = _cold(gate, scope).until_ms
    assert _cold(gate, other).until_ms == until
    sleep_until(until)
    assert isinstance(gate.admit(scope), Permit)
    assert isinstance(gate.admit(other), Permit)
    assert gate.look(other).used == {"burst": 1}


def test_an_epoch_from_the_future_is_a_cold_start(
    gate: Gate, client: redis.Redis, prefix: str, redis_now: Callable[[], int]
) -> None:
    client.hset(f"{prefix}:epoch", "started_ms", redis_now() + 300_000)
    assert _cold(gate, Scope("crm:future", (BURST,))).until_ms <= redis_now() + 1_250


def test_a_clock_a_little_back_stands_still(
    gate: Gate, client: redis.Redis, prefix: str, redis_now: Callable[[], int]
) -> None:
    scope = Scope("crm:little", (BURST,))
    gate.admit(scope)
    ahead = redis_now() + 700
    client.hset(f"{prefix}:{{crm:little}}:state", "last", ahead)
    permit = gate.admit(scope)
    assert isinstance(permit, Permit)
    assert permit.admitted_ms == ahead


def test_long_windows_are_seeded_from_memory(gate: Gate, memory: Memory, redis_now: Callable[[], int]) -> None:
    scope = Scope("crm:seeded", (BURST, HOURLY, Window("daily", 2_000, 86_400)))
    hour = redis_now() // HOUR_MS * HOUR_MS
    memory.answer = Seed(
        used={
            "burst": [(redis_now(), 5)],
            "hourly": [(redis_now() - 600_000, 3), (redis_now() - 150_000, 4), (redis_now() - 2 * HOUR_MS, 9)],
            "daily": [
                (hour - 2 * HOUR_MS, 900),
                (hour - 2 * HOUR_MS + 60_000, 100),
                (hour, 997),
                (hour - 30 * HOUR_MS, 5),
            ],
        }
    )
    permits = [gate.admit(scope) for _ in range(4)]
    assert [isinstance(permit, Permit) for permit in permits] == [True, True, True, False]
    assert memory.asked == ["crm:seeded"]
    assert gate.look(scope).used == {"burst": 3, "hourly": 10, "daily": 2_000}
    refused = permits[3]
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.DAY_USED
    # Calls told of under a start are taken to have come a whole sub-bucket after it.
    assert refused.until_ms == hour - HOUR_MS + 60_000 + 250 + 86_400_000


def test_open_circuit_and_not_before_survive_in_memory(
    gate: Gate, memory: Memory, redis_now: Callable[[], int], sleep_until: Callable[[int], None]
) -> None:
    policy = BreakerPolicy(open_s=10, max_open_s=100)
    scope = Scope("crm:remembered", (BURST,), policy)
    opened = redis_now() - 39_500
    memory.answer = Seed(
        breaker=BreakerState("half_open", 5, 7, opened, opened + 40_000), not_before_ms=redis_now() + 1_500
    )
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.until_ms) == (Reason.CIRCUIT_OPEN, opened + 40_000)
    sleep_until(refused.until_ms)
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.until_ms) == (Reason.NOT_BEFORE, memory.answer.not_before_ms)
    sleep_until(refused.until_ms)
    probe = gate.admit(scope)
    assert isinstance(probe, Permit)
    assert probe.probe_generation == 7
    state = gate.report(probe, Outcome.FAILURE)
    assert state.generation == 8
    assert (state.until_ms or 0) - (state.opened_ms or 0) == 80_000, "it goes on doubling where it stood"


def test_remembered_times_are_bounded(gate: Gate, memory: Memory, redis_now: Callable[[], int]) -> None:
    policy = BreakerPolicy(open_s=1, max_open_s=2)
    scope = Scope("crm:bounded", (BURST,), policy)
    far = redis_now() + 10**9
    memory.answer = Seed(breaker=BreakerState("open", 3, 1, far - 10**9, far), not_before_ms=far)
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    assert refused.until_ms <= redis_now() + 2_000
    assert (gate.look(scope).not_before_ms or 0) <= redis_now() + HOUR_MS


def test_an_open_circuit_without_its_times_is_probed_at_once(gate: Gate, memory: Memory) -> None:
    memory.answer = Seed(breaker=BreakerState("open", 3, 1, None, None))
    permit = gate.admit(Scope("crm:timeless", (BURST,)))
    assert isinstance(permit, Permit)
    assert permit.probe_generation == 1


def test_remembered_failures_count_on(gate: Gate, memory: Memory) -> None:
    scope = Scope("crm:counts", (BURST,))
    memory.answer = Seed(breaker=BreakerState("closed", 2, 4, None, None))
    permit = gate.admit(scope)
    assert isinstance(permit, Permit)
    state = gate.report(permit, Outcome.FAILURE)
    assert (state.state, state.failures, state.generation) == ("open", 3, 5)


def test_a_window_that_came_later_is_seeded_too(gate: Gate, memory: Memory, redis_now: Callable[[], int]) -> None:
    gate.admit(Scope("crm:later", (BURST,)))
    memory.answer = Seed(used={"daily": [(redis_now() - HOUR_MS, 41)]}, breaker=BreakerState("open", 3, 9, None, None))
    wider = Scope("crm:later", (BURST, DAILY))
    assert isinstance(gate.admit(wider), Permit), "the circuit is not read again in the same epoch"
    assert gate.look(wider).used == {"burst": 2, "daily": 42}
    assert memory.asked == ["crm:later", "crm:later"]


@dataclass
class _Together:
    """Two clients that both learn that a seed is needed before either hands one in."""

    barrier: threading.Barrier
    used: dict[str, list[tuple[int, int]]]
    asked: list[str] = field(default_factory=list)

    def seed(self, scope: Scope) -> Seed:
        self.asked.append(scope.key)
        self.barrier.wait(timeout=10)
        return Seed(used=self.used)


def test_two_clients_seeding_at_once_count_once(
    warm: Callable[[], None],
    make_gate: Callable[..., Gate],
    redis_now: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warm()
    source = _Together(threading.Barrier(2), {"hourly": [(redis_now(), 3)], "daily": [(redis_now(), 50)]})
    scope = Scope("crm:together", (BURST, HOURLY, DAILY))
    gates = [make_gate(), make_gate()]
    for gate in gates:
        monkeypatch.setattr(gate, "_seeds", source)
    threads = [threading.Thread(target=gate.admit, args=(scope,)) for gate in gates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert source.asked == ["crm:together"] * 2
    assert gates[0].look(scope).used == {"burst": 2, "hourly": 5, "daily": 52}


@dataclass
class _Overtaken:
    """While one client waits for its database, another seeds and admits."""

    other: Gate

    def seed(self, scope: Scope) -> Seed:
        assert isinstance(self.other.admit(scope), Permit)
        return Seed(used={"daily": [(0, 1), (_now_ms(), 900)]})


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_a_seed_that_comes_second_is_not_taken(
    gate: Gate, make_gate: Callable[..., Gate], memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.answer = Seed(used={"daily": [(_now_ms() - HOUR_MS, 50)]})
    monkeypatch.setattr(gate, "_seeds", _Overtaken(make_gate()))
    scope = Scope("crm:overtaken", (BURST, DAILY))
    assert isinstance(gate.admit(scope), Permit)
    assert gate.look(scope).used == {"burst": 2, "daily": 52}


@dataclass
class _Unsettled:
    """Redis forgets again whenever it has just been asked for."""

    forget: Callable[[], None]
    asked: int = 0

    def seed(self, scope: Scope) -> Seed:
        self.asked += 1
        self.forget()
        return Seed(used={"daily": [(0, 10**6)]}, breaker=BreakerState("open", 3, 9, None, None))


def test_a_seed_for_an_epoch_already_over_is_not_taken(
    gate: Gate, client: redis.Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _Unsettled(lambda: client.hincrby(f"{prefix}:epoch", "started_ms", 1))
    monkeypatch.setattr(gate, "_seeds", source)
    scope = Scope("crm:unsettled", (BURST, DAILY))
    with pytest.raises(GateAway, match="forgets faster"):
        gate.admit(scope)
    assert source.asked == 3
    assert gate.look(scope).breaker.state == "closed"


def test_a_flush_while_seeding_is_cold_again(gate: Gate, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_seeds", _Unsettled(client.flushall))
    _cold(gate, Scope("crm:reflushed", (BURST, DAILY)))


def test_a_failing_memory_admits_nothing(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def seed(self, scope: Scope) -> Seed:
            raise LookupError("the database is away")

    scope = Scope("crm:broken", (BURST, DAILY))
    monkeypatch.setattr(gate, "_seeds", Broken())
    for _ in range(2):
        with pytest.raises(LookupError):
            gate.admit(scope)
    assert gate.look(scope).used == {"burst": 0, "daily": 0}


def test_calls_that_were_counted_elsewhere_begin_a_new_epoch(gate: Gate) -> None:
    scope = Scope("crm:renewed", (BURST,))
    assert isinstance(gate.admit(scope), Permit)
    gate.ping()
    assert isinstance(gate.admit(scope), Permit), "being asked whether it answers changes nothing"
    gate.begin_epoch()
    _cold(gate, scope)
