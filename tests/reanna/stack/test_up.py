"""`manage.py up`: real processes, started and ended the ways people and machines do it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reanna.running import ROOT, Up, clean_environ, eventually, free_port, manage, processes_on

pytestmark = pytest.mark.stack
Start = Callable[[Path], Up]


def pid_of(up: Up, name: str) -> int:
    pid: int = json.loads((up.data / "run" / f"{name}.json").read_text())["pid"]
    return pid


def test_first_start_serves_pages_shows_the_login_once_and_ctrl_c_leaves_nothing(
    tmp_path: Path, start_up: Start
) -> None:
    data = tmp_path / "with a space"
    first = start_up(data)
    first.await_ready()
    found = re.findall(r"user admin, password (\S+) ", first.said())
    assert len(found) == 1
    with urllib.request.urlopen(f"http://127.0.0.1:{first.port}/admin/login/") as page:
        assert page.status == 200
    with urllib.request.urlopen(f"http://127.0.0.1:{first.port}/healthz") as page:
        assert json.load(page) == {"database": "ok", "redis": "ok"}
    assert found[0] not in (data / "secrets.json").read_text()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "secrets.json").stat().st_mode) == 0o600

    first.popen.send_signal(signal.SIGINT)

    assert first.popen.wait(timeout=30) == 0
    assert processes_on(data) == {}
    assert "stopping beat, worker, web, sandbox, redis" in first.said()
    second = start_up(data)
    second.await_ready()
    assert "password" not in second.said()
    for log in (data / "logs").iterdir():
        assert found[0] not in log.read_text()


def test_sigkill_of_the_supervisor_leaves_no_process_not_even_grandchildren(tmp_path: Path, start_up: Start) -> None:
    data = tmp_path / "data"
    up = start_up(data)
    up.await_ready()
    running = processes_on(data)
    assert sum("granian" in command for command in running.values()) == 2, running  # the second: its child
    socket_folder = Path(json.loads((data / "run/up.json").read_text())["environ"]["REDIS_URL"][7:]).parent
    assert socket_folder.exists()

    up.popen.kill()
    up.popen.wait()

    assert eventually(lambda: not processes_on(data), 10), processes_on(data)
    assert eventually(lambda: not socket_folder.exists(), 2)
    again = start_up(data)
    again.await_ready()


def test_sigkill_ends_even_a_frozen_redis(tmp_path: Path, start_up: Start) -> None:
    data = tmp_path / "data"
    up = start_up(data)
    up.await_ready()
    os.kill(pid_of(up, "redis"), signal.SIGSTOP)

    up.popen.kill()
    up.popen.wait()

    assert eventually(lambda: not processes_on(data), 10), processes_on(data)


def test_a_second_up_names_the_first_and_changes_nothing(tmp_path: Path, start_up: Start) -> None:
    data = tmp_path / "data"
    up = start_up(data)
    up.await_ready()
    before = processes_on(data)

    second = manage("up", f"--data={data}", "--port", str(free_port()), "--sandbox-port", str(free_port()))

    assert second.returncode == 2
    assert f"Already running on {data} as pid {up.popen.pid}." in second.stderr
    assert processes_on(data) == before


def test_two_at_once_on_a_fresh_folder_one_runs_and_the_other_is_told(tmp_path: Path, start_up: Start) -> None:
    data = tmp_path / "data"
    both = [start_up(data), start_up(data)]
    assert eventually(lambda: any(up.popen.poll() is not None for up in both), 30)
    loser = next(up for up in both if up.popen.poll() is not None)
    winner = next(up for up in both if up is not loser)

    winner.await_ready()

    assert loser.popen.returncode == 2
    assert f"as pid {winner.popen.pid}" in loser.said()


def test_a_killed_worker_is_started_again_with_its_whole_group_gone(tmp_path: Path, start_up: Start) -> None:
    data = tmp_path / "data"
    up = start_up(data)
    up.await_ready()
    first = pid_of(up, "worker")

    os.killpg(first, signal.SIGKILL)

    assert eventually(lambda: (data / "run/worker.json").exists() and pid_of(up, "worker") != first, 20)
    assert "worker   ended with -9; starting it again in 1 s" in up.said()
    assert up.popen.poll() is None


def test_output_through_a_pipe_ends_with_up(tmp_path: Path) -> None:
    data = tmp_path / "data"
    ports = ["--port", str(free_port()), "--sandbox-port", str(free_port())]
    with subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "up", "--no-demo", "--data", str(data), *ports],
        cwd=ROOT,
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as up:
        assert up.stdout is not None
        lines = iter(up.stdout)
        assert any(line.startswith("ready ") for line in lines)
        up.kill()
        rest = list(lines)  # returns only when no process holds the pipe any more
    assert rest == []
    assert eventually(lambda: not processes_on(data), 10)


def test_a_busy_port_is_named_with_what_holds_it(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]

        result = manage("up", "--port", str(port), "--data", str(tmp_path / "data"))

    assert result.returncode == 2
    assert f"Port {port} (web pages) is in use by pid {os.getpid()} (" in result.stderr
    assert f"choose another port: --port {port + 1}" in result.stderr
    assert processes_on(tmp_path / "data") == {}


@pytest.mark.parametrize("value", ["0", "65536", "web"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    result = manage("up", "--port", value, "--data", str(tmp_path / "data"))

    assert result.returncode == 2
    assert "argument --port: invalid port value" in result.stderr


def test_a_data_folder_open_to_others_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)

    result = manage("up", "--data", str(data))

    assert result.returncode == 1
    assert result.stderr == (
        f"manage.py up: {data} is open to other users (mode 755). It holds keys and personal data; "
        f"close it with: chmod 700 '{data}'\n"
    )
    assert list(data.iterdir()) == []
