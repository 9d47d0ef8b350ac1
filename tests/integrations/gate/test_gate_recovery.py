"""After an open circuit closed: a share of each short window, growing; and what a person puts in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import redis

from integrations.gate import BreakerPolicy, BreakerState, Gate, Outcome, Permit, Reason, Refusal, Scope, Seed, Window

if TYPE_CHECKING:
    from integrations.gate import Mode
    from tests.integrations.gate.conftest import Memory

BURST, DAILY = Window("burst", 40, 10), Window("daily", 200_000, 86_400)
POLICY = BreakerPolicy(failures=1, open_s=0.05, max_open_s=600, ramp_s=30)


def _permit(gate: Gate, scope: Scope) -> Permit:
    got = gate.admit(scope)
    assert isinstance(got, Permit), got
    return got


def _refusal(gate: Gate, scope: Scope, cost: int = 1) -> Refusal:
    got = gate.admit(scope, cost)
    assert isinstance(got, Refusal), got
    return got


def _recovering(gate: Gate, scope: Scope, sleep_until: Callable[[int], None]) -> BreakerState:
    """Opened by a failure, closed by a probe; both calls are given back so that the windows are empty."""
    state = gate.report(_permit(gate, scope), Outcome.FAILURE)
    sleep_until(state.until_ms or 0)
    return gate.report(_permit(gate, scope), Outcome.OK)


def _admitted(gate: Gate, scope: Scope) -> int:
    count = 0
    while isinstance(gate.admit(scope), Permit):
        count += 1
    return count


def _later(client: redis.Redis, prefix: str, scope: Scope, ms: int) -> None:
    """Moves the scope's circuit into the past."""
    key = f"{prefix}:{{{scope.key}}}:state"
    words = client.hget(key, "circuit").decode().split(" ")
    for place in (3, 4, 6):
        words[place] = words[place] if words[place] == "-" else str(int(words[place]) - ms)
    client.hset(key, "circuit", " ".join(words))


def test_a_recovering_circuit_opens_its_windows_step_by_step(
    gate: Gate, client: redis.Redis, prefix: str, sleep_until: Callable[[int], None]
) -> None:
    scope = Scope("crm:ramp", (BURST, DAILY), POLICY)
    state = _recovering(gate, scope, sleep_until)
    assert (state.state, state.percent, state.stops) == ("closed", 10, False)
    seen = []
    for _ in range(4):
        _admitted(gate, scope)
        now = gate.look(scope)
        seen.append((now.breaker.percent, now.used["burst"], now.limits))
        _later(client, prefix, scope, 30_000)
    day = {"daily": 200_000}
    assert seen == [
        (10, 4, {"burst": 4, **day}),
        (25, 10, {"burst": 10, **day}),
        (50, 20, {"burst": 20, **day}),
        (100, 40, {"burst": 40, **day}),
    ]
    assert gate.look(scope).breaker.until_ms is None


