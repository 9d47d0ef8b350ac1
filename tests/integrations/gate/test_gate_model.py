"""The gate beside a small model of it, over made-up stories: windows, circuit, probes, a person's hand."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.gate import BreakerPolicy, Gate, Outcome, Permit, Reason, Refusal, Scope, Seed, Window, connect

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    from tests.redis_server import RedisServer

quickly = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_numbers = itertools.count(1)

POLICY = BreakerPolicy(failures=3, failure_rate=0.5, slow_rate=0.5, minimum=5, sample=8, open_s=600, ramp=())
WINDOWS = (Window("burst", 900, 60),)
OUTCOMES = list(Outcome)
MODES = ["forced_open", "disabled", "metrics_only", "closed", None]


def _scope(policy: BreakerPolicy = POLICY, windows: tuple[Window, ...] = WINDOWS) -> Scope:
    return Scope(f"model:{next(_numbers)}", windows, policy)


@dataclass
class Model:
    """The circuit without time: what is open stays open."""

    state: str = "closed"
    mode: str | None = None
    failures: int = 0
    would: int = 0
    calls: list[tuple[bool, bool]] = field(default_factory=list)

    def passes(self) -> bool:
        return self.mode in ("disabled", "metrics_only") or (self.mode is None and self.state == "closed")

    def report(self, outcome: Outcome, slow: bool) -> None:
        if outcome not in (Outcome.OK, Outcome.FAILURE) or self.mode == "disabled":
            return
        failed = outcome is Outcome.FAILURE
        self.failures = self.failures + 1 if failed else 0
        self.calls = [*self.calls, (failed, slow)][-POLICY.sample :]
        if self._opens(failed, slow):
            self.calls = []
            if self.mode == "metrics_only":
                self.would, self.failures = self.would + 1, 0
            else:
                self.state = "open"

    def _opens(self, failed: bool, slow: bool) -> bool:
        enough = len(self.calls) >= POLICY.minimum
        half = len(self.calls) / 2
        return (
            (failed and self.failures >= POLICY.failures)
            or (enough and failed and sum(call[0] for call in self.calls) >= half)
            or (enough and slow and sum(call[1] for call in self.calls) >= half)
        )

    def control(self, mode: str | None) -> None:
        was, self.mode, self.calls, self.would = self.mode, None if mode == "closed" else mode, [], 0
        if mode == "forced_open":
            self.state = "open"
        elif mode is not None:
            self.state, self.failures = "closed", 0
        elif was == "forced_open":
            self.state = "half_open"


_steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(OUTCOMES[:2]), st.booleans()),
        st.tuples(st.sampled_from(OUTCOMES), st.booleans()),
        st.sampled_from(MODES),
    ),
    max_size=30,
)


@quickly
@given(_steps)
def test_the_circuit_does_what_the_model_does(gate: Gate, steps: list[object]) -> None:
    scope, model = _scope(), Model()
    for step in steps:
        if not isinstance(step, tuple):
            model.control(step)
            gate.control(scope, step)
        elif model.state != "half_open" or model.mode is not None:
            got = gate.admit(scope)
            waits = isinstance(got, Refusal) and got.reason is Reason.NOT_BEFORE
            assert isinstance(got, Permit) is (model.passes() and not waits)
            if isinstance(got, Permit):
                outcome = Outcome.NEUTRAL if step[0] is Outcome.RATE_LIMITED else step[0]
                model.report(outcome, step[1])
                gate.report(got, outcome, took_ms=10_000 if step[1] else 5)
        seen = gate.look(scope).breaker
        assert seen.state == (model.mode or model.state)
        assert seen.would_open == model.would
        if model.passes():
            assert seen.failures == model.failures


@quickly
@given(
    st.lists(st.tuples(st.integers(1, 7), st.booleans()), max_size=40),
    st.integers(7, 30),
    st.sampled_from([60, 3_600]),
)
def test_a_window_never_holds_more_than_its_limit(
    gate: Gate, calls: list[tuple[int, bool]], limit: int, seconds: int
) -> None:
    windows = (Window("small", limit, seconds), Window("large", 1_000 + limit, seconds))
    scope, used = _scope(windows=windows), 0
    for cost, given_back in calls:
        got = gate.admit(scope, cost)
        assert isinstance(got, Permit) is (used + cost <= limit)
        if not isinstance(got, Permit):
            continue
        used += cost
        assert got.budget <= limit - used
        if given_back:
            gate.report(got, Outcome.NOT_SENT)
            used -= cost
        assert gate.look(scope).used == {"small": used, "large": used}


@quickly
@given(st.integers(1, 4), st.lists(st.sampled_from(["ask", *OUTCOMES]), min_size=5, max_size=25))
def test_never_more_probes_than_the_policy_says(gate: Gate, probes: int, steps: list[object]) -> None:
    scope = _scope(BreakerPolicy(failures=1, open_s=0.001, max_open_s=0.001, probes=probes, ramp=()))
    gate.report(gate.admit(scope), Outcome.FAILURE)  # type: ignore[arg-type]
    leased: list[Permit] = []
    for step in steps:
        if gate.look(scope).breaker.state == "closed":
            return
        if step == "ask":
            got = gate.admit(scope)
            if isinstance(got, Permit):
                assert got.probe_generation is not None
                leased.append(got)
            elif len(leased) < probes:
                assert got.reason in (Reason.CIRCUIT_OPEN, Reason.NOT_BEFORE)
            assert len(leased) <= probes
        elif leased:
            outcome = Outcome.NEUTRAL if step is Outcome.RATE_LIMITED else step
            gate.report(leased.pop(), outcome)  # type: ignore[arg-type]
            if outcome is Outcome.FAILURE:
                leased.clear()  # of the generation before: they prove nothing any more
                time.sleep(0.002)


class _NothingKnown:
    def seed(self, scope: Scope) -> Seed:
        return Seed()


def _ask(url: str, prefix: str, scope: Scope, out: Queue[tuple[str, int]]) -> None:
    gate = Gate(connect(url, timeout_s=5), prefix=prefix, seeds=_NothingKnown(), random=random.random)
    got = gate.admit(scope)
    out.put(("permit", 0) if isinstance(got, Permit) else (got.reason.value, got.until_ms))


def test_a_429_seen_by_one_process_stops_another(
    redis_server: RedisServer, gate: Gate, prefix: str, warm: Callable[[], None]
) -> None:
    scope = _scope()
    gate.report(gate.admit(scope), Outcome.RATE_LIMITED, retry_after_s=60)  # type: ignore[arg-type]
    context = multiprocessing.get_context("spawn")
    out: Queue[tuple[str, int]] = context.Queue()
    other = context.Process(target=_ask, args=(redis_server.url, prefix, scope, out))
    other.start()
    assert out.get(timeout=30) == ("not_before", gate.look(scope).not_before_ms)
    other.join(timeout=10)
