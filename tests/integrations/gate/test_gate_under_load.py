"""Many processes and threads at one scope, judged by the arrivals at a provider that only has a clock."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from integrations.gate import Gate, Outcome, Permit, Scope, Seed, Window, connect

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    from tests.integrations.gate.conftest import RedisServer

PROCESSES, THREADS = 4, 2
RUN_S = 3.3
PROMPT, LATE, WANDERING = "prompt", "late", "wandering guard"
"""Calls go at once; or late by anything their guard allows; or so, and the guard is raised again and again."""


class _NothingKnown:
    def seed(self, scope: Scope) -> Seed:
        return Seed()


def _hammer(url: str, prefix: str, scope: Scope, begin: float, manner: str, arrivals: list[float]) -> None:
    """Asks without pause; a permit's call arrives late by anything its guard allows, else it is given back."""
    client = connect(url, timeout_s=5)
    dice = random.Random()  # noqa: S311 - for spread, not for secrets
    gate = Gate(client, prefix=prefix, seeds=_NothingKnown(), random=dice.random)
    time.sleep(max(0.0, begin - time.monotonic()))
    while (asked := time.monotonic()) < begin + RUN_S:
        permit = gate.admit(scope)
        if not isinstance(permit, Permit):
            time.sleep(0.004)
            continue
        guard_s = permit.guard_ms / 1_000
        if manner != PROMPT:
            time.sleep(dice.choice((0, 0, dice.random() * 0.9)) * guard_s)
        arrived = time.monotonic()
        in_time = arrived - asked <= guard_s
        if in_time:
            arrivals.append(arrived)
        delay_ms = round((arrived - asked) * 1_000 * dice.choice((1, 1, 1, 5))) if manner == WANDERING else None
        gate.report(permit, Outcome.OK if in_time else Outcome.NOT_SENT, delay_ms=delay_ms)
    client.close()


def _process(url: str, prefix: str, scope: Scope, begin: float, manner: str, out: Queue[list[float]]) -> None:
    arrivals: list[float] = []
    threads = [
        threading.Thread(target=_hammer, args=(url, prefix, scope, begin, manner, arrivals)) for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.put(arrivals)


def _provider_log(url: str, prefix: str, scope: Scope, manner: str) -> list[float]:
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    begin = time.monotonic() + 2.5
    processes = [
        context.Process(target=_process, args=(url, prefix, scope, begin, manner, out)) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    arrivals = sorted(stamp for _ in processes for stamp in out.get(timeout=30))
    for process in processes:
        process.join(timeout=10)
        assert process.exitcode == 0
    return arrivals


def _over(arrivals: list[float], window: Window) -> int:
    pairs = zip(arrivals, arrivals[window.limit :], strict=False)
    return sum(1 for earlier, later in pairs if later - earlier < window.seconds)


@pytest.mark.parametrize("manner", [LATE, WANDERING])
def test_the_provider_never_sees_a_window_exceeded(
    redis_server: RedisServer, prefix: str, warm: Callable[[], None], manner: str, record_property: Callable[..., None]
) -> None:
    warm()
    burst, three = Window("burst", 60, 1), Window("three", 150, 3)
    scope = Scope("crm:load", (burst, three))
    arrivals = _provider_log(redis_server.url, prefix, scope, manner)
    record_property("calls", len(arrivals))
    assert (_over(arrivals, burst), _over(arrivals, three)) == (0, 0)
    assert len(arrivals) >= 150


def test_the_limit_is_used_to_95_percent_of_what_the_guard_leaves(
    redis_server: RedisServer, prefix: str, warm: Callable[[], None], record_property: Callable[..., None]
) -> None:
    warm()
    burst = Window("burst", 60, 1)
    arrivals = _provider_log(redis_server.url, prefix, Scope("crm:used", (burst,)), manner=PROMPT)
    ideal = 4 * burst.limit  # full at 0, 1.05, 2.1 and 3.15 s
    record_property("utilisation", len(arrivals) / ideal)
    assert _over(arrivals, burst) == 0
    assert len(arrivals) >= 0.95 * ideal


def test_sub_buckets_hold_under_load(redis_server: RedisServer, prefix: str, warm: Callable[[], None]) -> None:
    warm()
    big = Window("big", 1_001, 2)
    arrivals = _provider_log(redis_server.url, prefix, Scope("crm:big", (big,)), manner=PROMPT)
    assert _over(arrivals, big) == 0
    assert len(arrivals) >= 1_001
