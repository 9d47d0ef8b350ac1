"""Limiter and circuit breaker in one Redis round trip; no Django, nothing of ours but values and scripts."""

from integrations.gate.connection import connect
from integrations.gate.gate import Gate
from integrations.gate.types import (
    MODES,
    BreakerPolicy,
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
    Window,
)

__all__ = [
    "MODES",
    "BreakerPolicy",
    "BreakerState",
    "Gate",
    "GateAway",
    "Learned",
    "Mode",
    "Outcome",
    "Permit",
    "Reason",
    "Refusal",
    "Scope",
    "Seed",
    "SeedSource",
    "Snapshot",
    "Window",
    "connect",
]
