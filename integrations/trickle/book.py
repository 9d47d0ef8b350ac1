"""What a trickle may send: pure arithmetic on the book of one scope, no database and no clock of its own.

Calls are counted as the gate counts large windows (`gate/types.py`): in sub-buckets, each of which counts until its
latest call has left the window. So at most a tenth of the limit arrives in any window, wherever it begins. Times are
milliseconds of the database's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from integrations.gate import BreakerPolicy, BreakerState, Outcome, Reason, Seed, Window

SHARE = 10
"""A trickle is one in so many of the calls that the limit allows."""

SHORT_WINDOW_S = 60
LOOK_AGAIN_MS = 30_000
OPEN = ("open", "half_open")
CLOSED = BreakerState("closed", 0, 0, None, None)

Buckets = dict[str, int]


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: why, and when to ask again."""

    reason: Reason
    until_ms: int


@dataclass
class Book:
    """`outage`: the one it is about. `calls`: sent in it. `before`: of long windows, what had been sent by then."""

    outage: int = 0
    calls: dict[str, Buckets] = field(default_factory=dict)
    before: dict[str, Buckets] = field(default_factory=dict)
    circuit: BreakerState = CLOSED
    not_before_ms: int = 0

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Book:
        """From the JSON of its row."""
        if not stored:
            return cls()
        return cls(**{**stored, "circuit": BreakerState(**stored["circuit"])})

    @classmethod
    def begin(cls, outage: int, seed: Seed, windows: Sequence[Window]) -> Book:
        """The book of a new outage: what the database remembers of the scope."""
        before = {
            window.name: _grouped(seed.used.get(window.name, ()), window.bucket_ms)
            for window in windows
            if window.seconds > SHORT_WINDOW_S
        }
        return cls(outage, {}, before, seed.breaker or CLOSED, seed.not_before_ms or 0)

    def stored(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    # --- sending ------------------------------------------------------------------------------------------------

    def ask(
        self, windows: Sequence[Window], cost: int, now_ms: int, guard_ms: int, *, circuit: bool = True
    ) -> Wait | None:
        """Why the next call must wait; None: it may go. The circuit first, unless a person put it aside."""
        known = self.circuit
        if circuit and known.state in OPEN and now_ms < (known.until_ms or 0):
            return Wait(Reason.CIRCUIT_OPEN, known.until_ms or 0)
        if circuit and known.stops and known.host == "open" and now_ms < (known.host_until_ms or 0):
            return Wait(Reason.HOST_OPEN, known.host_until_ms or 0)
        if now_ms < self.not_before_ms:
            return Wait(Reason.NOT_BEFORE, self.not_before_ms)
        waits = [wait for window in windows if (wait := self._full(window, cost, now_ms, guard_ms)) is not None]
        return max(waits, key=lambda wait: wait.until_ms, default=None)

    def _full(self, window: Window, cost: int, now_ms: int, guard_ms: int) -> Wait | None:
        mine = self.calls.get(window.name, {})
        share, span = _share(window)
        frees = _frees(mine, share - cost, window.bucket_ms, span + guard_ms, now_ms)
        if frees is not None:
            return Wait(Reason.AWAY, frees)
        all_calls = dict(self.before.get(window.name, {}))
        for bucket, calls in mine.items():
            all_calls[bucket] = all_calls.get(bucket, 0) + calls
        frees = _frees(all_calls, window.limit - cost, window.bucket_ms, window.seconds * 1000 + guard_ms, now_ms)
        return None if frees is None else Wait(Reason.DAY_USED, frees)

    def count(self, windows: Sequence[Window], cost: int, now_ms: int, guard_ms: int) -> None:
        """One call more. What has left its window is dropped."""
        for window in windows:
            span = _share(window)[1] + guard_ms
            held = {
                b: n for b, n in self.calls.get(window.name, {}).items() if _ends(b, window.bucket_ms, span) > now_ms
            }
            bucket = str(now_ms // window.bucket_ms)
            held[bucket] = held.get(bucket, 0) + cost
            self.calls[window.name] = held

    def give_back(self, windows: Sequence[Window], cost: int, admitted_ms: int) -> None:
        """That call was not sent."""
        for window in windows:
            bucket = str(admitted_ms // window.bucket_ms)
            calls = self.calls.get(window.name, {})
            if bucket in calls:
                calls[bucket] = max(0, calls[bucket] - cost)

    # --- the circuit --------------------------------------------------------------------------------------------

    def learn(self, outcome: Outcome, rule: BreakerPolicy, now_ms: int, random: float) -> None:
        """What a call's end says of the CRM. One is in flight at a time, so each call of an open circuit is a probe."""
        circuit = self.circuit
        if circuit.state not in ("closed", *OPEN) or rule.metrics_only:
            return  # a person's hand: nothing is counted here
        if outcome is Outcome.FAILURE:
            failures = circuit.failures + 1
            if circuit.state == "closed" and failures < rule.failures:
                self.circuit = replace(circuit, failures=failures)
            else:
                until_ms = now_ms + _open_ms(circuit, rule, random)
                cause = "failures" if circuit.state == "closed" else "probe"
                generation = circuit.generation + 1
                self.circuit = BreakerState("open", failures, generation, now_ms, until_ms, cause)
        elif outcome in (Outcome.OK, Outcome.NEUTRAL) and circuit.stops:
            # A trickle is slower than the first step of a recovery; with Redis, the steps are taken.
            self.circuit = BreakerState("closed", 0, circuit.generation + 1, None, None, circuit.cause)
        elif outcome is Outcome.OK and circuit.failures:
            self.circuit = replace(circuit, failures=0)


def _open_ms(circuit: BreakerState, rule: BreakerPolicy, random: float) -> int:
    """How long it stays open: as long as the rule says, twice as long after each probe that failed, up to the most."""
    seconds = rule.open_s
    if circuit.state != "closed" and circuit.opened_ms is not None and circuit.until_ms is not None:
        seconds = max(rule.open_s, 2 * (circuit.until_ms - circuit.opened_ms) / 1000)
    return int(min(rule.max_open_s, seconds * (0.9 + 0.2 * random)) * 1000)


def _share(window: Window) -> tuple[int, int]:
    """A tenth of a limit: so many calls in so many milliseconds. Of a limit below ten, one in several windows."""
    span = window.seconds * 1000
    if window.limit < SHARE:
        return 1, span * -(-SHARE // window.limit)
    return window.limit // SHARE, span


def _grouped(used: Sequence[tuple[int, int]], bucket_ms: int) -> Buckets:
    buckets: Buckets = {}
    for start_ms, calls in used:
        name = str(start_ms // bucket_ms)
        buckets[name] = buckets.get(name, 0) + calls
    return buckets


def _ends(bucket: str, bucket_ms: int, span_ms: int) -> int:
    """When the latest call of a sub-bucket has left the window."""
    return (int(bucket) + 1) * bucket_ms + span_ms


def _frees(buckets: Buckets, most: int, bucket_ms: int, span_ms: int, now_ms: int) -> int | None:
    """None while at most `most` calls still count; else when so many will have left the window."""
    ends = sorted((_ends(bucket, bucket_ms, span_ms), calls) for bucket, calls in buckets.items())
    live = [(end, calls) for end, calls in ends if end > now_ms]
    excess = sum(calls for _, calls in live) - most
    for end, calls in live:
        if excess <= 0:
            return None
        excess -= calls
        if excess <= 0:
            return end
    return None if excess <= 0 else (live[-1][0] if live else now_ms + bucket_ms)
