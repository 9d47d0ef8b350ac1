"""A real redis-server for the tests, ended by process id."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis

from integrations.gate import connect


class RedisServer:
    """One redis-server with an append-only file; restarted, frozen and thawed by its process id."""

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        """`durable`: what it was told is on the disk before it answers, so that a restart forgets nothing."""
        self._directory, self._durable = directory, durable
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
            "--appendonly", "yes" if self._durable else "no", "--appendfsync", "always",
            "--maxmemory-policy", "noeviction",
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

    def wipe(self) -> None:
        """Forgets everything (FLUSHALL)."""
        with connect(self.url, timeout_s=2) as client:
            client.flushall()

    def wipe_warm(self, prefix: str) -> None:
        """Empties it, and lets the gate under `prefix` believe that it has been remembering for a day."""
        with connect(self.url, timeout_s=2) as client:
            client.flushall()
            run_id = client.info("server")["run_id"]
            started = int(time.time() * 1000) - 86_400_000
            client.hset(f"{prefix}:epoch", mapping={"run_id": run_id, "started_ms": started})
            client.expire(f"{prefix}:epoch", 3_600)

    def later(self, scope_key: str, ms: int, prefix: str = "reanna:gate") -> None:
        """As if that much time had passed since a scope was told when to ask again."""
        with connect(self.url, timeout_s=2) as client:
            key = f"{prefix}:{{{scope_key}}}:state"
            told = client.hget(key, "not_before") or b"0"
            client.hset(key, "not_before", int(told) - ms)
