"""The vendor's side of a rate limit: sliding windows over the times at which requests arrived."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """At most ``limit`` requests in any ``seconds``."""

    name: str
    limit: int
    seconds: float


@dataclass(frozen=True)
class Usage:
    """How much of one limit is used, the request just counted included."""

    limit: Limit
    used: int

    @property
    def remaining(self) -> int:
        """How many more would be let through now; never below nought."""
        return max(0, self.limit.limit - self.used)


class Windows:
    """The windows of one account. Times are CLOCK_MONOTONIC seconds; not safe to share between threads without a lock.

    Requests reach the windows in the order in which they took the store's lock, which can differ from that of their
    arrival by a moment; the times are then a little out of order, and the count errs on the strict side.
    """

    def __init__(self, limits: Iterable[Limit], arrivals: Iterable[float] = ()) -> None:
        """Start with ``arrivals`` (oldest first), so that a restart forgets nothing."""
        self._windows: list[tuple[Limit, deque[float]]] = [(limit, deque()) for limit in limits]
        for t in arrivals:
            self._add(t)

    def admit(self, t: float) -> bool:
        """Count an arrival at ``t`` if every window has room; a refused arrival is not counted."""
        if any(usage.used >= usage.limit.limit for usage in self.usage(t)):
            return False
        self._add(t)
        return True

    def usage(self, now: float) -> list[Usage]:
        """What each window holds at ``now``."""
        for limit, times in self._windows:
            while times and times[0] <= now - limit.seconds:
                times.popleft()
        return [Usage(limit, len(times)) for limit, times in self._windows]

    def _add(self, t: float) -> None:
        for _, times in self._windows:
            times.append(t)
