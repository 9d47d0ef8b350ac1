"""The gate: every call to a provider asks here first and reports here afterwards.

One Redis script admits (circuit, probe, not-before, every window) or says why not and until when; one
reports. What it promises is measured at the provider: in no window do more calls arrive than allowed, however
long each took on its way. ``docs/adr/0003-the-gate-counts-at-the-provider.md`` tells why it is built this way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, cast

import redis

from integrations.gate.calls import Call, script
from integrations.gate.channel import Channel
from integrations.gate.plan import KEEP_MS, Plan, plan_for
from integrations.gate.types import (
    BreakerState,
    GateAway,
    Learned,
    Mode,
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
_CIRCUIT_WORDS = 10
_ALL_WELL = ["-", "-", "100", "0", "-", "-", "-"]
_ALL = 100
_TOLD_WORDS = _CIRCUIT_WORDS + len(_ALL_WELL)
_SHOWN = {"ramp": "closed", "-": "closed"}
_KEPT = {"forced_open": "open", "disabled": "closed", "metrics_only": "closed"}


def _number(word: str) -> int | None:
    return None if word == "-" else int(word)


Shown = Literal["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"]


@lru_cache(maxsize=256)
def _circuit(text: str) -> BreakerState:
    """From a circuit's words alone (all is well), or from those of `told()` in scripts/shared.lua.

    Most often the same as the last time, so kept.
    """
    words = text.split(" ")
    state, failures, generation, opened, until, *_, cause = words[:_CIRCUIT_WORDS]
    mode, mode_until, percent, often, last, host, host_until = words[_CIRCUIT_WORDS:] or _ALL_WELL
    shown = mode if mode != "-" else _SHOWN.get(state, state)
    return BreakerState(
        cast("Shown", shown),
        int(failures),
        int(generation),
        _number(opened),
        _number(until),
        "" if cause == "-" else cause,
        int(percent),
        _number(mode_until),
        int(often),
        _number(last),
        cast('Literal["closed", "open", "half_open"]', _SHOWN.get(host, host)),
        _number(host_until),
    )


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
        epoch = (f"{prefix}:epoch".encode(),)
        self._greet, self._renew = Call(script("greet"), epoch, 1), Call(script("renew"), epoch, 1)
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
            words = self._channel.run(plan.admit, cost).split(" ")
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
        took_ms: int | None = None,
        learned: Sequence[Learned] = (),
    ) -> BreakerState:
        """Tell what became of an admitted call; the circuit afterwards. One round trip.

        ``retry_after_s`` matters for RATE_LIMITED only: clamped to 1 s .. 1 h, missing = the shortest window.
        ``delay_ms``: from the start of asking to the first byte; a long one widens the guard for all.
        ``took_ms``: from the first byte to the answer's last. ``learned``: what the answer said of the provider's
        windows. It lowers limits and raises our use for all at once, never the other way; a limit lowered by mistake is
        back with the next answer that says more, all of it when the window begins anew, at the latest after an hour.
        A second report of the same permit moves nothing. Raises GateAway.
        """
        plan = plan_for(self._prefix, permit.scope)
        return _circuit(
            self._channel.run(
                plan.report,
                permit.id,
                outcome.value,
                _retry_ms(retry_after_s, plan) if outcome is Outcome.RATE_LIMITED else 0,
                delay_ms if delay_ms is not None and delay_ms > plan.guard_ms else "",
                1 if took_ms is not None and took_ms >= plan.slow_ms else "",
                ",".join(_learned_words(learned, plan)) if learned else "",
                self._random() if outcome is Outcome.FAILURE else 0,
            )
        )

    def control(
        self, scope: Scope, mode: Mode | Literal["closed"] | None, until_ms: int | None = None, *, since_ms: int = 0
    ) -> BreakerState:
        """Put a mode in place of the circuit, for all processes at once; the circuit afterwards.

        ``closed``: close it now (its host's too), to recover step by step, and take back what was set; None: only take
        it back. After ``forced_open`` a probe goes first. ``until_ms``: when the mode ends by itself (None: never).
        ``since_ms``: when it was decided; what was decided before the last one that was told, or is that one, changes
        nothing (0: not asked about). Raises GateAway.
        """
        plan = plan_for(self._prefix, scope)
        until = "" if until_ms is None else until_ms
        return _circuit(self._channel.run(plan.control, mode or "none", until, since_ms))

    def look(self, scope: Scope) -> Snapshot:
        """The scope as Redis knows it now; changes nothing. Raises GateAway."""
        words = self._channel.run(plan_for(self._prefix, scope).look).split(" ")
        now_ms, ready_ms, not_before_ms = int(words[0]), int(words[1]), _number(words[2])
        circuit = _circuit(" ".join(words[3 : 3 + _TOLD_WORDS]))
        counts = [int(word) for word in words[3 + _TOLD_WORDS :]]
        names = [window.name for window in scope.windows]
        used = dict(zip(names, counts[: len(names)], strict=True))
        allowed = dict(zip(names, counts[len(names) :], strict=True))
        return Snapshot(now_ms, circuit, not_before_ms, used, ready_ms, allowed)

    def ping(self) -> None:
        """Returns when Redis answers. Raises GateAway."""
        self._channel.run(self._greet, KEEP_MS)

    def begin_epoch(self) -> None:
        """Let Redis count from the beginning, as after a restart: calls were made that it knows nothing of.

        Raises GateAway.
        """
        self._channel.run(self._renew, KEEP_MS)

    def _plant(self, plan: Plan, scope: Scope, epoch: str) -> None:
        """Ask the database what Redis forgot and hand it in; harmless when two clients do it at once."""
        seed = self._seeds.seed(scope)
        self._channel.run(plan.seed, epoch, _seed_json(seed, scope))


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
            "state": _kept_as(seed.breaker),
            "failures": seed.breaker.failures,
            "generation": seed.breaker.generation,
            "opened": seed.breaker.opened_ms,
            "until": seed.breaker.until_ms,
            "cause": seed.breaker.cause or "-",
        }
        told["circuit"] = {name: value for name, value in known.items() if value is not None}
    if seed.mode is not None:
        told["mode"] = [part for part in seed.mode if part is not None]
    return json.dumps(told)


def _kept_as(breaker: BreakerState) -> str:
    """The circuit's own name for a state that may be hidden by a mode, or recovering."""
    if breaker.state == "closed" and breaker.percent < _ALL:
        return "ramp"
    return _KEPT.get(breaker.state, breaker.state)


def _learned_words(learned: Sequence[Learned], plan: Plan) -> Iterator[str]:
    """One answer's words of windows that the scope has; what makes no sense is left out."""
    for one in learned:
        place, span_ms = plan.windows.get(one.window, (0, 0))
        if not place:
            continue
        limit = "-" if one.limit is None else max(1, one.limit)
        remaining = "-" if one.remaining is None else max(0, one.remaining)
        reset = "-" if one.reset_ms is None else min(max(0, one.reset_ms), span_ms)
        yield f"{place} {limit} {remaining} {reset}"
