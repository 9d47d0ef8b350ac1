"""The circuit: what opens it, leased probes with generations, growing open times, not-before for the fleet."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis

from integrations.gate import BreakerPolicy, BreakerState, Gate, Outcome, Permit, Reason, Refusal, Scope, Window

WINDOWS = (Window("burst", 100, 1),)
QUICK = BreakerPolicy(failures=3, open_s=0.2, max_open_s=0.5, probe_lease_s=5, healthy_s=0, ramp=())
MINUTES_AWAY = BreakerPolicy(failures=3, open_s=30, max_open_s=600)


def _permit(gate: Gate, scope: Scope) -> Permit:
    got = gate.admit(scope)
    assert isinstance(got, Permit), got
    return got


def _call(gate: Gate, scope: Scope, outcome: Outcome) -> BreakerState:
    return gate.report(_permit(gate, scope), outcome)


def _opened(gate: Gate, scope: Scope) -> BreakerState:
    for _ in range(scope.breaker.failures):
        state = _call(gate, scope, Outcome.FAILURE)
    assert state.state == "open"
    return state


def _until(state: BreakerState) -> int:
    assert state.until_ms is not None
    return state.until_ms


def test_opens_at_the_third_failure_in_a_row_and_not_before(gate: Gate) -> None:
    scope = Scope("crm:opens", WINDOWS, MINUTES_AWAY)
    assert _call(gate, scope, Outcome.FAILURE) == BreakerState("closed", 1, 0, None, None)
    assert _call(gate, scope, Outcome.FAILURE) == BreakerState("closed", 2, 0, None, None)
    state = _call(gate, scope, Outcome.FAILURE)
    assert (state.state, state.failures, state.generation) == ("open", 3, 1)
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.until_ms) == (Reason.CIRCUIT_OPEN, state.until_ms)


def test_a_refused_call_uses_no_slot(gate: Gate) -> None:
    scope = Scope("crm:noslot", WINDOWS, MINUTES_AWAY)
    _opened(gate, scope)
    for _ in range(5):
        assert isinstance(gate.admit(scope), Refusal)
    assert gate.look(scope).used == {"burst": 3}


def test_an_understood_answer_ends_the_row_of_failures(gate: Gate) -> None:
    scope = Scope("crm:resets", WINDOWS, MINUTES_AWAY)
    for outcome in (Outcome.FAILURE, Outcome.FAILURE, Outcome.OK, Outcome.FAILURE, Outcome.FAILURE):
        state = _call(gate, scope, outcome)
    assert state == BreakerState("closed", 2, 0, None, None)


@pytest.mark.parametrize(
    "outcome",
    [Outcome.NEUTRAL, Outcome.RATE_LIMITED, Outcome.LOCAL_FAULT, Outcome.NOT_SENT],
    ids=lambda outcome: outcome.value,
)
def test_what_says_nothing_of_health_neither_counts_nor_resets(gate: Gate, outcome: Outcome) -> None:
    scope = Scope("crm:nothing", WINDOWS, MINUTES_AWAY)
    permits = [_permit(gate, scope) for _ in range(5)]
    gate.report(permits[0], Outcome.FAILURE)
    for permit in permits[1:]:
        assert gate.report(permit, outcome) == BreakerState("closed", 1, 0, None, None)


def test_the_same_permit_reported_twice_counts_once(gate: Gate) -> None:
    scope = Scope("crm:twice", WINDOWS, MINUTES_AWAY)
    permit = _permit(gate, scope)
    gate.report(permit, Outcome.FAILURE)
    assert gate.report(permit, Outcome.FAILURE).failures == 1


def test_failures_are_remembered_over_quiet_days(gate: Gate, client: redis.Redis, prefix: str) -> None:
    scope = Scope("crm:quiet", WINDOWS, MINUTES_AWAY)
    _call(gate, scope, Outcome.FAILURE)
    assert client.pttl(f"{prefix}:{{crm:quiet}}:state") > 29 * 86_400_000


@pytest.mark.parametrize(("random", "length_ms"), [(0.0, 27_000), (0.5, 30_000), (0.999999, 32_999)])
def test_open_time_has_ten_percent_of_jitter(
    gate: Gate, make_gate: Callable[..., Gate], random: float, length_ms: int
) -> None:
    state = _opened(make_gate(random=random), Scope("crm:jitter", WINDOWS, MINUTES_AWAY))
    assert state.opened_ms is not None
    assert _until(state) - state.opened_ms == length_ms


def test_one_probe_is_let_through_and_its_success_closes(
    gate: Gate, make_gate: Callable[..., Gate], sleep_until: Callable[[int], None]
) -> None:
    scope = Scope("crm:probe", WINDOWS, QUICK)
    sleep_until(_until(_opened(gate, scope)))
    assert gate.look(scope).breaker.state == "half_open"
    probe = _permit(gate, scope)
    assert (probe.probe_generation, probe.budget) == (1, 0)
    refusals = [make_gate().admit(scope) for _ in range(4)]
    assert {(r.reason, r.until_ms) for r in refusals if isinstance(r, Refusal)} == {
        (Reason.CIRCUIT_OPEN, probe.admitted_ms + 5_000)
    }
    assert gate.report(probe, Outcome.OK) == BreakerState("closed", 0, 2, None, None, "failures")
    assert _permit(gate, scope).probe_generation is None


def test_exactly_as_many_probes_as_the_policy_says(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    scope = Scope("crm:probes", WINDOWS, BreakerPolicy(failures=1, open_s=0.1, max_open_s=1, probes=2))
    sleep_until(_until(_opened(gate, scope)))
    first, second = _permit(gate, scope), _permit(gate, scope)
    assert (first.budget, second.budget) == (1, 0)
    assert isinstance(gate.admit(scope), Refusal)
    assert gate.report(first, Outcome.FAILURE).generation == 2
    assert gate.report(second, Outcome.OK).state == "open", "a probe of the generation before moves nothing"


def test_an_answer_of_any_kind_closes_a_probed_circuit(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    scope = Scope("crm:neutral", WINDOWS, QUICK)
    sleep_until(_until(_opened(gate, scope)))
    assert gate.report(_permit(gate, scope), Outcome.NEUTRAL) == BreakerState("closed", 0, 2, None, None, "failures")


@pytest.mark.parametrize("outcome", [Outcome.LOCAL_FAULT, Outcome.NOT_SENT], ids=lambda outcome: outcome.value)
def test_a_probe_that_proved_nothing_is_given_back(
    gate: Gate, sleep_until: Callable[[int], None], outcome: Outcome
) -> None:
    scope = Scope("crm:again", WINDOWS, QUICK)
    sleep_until(_until(_opened(gate, scope)))
    state = gate.report(_permit(gate, scope), outcome)
    assert (state.state, state.generation) == ("half_open", 1)
    assert _permit(gate, scope).probe_generation == 1
    assert isinstance(gate.admit(scope), Refusal)


def test_a_probe_told_to_wait_is_given_back_and_waits(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    scope = Scope("crm:wait", WINDOWS, QUICK)
    sleep_until(_until(_opened(gate, scope)))
    assert gate.report(_permit(gate, scope), Outcome.RATE_LIMITED, retry_after_s=1).state == "half_open"
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.NOT_BEFORE
    sleep_until(refused.until_ms)
    assert _permit(gate, scope).probe_generation == 1


def test_open_time_doubles_up_to_its_cap_and_is_back_after_closing(
    gate: Gate, sleep_until: Callable[[int], None]
) -> None:
    scope = Scope("crm:doubles", WINDOWS, QUICK)
    state = _opened(gate, scope)
    lengths = [_until(state) - (state.opened_ms or 0)]
    for _ in range(3):
        sleep_until(_until(state))
        state = _call(gate, scope, Outcome.FAILURE)
        lengths.append(_until(state) - (state.opened_ms or 0))
    assert lengths == [200, 400, 500, 500]
    sleep_until(_until(state))
    assert _call(gate, scope, Outcome.OK).state == "closed"
    state = _opened(gate, scope)
    assert _until(state) - (state.opened_ms or 0) == 200


def test_a_probe_whose_holder_died_comes_back_after_its_lease(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    scope = Scope("crm:died", WINDOWS, replace(QUICK, probe_lease_s=0.6))
    sleep_until(_until(_opened(gate, scope)))
    dead = _permit(gate, scope)
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    assert refused.until_ms == dead.admitted_ms + 600
    sleep_until(refused.until_ms)
    heir = _permit(gate, scope)
    assert heir.probe_generation == 1
    assert gate.report(dead, Outcome.FAILURE).state == "half_open", "its lease went to another"
    assert gate.report(heir, Outcome.OK).state == "closed"


def test_results_of_an_older_generation_never_move_the_circuit(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    scope = Scope("crm:older", WINDOWS, QUICK)
    old = [_permit(gate, scope) for _ in range(6)]
    state = _opened(gate, scope)
    assert gate.report(old[0], Outcome.OK) == state
    assert gate.report(old[1], Outcome.FAILURE) == state
    sleep_until(_until(state))
    probe = _permit(gate, scope)
    assert gate.report(old[2], Outcome.OK).state == "half_open"
    assert gate.report(old[3], Outcome.FAILURE).state == "half_open"
    gate.report(probe, Outcome.OK)
    assert gate.report(old[4], Outcome.FAILURE) == BreakerState("closed", 0, 2, None, None, "failures")


def test_circuits_of_two_scopes_are_apart(gate: Gate) -> None:
    _opened(gate, Scope("crm:sick", WINDOWS, MINUTES_AWAY))
    assert isinstance(gate.admit(Scope("crm:well", WINDOWS, MINUTES_AWAY)), Permit)


@pytest.mark.parametrize(
    ("asked", "waits_ms"),
    [(7, 7_000), (0, 1_000), (-5, 1_000), (1e9, 3_600_000), (math.inf, 3_600_000), (None, 2_000), (math.nan, 2_000)],
    ids=str,
)
def test_429_holds_back_the_whole_fleet(
    gate: Gate, make_gate: Callable[..., Gate], redis_now: Callable[[], int], asked: float | None, waits_ms: int
) -> None:
    scope = Scope("crm:429", (Window("burst", 100, 2), Window("daily", 200_000, 86_400)), MINUTES_AWAY)
    permit = _permit(gate, scope)
    before = redis_now()
    assert gate.report(permit, Outcome.RATE_LIMITED, retry_after_s=asked) == BreakerState("closed", 0, 0, None, None)
    after = redis_now()
    refused = make_gate().admit(scope)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.NOT_BEFORE
    assert before + waits_ms <= refused.until_ms <= after + waits_ms
    assert gate.look(scope).not_before_ms == refused.until_ms


def test_a_shorter_not_before_never_shortens_a_longer_one(gate: Gate) -> None:
    scope = Scope("crm:longer", WINDOWS)
    first, second = _permit(gate, scope), _permit(gate, scope)
    gate.report(first, Outcome.RATE_LIMITED, retry_after_s=60)
    until = gate.look(scope).not_before_ms
    gate.report(second, Outcome.RATE_LIMITED, retry_after_s=2)
    assert gate.look(scope).not_before_ms == until


def test_not_before_passes(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    scope = Scope("crm:passes", WINDOWS)
    gate.report(_permit(gate, scope), Outcome.RATE_LIMITED, retry_after_s=1)
    refused = gate.admit(scope)
    assert isinstance(refused, Refusal)
    sleep_until(refused.until_ms)
    assert isinstance(gate.admit(scope), Permit)
    assert gate.look(scope).not_before_ms is None


@pytest.mark.parametrize(
    "policy",
    [{"failures": 0}, {"probes": 0}, {"probe_lease_s": 0}, {"open_s": 0}, {"open_s": 700}],
    ids=str,
)
def test_an_impossible_policy_is_refused_where_it_is_written(policy: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a breaker needs"):
        BreakerPolicy(**policy)  # type: ignore[arg-type]
