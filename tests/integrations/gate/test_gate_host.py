"""The second circuit: a provider's host, which opens when two scopes agree; one probe closes both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import redis

from integrations.gate import BreakerPolicy, Gate, Outcome, Permit, Reason, Refusal, Scope, Window

WINDOWS = (Window("burst", 40, 10),)
POLICY = BreakerPolicy(failures=1, open_s=0.1, max_open_s=60, ramp=())
HOST = "crm:api.example:443"


def _scope(name: str, policy: BreakerPolicy = POLICY, host: str = HOST) -> Scope:
    return Scope(f"crm:{name}", WINDOWS, policy, host)


def _permit(gate: Gate, scope: Scope) -> Permit:
    got = gate.admit(scope)
    assert isinstance(got, Permit), got
    return got


def _fail(gate: Gate, *scopes: Scope) -> int:
    """One failed call each; when the last one's circuit may be probed."""
    until = 0
    for permit in [_permit(gate, scope) for scope in scopes]:
        state = gate.report(permit, Outcome.FAILURE)
        until = max(until, state.until_ms or 0, state.host_until_ms or 0)
    return until


def _reason(gate: Gate, scope: Scope) -> Reason:
    got = gate.admit(scope)
    assert isinstance(got, Refusal), got
    return got.reason


def test_one_scope_alone_opens_only_its_own_circuit(gate: Gate) -> None:
    _fail(gate, _scope("sick"))
    assert _permit(gate, _scope("well")).probe_generation is None


def test_two_scopes_that_agree_stop_the_whole_host(gate: Gate, make_gate: Callable[..., Gate]) -> None:
    _fail(gate, _scope("a"), _scope("b"))
    assert _reason(make_gate(), _scope("c")) is Reason.HOST_OPEN
    seen = gate.look(_scope("c")).breaker
    assert (seen.state, seen.host, seen.stops) == ("closed", "open", True)
    assert (seen.stopped_until_ms, seen.opened_ms) == (seen.host_until_ms, None)
    assert _permit(gate, _scope("d", host="crm:other.example:443")).probe_generation is None
    assert _permit(gate, _scope("e", host="")).probe_generation is None


def test_the_same_scope_twice_is_one_voice(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    one = _scope("flaps")
    sleep_until(_fail(gate, one))
    _fail(gate, one)
    _permit(gate, _scope("well"))


def test_what_opened_a_minute_ago_does_not_agree(gate: Gate, client: redis.Redis, prefix: str) -> None:
    _fail(gate, _scope("a"))
    client.zincrby(f"{prefix}:host:{HOST}:opened", -60_001, f"{prefix}:{{crm:a}}:state")
    _fail(gate, _scope("b"))
    _permit(gate, _scope("c"))


@pytest.mark.parametrize("outcome", [Outcome.LOCAL_FAULT, Outcome.NOT_SENT, Outcome.NEUTRAL, Outcome.RATE_LIMITED])
def test_our_own_network_opens_nothing(gate: Gate, outcome: Outcome) -> None:
    for name in "ab":
        scope = _scope(name)
        for permit in [_permit(gate, scope) for _ in range(12)]:
            assert gate.report(permit, outcome).stops is False
    if outcome is not Outcome.RATE_LIMITED:
        _permit(gate, _scope("a"))


def test_one_probe_closes_both_levels(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    a, b, c = _scope("a"), _scope("b"), _scope("c")
    sleep_until(_fail(gate, a, b))
    probe = _permit(gate, a)
    assert (probe.probe_generation, probe.budget) == (1, 0)
    assert _reason(gate, c) is Reason.HOST_OPEN, "its one probe is under way"
    state = gate.report(probe, Outcome.OK)
    assert (state.state, state.host) == ("closed", "closed")
    assert _permit(gate, c).probe_generation is None
    assert _permit(gate, b).probe_generation == 1, "the other's own circuit asks for its own proof"


def test_a_scope_that_never_failed_may_probe_for_the_host(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    a, b, c = _scope("a"), _scope("b"), _scope("c", replace(POLICY, failures=3))
    sleep_until(_fail(gate, a, b))
    probe = _permit(gate, c)
    assert probe.probe_generation == 1
    state = gate.report(probe, Outcome.FAILURE)
    assert (state.state, state.failures, state.host) == ("closed", 1, "open")
    assert (state.host_until_ms or 0) - probe.admitted_ms >= 200, "longer than the first time"
    assert _reason(gate, c) is Reason.HOST_OPEN


def test_a_host_probe_that_proved_nothing_is_given_back(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    a, b, c = _scope("a"), _scope("b"), _scope("c")
    sleep_until(_fail(gate, a, b))
    assert gate.report(_permit(gate, c), Outcome.LOCAL_FAULT).host == "half_open"
    assert _permit(gate, c).probe_generation == 1


def test_a_host_probe_whose_holder_died_comes_back(gate: Gate, sleep_until: Callable[[int], None]) -> None:
    policy = replace(POLICY, probe_lease_s=0.2)
    a, b, c = (_scope(name, policy) for name in "abc")
    sleep_until(_fail(gate, a, b))
    dead = _permit(gate, c)
    refused = gate.admit(c)
    assert isinstance(refused, Refusal)
    assert refused.until_ms == dead.admitted_ms + 200
    sleep_until(refused.until_ms)
    _permit(gate, c)
    assert gate.report(dead, Outcome.OK).host == "half_open", "its lease went to another"


def test_a_host_that_closed_recovers_step_by_step_for_all(
    gate: Gate, client: redis.Redis, prefix: str, sleep_until: Callable[[int], None]
) -> None:
    policy = replace(POLICY, ramp=(10,))
    a, b, c = (_scope(name, policy) for name in "abc")
    sleep_until(_fail(gate, a, b))
    gate.report(_permit(gate, a), Outcome.OK)
    assert gate.look(c).limits == {"burst": 4}
    assert _permit(gate, c).budget == 3
    key = f"{prefix}:host:{HOST}"
    words = client.get(key).decode().split(" ")
    words[5] = str(int(words[5]) - 10_000)
    client.set(key, " ".join(words))
    assert _permit(gate, c).budget == 38
    assert client.get(key).decode().split(" ")[1] == "closed"


@pytest.mark.parametrize("mode", ["disabled", "metrics_only"])
def test_a_scope_without_a_circuit_passes_the_host_too(gate: Gate, mode: str) -> None:
    _fail(gate, _scope("a"), _scope("b"))
    free = _scope("free")
    gate.control(free, mode)  # type: ignore[arg-type]
    assert gate.report(_permit(gate, free), Outcome.FAILURE).stops is False


def test_closing_by_hand_closes_the_host_too(gate: Gate) -> None:
    a, b, c = _scope("a"), _scope("b"), _scope("c")
    _fail(gate, a, b)
    assert gate.control(a, "closed").host == "closed"
    _permit(gate, c)


def test_a_new_epoch_forgets_the_host(gate: Gate, client: redis.Redis, prefix: str) -> None:
    _fail(gate, _scope("a"), _scope("b"))
    client.hset(f"{prefix}:epoch", "started_ms", 2)
    _permit(gate, _scope("c"))
