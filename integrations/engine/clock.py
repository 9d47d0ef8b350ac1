"""The engine's clock: the database's, so that processes on several hosts agree on leases."""

from __future__ import annotations

import time
from collections.abc import Callable

from integrations.models.clock import db_now

__all__ = ["StepWatch", "db_now"]

MAX_STEP_S = 2.0


class StepWatch:
    """Notices when the wall clock was set while we ran.

    Where the database has no clock of its own (SQLite), leases hang on the wall clock: after a step of more than two
    seconds against the monotonic clock this process must stop sending.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._offset = wall() - monotonic()

    def stepped(self) -> bool:
        """Whether the wall clock moved by more than two seconds on its own since this watch began."""
        return abs((self._wall() - self._monotonic()) - self._offset) > MAX_STEP_S
