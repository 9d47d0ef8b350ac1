"""Starts `manage.py` as a person would: in processes of their own, with nothing of the test's environment."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = {
    "ALLOWED_HOSTS",
    "CI",
    "DATABASE_URL",
    "DJANGO_SETTINGS_MODULE",
    "FERNET_KEYS",
    "REANNA_DATA",
    "REDIS_URL",
    "SECRET_KEY",
}


def clean_environ(**more: str) -> dict[str, str]:
    """This process's environment without what the test settings put there."""
    return {name: value for name, value in os.environ.items() if name not in OURS} | more


def free_port() -> int:
    """A port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def manage(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command of manage.py to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        check=False,
        cwd=ROOT,
        env=clean_environ(**environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def processes_on(data: Path) -> dict[int, str]:
    """Processes that belong to a stack on the data folder: by environment, or by the folder they work in."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # ended while we looked
            mine = f"REANNA_DATA={data}\0".encode() in (entry / "environ").read_bytes()
            if mine or (entry / "cwd").readlink().is_relative_to(data):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def eventually(holds: Callable[[], bool], within_s: float) -> bool:
    """Whether something comes to hold in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Up:
    """A running `manage.py up`; its output goes to a file, so that nothing waits for a reader."""

    def __init__(self, data: Path, output: Path, **environ: str) -> None:
        self.data = data
        self.output = output
        self.port, self.sandbox_port = free_port(), free_port()
        ports = ["--port", str(self.port), "--sandbox-port", str(self.sandbox_port)]
        with output.open("wb") as file:
            self.popen = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "up", "--no-demo", *ports, "--data", str(data)],
                cwd=ROOT,
                env=clean_environ(**environ),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        """What it printed so far."""
        return self.output.read_text()

    def await_ready(self) -> None:
        """Wait for the ready line."""
        ready = f"ready http://127.0.0.1:{self.port}/admin/"
        assert eventually(lambda: ready in self.said() or self.popen.poll() is not None, 90), self.said()
        assert ready in self.said().splitlines(), self.said()

    def end(self) -> None:
        """End it and whatever it left, by process id."""
        if self.popen.poll() is None:
            self.popen.terminate()
        try:
            self.popen.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.popen.kill()
        eventually(lambda: not processes_on(self.data), 10)
        for pid in processes_on(self.data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
