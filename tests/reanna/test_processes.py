"""One command a process, as servers and containers run them: it becomes the process, and takes its signals."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from reanna.stack import healthcheck
from tests.reanna.running import ROOT, clean_environ, eventually, free_port, processes_on
from tests.redis_server import RedisServer

pytestmark = pytest.mark.stack


@contextlib.contextmanager
def running(output: Path, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as file:
        started = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=clean_environ(**environ),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.wait()


def test_web_serves_and_the_container_check_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}/healthz"
    monkeypatch.setattr(healthcheck, "PORT", port)
    monkeypatch.setenv("ALLOWED_HOSTS", ".reanna.example,other")
    assert healthcheck.main() == 1

    with running(
        tmp_path / "web.txt",
        *("web", "--port", str(port), f"--data={tmp_path / 'data'}"),
        ALLOWED_HOSTS=".reanna.example,other",
    ) as web:
        assert eventually(lambda: healthcheck.main() == 0, 30), (tmp_path / "web.txt").read_text()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address)
        assert refused.value.code == 400
        request = urllib.request.Request(address, headers={"Host": "reanna.example"})
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own loopback address
            assert json.load(answer)["database"] == "ok"

        web.send_signal(signal.SIGTERM)

        assert web.wait(timeout=15) == 0
        assert processes_on(tmp_path / "data") == {}


@pytest.mark.parametrize(("command", "sign"), [("worker", "ready."), ("beat", "beat: Starting...")])
def test_worker_and_beat_run_alone_and_end_on_sigterm(
    tmp_path: Path, redis_server: RedisServer, command: str, sign: str
) -> None:
    data = tmp_path / "data"
    environ = {"REDIS_URL": redis_server.url}
    migrate = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "migrate", "--no-input", "--data", str(data)],
        check=False,
        env=clean_environ(**environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert migrate.returncode == 0, migrate.stderr
    said = tmp_path / "said.txt"

    with running(said, command, "--data", str(data), **environ) as process:
        assert eventually(lambda: sign in said.read_text(), 30), said.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0

    assert processes_on(data) == {}


def test_a_port_in_use_ends_web_with_an_error(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        with running(tmp_path / "web.txt", "web", "--port", port, "--data", str(tmp_path / "data")) as web:
            assert web.wait(timeout=30) != 0
