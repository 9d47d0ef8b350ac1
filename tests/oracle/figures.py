"""What the times of requests say: the fullest window, and how full the windows were while there was work.

Units: seconds on the sandbox's monotonic clock.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

STEPS = 100


def busiest(times: Sequence[float], window_s: float) -> int:
    """The most in any `window_s`; `times` ascending."""
    return max((bisect.bisect_left(times, t + window_s) - place for place, t in enumerate(times)), default=0)


def utilisation(
    times: Sequence[float],
    work: Sequence[tuple[float, float]],
    *,
    limit: int,
    window_s: float,
    excluded: Sequence[tuple[float, float]] = (),
) -> float | None:
    """The mean fill of windows, 1.0 is the whole limit; `work` are (begin, end) of operations. None: no such window.

    Those windows count that lie wholly between the first and the last request, at whose end work was left, and that
    touch none of the intervals in `excluded`.
    """
    if not times:
        return None
    begins, ends = sorted(begin for begin, _ in work), sorted(end for _, end in work)
    fills = []
    start = times[0]
    while start + window_s <= times[-1]:
        end = start + window_s
        left = bisect.bisect_right(begins, end) - bisect.bisect_right(ends, end)
        if left and not any(first < end and start < last for first, last in excluded):
            fills.append(bisect.bisect_left(times, end) - bisect.bisect_left(times, start))
        start += window_s / STEPS
    return round(sum(fills) / len(fills) / limit, 3) if fills else None
