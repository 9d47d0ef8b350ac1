"""What else opens a circuit than failures in a row: shares of failed and slow calls; counting without refusing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis

from integrations.gate import BreakerPolicy, BreakerState, Gate, Outcome, Permit, Scope, Window

WINDOWS = (Window("burst", 100, 1),)
NEVER_IN_A_ROW = BreakerPolicy(failures=50, failure_rate=0.5, slow_rate=0.5, minimum=6, sample=8)
SLOW_MS, QUICK_MS = 10_000, 9_999


def _report(gate: Gate, scope: Scope, word: str) -> BreakerState:
    """. well, f failed, s slow, b both."""
    permit = gate.admit(scope)
    assert isinstance(permit, Permit), permit
    outcome = Outcome.FAILURE if word in "fb" else Outcome.OK
    return gate.report(permit, outcome, took_ms=SLOW_MS if word in "sb" else QUICK_MS)


def _all(gate: Gate, scope: Scope, words: str) -> list[str]:
    return [_report(gate, scope, word).state for word in words]


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (".f.f.f", "failure_rate"),
        ("f.f..f", "failure_rate"),
        ("....f.f.ff", "failure_rate"),
        (".s.s.s", "slow_rate"),
        (".b.s.s", "slow_rate"),
        ("f.f..b", "failure_rate"),
    ],
)
def test_a_share_opens_at_its_threshold_and_not_a_call_earlier(gate: Gate, words: str, cause: str) -> None:
    scope = Scope("crm:share", WINDOWS, NEVER_IN_A_ROW)
    assert _all(gate, scope, words) == ["closed"] * (len(words) - 1) + ["open"]
    assert gate.look(scope).breaker.cause == cause


@pytest.mark.parametrize("words", ["fffff", ".....f.f", "ffs..s", "f.f........f.f"], ids=str)
def test_too_few_calls_or_too_few_bad_ones_open_nothing(gate: Gate, words: str) -> None:
    scope = Scope("crm:few", WINDOWS, NEVER_IN_A_ROW)
    assert set(_all(gate, scope, words)) == {"closed"}


@pytest.mark.parametrize("rate", ["failure_rate", "slow_rate"])
def test_a_share_that_is_not_watched_opens_nothing(gate: Gate, rate: str) -> None:
    scope = Scope("crm:unwatched", WINDOWS, replace(NEVER_IN_A_ROW, **{rate: None}))
    assert set(_all(gate, scope, ("f" if rate == "failure_rate" else "s") * 12)) == {"closed"}


def test_with_no_share_watched_nothing_is_remembered(gate: Gate, client: redis.Redis, prefix: str) -> None:
    scope = Scope("crm:row", WINDOWS, BreakerPolicy(failure_rate=None, slow_rate=None))
    assert _all(gate, scope, ".s.ff.fff") == ["closed"] * 8 + ["open"]
    assert not client.hexists(f"{prefix}:{{crm:row}}:state", "calls")


def test_what_says_nothing_of_health_is_not_in_the_share(gate: Gate) -> None:
    scope = Scope("crm:says-nothing", WINDOWS, NEVER_IN_A_ROW)
    for _ in range(8):
        permit = gate.admit(scope)
        assert isinstance(permit, Permit)
        gate.report(permit, Outcome.NEUTRAL, took_ms=SLOW_MS)
    assert _all(gate, scope, "fff..f") == ["closed"] * 5 + ["open"]


def test_the_share_begins_anew_after_closing(gate: Gate) -> None:
    scope = Scope("crm:anew", WINDOWS, replace(NEVER_IN_A_ROW, ramp=()))
    _all(gate, scope, ".f.f.f")
    assert gate.control(scope, "closed").state == "closed"
    assert _all(gate, scope, "f.f.f") == ["closed"] * 5


def test_a_new_threshold_only_says_what_it_would_have_done(gate: Gate) -> None:
    scope = Scope("crm:would", WINDOWS, replace(NEVER_IN_A_ROW, failures=3, metrics_only=True))
    assert set(_all(gate, scope, "fffff")) == {"metrics_only"}
    state = gate.look(scope).breaker
    assert (state.state, state.failures, state.would_open, state.stops) == ("metrics_only", 2, 1, False)
    assert state.would_open_ms is not None
    _all(gate, scope, "f.")
    assert gate.look(scope).breaker.would_open == 2


def test_a_circuit_that_was_open_is_closed_when_it_becomes_metrics_only(gate: Gate) -> None:
    _all(gate, Scope("crm:became", WINDOWS), "fff")
    assert _all(gate, Scope("crm:became", WINDOWS, BreakerPolicy(metrics_only=True)), ".") == ["metrics_only"]


@pytest.mark.parametrize(
    "policy",
    [
        {"minimum": 4},
        {"minimum": 30},
        {"sample": 101},
        {"failure_rate": 0},
        {"slow_rate": 1.1},
        {"ramp": (50, 25)},
        {"ramp": (0,)},
        {"ramp": (100,)},
        {"ramp_s": 0},
        {"ramp_successes": -1},
        {"healthy_s": -1},
        {"slow_s": 0},
    ],
    ids=str,
)
def test_impossible_shares_and_ramps_are_refused_where_they_are_written(policy: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a breaker needs"):
        BreakerPolicy(**policy)  # type: ignore[arg-type]
