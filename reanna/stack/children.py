"""One process of the stack: started in a group of its own, followed, and ended with all it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .logs import Log

LAUNCH = Path(__file__).with_name("launch.py")
WATCHDOG = Path(__file__).with_name("watchdog.py")


@dataclass(frozen=True)
class Program:
    """What to run: `stop_s` is how long it may take to end after SIGTERM before it is killed."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)  # holds keys
    folder: Path
    stop_s: float = 5.0


class Child:
    """A running program."""

    def __init__(self, program: Program, log: Log) -> None:
        self.program = program
        self.log = log
        self.started = time.monotonic()
        # A death signal follows the thread that forked: start children from the main thread only.
        launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(signal.SIGTERM))]
        self.popen = subprocess.Popen(
            [*launch, *program.command],
            env=dict(program.environ),
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self.popen.stdout is not None  # noqa: S101 - a pipe was asked for
        self.pump = log.follow(self.popen.stdout)

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self.popen.pid

    def ended(self) -> int | None:
        """The exit code (negative: the signal that ended it), or None while it runs."""
        return self.popen.poll()

    def age_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def stop(self, hurry: Callable[[], bool]) -> None:
        """SIGTERM, then SIGKILL to the whole group after `stop_s`, or as soon as `hurry` says so."""
        deadline = time.monotonic() + self.program.stop_s
        with contextlib.suppress(ProcessLookupError):  # ended by itself meanwhile
            self.popen.send_signal(signal.SIGTERM)
        while self.ended() is None and time.monotonic() < deadline and not hurry():
            time.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        """End the group with SIGKILL: also what the program started and left behind."""
        with contextlib.suppress(ProcessLookupError):  # the group is empty
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()
        self.pump.join(timeout=2)


class Watchdog:
    """The process that ends the groups if this one is killed; see `watchdog.py`.

    `folder` is deleted at the end; the file handles `kept_open` (a lock) are held until then.
    """

    def __init__(self, folder: Path, kept_open: tuple[int, ...] = ()) -> None:
        self.folder = folder
        self.kept_open = kept_open
        self.groups: set[int] = set()
        self.popen = self._start()

    def _start(self) -> subprocess.Popen[str]:
        started = subprocess.Popen(
            [sys.executable, "-I", "-S", str(WATCHDOG)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            text=True,
            bufsize=1,
            start_new_session=True,
            pass_fds=self.kept_open,
        )
        assert started.stdin is not None  # noqa: S101 - a pipe was asked for
        started.stdin.write(f"dir {self.folder}\n")
        for group in self.groups:
            started.stdin.write(f"+{group}\n")
        return started

    def ensure(self) -> None:
        """Start another one if somebody ended it."""
        if self.popen.poll() is not None:
            self.popen = self._start()

    def add(self, group: int) -> None:
        """Put a group under its care."""
        self.groups.add(group)
        self._tell(f"+{group}\n")

    def discard(self, group: int) -> None:
        """Take a group out of its care: it has ended, and its number may come to mean another."""
        self.groups.discard(group)
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        assert self.popen.stdin is not None  # noqa: S101 - a pipe was asked for
        try:
            self.popen.stdin.write(line)
        except BrokenPipeError:
            self.popen.wait()
            self.popen = self._start()  # the new one is told all groups at once

    def close(self) -> None:
        """Let it end: it clears the folder and whatever is still named."""
        with contextlib.suppress(BrokenPipeError):  # somebody ended it just now
            self.popen.communicate()
