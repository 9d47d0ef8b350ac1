"""The vendor's side of a rate limit: sliding windows over the times at which requests arrived."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
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


Names = Collection[str] | None
"""The limits that a request is counted in; None: all."""


class Windows:
    """The windows of one account. Times are CLOCK_MONOTONIC seconds; not safe to share between threads without a lock.

    Requests reach the windows in the order in which they took the store's lock, which can differ from that of their
    arrival by a moment; the times are then a little out of order, and the count errs on the strict side.
    """

    def __init__(self, limits: Iterable[Limit], arrivals: Iterable[tuple[float, Names]] = ()) -> None:
        """Start with ``arrivals`` (oldest first), so that a restart forgets nothing."""
        self._windows: list[tuple[Limit, deque[float]]] = [(limit, deque()) for limit in limits]
        for t, names in arrivals:
            self._add(t, names)

    def admit(self, t: float, names: Names = None) -> bool:
        """Count an arrival at ``t`` if every window it is counted in has room; a refused arrival is not counted."""
        if any(usage.used >= usage.limit.limit for usage in self.usage(t, names)):
            return False
        self._add(t, names)
        return True

    def usage(self, now: float, names: Names = None) -> list[Usage]:
        """What each window of these names holds at ``now``."""
        for limit, times in self._windows:
            while times and times[0] <= now - limit.seconds:
                times.popleft()
        return [Usage(limit, len(times)) for limit, times in self._of(names)]

    def frees_in(self, now: float, names: Names = None) -> float:
        """Seconds until every window of these names has room again."""
        full = [(limit, times) for limit, times in self._of(names) if times and len(times) >= limit.limit]
        return max((times[-limit.limit] + limit.seconds - now for limit, times in full if limit.limit), default=0.0)

    def _of(self, names: Names) -> list[tuple[Limit, deque[float]]]:
        return [one for one in self._windows if names is None or one[0].name in names]

    def _add(self, t: float, names: Names) -> None:
        for _, times in self._of(names):
            times.append(t)
