"""A scope in the form the scripts take it: its keys, and its policy as a piece of Lua, made once and kept.

The policy is compiled into the scripts rather than sent along and parsed for each call. Scopes of one policy
share their scripts; a changed limit is another script. It holds numbers only, so nothing a person typed becomes
code.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from functools import lru_cache

from integrations.gate.types import Scope

SHORT_WINDOW_S = 60
"""After Redis forgot, windows up to this long are waited out; longer ones are seeded from the database."""

GUARD_SHARE = 0.05
GUARD_CAP_SHARE = 0.25
KEEP_MS = 30 * 86_400_000
"""How long an untouched circuit is remembered in Redis; after that the database's copy is read again."""


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1_000)


@dataclass(frozen=True)
class Plan:
    """One scope under one prefix. ``keys`` goes into every script, ``policy`` in front of its text."""

    keys: tuple[bytes, ...]
    policy: str
    shortest_ms: int
    guard_ms: int
    largest_cost: float


@lru_cache(maxsize=4_096)
def plan_for(prefix: str, scope: Scope) -> Plan:
    """The keys (epoch, state, probes, one per window) and the policy of a scope."""
    base = f"{prefix}:{{{scope.key}}}"
    seconds = [window.seconds for window in scope.windows]
    shortest_ms = _ms(min([*seconds, SHORT_WINDOW_S]))
    guard_ms = math.ceil(shortest_ms * GUARD_SHARE)
    cap_ms = math.ceil(shortest_ms * GUARD_CAP_SHARE)
    waited_ms = _ms(max([s for s in seconds if s <= SHORT_WINDOW_S], default=0))
    keep_ms = max(KEEP_MS, 2 * _ms(max(seconds, default=0)))
    # Bringing in or stretching a long window asks the database again what was used of it.
    shape = ",".join(f"{w.name}/{w.seconds}" for w in scope.windows if w.seconds > SHORT_WINDOW_S) or "-"
    rule = scope.breaker
    windows = []
    keys = [f"{prefix}:epoch", f"{base}:state", f"{base}:probes"]
    for window in scope.windows:
        kind = "ring" if window.is_ring else "buckets"
        ring = "true" if window.is_ring else "false"
        sizes = f"limit = {window.limit:d}, span = {_ms(window.seconds):d}, bucket = {window.bucket_ms:d}"
        windows.append(f"{{ key = KEYS[{len(keys) + 1}], ring = {ring}, {sizes} }}")
        keys.append(f"{base}:{kind}:{window.name}" + ("" if window.is_ring else f":{window.bucket_ms}"))
    numbers = {
        "floor": guard_ms,
        "cap": cap_ms,
        "cold": waited_ms + cap_ms,
        "keep": keep_ms,
        "failures": rule.failures,
        "open": _ms(rule.open_s),
        "max_open": _ms(rule.max_open_s),
        "probes": rule.probes,
        "lease": _ms(rule.probe_lease_s),
        "shape": zlib.crc32(shape.encode()),
    }
    policy = (
        "local function policy()\n  return { "
        + ", ".join(f"{name} = {value:d}" for name, value in numbers.items())
        + f", windows = {{ {', '.join(windows)} }} }}\nend\n"
    )
    return Plan(
        keys=tuple(key.encode() for key in keys),
        policy=policy,
        shortest_ms=shortest_ms,
        guard_ms=guard_ms,
        largest_cost=min((window.limit for window in scope.windows), default=math.inf),
    )
