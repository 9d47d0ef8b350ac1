"""The gate: every call to a provider asks here first and reports here afterwards.

One Redis script admits (circuit, probe, not-before, every window) or says why not and until when; one
reports. What it promises is measured at the provider: in no window do more calls arrive than allowed, however
long each took on its way. ``docs/adr/0003-the-gate-counts-at-the-provider.md`` tells why it is built this way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Literal, cast

import redis

from integrations.gate.channel import Channel, script
from integrations.gate.plan import Plan, plan_for
from integrations.gate.types import (
    BreakerState,
    GateAway,
    Outcome,
    Permit,
    Reason,
    Refusal,
    Scope,
    Seed,
    SeedSource,
    Snapshot,
)

MIN_RETRY_AFTER_S = 1.0
MAX_RETRY_AFTER_S = 3_600.0
_SEED_TRIES = 3


def _number(word: str) -> int | None:
    return None if word == "-" else int(word)


def _circuit(words: list[str]) -> BreakerState:
    state, failures, generation, opened, until, _ = words
    known = cast('Literal["closed", "open", "half_open"]', state)
    return BreakerState(known, int(failures), int(generation), _number(opened), _number(until))


class Gate:
    """Limits and circuit of every scope, shared by all processes through one Redis.

    ``redis`` should come from ``connect`` (short timeouts, no retries). ``seeds`` is asked once per scope
    after Redis forgot. ``random`` in [0, 1) spreads the open times. Safe to share between threads.
    """

    def __init__(
        self,
        redis: redis.Redis,
        *,
        prefix: str = "reanna:gate",
        seeds: SeedSource,
        random: Callable[[], float],
    ) -> None:
        self._channel = Channel(redis, prefix)
        self._prefix = prefix
        self._seeds = seeds
        self._random = random

    def admit(self, scope: Scope, cost: int = 1) -> Permit | Refusal:
        """Leave to make one call that counts ``cost`` times, or why not and until when. One round trip.

        Raises GateAway when Redis cannot be reached in time, ValueError for a cost no window could ever hold.
        """
        plan = plan_for(self._prefix, scope)
        if not 1 <= cost <= plan.largest_cost:
            raise ValueError(f"a cost of {cost} never fits the windows of {scope.key}")
        for _ in range(_SEED_TRIES):
            words = self._channel.run(script("admit", plan.policy), plan.keys, cost)
            if words[0] == "permit":
                _, permit_id, admitted, guard, generation, budget = words
                return Permit(scope, permit_id, int(admitted), int(guard), _number(generation), int(budget))
            if words[0] == "refusal":
                return Refusal(scope, Reason(words[1]), int(words[2]))
            self._plant(plan, scope, words[1])
        raise GateAway("Redis forgets faster than it can be told; nothing may be sent")

    def report(
        self,
        permit: Permit,
        outcome: Outcome,
        *,
        retry_after_s: float | None = None,
        delay_ms: int | None = None,
    ) -> BreakerState:
        """Tell what became of an admitted call; the circuit afterwards. One round trip.

        ``retry_after_s`` matters for RATE_LIMITED only: clamped to 1 s .. 1 h, missing = the shortest window.
        ``delay_ms``: from the start of asking to the first byte; a long one widens the guard for all.
        A second report of the same permit moves nothing. Raises GateAway.
        """
        plan = plan_for(self._prefix, permit.scope)
        return _circuit(
            self._channel.run(
                script("report", plan.policy),
                plan.keys,
                permit.id,
                outcome.value,
                _retry_ms(retry_after_s, plan),
                delay_ms if delay_ms is not None and delay_ms > plan.guard_ms else "",
                self._random(),
            )
        )

    def look(self, scope: Scope) -> Snapshot:
        """The scope as Redis knows it now; changes nothing. Raises GateAway."""
        plan = plan_for(self._prefix, scope)
        words = self._channel.run(script("look", plan.policy), plan.keys)
        used = {window.name: int(word) for window, word in zip(scope.windows, words[9:], strict=True)}
        return Snapshot(int(words[0]), _circuit(words[3:9]), _number(words[2]), used, int(words[1]))

    def _plant(self, plan: Plan, scope: Scope, epoch: str) -> None:
        """Ask the database what Redis forgot and hand it in; harmless when two clients do it at once."""
        seed = self._seeds.seed(scope)
        self._channel.run(script("seed", plan.policy), plan.keys, epoch, _seed_json(seed, scope))


def _retry_ms(retry_after_s: float | None, plan: Plan) -> int:
    if retry_after_s is None or math.isnan(retry_after_s):
        retry_after_s = plan.shortest_ms / 1_000
    return math.ceil(min(MAX_RETRY_AFTER_S, max(MIN_RETRY_AFTER_S, retry_after_s)) * 1_000)


def _seed_json(seed: Seed, scope: Scope) -> str:
    told: dict[str, object] = {"used": [list(seed.used.get(window.name, ())) for window in scope.windows]}
    if seed.not_before_ms is not None:
        told["not_before"] = seed.not_before_ms
    if seed.breaker is not None:
        known = {
            "state": seed.breaker.state,
            "failures": seed.breaker.failures,
            "generation": seed.breaker.generation,
            "opened": seed.breaker.opened_ms,
            "until": seed.breaker.until_ms,
        }
        told["circuit"] = {name: value for name, value in known.items() if value is not None}
    return json.dumps(told)
