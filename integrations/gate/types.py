"""What goes into the gate and what comes out: plain frozen values, no Redis.

Times are integer milliseconds since the Unix epoch (``*_ms``) by the clock of the Redis server, unless a name
ends in ``_s`` (float seconds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, get_args

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


LEAST_SAMPLE = 5
"""A share of fewer calls than this says nothing."""

LARGEST_SAMPLE = 100


@dataclass(frozen=True)
class BreakerPolicy:
    """When the circuit opens, how long it stays open, how it is tried again and how it recovers.

    It opens at `failures` in a row, or when of the last `sample` counted calls (at least `minimum` of them) a share of
    `failure_rate` failed or of `slow_rate` took `slow_s` or longer (None: that share is not watched). What was counted
    does not expire. Each opening within `healthy_s` of the last closing doubles the open time. After closing only
    `ramp` percent of each window of up to a minute are admitted; a step lasts `ramp_s`, or `ramp_successes` calls that
    ended well if that is sooner (0: only the time counts). `metrics_only`: it counts and says when it would have
    opened, and refuses nothing.
    """

    failures: int = 3
    failure_rate: float | None = 0.5
    slow_rate: float | None = 0.8
    slow_s: float = 10
    minimum: int = 10
    sample: int = 20
    open_s: float = 30
    max_open_s: float = 600
    healthy_s: float = 300
    probes: int = 1
    probe_lease_s: float = 30
    ramp: tuple[int, ...] = (10, 25, 50)
    ramp_s: float = 10
    ramp_successes: int = 0
    metrics_only: bool = False

    def __post_init__(self) -> None:
        if self.failures < 1 or self.probes < 1 or self.probe_lease_s <= 0:
            raise ValueError(f"a breaker needs failures >= 1, probes >= 1 and a probe lease: {self!r}")
        if not 0 < self.open_s <= self.max_open_s:
            raise ValueError(f"a breaker needs 0 < open_s <= max_open_s: {self!r}")
        if not LEAST_SAMPLE <= self.minimum <= self.sample <= LARGEST_SAMPLE:
            raise ValueError(f"a breaker needs {LEAST_SAMPLE} <= minimum <= sample <= {LARGEST_SAMPLE}: {self!r}")
        if not all(rate is None or 0 < rate <= 1 for rate in (self.failure_rate, self.slow_rate)):
            raise ValueError(f"a breaker needs rates above 0 and up to 1: {self!r}")
        if not all(0 < step < 100 for step in self.ramp) or list(self.ramp) != sorted(set(self.ramp)):
            raise ValueError(f"a breaker needs a ramp of rising percentages: {self!r}")
        if self.ramp_s <= 0 or self.ramp_successes < 0 or self.healthy_s < 0 or self.slow_s <= 0:
            raise ValueError(f"a breaker needs times above 0: {self!r}")


@dataclass(frozen=True)
class Scope:
    """What shares one limit and one circuit, e.g. ``gohighlevel:loc_123``.

    ``host``: what it shares a second circuit with, the provider's host as all its accounts reach it, e.g.
    ``gohighlevel:services.leadconnectorhq.com:443``; empty: nothing. ``account``: of several that share the limit the
    one that a 429 stops alone (`providers.base.Manifest.broker`); empty: a 429 stops the scope.
    """

    key: str
    windows: tuple[Window, ...]
    breaker: BreakerPolicy = BreakerPolicy()
    host: str = ""
    account: str = ""

    def __post_init__(self) -> None:
        if not self.key or "{" in self.key or "}" in self.key:
            raise ValueError("a scope key must not be empty nor hold braces: they mark the slot in Redis")
        if len({window.name for window in self.windows}) != len(self.windows):
            raise ValueError(f"two windows of {self.key} have the same name")

    def __hash__(self) -> int:
        """Asked for twice a call, so made once."""
        made: int | None = self.__dict__.get("_hash")
        if made is None:
            made = hash((self.key, self.windows, self.breaker, self.host, self.account))
            object.__setattr__(self, "_hash", made)
        return made

    def __getstate__(self) -> dict[str, object]:
        """Without the hash, which is another in every process."""
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}


@dataclass(frozen=True)
class Learned:
    """What an answer of the provider says of one of its windows. None: it does not say.

    ``limit``: calls the window allows; ``remaining``: calls left in it; ``reset_ms``: milliseconds from the answer
    until the window begins anew.
    """

    window: str
    limit: int | None = None
    remaining: int | None = None
    reset_ms: int | None = None


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
    """This scope's calls kept failing."""
    HOST_OPEN = "host_open"
    """Those of several scopes at the same host did."""
    FORCED_OPEN = "forced_open"
    """A person stopped it."""
    DAY_USED = "day_used"
    COLD = "gate_cold"
    AWAY = "gate_away"
    """Redis is away and the database allows a trickle only (`integrations/trickle`); the gate itself never says so."""


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


