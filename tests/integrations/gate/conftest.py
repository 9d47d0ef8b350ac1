"""A real redis-server on a unix socket, and gates on it that have been warm for long."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from integrations.gate import Gate, Scope, Seed, connect

_numbers = itertools.count(1)


class RedisServer:
    """One redis-server with an append-only file; restarted, frozen and thawed by its process id."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.url = f"unix://{directory}/redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        executable = shutil.which("redis-server")
        if executable is None:
            pytest.skip("redis-server is not installed")
        # fmt: off
        self._process = subprocess.Popen([
            executable, "--port", "0", "--unixsocket", str(self._directory / "redis.sock"),
            "--unixsocketperm", "700", "--dir", str(self._directory), "--save", "",
            "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction",
        ], stdout=subprocess.DEVNULL)
        # fmt: on
        probe = connect(self.url)
        for _ in range(200):
            try:
                probe.ping()
            except redis.RedisError:
                time.sleep(0.02)
            else:
                break
        else:
            raise RuntimeError("redis-server did not start")
        probe.close()

    def stop(self) -> None:
        if self._process is not None:
            self.thaw()
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self, *, wipe: bool) -> None:
        """Killed and started again, with or without what it knew."""
        self.stop()
        if wipe:
            shutil.rmtree(self._directory / "appendonlydir", ignore_errors=True)
        self.start()

    def freeze(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


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
