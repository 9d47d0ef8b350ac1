"""What a process that sends has in hand: figures, clocks, randomness, its heartbeat. Given, never looked for."""

from __future__ import annotations

import itertools
import logging
import os
import random as random_module
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from django.db import connections

from integrations import failpoints
from integrations.gateway import Link
from integrations.models import Connection

from . import claims
from .clock import StepWatch
from .settling import Figures

log = logging.getLogger(__name__)


class HandBack(Exception):
    """Nothing may be sent now by this process; the row goes back as if never claimed."""


class Heart:
    """One drain's claim on its rows: the thread reports progress, the heartbeat extends the leases."""

    def __init__(self, owner: str, lease_end: float, monotonic: Callable[[], float]) -> None:
        self.owner = owner
        self.lease_end = lease_end
        self.last_progress = monotonic()
        self._monotonic = monotonic

    def progress(self) -> None:
        self.last_progress = self._monotonic()

    def refreshed(self, item: claims.Claim) -> claims.Claim:
        """The claim with its lease end as last extended."""
        return replace(item, lease_end=self.lease_end)


def process_name() -> str:
    """A name no other process has, for leases and for staff to recognise."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@dataclass
class Engine:
    """One per process. `observe` is called at named points of a send (`integrations/failpoints.py`)."""

    figures: Figures
    lease_s: float
    heartbeat_s: float
    link: Callable[[Connection], Link]
    name: str = field(default_factory=process_name)
    random: Callable[[], float] = random_module.random
    monotonic: Callable[[], float] = time.monotonic
    observe: Callable[[str], None] = failpoints.reach
    watch: StepWatch | None = None

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._hearts: dict[str, Heart] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._latency: dict[int, float] = {}
        self._budget: dict[int, int] = {}

    @property
    def lease_ms(self) -> int:
        return int(self.lease_s * 1000)

    def new_owner(self) -> str:
        return f"{self.name}#{next(self._numbers)}"

    def stop(self) -> None:
        """No write begins after this; rows in hand go back."""
        self._stop.set()

    def stopping(self) -> bool:
        if self.watch is not None and self.watch.stepped() and not self._stop.is_set():
            log.critical("The wall clock was set while we ran: this process stops sending. Restart it.")
            self._stop.set()
        return self._stop.is_set()

    # --- how much to claim ------------------------------------------------------------------------------------

    def batch_size(self, connection_id: int, most: int) -> int:
        """At most `most`, the gate's last budget, and what fits in lease − 25 s at recent latency; at least 1."""
        latency = self._latency.get(connection_id, 0.5)
        fits = int((self.lease_s - 25) / latency) if self.lease_s > 25 else 1
        return max(1, min(most, 100, fits, self._budget.get(connection_id, most)))

    def note(self, connection_id: int, *, seconds: float, budget: int | None) -> None:
        """Remembers how long an operation took and what the gate said is left."""
        old = self._latency.get(connection_id, seconds)
        self._latency[connection_id] = max(0.8 * old + 0.2 * seconds, 0.001)
        if budget is not None:
            self._budget[connection_id] = budget

    # --- leases -----------------------------------------------------------------------------------------------

    @contextmanager
    def held(self, owner: str, batch: list[claims.Claim]) -> Iterator[Heart]:
        """While this runs, the heartbeat extends the leases of `owner`."""
        heart = Heart(owner, min(item.lease_end for item in batch), self.monotonic)
        with self._lock:
            self._hearts[owner] = heart
        try:
            yield heart
        finally:
            with self._lock:
                del self._hearts[owner]

    def lease_left(self, claimed: claims.Claim) -> float:
        """Seconds of lease left by the monotonic clock."""
        heart = self._hearts.get(claimed.owner)
        return (heart.lease_end if heart else claimed.lease_end) - self.monotonic()

    def beat(self) -> None:
        """One heartbeat: extends leases whose own thread made progress within the HTTP deadline.

        When it has failed for half a lease, the process stops sending and asks itself to end.
        """
        with self._lock:
            hearts = list(self._hearts.values())
        for heart in hearts:
            began = self.monotonic()
            if began - heart.last_progress > self.figures.total_deadline_s + 5:
                continue
            try:
                claims.extend(heart.owner, self.lease_ms)
                self.observe("mid_heartbeat")
            except Exception:  # whatever it was, the leases of this process depend on the next beat
                log.exception("heartbeat failed")
                connections.close_all()
                if heart.lease_end - self.monotonic() < self.lease_s / 2:
                    log.critical("The heartbeat failed for half a lease: this process stops sending and ends.")
                    self.stop()
                    os.kill(os.getpid(), signal.SIGTERM)
                continue
            heart.lease_end = began + self.lease_s

    def run_heartbeat(self, until: threading.Event) -> None:
        """The heartbeat thread."""
        while not until.wait(self.heartbeat_s):
            self.beat()
        connections.close_all()
