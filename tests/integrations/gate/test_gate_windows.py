"""Rings, sub-buckets, several windows at once, slots given back, budgets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from integrations.gate import BreakerPolicy, Gate, Outcome, Permit, Reason, Refusal, Scope, Window

BURST = Window("burst", 5, 1)
DAILY = Window("daily", 200_000, 86_400)


def _permits(gate: Gate, scope: Scope, count: int) -> list[Permit]:
    got = [gate.admit(scope) for _ in range(count)]
    assert all(isinstance(one, Permit) for one in got), got
    return [one for one in got if isinstance(one, Permit)]


def _refusal(gate: Gate, scope: Scope, cost: int = 1) -> Refusal:
    got = gate.admit(scope, cost)
    assert isinstance(got, Refusal), got
    return got


def test_ring_admits_its_limit_and_not_one_more(gate: Gate) -> None:
    scope = Scope("crm:ring", (BURST,))
    permits = _permits(gate, scope, 5)
    assert [permit.budget for permit in permits] == [4, 3, 2, 1, 0]
    assert {permit.guard_ms for permit in permits} == {50}
    assert len({permit.id for permit in permits}) == 5
    assert _refusal(gate, scope).reason is Reason.RATE_LIMITED


def test_a_ring_refuses_until_the_very_millisecond(
    gate: Gate, first_permit: Callable[[Gate, Scope, int], Permit]
) -> None:
    scope = Scope("crm:until", (BURST,))
    first = _permits(gate, scope, 5)[0]
    refused = _refusal(gate, scope)
    assert refused.until_ms == first.admitted_ms + 50 + 1 + 1_000
    first_permit(gate, scope, refused.until_ms)


def test_a_costly_call_waits_for_as_many_slots(gate: Gate) -> None:
    scope = Scope("crm:cost", (Window("burst", 5, 2),))
    permits = _permits(gate, scope, 4)
    assert _refusal(gate, scope, 3).until_ms == permits[1].admitted_ms + 100 + 1 + 2_000
    costly = gate.admit(scope, 1)
    assert isinstance(costly, Permit)
    assert costly.budget == 0


def test_a_cost_no_window_can_hold_is_a_mistake(gate: Gate) -> None:
    scope = Scope("crm:never", (BURST,))
    with pytest.raises(ValueError, match="cost of 6 never fits"):
        gate.admit(scope, 6)
    with pytest.raises(ValueError, match="cost of 0 never fits"):
        gate.admit(scope, 0)


def test_several_windows_count_all_or_nothing(gate: Gate) -> None:
    scope = Scope("crm:several", (BURST, Window("minute", 3, 60), DAILY))
    permits = _permits(gate, scope, 3)
    assert [permit.budget for permit in permits] == [2, 1, 0]
    refused = _refusal(gate, scope)
    assert refused.reason is Reason.RATE_LIMITED
    assert refused.until_ms == permits[0].admitted_ms + 50 + 1 + 60_000
    assert gate.look(scope).used == {"burst": 3, "minute": 3, "daily": 3}


def test_a_used_up_day_says_so(gate: Gate) -> None:
    scope = Scope("crm:day", (BURST, Window("daily", 2, 86_400)))
    first = _permits(gate, scope, 2)[0]
    refused = _refusal(gate, scope)
    assert refused.reason is Reason.DAY_USED
    assert refused.until_ms == first.admitted_ms + 50 + 1 + 86_400_000


def test_of_two_full_windows_the_later_to_free_is_told(gate: Gate) -> None:
    scope = Scope("crm:both", (Window("long", 2, 5), Window("short", 2, 1)))
    first = _permits(gate, scope, 2)[0]
    assert _refusal(gate, scope).until_ms == first.admitted_ms + 50 + 1 + 5_000


def test_sub_buckets_never_exceed_their_limit_and_free_at_the_told_time(
    gate: Gate,
    sleep_until: Callable[[int], None],
    first_permit: Callable[[Gate, Scope, int], Permit],
    client: redis.Redis,
    prefix: str,
) -> None:
    scope = Scope("crm:buckets", (Window("big", 1_500, 1),))
    half = gate.admit(scope, 700)
    assert isinstance(half, Permit)
    sleep_until(half.admitted_ms + 300)
    last = gate.admit(scope, 800)
    assert isinstance(last, Permit)
    assert (half.budget, last.budget) == (800, 0)
    refused = _refusal(gate, scope)
    assert refused.until_ms == half.admitted_ms + 50 + 1 + 1_000
    assert refused.reason is Reason.RATE_LIMITED
    assert _refusal(gate, scope, 701).until_ms == last.admitted_ms + 50 + 1 + 1_000
    one = first_permit(gate, scope, refused.until_ms)
    gate.report(one, Outcome.NOT_SENT)
    again = gate.admit(scope, 700)
    assert isinstance(again, Permit)
    assert gate.look(scope).used == {"big": 1_500}
    buckets = f"{prefix}:{{crm:buckets}}:buckets:big:42"
    assert not client.hexists(buckets, half.admitted_ms // 42), "sub-buckets that are over are dropped"
    assert client.hexists(buckets, last.admitted_ms // 42)
    sleep_until(again.admitted_ms + 1_051)
    assert gate.look(scope).used == {"big": 0}
    assert isinstance(gate.admit(scope, 1_500), Permit)
    assert client.hlen(buckets) == 2 + 2


def test_not_sent_gives_the_slots_back_exactly_once(gate: Gate) -> None:
    scope = Scope("crm:back", (BURST, DAILY))
    permits = _permits(gate, scope, 5)
    for _ in range(3):
        gate.report(permits[2], Outcome.NOT_SENT)
    assert gate.look(scope).used == {"burst": 4, "daily": 4}
    assert isinstance(gate.admit(scope), Permit)
    assert isinstance(gate.admit(scope), Refusal)


def test_a_costly_call_not_sent_gives_all_its_slots_back(gate: Gate) -> None:
    scope = Scope("crm:costly", (BURST, DAILY))
    permit = gate.admit(scope, 5)
    assert isinstance(permit, Permit)
    gate.report(permit, Outcome.NOT_SENT)
    assert gate.look(scope).used == {"burst": 0, "daily": 0}


def test_slots_of_a_bucket_already_over_are_not_given_back_again(
    gate: Gate, sleep_until: Callable[[int], None]
) -> None:
    scope = Scope("crm:late", (Window("big", 2_000, 1),))
    permit = gate.admit(scope, 2_000)
    assert isinstance(permit, Permit)
    sleep_until(permit.admitted_ms + 1_051)
    assert isinstance(gate.admit(scope, 10), Permit)
    gate.report(permit, Outcome.NOT_SENT)
    assert gate.look(scope).used == {"big": 10}


@pytest.mark.parametrize(
    "outcome", [o for o in Outcome if o is not Outcome.NOT_SENT], ids=lambda outcome: outcome.value
)
def test_what_was_sent_keeps_its_slot(gate: Gate, outcome: Outcome) -> None:
    scope = Scope("crm:kept", (BURST,))
    gate.report(_permits(gate, scope, 1)[0], outcome)
    assert gate.look(scope).used == {"burst": 1}


def test_a_lowered_limit_holds_at_once_for_what_was_already_admitted(gate: Gate) -> None:
    _permits(gate, Scope("crm:lower", (Window("burst", 10, 1),)), 6)
    lowered = Scope("crm:lower", (Window("burst", 5, 1),))
    assert isinstance(gate.admit(lowered), Refusal)


def test_scopes_do_not_share_their_limits(gate: Gate) -> None:
    _permits(gate, Scope("crm:one", (BURST,)), 5)
    assert isinstance(gate.admit(Scope("crm:two", (BURST,))), Permit)


def test_a_scope_without_windows_is_only_a_circuit(gate: Gate) -> None:
    permit = gate.admit(Scope("mcp:free", ()))
    assert isinstance(permit, Permit)
    assert permit.guard_ms == 3_000
    assert permit.budget == 1_000_000
    assert gate.look(permit.scope).used == {}


def test_calls_that_end_well_leave_no_keys_of_their_own(gate: Gate, client: redis.Redis, prefix: str) -> None:
    for permit in _permits(gate, Scope("crm:well", (BURST, DAILY)), 5):
        gate.report(permit, Outcome.OK, delay_ms=3)
    scope = f"{prefix}:{{crm:well}}"
    keys = {key.decode() for key in client.scan_iter(f"{prefix}:*")}
    assert keys == {f"{prefix}:epoch", f"{scope}:state", f"{scope}:ring:burst", f"{scope}:buckets:daily:3600000"}


def test_every_key_has_an_expiry(
    gate: Gate, client: redis.Redis, prefix: str, sleep_until: Callable[[int], None]
) -> None:
    scope = Scope("crm:ttl", (BURST, DAILY), BreakerPolicy(open_s=0.1, max_open_s=1))
    permits = _permits(gate, scope, 4)
    for permit in permits[:3]:
        state = gate.report(permit, Outcome.FAILURE, delay_ms=200)
    gate.report(permits[3], Outcome.LOCAL_FAULT)
    sleep_until(state.until_ms or 0)
    gate.report(_permits(gate, scope, 1)[0], Outcome.RATE_LIMITED)
    sleep_until(gate.look(scope).not_before_ms or 0)
    assert _permits(gate, scope, 1)[0].probe_generation == 1
    keys = list(client.scan_iter(f"{prefix}:*"))
    assert len(keys) == 5 + 4, "epoch, state, probes, two windows; three failures and a probe reported"
    assert [key for key in keys if client.pttl(key) <= 0] == []


def test_expiries_are_renewed_once_a_day(gate: Gate, client: redis.Redis, prefix: str) -> None:
    scope = Scope("crm:renew", (BURST,))
    _permits(gate, scope, 1)
    state = f"{prefix}:{{crm:renew}}:state"
    client.pexpire(state, 5_000)
    _permits(gate, scope, 1)
    assert client.pttl(state) <= 5_000
    client.hincrby(state, "last", -86_400_000)
    _permits(gate, scope, 1)
    assert client.pttl(state) > 86_400_000
    assert client.pttl(f"{prefix}:epoch") > 86_400_000


@pytest.mark.parametrize(("name", "limit", "seconds"), [("", 1, 1), ("w", 0, 1), ("w", 1, 0)])
def test_an_impossible_window_is_refused_where_it_is_written(name: str, limit: int, seconds: int) -> None:
    with pytest.raises(ValueError, match="a window needs"):
        Window(name, limit, seconds)


def test_impossible_scopes_are_refused_where_they_are_written() -> None:
    with pytest.raises(ValueError, match="hold braces"):
        Scope("crm:{a}", (BURST,))
    with pytest.raises(ValueError, match="same name"):
        Scope("crm:twice", (BURST, BURST))