Mode = Literal["forced_open", "disabled", "metrics_only"]
"""What a person may put in place of the circuit: nothing passes; all passes; all passes and is counted."""

MODES: frozenset[str] = frozenset(get_args(Mode))


@dataclass(frozen=True)
class BreakerState:
    """The circuit of one scope.

    ``state``: what is in force; a mode that a person set (``mode_until_ms``: until when; None: until taken back) hides
    the rest. ``until_ms``: when the first probe may go; while it recovers, when the next step begins. ``cause``: why it
    opened last: ``failures``, ``failure_rate``, ``slow_rate``, ``probe``, ``ramp``, ``person``. ``percent``: of the
    short windows, 100 once recovered. ``would_open``: how often it would have opened were it not metrics-only, and when
    it last would have. ``host``: the host's circuit; ``host_until_ms``: when its probe may go.
    """

    state: Literal["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"]
    failures: int
    generation: int
    opened_ms: int | None
    until_ms: int | None
    cause: str = ""
    percent: int = 100
    mode_until_ms: int | None = None
    would_open: int = 0
    would_open_ms: int | None = None
    host: Literal["closed", "open", "half_open"] = "closed"
    host_until_ms: int | None = None

    @property
    def stops(self) -> bool:
        """Whether calls of this scope are refused, or single ones are let through to probe."""
        return self.state in ("open", "half_open", "forced_open") or (
            self.host != "closed" and self.state not in ("disabled", "metrics_only")
        )

    @property
    def stopped_until_ms(self) -> int | None:
        """When the later of the two circuits that are open may be probed; None: none is, or it may be already."""
        own = self.until_ms if self.state == "open" else None
        host = self.host_until_ms if self.host == "open" and self.stops else None
        return max((until for until in (own, host) if until is not None), default=None)


@dataclass(frozen=True)
class Snapshot:
    """The gate's view of one scope, for pages. ``ready_ms``: when the cold start is (or was) over."""

    now_ms: int
    breaker: BreakerState
    not_before_ms: int | None
    used: dict[str, int]
    ready_ms: int
    limits: dict[str, int] = field(default_factory=dict)
    """What each window allows now: lower than its own limit while it recovers, or where the provider said so."""


@dataclass(frozen=True)
class Seed:
    """What the database remembers of a scope, for a Redis that has forgotten.

    ``used``: calls per window name as (bucket start in ms, calls); only windows longer than 60 s are looked
    at, shorter ones are waited out. Group by ``Window.bucket_ms`` or finer. ``mode``: what a person set, and until when
    (None: until taken back).
    """

    used: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    breaker: BreakerState | None = None
    not_before_ms: int | None = None
    mode: tuple[Mode, int | None] | None = None


class SeedSource(Protocol):
    """Asked once per scope after Redis forgot, outside any script; it may query the database."""

    def seed(self, scope: Scope) -> Seed:
        """Everything known of the scope's use, circuit and not-before."""
        ...


class GateAway(Exception):
    """Redis cannot be reached in time, or cannot do its work; nothing may be sent."""
