"""A scope in the form the scripts take it: its keys, and its policy as JSON, encoded once and kept."""

from __future__ import annotations

import json
import math
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
    """One scope under one prefix. ``keys`` and ``policy`` go into every script."""

    keys: tuple[bytes, ...]
    policy: bytes
    permits: bytes
    shortest_ms: int
    guard_ms: int


@lru_cache(maxsize=4_096)
def plan_for(prefix: str, scope: Scope) -> Plan:
    """The keys (epoch, state, probes, one per window) and the policy arguments of a scope."""
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
        span = {"limit": window.limit, "span": _ms(window.seconds), "bucket": window.bucket_ms}
        windows.append({"ring": window.is_ring, **span})
        keys.append(f"{base}:{kind}:{window.name}" + ("" if window.is_ring else f":{window.bucket_ms}"))
    policy = {
        "base": base,
        "floor": guard_ms,
        "cap": cap_ms,
        "cold": waited_ms + cap_ms,
        "keep": keep_ms,
        "shape": shape,
        "failures": rule.failures,
        "open": _ms(rule.open_s),
        "max_open": _ms(rule.max_open_s),
        "probes": rule.probes,
        "lease": _ms(rule.probe_lease_s),
        "windows": windows,
    }
    return Plan(
        keys=tuple(key.encode() for key in keys),
        policy=json.dumps(policy, separators=(",", ":")).encode(),
        permits=f"{base}:permit:".encode(),
        shortest_ms=shortest_ms,
        guard_ms=guard_ms,
    )
