"""The guard: what one observed, all keep; and the proof that the law holds while it moves."""

from __future__ import annotations

from collections.abc import Callable

import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.gate import Gate, Outcome, Permit, Scope, Window

SCOPE = Scope("crm:guard", (Window("burst", 100, 10), Window("daily", 200_000, 86_400)))


def _guard(gate: Gate, scope: Scope = SCOPE) -> int:
    permit = gate.admit(scope)
    assert isinstance(permit, Permit)
    return permit.guard_ms


def _observe(gate: Gate, delay_ms: int | None, outcome: Outcome = Outcome.OK) -> None:
    permit = gate.admit(SCOPE)
    assert isinstance(permit, Permit)
    gate.report(permit, outcome, delay_ms=delay_ms)


def test_it_is_five_percent_of_the_shortest_window(gate: Gate) -> None:
    assert _guard(gate) == 500
    assert _guard(gate, Scope("crm:one", (Window("second", 10, 1),))) == 50
    assert _guard(gate, Scope("crm:day", (Window("daily", 10, 86_400),))) == 3_000, "at most of a minute"


def test_a_long_delay_widens_it_at_once_for_every_client(gate: Gate, make_gate: Callable[..., Gate]) -> None:
    _observe(gate, 900)
    assert _guard(make_gate()) == 900


def test_a_missed_permit_widens_it_too(gate: Gate) -> None:
    _observe(gate, 1_200, Outcome.NOT_SENT)
    assert _guard(gate) == 1_200


def test_it_never_exceeds_a_quarter_of_the_window(gate: Gate) -> None:
    _observe(gate, 60_000)
    assert _guard(gate) == 2_500


def test_short_and_unknown_delays_leave_it(gate: Gate) -> None:
    _observe(gate, 900)
    _observe(gate, 3)
    _observe(gate, 700)
    _observe(gate, None)
    assert _guard(gate) == 900


def test_it_decays_slowly_back(gate: Gate, client: redis.Redis, prefix: str) -> None:
    _observe(gate, 2_500)
    state = f"{prefix}:{{crm:guard}}:state"
    client.hincrby(state, "guard_at", -300_000)
    assert _guard(gate) == 1_500
    _observe(gate, 1_800)
    assert _guard(gate) == 1_800
    client.hincrby(state, "guard_at", -6_000_000)
    assert _guard(gate) == 501
    client.hincrby(state, "guard_at", -86_400_000)
    assert _guard(gate) == 500


def test_an_admission_keeps_the_guard_it_was_given(gate: Gate) -> None:
    scope = Scope("crm:keeps", (Window("burst", 1, 10),))
    first = gate.admit(scope)
    assert isinstance(first, Permit)
    gate.report(first, Outcome.OK, delay_ms=2_000)
    refused = gate.admit(scope)
    assert not isinstance(refused, Permit)
    assert refused.until_ms == first.admitted_ms + 500 + 1 + 10_000


WINDOW_MS = 1_000


def _provider_sees(calls: list[tuple[int, int, float]], limit: int) -> list[float]:
    """The ring in pure Python: (gap since the last ask, guard then, share of the guard used) -> arrivals.

    ``arrives`` is what scripts/admit.lua stores; the true moment lies up to a millisecond after the one it reads.
    """
    ring: list[int] = []
    arrivals: list[float] = []
    now = 0
    for gap, guard, share in calls:
        now += gap
        ring = [arrives for arrives in ring if arrives > now - WINDOW_MS]
        if len(ring) < limit:
            ring.append(now + guard + 1)
            arrivals.append(now + share * (guard + 1))
    return sorted(arrivals)


_CALLS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 5), st.integers(0, 1_300)),
        st.integers(50, 250),
        st.one_of(st.just(0.0), st.just(0.999), st.floats(0, 0.999)),
    ),
    max_size=60,
)


@given(calls=_CALLS, limit=st.integers(1, 5))
@settings(max_examples=300, deadline=None)
def test_no_window_at_the_provider_holds_more_than_the_limit(calls: list[tuple[int, int, float]], limit: int) -> None:
    arrivals = _provider_sees(calls, limit)
    for earlier, later in zip(arrivals, arrivals[limit:], strict=False):
        assert later - earlier >= WINDOW_MS


@given(asks=st.lists(st.integers(0, 400), min_size=1, max_size=60), limit=st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_the_ring_refuses_only_when_it_must(asks: list[int], limit: int) -> None:
    """With every call as late as its guard allows, a refused one would have broken the law."""
    ring: list[int] = []
    now = 0
    for gap in asks:
        now += gap
        ring = [arrives for arrives in ring if arrives > now - WINDOW_MS]
        if len(ring) < limit:
            ring.append(now + 51)
        else:
            assert sum(1 for arrives in ring if now - arrives < WINDOW_MS) >= limit
