"""How far a long command is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TextIO

from tqdm import tqdm

EVERY_S = 5.0


class Progress:
    """One phase of work. `clock`: monotonic seconds."""

    def __init__(self, stream: TextIO, label: str, unit: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._label = label
        self._unit = unit
        self._clock = clock
        self._bar: tqdm[Any] | None = None
        self._next = clock() + EVERY_S

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` so far."""
        if self._stream.isatty():
            if self._bar is None:
                self._bar = tqdm(
                    total=total, desc=self._label, unit=self._unit, unit_scale=True, file=self._stream, leave=False
                )
            self._bar.update(done - self._bar.n)
        elif self._clock() >= self._next:
            self._next = self._clock() + EVERY_S
            share = f" ({done * 100 // total} %)" if total else ""
            self._stream.write(f"{self._label}: {done:,} of {total:,} {self._unit}{share}\n")
            self._stream.flush()

    def close(self) -> None:
        """Clear the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
