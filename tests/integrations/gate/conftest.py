"""A real redis-server on a unix socket, and gates on it that have been warm for long."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from integrations.gate import Gate, Permit, Scope, Seed, connect
from tests.redis_server import RedisServer

_numbers = itertools.count(1)


@dataclass
class Memory:
    """The database's part: what it says of every scope, and who asked."""

    answer: Seed = field(default_factory=Seed)
    asked: list[str] = field(default_factory=list)

    def seed(self, scope: Scope) -> Seed:
        self.asked.append(scope.key)
        return self.answer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="gate-", dir="/tmp") as directory:
        server = RedisServer(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    connection = connect(redis_server.url, timeout_s=2)
    yield connection
    connection.close()


@pytest.fixture
def prefix() -> str:
    return f"test{next(_numbers)}"


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def warm(client: redis.Redis, prefix: str) -> Callable[[], None]:
    """Lets Redis remember since 1970 under this test's prefix, as after a long time of running."""

    def begin() -> None:
        run_id = client.info("server")["run_id"]
        client.hset(f"{prefix}:epoch", mapping={"run_id": run_id, "started_ms": 1})
        client.expire(f"{prefix}:epoch", 3_600)

    return begin


@pytest.fixture
def make_gate(redis_server: RedisServer, prefix: str, memory: Memory) -> Iterator[Callable[..., Gate]]:
    """Further gates of other clients on the same Redis and prefix."""
    clients: list[redis.Redis] = []

    def make(random: float = 0.5, timeout_s: float = 2) -> Gate:
        clients.append(connect(redis_server.url, timeout_s=timeout_s))
        return Gate(clients[-1], prefix=prefix, seeds=memory, random=lambda: random)

    yield make
    for one in clients:
        one.close()


@pytest.fixture
def gate(warm: Callable[[], None], make_gate: Callable[..., Gate]) -> Gate:
    warm()
    return make_gate()


@pytest.fixture
def redis_now(client: redis.Redis) -> Callable[[], int]:
    def now() -> int:
        seconds, micros = client.time()
        return int(seconds) * 1_000 + int(micros) // 1_000

    return now


@pytest.fixture
def sleep_until(redis_now: Callable[[], int]) -> Callable[[int], None]:
    """Sleeps until Redis's clock shows that millisecond."""

    def sleep(until_ms: int) -> None:
        while (left := until_ms - redis_now()) > 0:
            time.sleep(left / 1_000)

    return sleep


@pytest.fixture
def first_permit(redis_now: Callable[[], int]) -> Callable[[Gate, Scope, int], Permit]:
    """Asks on and on: refused before that millisecond with just that answer, admitted from it on."""

    def ask(gate: Gate, scope: Scope, until_ms: int) -> Permit:
        while True:
            before = redis_now()
            got = gate.admit(scope)
            if isinstance(got, Permit):
                assert got.admitted_ms >= until_ms
                return got
            assert got.until_ms == until_ms
            assert before < until_ms
            time.sleep(0.002)

    return ask
