"""What goes into the gate and what comes out: plain frozen values, no Redis.

Times are integer milliseconds since the Unix epoch (``*_ms``) by the clock of the Redis server, unless a name
ends in ``_s`` (float seconds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

RING_LIMIT = 1_000
"""Windows up to this many calls are kept call by call; larger ones in sub-buckets."""

SUB_BUCKETS = 24
"""Sub-buckets in a large window: at worst 1/24 of it stays unused, never is it exceeded."""


@dataclass(frozen=True)
class Window:
    """At most ``limit`` calls in any ``seconds`` at the provider. The name is its identity in Redis."""

    name: str
    limit: int
    seconds: int

    def __post_init__(self) -> None:
        if not self.name or self.limit < 1 or self.seconds < 1:
            raise ValueError(f"a window needs a name, a limit >= 1 and seconds >= 1: {self!r}")

    @property
    def bucket_ms(self) -> int:
        """Length of its sub-buckets; ``Seed.used`` is best grouped by it (starts are multiples of it)."""
        return -(-self.seconds * 1_000 // SUB_BUCKETS)

    @property
    def is_ring(self) -> bool:
        """Whether every call is kept by itself, so that the window is used to its last slot."""
        return self.limit <= RING_LIMIT


@dataclass(frozen=True)
class BreakerPolicy:
    """When the circuit opens, how long it stays open and how it is tried again."""

    failures: int = 3
    open_s: float = 30
    max_open_s: float = 600
    probes: int = 1
    probe_lease_s: float = 30

    def __post_init__(self) -> None:
        if self.failures < 1 or self.probes < 1 or self.probe_lease_s <= 0:
            raise ValueError(f"a breaker needs failures >= 1, probes >= 1 and a probe lease: {self!r}")
        if not 0 < self.open_s <= self.max_open_s:
            raise ValueError(f"a breaker needs 0 < open_s <= max_open_s: {self!r}")


@dataclass(frozen=True)
class Scope:
    """What shares one limit and one circuit, e.g. ``gohighlevel:loc_123``."""

    key: str
    windows: tuple[Window, ...]
    breaker: BreakerPolicy = BreakerPolicy()

    def __post_init__(self) -> None:
        if not self.key or "{" in self.key or "}" in self.key:
            raise ValueError("a scope key must not be empty nor hold braces: they mark the slot in Redis")
        if len({window.name for window in self.windows}) != len(self.windows):
            raise ValueError(f"two windows of {self.key} have the same name")


class Outcome(StrEnum):
    """What became of an admitted call, as far as the limit and the circuit care."""

    OK = "ok"
    FAILURE = "failure"
    """5xx, timeout, reset, garbled answer: counts towards opening the circuit."""
    RATE_LIMITED = "rate_limited"
    """429: nobody sends to this scope before ``Retry-After``; the circuit is untouched."""
    NEUTRAL = "neutral"
    """4xx, 401: the provider answered, which says nothing of its health."""
    NOT_SENT = "not_sent"
    """No byte left us: the slots are given back."""
    LOCAL_FAULT = "local_fault"
    """Our own DNS or network: the slot is kept, the circuit is untouched."""


class Reason(StrEnum):
    """Why a call was refused."""

    RATE_LIMITED = "rate_limited"
    NOT_BEFORE = "not_before"
    CIRCUIT_OPEN = "circuit_open"
    DAY_USED = "day_used"
    COLD = "gate_cold"


@dataclass(frozen=True)
class Permit:
    """Leave to make one call, valid for ``guard_ms`` counted from when the client began to ask.

    A holder whose first byte is not out by then reports ``NOT_SENT`` and asks again: every count of the gate
    rests on the call reaching the provider within the guard.
    """

    scope: Scope
    id: str
    admitted_ms: int
    guard_ms: int
    probe_generation: int | None
    budget: int
    """Further calls that would be admitted now."""


@dataclass(frozen=True)
class Refusal:
    """Not now; asking again before ``until_ms`` is useless."""

    scope: Scope
    reason: Reason
    until_ms: int


@dataclass(frozen=True)
class BreakerState:
    """The circuit of one scope. ``until_ms``: when the first probe may go."""

    state: Literal["closed", "open", "half_open"]
    failures: int
    generation: int
    opened_ms: int | None
    until_ms: int | None


@dataclass(frozen=True)
class Snapshot:
    """The gate's view of one scope, for pages. ``ready_ms``: when the cold start is (or was) over."""

    now_ms: int
    breaker: BreakerState
    not_before_ms: int | None
    used: dict[str, int]
    ready_ms: int


@dataclass(frozen=True)
class Seed:
    """What the database remembers of a scope, for a Redis that has forgotten.

    ``used``: calls per window name as (bucket start in ms, calls); only windows longer than 60 s are looked
    at, shorter ones are waited out. Group by ``Window.bucket_ms`` or finer.
    """

    used: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    breaker: BreakerState | None = None
    not_before_ms: int | None = None


class SeedSource(Protocol):
    """Asked once per scope after Redis forgot, outside any script; it may query the database."""

    def seed(self, scope: Scope) -> Seed:
        """Everything known of the scope's use, circuit and not-before."""
        ...


class GateAway(Exception):
    """Redis cannot be reached in time, or cannot do its work; nothing may be sent."""
