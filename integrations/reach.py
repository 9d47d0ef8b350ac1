"""Whether it is worth asking Redis just now: one opinion a process, so that nobody waits for the same silence twice.

Whoever is about to ask Redis asks `allow` first and says afterwards how it went. After a failure nobody asks for two
seconds; then one caller tries, while the others go on without. A page therefore waits for one time-out at most, however
often it would have used Redis.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

QUIET_S = 2.0
TRIES_FOR_S = 1.5
"""How long the one that tries may take before another may: longer than every time-out in a request."""


class Reach:
    """Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failing = False
        self._quiet_until = 0.0

    def allow(self) -> bool:
        """Whether to ask. True for all while Redis answers; after a failure for one caller every two seconds."""
        if not self._failing:
            return True
        with self._lock:
            now = self._clock()
            if self._failing and now < self._quiet_until:
                return False
            self._quiet_until = now + TRIES_FOR_S
            return True

    def failed(self) -> None:
        """Redis gave no answer."""
        with self._lock:
            self._failing = True
            self._quiet_until = self._clock() + QUIET_S

    def answered(self) -> None:
        """Redis gave an answer, whatever it was."""
        self._failing = False


redis = Reach()
"""That of this process."""
