"""One thread's round trips: the gate beside a script that does nothing, and beside what others would be built of.

The peers keep the same two windows: `limits` (a moving window in Redis) with `pybreaker` (its state in Redis) around
the call, and pyrate-limiter (a bucket in Redis, which holds all its windows and has no circuit).
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

import pybreaker
import redis
from limits import RateLimitItemPerDay, RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from pyrate_limiter import Duration, Limiter, Rate, RedisBucket

from integrations.gate import Gate, Outcome, Permit, Scope, Seed, Window, connect
from tests.redis_server import RedisServer

PREFIX = "bench:gate"
ROUNDS, CALLS = 50, 80
# Never full within a bench, so that every call is admitted and pays for it.
PER_SECOND, PER_DAY = 1_000_000, 2_000_000
SCOPE = Scope("bench:speed", (Window("burst", PER_SECOND, 10), Window("daily", PER_DAY, 86_400)))
# Kept call by call, as GoHighLevel's hundred in ten seconds are.
RINGS = Scope("bench:rings", (Window("burst", 1_000, 1), Window("daily", PER_DAY, 86_400)))


class NothingKnown:
    """A database that remembers nothing."""

    def seed(self, scope: Scope) -> Seed:
        return Seed()


def gate_on(server: RedisServer) -> Gate:
    """A gate that has been warm for long."""
    server.wipe_warm(PREFIX)
    return Gate(connect(server.url, timeout_s=2), prefix=PREFIX, seeds=NothingKnown(), random=random.random)


def measure(server: RedisServer) -> tuple[dict[str, float], dict[str, object]]:
    """The ratios (medians over rounds of each round's median), and microseconds a call."""
    gate = gate_on(server)
    ways = _ways(server, gate)
    for call in ways.values():
        for _ in range(CALLS):
            call()
    rounds = [{name: _median_us(call) for name, call in ways.items()} for _ in range(ROUNDS)]

    def ratio(one: str, other: str) -> float:
        return round(statistics.median(times[one] / times[other] for times in rounds), 3)

    figures = {
        "gate.admit": ratio("admit", "evalsha"),
        "gate.pair": ratio("pair", "evalsha"),
        "gate.pair_rings": ratio("pair_rings", "evalsha"),
        "gate.vs_limits_pybreaker": ratio("pair", "limits_pybreaker"),
        "gate.vs_pyrate_limiter": ratio("admit", "pyrate_limiter"),
        "gate.round_trips": _round_trips(server, gate),
    }
    return figures, {f"{name}_us": round(statistics.median(t[name] for t in rounds), 1) for name in ways}


def _ways(server: RedisServer, gate: Gate) -> dict[str, Callable[[], object]]:
    plain = redis.Redis.from_url(server.url)
    nothing = plain.script_load("return 1")
    return {
        "evalsha": lambda: plain.evalsha(nothing, 0),
        "admit": lambda: gate.admit(SCOPE),
        "pair": lambda: _pair(gate, SCOPE),
        "pair_rings": lambda: _pair(gate, RINGS),
        "limits_pybreaker": _limits_and_pybreaker(server),
        "pyrate_limiter": _pyrate(plain),
    }


def _pair(gate: Gate, scope: Scope) -> None:
    permit = gate.admit(scope)
    if isinstance(permit, Permit):
        gate.report(permit, Outcome.OK)


def _limits_and_pybreaker(server: RedisServer) -> Callable[[], object]:
    storage = RedisStorage(server.url, connection_pool=redis.ConnectionPool.from_url(server.url))
    limiter = MovingWindowRateLimiter(storage)
    windows = (RateLimitItemPerSecond(PER_SECOND, 10), RateLimitItemPerDay(PER_DAY))
    breaker = pybreaker.CircuitBreaker(
        fail_max=3,
        state_storage=pybreaker.CircuitRedisStorage(
            pybreaker.STATE_CLOSED, redis.Redis.from_url(server.url), namespace="bench"
        ),
    )

    def call() -> bool:
        return all(limiter.hit(window, "bench") for window in windows) and bool(breaker.call(bool, 1))

    return call


def _pyrate(client: redis.Redis) -> Callable[[], object]:
    rates = [Rate(PER_SECOND, Duration.SECOND * 10), Rate(PER_DAY, Duration.DAY)]
    limiter = Limiter(RedisBucket.init(rates, client, "bench:pyrate"))
    return lambda: limiter.try_acquire("bench")


def _median_us(call: Callable[[], object]) -> float:
    times = []
    for _ in range(CALLS):
        began = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - began)
    return statistics.median(times) / 1_000


def _round_trips(server: RedisServer, gate: Gate, pairs: int = 100) -> float:
    """Commands that reach Redis for one admitted and reported call."""
    with redis.Redis.from_url(server.url) as client:
        client.config_resetstat()
        for _ in range(pairs):
            _pair(gate, SCOPE)
        asked = client.info("commandstats")
    # What scripts call inside is counted there too, but only scripts are sent.
    sent = ("cmdstat_evalsha", "cmdstat_eval", "cmdstat_script|load")
    return sum(asked[name]["calls"] for name in sent if name in asked) / pairs
