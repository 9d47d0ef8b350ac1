"""One stack for one data folder: an advisory lock that the kernel gives back however the holder ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from . import runfile

FILE_NAME = "up.lock"
ENDING_S = 15.0


class AlreadyRunningError(Exception):
    """Another stack runs on this data folder; the text names it."""


class DataLock:
    """Held for as long as the handle is open here or in the watchdog; a file left behind means nothing."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.handle = os.open(data_dir / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take()
        except BaseException:
            os.close(self.handle)
            raise
        os.ftruncate(self.handle, 0)
        os.pwrite(self.handle, str(os.getpid()).encode(), 0)

    def _take(self) -> None:
        """Take the lock; waits while a stack whose supervisor died is still being ended by its watchdog."""
        deadline = time.monotonic() + ENDING_S
        while True:
            try:
                fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(self.handle, 20, 0).decode() or "unknown"
                dying = holder.isdigit() and runfile.start_ticks(int(holder)) is None
                if not dying or time.monotonic() > deadline:
                    raise AlreadyRunningError(
                        f"Already running on {self.data_dir} as pid {holder}. "
                        f"Stop that one first (kill {holder}), or use another folder: --data DIR"
                    ) from None
                time.sleep(0.1)
            else:
                return

    def release(self) -> None:
        """Give the lock back."""
        os.close(self.handle)