def test_a_full_step_says_when_the_next_begins(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    scope = Scope("crm:step", (BURST,), replace(POLICY, ramp_s=3))
    state = _recovering(gate, scope, sleep_until)
    _admitted(gate, scope)
    refused = _refusal(gate, scope)
    assert (refused.reason, refused.until_ms) == (Reason.RATE_LIMITED, state.until_ms)


def test_a_costly_call_passes_a_step_that_is_empty(
    gate: Gate, sleep_until: Callable[[int], None], client: redis.Redis, prefix: str
) -> None:
    scope = Scope("crm:costly", (BURST,), POLICY)
    _recovering(gate, scope, sleep_until)
    assert isinstance(gate.admit(scope, 6), Refusal)
    client.delete(f"{prefix}:{{crm:costly}}:ring:burst")
    costly = gate.admit(scope, 6)
    assert isinstance(costly, Permit)
    assert costly.budget == 0


def test_failures_in_a_row_while_recovering_open_again_and_for_longer(
    gate: Gate, sleep_until: Callable[[int], None]
) -> None:
    scope = Scope("crm:relapse", (Window("burst", 100, 10),), replace(POLICY, failures=3))
    for _ in range(3):
        state = gate.report(_permit(gate, scope), Outcome.FAILURE)
    sleep_until(state.until_ms or 0)
    gate.report(_permit(gate, scope), Outcome.OK)
    for _ in range(3):
        state = gate.report(_permit(gate, scope), Outcome.FAILURE)
    assert (state.state, state.cause, (state.until_ms or 0) - (state.opened_ms or 0)) == ("open", "ramp", 100)


def test_single_failures_while_recovering_do_not_open_again(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    """Else an account of whose answers one in twenty is lost, once shut, would hardly ever be open again."""
    scope = Scope("crm:lossy", (Window("burst", 400, 10),), replace(POLICY, failures=3))
    for _ in range(3):
        state = gate.report(_permit(gate, scope), Outcome.FAILURE)
    sleep_until(state.until_ms or 0)
    gate.report(_permit(gate, scope), Outcome.OK)
    for number in range(30):
        state = gate.report(_permit(gate, scope), Outcome.FAILURE if number % 3 == 1 else Outcome.OK)
    assert (state.state, state.percent) == ("closed", 10)


def test_half_of_the_answers_failing_while_recovering_opens_again(
    gate: Gate, sleep_until: Callable[[int], None]
) -> None:
    scope = Scope("crm:half-lost", (Window("burst", 400, 10),), replace(POLICY, failures=3))
    for _ in range(3):
        state = gate.report(_permit(gate, scope), Outcome.FAILURE)
    sleep_until(state.until_ms or 0)
    gate.report(_permit(gate, scope), Outcome.OK)
    states = [
        gate.report(_permit(gate, scope), Outcome.FAILURE if number % 2 else Outcome.OK).state for number in range(10)
    ]
    assert states == ["closed"] * 9 + ["open"]


def test_a_healthy_time_ends_the_growth(
    gate: Gate, client: redis.Redis, prefix: str, sleep_until: Callable[[int], None]
) -> None:
    scope = Scope("crm:healthy", (BURST,), POLICY)
    _recovering(gate, scope, sleep_until)
    _later(client, prefix, scope, 299_000)
    state = gate.report(_permit(gate, scope), Outcome.FAILURE)
    assert (state.until_ms or 0) - (state.opened_ms or 0) == 100
    sleep_until(state.until_ms or 0)
    gate.report(_permit(gate, scope), Outcome.OK)
    _later(client, prefix, scope, 300_001)
    state = gate.report(_permit(gate, scope), Outcome.FAILURE)
    assert (state.until_ms or 0) - (state.opened_ms or 0) == 50


def test_steps_can_be_counted_in_calls_that_ended_well(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    scope = Scope("crm:counted", (BURST,), replace(POLICY, ramp_successes=2))
    percents = [_recovering(gate, scope, sleep_until).percent]
    percents += [gate.report(_permit(gate, scope), Outcome.OK).percent for _ in range(6)]
    assert percents == [10, 10, 25, 25, 50, 50, 100]


# --- a person's hand -----------------------------------------------------------------------------------------------


def test_forced_open_stops_every_process_at_once(gate: Gate, make_gate: Callable[..., Gate]) -> None:
    scope, other = Scope("crm:forced", (BURST,)), make_gate()
    _permit(other, scope)
    state = gate.control(scope, "forced_open", None)
    assert (state.state, state.mode_until_ms, state.stops, state.cause) == ("forced_open", None, True, "person")
    for one in (gate, other):
        assert _refusal(one, scope).reason is Reason.FORCED_OPEN
    assert gate.look(scope).used == {"burst": 1}


def test_forced_open_ends_by_itself_with_a_probe(
    gate: Gate, client: redis.Redis, prefix: str, redis_now: Callable[[], int]
) -> None:
    scope, until = Scope("crm:ends", (BURST,)), redis_now() + 50_000
    gate.control(scope, "forced_open", until)
    refused = _refusal(gate, scope)
    assert (refused.reason, refused.until_ms) == (Reason.FORCED_OPEN, until)
    client.hset(f"{prefix}:{{crm:ends}}:state", "mode", f"forced_open {redis_now()} 1")
    _later(client, prefix, scope, 50_000)
    probe = _permit(gate, scope)
    assert probe.probe_generation == 1
    assert _refusal(gate, scope).reason is Reason.CIRCUIT_OPEN
    assert gate.report(probe, Outcome.OK).percent == 10


def test_forced_open_taken_back_is_probed_at_once(gate: Gate) -> None:
    scope = Scope("crm:back", (BURST,))
    old = _permit(gate, scope)
    gate.control(scope, "forced_open", None)
    assert gate.report(old, Outcome.FAILURE).state == "forced_open", "what was under way moves nothing"
    assert gate.control(scope, None).state == "half_open"
    assert _permit(gate, scope).probe_generation == 1


@pytest.mark.parametrize("mode", ["disabled", "metrics_only"])
def test_a_circuit_that_only_looks_refuses_nothing_but_full_windows(gate: Gate, mode: Mode) -> None:
    scope = Scope("crm:looks", (Window("burst", 5, 10),), BreakerPolicy(open_s=60))
    for _ in range(3):
        gate.report(_permit(gate, scope), Outcome.FAILURE)
    assert _refusal(gate, scope).reason is Reason.CIRCUIT_OPEN
    assert gate.control(scope, mode, None).state == mode
    for _ in range(2):
        state = gate.report(_permit(gate, scope), Outcome.FAILURE)
    assert (state.state, state.failures) == (mode, 2 if mode == "metrics_only" else 0)
    assert _refusal(gate, scope).reason is Reason.RATE_LIMITED
    assert gate.control(scope, None).state == "closed"


def test_a_mode_ends_by_itself(gate: Gate, client: redis.Redis, prefix: str, redis_now: Callable[[], int]) -> None:
    scope, until = Scope("crm:expires", (BURST,)), redis_now() + 60_000
    assert gate.control(scope, "disabled", until).mode_until_ms == until
    key = f"{prefix}:{{crm:expires}}:state"
    client.hset(key, "mode", f"disabled {redis_now()} 1")
    assert gate.look(scope).breaker.state == "closed"
    _permit(gate, scope)
    assert not client.hexists(key, "mode")
    for _ in range(3):
        state = gate.report(_permit(gate, scope), Outcome.FAILURE)
    assert state.state == "open"


def test_closing_by_hand_recovers_step_by_step(gate: Gate) -> None:
    scope = Scope("crm:hand", (BURST,))
    for _ in range(3):
        gate.report(_permit(gate, scope), Outcome.FAILURE)
    state = gate.control(scope, "closed")
    assert (state.state, state.percent, state.failures) == ("closed", 10, 0)


@pytest.mark.parametrize("mode", ["forced_open", "disabled", "metrics_only"])
def test_a_mode_is_seeded_after_redis_forgot(gate: Gate, memory: Memory, mode: Mode) -> None:
    memory.answer = Seed(breaker=BreakerState(mode, 0, 4, 1, None), mode=(mode, None))
    scope = Scope("crm:seeded", (BURST,))
    got = gate.admit(scope)
    assert isinstance(got, Refusal if mode == "forced_open" else Permit)
    assert gate.look(scope).breaker.state == mode


def test_a_mode_of_the_past_is_not_in_force(gate: Gate, memory: Memory, redis_now: Callable[[], int]) -> None:
    memory.answer = Seed(mode=("forced_open", redis_now() - 1))
    scope = Scope("crm:past", (BURST,))
    _permit(gate, scope)
    assert gate.look(scope).breaker.state == "closed"


@pytest.mark.parametrize(("set_now", "shown"), [("disabled", "disabled"), (None, "closed")])
def test_what_is_set_before_seeding_stands_against_what_was_stored(
    gate: Gate, memory: Memory, set_now: Mode | None, shown: str
) -> None:
    memory.answer = Seed(mode=("forced_open", None))
    scope = Scope("crm:before", (BURST,))
    gate.control(scope, set_now)
    _permit(gate, scope)
    assert gate.look(scope).breaker.state == shown


def test_a_mode_set_in_a_wiped_redis_is_kept(gate: Gate, client: redis.Redis) -> None:
    scope = Scope("crm:wiped", (BURST,))
    _permit(gate, scope)
    client.flushall()
    assert gate.control(scope, "forced_open", None).state == "forced_open"
    assert _refusal(gate, scope).reason is Reason.COLD
    assert gate.look(scope).breaker.state == "forced_open"


def test_a_recovery_that_redis_forgot_begins_anew(gate: Gate, memory: Memory) -> None:
    memory.answer = Seed(breaker=BreakerState("closed", 0, 4, None, 99, "failures", 50))
    scope = Scope("crm:half", (BURST,))
    assert _permit(gate, scope).budget == 3
    assert gate.look(scope).breaker.percent == 10


def test_words_of_another_version_are_a_closed_circuit(gate: Gate, client: redis.Redis, prefix: str) -> None:
    scope = Scope("crm:words", (BURST,))
    _permit(gate, scope)
    client.hset(f"{prefix}:{{crm:words}}:state", "circuit", "open 3 1 5 9 0")
    assert gate.look(scope).breaker == BreakerState("closed", 0, 0, None, None)
