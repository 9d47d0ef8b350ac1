"""The threads of a process that sends.

A heartbeat; a timer that sleeps until the next due row (at most one sweep), recovers lost leases while it holds the
sweeper's lease, and hands connections to a small pool. It needs no broker: a doorbell only makes the first drain
sooner.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from queue import SimpleQueue

from django.db import close_old_connections, connections

from . import gatemode, hands, leases, outbound, sweep
from .clock import db_now
from .context import Engine

log = logging.getLogger(__name__)

SWEEPER = "sweeper"
SHORTEST_SLEEP_S = 0.02


class Runner:
    """Drains connections in this process: at most ⌈threads/2⌉ at a time for each, so that none starves the others."""

    def __init__(self, engine: Engine, *, threads: int, sweep_s: float) -> None:
        self.engine = engine
        self.sweep_s = sweep_s
        self._per_connection = (threads + 1) // 2
        self._drainers = threads
        self._queue: SimpleQueue[int | None] = SimpleQueue()
        self._running: Counter[int] = Counter()
        self._queued: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    # --- life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the heartbeat, the timer and the threads that drain."""
        named = [("heartbeat", lambda: self.engine.run_heartbeat(self._ended)), ("timer", self._run_timer)]
        named += [(f"drain-{number}", self._run_drainer) for number in range(self._drainers)]
        self._threads = [threading.Thread(target=target, name=name, daemon=True) for name, target in named]
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 25.0) -> None:
        """No new write begins; rows in hand go back; what is on the wire is awaited up to `timeout_s`."""
        self.engine.stop()
        self._ended.set()
        self._wake.set()
        for _ in range(self._drainers):
            self._queue.put(None)
        end = self.engine.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(end - self.engine.monotonic(), 0))

    # --- drains -----------------------------------------------------------------------------------------------

    def drain(self, connection_id: int) -> outbound.Drained:
        """One quantum in the calling thread; nothing when the connection has its share of threads already."""
        with self._lock:
            if self._running[connection_id] >= self._per_connection or self.engine.stopping():
                return outbound.Drained()
            self._running[connection_id] += 1
        try:
            result = outbound.drain(self.engine, connection_id)
        finally:
            with self._lock:
                self._running[connection_id] -= 1
        if result.more:
            # The tail of the queue: other connections go first. Two, so that a backlog widens to its share of threads.
            self.dispatch(connection_id)
            self.dispatch(connection_id)
        self._wake.set()
        return result

    def dispatch(self, connection_id: int) -> None:
        """Queues a quantum on the pool unless enough of them are queued."""
        with self._lock:
            share = self._running[connection_id] + self._queued[connection_id]
            if share > self._per_connection or self._ended.is_set():
                return
            self._queued[connection_id] += 1
        self._queue.put(connection_id)

    def _run_drainer(self) -> None:
        while (connection_id := self._queue.get()) is not None:
            with self._lock:
                self._queued[connection_id] -= 1
            close_old_connections()
            try:
                self.drain(connection_id)
            except Exception:  # whatever it was, this thread must serve the other connections
                log.exception("a drain of connection %s failed; its leases will run out", connection_id)
                connections.close_all()
        connections.close_all()

    def busy(self) -> bool:
        """Whether any drain runs or is queued."""
        with self._lock:
            return sum(self._running.values()) + sum(self._queued.values()) > 0

    # --- the timer --------------------------------------------------------------------------------------------

    def _run_timer(self) -> None:
        started = 0
        next_sweep = 0.0
        while not self._ended.is_set():
            self._wake.clear()
            sleep_s = self.sweep_s
            try:
                close_old_connections()
                started = started or db_now()
                if self.engine.monotonic() >= next_sweep:
                    self.sweep(started)
                    next_sweep = self.engine.monotonic() + self.sweep_s * (0.9 + 0.2 * random.random())  # noqa: S311  jitter
                gatemode.tend()
                hands.tend()
                sleep_s = min(self.hand_out(), max(next_sweep - self.engine.monotonic(), 0.0), gatemode.TEND_S)
            except Exception:  # without the timer this process would never look for work again
                log.exception("the timer met an error; it goes on")
                connections.close_all()
                sleep_s = 1.0
            self._wake.wait(max(sleep_s, SHORTEST_SLEEP_S))
            self._ended.wait(SHORTEST_SLEEP_S)  # many drains ending together cost one look
        connections.close_all()

    def sweep(self, started_ms: int) -> None:
        """Reports life; recovers lost leases while this process holds the sweeper's lease."""
        sweep.report_alive(self.engine.name, started_ms)
        # One sweep and a half: a sweeper that dies is replaced at the next sweep of any other process.
        if leases.take(SWEEPER, self.engine.name, int(self.sweep_s * 1500)):
            self.engine.observe("in_sweep")
            recovered = sweep.recover_all(self.engine.figures)
            if recovered:
                log.warning("recovered %s operations whose worker was lost", recovered)

    def hand_out(self) -> float:
        """Dispatches every connection with due rows; returns the seconds until the next row is due."""
        now = db_now()
        sleep_s = self.sweep_s
        for connection_id, when in sweep.schedule().items():
            if when <= now:
                self.dispatch(connection_id)
            else:
                sleep_s = min(sleep_s, (when - now) / 1000)
        return sleep_s
