"""Eight processes at one scope: what a provider sees of them, and how many probe it."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrations.gate import BreakerPolicy, Gate, Outcome, Permit, Scope, Window, connect
from tests.bench.gate_speed import PREFIX, NothingKnown, gate_on
from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

PROCESSES = 8
LIMIT, SECONDS = 100, 10
SCOPE = Scope("bench:fleet", (Window("burst", LIMIT, 1),))
OPEN_S, PROBE_LEASE_S = 1.0, 1.5
SICK = Scope("bench:sick", (Window("burst", 1_000, 1),), BreakerPolicy(failures=3, open_s=OPEN_S, probe_lease_s=1.5))


@dataclass(frozen=True)
class Orders:
    """What each process does: `probing` = once the circuit lets it, else as many calls as it may."""

    url: str
    scope: Scope
    seconds: float
    probing: bool = False


def measure(server: RedisServer) -> tuple[dict[str, float], dict[str, object]]:
    """Calls above the limit in any second, the share of it used, and probes at once (also after one was killed)."""
    gate_on(server)
    arrivals = sorted(stamp for of_one in _fleet(Orders(server.url, SCOPE, SECONDS + 0.3)) for stamp in of_one)
    pairs = zip(arrivals, arrivals[LIMIT:], strict=False)
    over = sum(1 for earlier, later in pairs if later - earlier < 1)
    # The pace that is kept: up to the first call of the last second's worth, which is not over yet.
    last = (len(arrivals) - 1) // LIMIT * LIMIT
    pace = last / (arrivals[last] - arrivals[0])
    probes, after_kill = _probes(server)
    figures = {
        "gate.over_admitted": float(over),
        "gate.utilisation": round(pace / LIMIT, 4),
        "gate.probes": float(probes),
        "gate.probes_after_kill": float(after_kill),
    }
    return figures, {"fleet_arrivals": len(arrivals), "processes": PROCESSES}


def _fleet(orders: Orders) -> list[list[float]]:
    context = multiprocessing.get_context("spawn")
    out, ready = context.Queue(), context.Barrier(PROCESSES)
    processes = [context.Process(target=_process, args=(orders, ready, out)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    stamps = [out.get(timeout=orders.seconds + 60) for _ in processes]
    for process in processes:
        process.join(timeout=10)
    return stamps


def _process(orders: Orders, ready: Barrier, out: Queue[list[float]]) -> None:
    gate = Gate(connect(orders.url, timeout_s=2), prefix=PREFIX, seeds=NothingKnown(), random=random.random)
    stamps: list[float] = []
    ready.wait(timeout=60)
    end = time.monotonic() + orders.seconds
    while (now := time.monotonic()) < end:
        asked = gate.admit(orders.scope)
        if not isinstance(asked, Permit):
            time.sleep(min(max(asked.until_ms / 1_000 - time.time(), 0.001), max(end - now, 0.001)))
            continue
        arrived = time.monotonic()
        in_time = (arrived - now) * 1_000 <= asked.guard_ms  # else it is given back, as transport/guard.py does
        if in_time:
            stamps.append(arrived)
        if orders.probing:
            break  # holds its probe: no report
        gate.report(asked, Outcome.OK if in_time else Outcome.NOT_SENT)
    out.put(stamps)


def _probes(server: RedisServer) -> tuple[int, int]:
    """Probes that eight processes get of a circuit whose time has come; then again after the prober was killed."""
    gate = gate_on(server)
    for _ in range(3):
        permit = gate.admit(SICK)
        if isinstance(permit, Permit):
            gate.report(permit, Outcome.FAILURE)
    orders = Orders(server.url, SICK, OPEN_S + 0.25, probing=True)
    first = sum(len(stamps) for stamps in _fleet(orders))
    if first == 0:  # the processes took longer to start than the circuit to half-open, or shorter: ask again
        first = sum(len(stamps) for stamps in _fleet(orders))
    _hold_and_die(server, SICK)
    time.sleep(PROBE_LEASE_S)
    return first, sum(len(stamps) for stamps in _fleet(Orders(server.url, SICK, 0.5, probing=True)))


def _hold_and_die(server: RedisServer, scope: Scope) -> None:
    """A process that takes the probe and is killed with it."""
    context = multiprocessing.get_context("spawn")
    holding = context.Event()
    process = context.Process(target=_hold, args=(server.url, scope, holding))
    process.start()
    holding.wait(timeout=30)
    if process.pid is not None:
        os.kill(process.pid, signal.SIGKILL)
    process.join(timeout=10)


def _hold(url: str, scope: Scope, holding: object) -> None:
    gate = Gate(connect(url, timeout_s=2), prefix=PREFIX, seeds=NothingKnown(), random=random.random)
    while not isinstance(gate.admit(scope), Permit):
        time.sleep(0.01)
    holding.set()  # type: ignore[attr-defined]  # a multiprocessing Event
    time.sleep(60)
