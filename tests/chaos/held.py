"""What killed workers had in hand, and how long it took until someone else took it up or it was at its end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class _Row:
    """One operation since its worker died. `barred_s`: seconds in which its connection might not send at all."""

    killed_at: float
    token: int
    looked_at: float
    barred_s: float = 0.0
    waits_for: str = ""


@dataclass
class Watch:
    """Looks at the rows now and then; a higher token is a new claim. Times are seconds of `clock`."""

    late_s: float
    clock: Callable[[], float] = time.monotonic
    waited: list[float] = field(default_factory=list)
    unbarred: list[float] = field(default_factory=list)
    late: Counter[str] = field(default_factory=Counter)
    _rows: dict[int, _Row] = field(default_factory=dict)

    def took(self, lease_owner: str) -> None:
        """A worker was killed just now: remember what it holds."""
        from integrations.models import Operation

        now = self.clock()
        held = Operation.objects.filter(state="leased", lease_owner__contains=lease_owner)
        for pk, token in held.values_list("pk", "token"):
            self._rows[pk] = _Row(now, token, now)

    def look(self) -> None:
        """Note what was taken up since the last look."""
        from integrations.engine import states
        from integrations.engine.clock import db_now
        from integrations.models import Operation

        if not self._rows:
            return
        now, wall = self.clock(), db_now()
        fields = ("pk", "token", "state", "reason", "blockers", "connection__hold_reason", "connection__hold_until_ms")
        for pk, token, state, reason, blockers, hold, until in Operation.objects.filter(pk__in=self._rows).values_list(
            *fields
        ):
            row = self._rows[pk]
            if token != row.token or state in states.TERMINAL:
                self._end(pk, now)
                continue
            barred = until > wall
            if barred and state != "leased":
                row.barred_s += now - row.looked_at
            row.looked_at = now
            row.waits_for = f"{hold} (the connection)" if barred else f"{state} {reason}".strip()
            if blockers:
                row.waits_for += ", blocked"

    def _end(self, pk: int, now: float) -> None:
        row = self._rows.pop(pk)
        waited = now - row.killed_at
        self.waited.append(waited)
        self.unbarred.append(waited - row.barred_s)
        if waited > self.late_s:
            self.late[row.waits_for] += 1

    def left(self) -> list[Any]:
        """Operations nobody took up to the end."""
        return sorted(self._rows)
