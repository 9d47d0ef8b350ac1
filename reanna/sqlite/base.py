"""Django's SQLite backend, whose transactions take the write lock within milliseconds of its being free.

SQLite's own wait looks for the lock ever more rarely, after a third of a second only every 100 ms
(https://www.sqlite.org/src/file/src/main.c, sqliteDefaultBusyCallback). Whoever holds it in short turns, an import or a
worker that sends, is seldom caught between two of them, and someone who saves a tour waits for seconds. Here a
transaction that finds the lock taken looks again every few milliseconds, so each gets a turn about as often as it asks.
"""

from __future__ import annotations

import time
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

LOOK_AGAIN_S = 0.004


class DatabaseWrapper(base.DatabaseWrapper):
    """`OPTIONS["timeout"]` seconds is still the longest wait; then OperationalError, as ever."""

    def _start_transaction_under_autocommit(self) -> None:
        if self.transaction_mode != "IMMEDIATE":
            super()._start_transaction_under_autocommit()
            return
        longest_s = float(self.settings_dict["OPTIONS"].get("timeout", 5.0))
        until = time.monotonic() + longest_s
        with self.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 0")
            try:
                while not self._begun(cursor, last=time.monotonic() >= until):
                    time.sleep(LOOK_AGAIN_S)
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {int(longest_s * 1000)}")

    def _begun(self, cursor: Any, *, last: bool) -> bool:
        """Whether the lock is ours now. Raises OperationalError for any other trouble, and at the `last` try."""
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except OperationalError as error:
            if last or "locked" not in str(error):
                raise
            return False
        return True
