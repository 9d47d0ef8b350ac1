"""Many processes and threads at one scope, judged by the arrivals at a provider that only has a clock."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from integrations.gate import Gate, Outcome, Permit, Scope, Seed, Window, connect

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

    from tests.integrations.gate.conftest import RedisServer

PROCESSES, THREADS = 4, 2
PROMPT, LATE, WANDERING = "prompt", "late", "wandering guard"
"""Calls go at once; or late by anything their guard allows; or so, and the guard is raised again and again."""


class _NothingKnown:
    def seed(self, scope: Scope) -> Seed:
        return Seed()


@dataclass(frozen=True)
class _Load:
    url: str
    prefix: str
    scope: Scope
    manner: str
    seconds: float


def _hammer(load: _Load, arrivals: list[float]) -> None:
    """Asks without pause; a permit's call arrives late by anything its guard allows, else it is given back."""
    client = connect(load.url, timeout_s=5)
    dice = random.Random()  # noqa: S311 - for spread, not for secrets
    gate = Gate(client, prefix=load.prefix, seeds=_NothingKnown(), random=dice.random)
    end = time.monotonic() + load.seconds
    while (asked := time.monotonic()) < end:
        permit = gate.admit(load.scope)
        if not isinstance(permit, Permit):
            time.sleep(0.004)
            continue
        guard_s = permit.guard_ms / 1_000
        if load.manner != PROMPT:
            time.sleep(dice.choice((0, 0, dice.random() * 0.9)) * guard_s)
        arrived = time.monotonic()
        in_time = arrived - asked <= guard_s
        if in_time:
            arrivals.append(arrived)
        wide = load.manner == WANDERING
        delay_ms = round((arrived - asked) * 1_000 * dice.choice((1, 1, 1, 5))) if wide else None
        gate.report(permit, Outcome.OK if in_time else Outcome.NOT_SENT, delay_ms=delay_ms)
    client.close()


def _process(load: _Load, ready: Barrier, out: Queue[list[float]]) -> None:
    arrivals: list[float] = []
    threads = [threading.Thread(target=_hammer, args=(load, arrivals)) for _ in range(THREADS)]
    ready.wait(timeout=30)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.put(arrivals)


def _provider_log(load: _Load) -> list[float]:
    context = multiprocessing.get_context("spawn")
    out, ready = context.Queue(), context.Barrier(PROCESSES)
    processes = [context.Process(target=_process, args=(load, ready, out)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    arrivals = sorted(stamp for _ in processes for stamp in out.get(timeout=45))
    for process in processes:
        process.join(timeout=10)
        assert process.exitcode == 0
    return arrivals


def _over(arrivals: list[float], window: Window) -> int:
    pairs = zip(arrivals, arrivals[window.limit :], strict=False)
    return sum(1 for earlier, later in pairs if later - earlier < window.seconds)


@pytest.mark.parametrize("manner", [LATE, WANDERING])
def test_the_provider_never_sees_a_window_exceeded(
    redis_server: RedisServer, prefix: str, warm: Callable[[], None], manner: str
) -> None:
    warm()
    burst, two = Window("burst", 60, 1), Window("two", 100, 2)
    arrivals = _provider_log(_Load(redis_server.url, prefix, Scope("crm:load", (burst, two)), manner, 2.7))
    assert (_over(arrivals, burst), _over(arrivals, two)) == (0, 0)
    assert len(arrivals) > two.limit, "the windows came round at least once"


def test_the_limit_is_used_to_95_percent_of_what_the_guard_leaves(
    redis_server: RedisServer, prefix: str, warm: Callable[[], None], record_property: Callable[..., None]
) -> None:
    warm()
    burst = Window("burst", 60, 1)
    arrivals = _provider_log(_Load(redis_server.url, prefix, Scope("crm:used", (burst,)), PROMPT, 3.3))
    period_s = burst.seconds + 0.050 + 0.001  # the window, its guard, and the millisecond the clock is cut by
    counted = [stamp for stamp in arrivals if stamp - arrivals[0] < 3 * period_s]
    utilisation = len(counted) / (3 * burst.limit)
    record_property("utilisation", utilisation)
    assert _over(arrivals, burst) == 0
    assert utilisation >= 0.95


def test_sub_buckets_hold_under_load(redis_server: RedisServer, prefix: str, warm: Callable[[], None]) -> None:
    warm()
    big = Window("big", 1_001, 1)
    arrivals = _provider_log(_Load(redis_server.url, prefix, Scope("crm:big", (big,)), PROMPT, 2.2))
    assert _over(arrivals, big) == 0
    assert len(arrivals) > big.limit
