"""A scope in the form the scripts take it: its keys, its limits and its policy as a piece of Lua, made once and kept.

The policy is compiled into the scripts rather than sent along and parsed for each call. It comes from a provider's
manifest and holds numbers only, so nothing a person typed becomes code. Limits, which staff change, are arguments: a
changed one is no new script.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from integrations.gate.calls import Call, script
from integrations.gate.types import BreakerPolicy, Scope, Window

SHORT_WINDOW_S = 60
"""After Redis forgot, windows up to this long are waited out; longer ones are seeded from the database."""

GUARD_SHARE = 0.05
GUARD_CAP_SHARE = 0.25
KEEP_MS = 30 * 86_400_000
"""How long an untouched circuit is remembered in Redis; after that the database's copy is read again."""


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1_000)


@dataclass(eq=False, frozen=True)
class Plan:
    """One scope under one prefix, and its calls."""

    shortest_ms: int
    guard_ms: int
    slow_ms: int
    largest_cost: float
    windows: dict[str, tuple[int, int]]
    """Name → its place in the scripts' list (from 1) and its length in ms."""
    admit: Call
    report: Call
    look: Call
    seed: Call
    control: Call


@lru_cache(maxsize=4_096)
def plan_for(prefix: str, scope: Scope) -> Plan:
    """Keys (epoch, state, probes, host, one per window), limits and policy of a scope."""
    base = f"{prefix}:{{{scope.key}}}"
    seconds = [window.seconds for window in scope.windows]
    shortest_ms = _ms(min([*seconds, SHORT_WINDOW_S]))
    names = [f"{prefix}:epoch", f"{base}:state", f"{base}:probes", f"{prefix}:host:{scope.host}"]
    names += [f"{base}:{_kept_as(window)}" for window in scope.windows]
    keys = tuple(name.encode() for name in names)
    policy = policy_of(scope)
    account = scope.account.encode()
    last = (*(b"%d" % window.limit for window in scope.windows), account)
    return Plan(
        shortest_ms=shortest_ms,
        guard_ms=math.ceil(shortest_ms * GUARD_SHARE),
        slow_ms=_ms(scope.breaker.slow_s),
        largest_cost=min((window.limit for window in scope.windows), default=math.inf),
        windows={window.name: (at, _ms(window.seconds)) for at, window in enumerate(scope.windows, start=1)},
        admit=Call(script("admit", policy), keys, 1, last),
        report=Call(script("report", policy), keys, 7, last),
        look=Call(script("look", policy), keys, 0, last),
        seed=Call(script("seed", policy), keys, 2, (account,)),
        control=Call(script("control", policy), keys, 3, (account,)),
    )


def policy_of(scope: Scope) -> str:
    """What of a scope is compiled into its scripts: the same text for all scopes of one manifest."""
    seconds = [window.seconds for window in scope.windows]
    shortest_ms = _ms(min([*seconds, SHORT_WINDOW_S]))
    cap_ms = math.ceil(shortest_ms * GUARD_CAP_SHARE)
    waited_ms = _ms(max([s for s in seconds if s <= SHORT_WINDOW_S], default=0))
    # Bringing in or stretching a long window asks the database again what was used of it.
    shape = ",".join(f"{w.name}/{w.seconds}" for w in scope.windows if w.seconds > SHORT_WINDOW_S) or "-"
    numbers = {
        "floor": math.ceil(shortest_ms * GUARD_SHARE),
        "cap": cap_ms,
        "cold": waited_ms + cap_ms,
        "keep": max(KEEP_MS, 2 * _ms(max(seconds, default=0))),
        "shape": zlib.crc32(shape.encode()),
        "host": "true" if scope.host else "false",
        "metrics_only": "true" if scope.breaker.metrics_only else "false",
        "windows": f"{{ {', '.join(_window(at, window) for at, window in enumerate(scope.windows, start=1))} }}",
    }
    rule = scope.breaker
    return (
        f"local GOOD, QUIET = '{'.' * _sample(rule)}', {'false' if rule.metrics_only else 'true'}\n"
        f"local function policy(before)\n  return {_table(numbers)}\nend\n"
        f"local function rule()\n  return {_table(_rule(rule))}\nend\n"
    )


def _sample(rule: BreakerPolicy) -> int:
    """How many calls are remembered one by one: none where no share is watched."""
    return 0 if rule.failure_rate is None and rule.slow_rate is None else rule.sample


def _rule(rule: BreakerPolicy) -> dict[str, object]:
    return {
        "failures": rule.failures,
        "failure_rate": 2 if rule.failure_rate is None else rule.failure_rate,
        "slow_rate": 2 if rule.slow_rate is None else rule.slow_rate,
        "minimum": rule.minimum,
        "open": _ms(rule.open_s),
        "max_open": _ms(rule.max_open_s),
        "healthy": _ms(rule.healthy_s),
        "probes": rule.probes,
        "lease": _ms(rule.probe_lease_s),
        "ramp": f"{{ {', '.join(f'{step:d}' for step in rule.ramp)} }}",
        "ramp_step": _ms(rule.ramp_s),
        "ramp_successes": rule.ramp_successes,
    }


def _kept_as(window: Window) -> str:
    return f"ring:{window.name}" if window.is_ring else f"buckets:{window.name}:{window.bucket_ms}"


def _window(at: int, window: Window) -> str:
    ring = "true" if window.is_ring else "false"
    sizes = f"span = {_ms(window.seconds):d}, bucket = {window.bucket_ms:d}"
    return f"{{ key = KEYS[{at + 4}], ring = {ring}, {sizes}, limit = tonumber(ARGV[before + {at}]) }}"


def _table(values: Mapping[str, object]) -> str:
    return "{ " + ", ".join(f"{name} = {value}" for name, value in values.items()) + " }"
