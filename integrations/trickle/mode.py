"""The row that says who decides what is sent, and each step from one mode to the next.

    normal, cold ── Redis silent ──▶ away ── still silent ──▶ trickle ── it answers ──▶ back ── new epoch ──▶ cold

`away` is what somebody met: the others go on asking Redis. In `trickle` nobody asks it, and the database decides: so
nobody may come to it while others still get answers, nor leave it without Redis counting from the beginning. Every step
is a compare-and-set; made twice, each is harmless.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction

from integrations.models import Connection, GateMode
from integrations.models.clock import db_now

Mode = GateMode.Mode

OBEYED_WITHIN_S = 1.0
"""A process may act on what it read of the row for so long."""

SILENT_MS = 4_000
"""Redis answers nobody for so long: then the database decides."""

COLD_MS = 80_000
"""The longest a cold start takes: 60 s and the largest guard of such a window."""

HELD = "gate_away"


@dataclass(frozen=True, slots=True)
class Now:
    """What the row said. `sealed_ms` is 0 outside of a trickle that is in force."""

    mode: str = Mode.NORMAL
    sealed_ms: int = 0


class Obeyed:
    """The row as this process last read it, at most a second ago."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._now = Now()
        self._until = 0.0

    def now(self) -> Now:
        """The mode. Its age counts from before it was read."""
        with self._lock:
            before = self._monotonic()
            if before >= self._until:
                self._now = read()
                self._until = before + OBEYED_WITHIN_S
            return self._now

    def forget(self) -> None:
        """Read it anew next time."""
        with self._lock:
            self._until = 0.0


def read() -> Now:
    """One query."""
    row = GateMode.objects.filter(pk=1).values_list("mode", "sealed_ms").first()
    return Now(*row) if row else Now()


def in_trickle(sealed_ms: int) -> bool:
    """Whether that trickle is still in force; asked in a transaction, nobody can leave it before that one ends."""
    rows = GateMode.objects.select_for_update().filter(pk=1, mode=Mode.TRICKLE, sealed_ms=sealed_ms)
    return rows.exists()


def note(mode: str, detail: str = "") -> None:
    """What a call met: `away`, `cold` or `normal`. Says nothing against a trickle, which has its own way back."""
    obeyed = (mode, Mode.TRICKLE, Mode.BACK)
    now = db_now()
    values: dict[str, object] = {"mode": mode, "since_ms": now, "detail": detail[:200], "sealed_ms": 0}
    if GateMode.objects.filter(pk=1).exclude(mode__in=obeyed).update(**values) or mode == Mode.NORMAL:
        return
    GateMode.objects.get_or_create(pk=1, defaults=values)


def tend(ping: Callable[[], bool], begin_epoch: Callable[[], bool]) -> str:
    """Goes one way further if it is time; the mode afterwards. To be called every two seconds or so by each process.

    `ping`: whether Redis answers; `begin_epoch`: lets the gate count from the beginning, False when it could not.
    Costs one query and one ping in normal times: staff are told that Redis is away also while nothing is to be sent.
    """
    row = GateMode.objects.filter(pk=1).first()
    if row is None or row.mode == Mode.NORMAL:
        if ping():
            return Mode.NORMAL
        note(Mode.AWAY)
        return read().mode
    if row.mode == Mode.TRICKLE and not row.sealed_ms:
        _seal()
    if not ping():
        return _still_silent(row)
    now = db_now()
    _step(row.mode, answered_ms=now)
    if row.mode == Mode.AWAY or (row.mode == Mode.COLD and row.since_ms <= now - COLD_MS):
        _step(row.mode, mode=Mode.NORMAL, since_ms=now, detail="")
        _let_go()
    elif row.mode in (Mode.TRICKLE, Mode.BACK):
        _come_back(row.mode, begin_epoch)
    return read().mode


def _still_silent(row: GateMode) -> str:
    now = db_now()
    silent = max(row.since_ms, row.answered_ms) <= now - SILENT_MS
    if row.mode in (Mode.AWAY, Mode.COLD) and silent:
        # Since when Redis is away stays on record: it is what staff ask.
        since = row.since_ms if row.mode == Mode.AWAY else now
        heard = GateMode.objects.filter(pk=1, mode=row.mode, answered_ms=row.answered_ms)
        if heard.update(mode=Mode.TRICKLE, since_ms=since, sealed_ms=0):
            _seal()
    elif row.mode == Mode.BACK:
        # Nobody has asked Redis since, so the trickle goes on where it was.
        _step(Mode.BACK, mode=Mode.TRICKLE)
    return read().mode


def _seal() -> None:
    """Writes down a moment at which the trickle was surely in force: the clock is read after that was committed."""
    GateMode.objects.filter(pk=1, mode=Mode.TRICKLE, sealed_ms=0).update(sealed_ms=db_now())


def _come_back(mode: str, begin_epoch: Callable[[], bool]) -> None:
    if mode == Mode.TRICKLE and not _step(Mode.TRICKLE, mode=Mode.BACK):
        return
    # From here on nobody sends; then Redis begins to count; then, by its cold start, it decides.
    if begin_epoch():
        with transaction.atomic():
            if _step(Mode.BACK, mode=Mode.COLD, since_ms=db_now(), detail="", sealed_ms=0):
                _let_go()
    else:
        _step(Mode.BACK, mode=Mode.TRICKLE)


def _let_go() -> None:
    """Connections held only because Redis was away are asked for again at once."""
    Connection.objects.filter(hold_reason=HELD).update(hold_until_ms=0)


def _step(was: str, **values: object) -> bool:
    return GateMode.objects.filter(pk=1, mode=was).update(**values) == 1
