"""What an answer says of the provider's windows: downwards at once for all, never above our cap, soon forgotten."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.gate import Gate, Learned, Outcome, Permit, Reason, Refusal, Scope, Window

BURST, DAILY, BIG = Window("burst", 20, 10), Window("daily", 200_000, 86_400), Window("big", 2_000, 1)
HOUR_MS = 3_600_000
_numbers = itertools.count(1)


def _answer(gate: Gate, scope: Scope, *learned: Learned) -> Permit:
    got = gate.admit(scope)
    assert isinstance(got, Permit), got
    gate.report(got, Outcome.OK, learned=learned)
    return got


def test_a_lower_limit_is_in_force_for_all_at_once(gate: Gate, make_gate: Callable[..., Gate]) -> None:
    scope, other = Scope("crm:lower", (BURST, DAILY)), make_gate()
    first = _answer(gate, scope, Learned("burst", limit=3))
    assert gate.look(scope).limits == {"burst": 3, "daily": 200_000}
    permits = [other.admit(scope) for _ in range(3)]
    assert [isinstance(one, Permit) for one in permits] == [True, True, False]
    refused = permits[2]
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.RATE_LIMITED
    assert refused.until_ms <= first.admitted_ms + 10_000 + 501 + 1_000


def test_a_lower_limit_is_forgotten_when_the_window_begins_anew(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    scope = Scope("crm:forgets", (BURST,))
    permit = _answer(gate, scope, Learned("burst", limit=1, reset_ms=120))
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    assert permit.admitted_ms + 120 <= refused.until_ms < permit.admitted_ms + 1_000
    sleep_until(refused.until_ms)
    assert gate.look(scope).limits == {"burst": 20}
    again = gate.admit(scope)
    assert isinstance(again, Permit)
    assert again.budget == 18


@pytest.mark.parametrize("limit", [20, 21, 10**9])
def test_a_limit_that_is_not_lower_changes_nothing(gate: Gate, client: redis.Redis, prefix: str, limit: int) -> None:
    scope = Scope("crm:higher", (BURST,))
    _answer(gate, scope, Learned("burst", limit=limit, remaining=limit - 1))
    assert gate.look(scope).limits == {"burst": 20}
    assert not client.hexists(f"{prefix}:{{crm:higher}}:state", "learned")


@pytest.mark.parametrize("window", [BURST, DAILY, BIG], ids=lambda window: window.name)
def test_fewer_left_than_we_count_raises_our_use(gate: Gate, window: Window) -> None:
    scope = Scope("crm:fewer", (window,))
    _answer(gate, scope, Learned(window.name, remaining=5))
    assert gate.look(scope).used == {window.name: window.limit - 5}
    _answer(gate, scope, Learned(window.name, remaining=5))
    assert gate.look(scope).used == {window.name: window.limit - 4}, "the second call is ours, and more than they say"


def test_more_left_than_we_count_is_not_believed(gate: Gate) -> None:
    scope = Scope("crm:more", (BURST,))
    for _ in range(4):
        _answer(gate, scope, Learned("burst", remaining=20))
    assert gate.look(scope).used == {"burst": 4}


def test_what_others_used_leaves_when_the_window_begins_anew(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    scope = Scope("crm:others", (BURST, BIG))
    permit = _answer(
        gate, scope, Learned("burst", remaining=0, reset_ms=150), Learned("big", remaining=0, reset_ms=150)
    )
    assert gate.look(scope).used == {"burst": 20, "big": 2_000}
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    assert permit.admitted_ms + 150 <= refused.until_ms < permit.admitted_ms + 1_000
    sleep_until(refused.until_ms)
    assert isinstance(gate.admit(scope), Permit)
    assert gate.look(scope).used == {"burst": 2, "big": 2}


def test_a_lowered_limit_and_what_is_left_of_it_are_read_together(gate: Gate) -> None:
    scope = Scope("crm:both", (BURST,))
    _answer(gate, scope, Learned("burst", limit=10, remaining=2))
    assert (gate.look(scope).used, gate.look(scope).limits) == ({"burst": 8}, {"burst": 10})


def test_what_is_left_of_a_larger_limit_than_ours_does_not_raise_our_use(gate: Gate) -> None:
    scope = Scope("crm:cap", (BURST,))
    _answer(gate, scope, Learned("burst", limit=100, remaining=30))
    assert gate.look(scope).used == {"burst": 1}


def test_a_full_ring_can_be_told_of(gate: Gate) -> None:
    scope = Scope("crm:full", (Window("ring", 1_000, 10),))
    _answer(gate, scope, Learned("ring", remaining=0))
    assert gate.look(scope).used == {"ring": 1_000}
    assert isinstance(gate.admit(scope), Refusal)


def test_a_costly_call_passes_a_lower_limit_that_is_not_used(gate: Gate, client: redis.Redis, prefix: str) -> None:
    scope = Scope("crm:costly", (BURST,))
    _answer(gate, scope, Learned("burst", limit=2))
    client.delete(f"{prefix}:{{crm:costly}}:ring:burst")
    assert isinstance(gate.admit(scope, 3), Permit)


@pytest.mark.parametrize(
    "learned",
    [Learned("weekly", limit=1, remaining=0), Learned("burst"), Learned("burst", reset_ms=5)],
    ids=["unknown window", "nothing said", "only when"],
)
def test_what_says_nothing_is_ignored(gate: Gate, learned: Learned) -> None:
    scope = Scope("crm:nothing", (BURST,))
    _answer(gate, scope, learned)
    assert (gate.look(scope).used, gate.look(scope).limits) == ({"burst": 1}, {"burst": 20})


def test_impossible_figures_are_brought_into_bounds(gate: Gate, redis_now: Callable[[], int]) -> None:
    scope = Scope("crm:bounds", (BURST,))
    _answer(gate, scope, Learned("burst", limit=-4, remaining=-9, reset_ms=10**12))
    assert (gate.look(scope).used, gate.look(scope).limits) == ({"burst": 1}, {"burst": 1})
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    assert refused.until_ms <= redis_now() + 10_501


WORDS = st.none() | st.integers(-(10**12), 10**12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.builds(Learned, st.sampled_from(["burst", "daily", "other"]), WORDS, WORDS, WORDS), max_size=4))
def test_whatever_is_learned_no_limit_rises_above_ours(gate: Gate, learned: list[Learned]) -> None:
    scope = Scope(f"crm:any{next(_numbers)}", (BURST, DAILY))
    _answer(gate, scope, *learned)
    seen = gate.look(scope)
    assert all(1 <= seen.limits[window.name] <= window.limit for window in scope.windows)
    assert all(1 <= seen.used[window.name] <= window.limit for window in scope.windows)
    got = gate.admit(scope)
    assert isinstance(got, Refusal) or 0 <= got.budget <= BURST.limit - 2


def test_a_limit_lowered_by_mistake_is_back_with_the_next_answer(gate: Gate, client: redis.Redis, prefix: str) -> None:
    scope = Scope("crm:mistake", (BURST, DAILY))
    _answer(gate, scope, Learned("daily", limit=7))
    assert gate.look(scope).limits["daily"] == 7
    _answer(gate, scope, Learned("daily", limit=200_000))
    assert gate.look(scope).limits["daily"] == 200_000
    assert not client.hexists(f"{prefix}:{{crm:mistake}}:state", "learned")


def test_a_day_that_is_said_to_be_used_up_is_asked_again_within_an_hour(gate: Gate) -> None:
    scope = Scope("crm:hour", (DAILY,))
    permit = _answer(gate, scope, Learned("daily", limit=1, remaining=0))
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.DAY_USED
    assert permit.admitted_ms < refused.until_ms <= permit.admitted_ms + HOUR_MS + 60_000


# --- limits that staff change --------------------------------------------------------------------------------------


def test_changed_limits_make_no_new_scripts(gate: Gate, client: redis.Redis) -> None:
    dice = random.Random(1)  # noqa: S311 - for spread, not for secrets
    scope = Scope("crm:changed", (BURST, DAILY))
    _answer(gate, scope)
    before = client.info("memory")["number_of_cached_scripts"]
    for _ in range(40):
        lowered = replace(BURST, limit=dice.randint(1, 1_000)), replace(DAILY, limit=dice.randint(1_001, 200_000))
        gate.admit(Scope("crm:changed", lowered))
        gate.look(Scope(f"crm:{dice.random()}", lowered))
    after = client.info("memory")["number_of_cached_scripts"]
    assert after <= before + 1, "`look` may have been new"


def test_a_raised_limit_is_in_force_at_once(gate: Gate) -> None:
    low, high = Scope("crm:raised", (replace(BURST, limit=1),)), Scope("crm:raised", (BURST,))
    _answer(gate, low)
    assert isinstance(gate.admit(low), Refusal)
    assert isinstance(gate.admit(high), Permit)
