"""What the processes say: every line into `<data>/logs/<name>.log`, the important ones to the terminal as well."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO

MAX_BYTES = 5_000_000
KEPT_FILES = 3
SHOWN_LINES = 10
SHOWN_EVERY_S = 30.0
# A level as Django's and Celery's formats print it. Advice on the machine (redis-server's, granian's) has another
# look and stays in the file.
IMPORTANT = re.compile(r"^(\S+ \S+ )?\[?(WARNING|ERROR|CRITICAL|FATAL)[ \]](?! ?Configuration allows)|^Traceback ")


class Log:
    """The log of one process: rotated by size, its last lines kept for the case that the process fails."""

    def __init__(self, folder: Path, name: str, *, max_bytes: int = MAX_BYTES) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.name = name
        self.path = folder / f"{name}.log"
        self.max_bytes = max_bytes
        self.last: deque[str] = deque(maxlen=20)
        self.file = self.path.open("ab")
        self.shown: deque[float] = deque(maxlen=SHOWN_LINES)
        self.lock = threading.Lock()

    def follow(self, stream: IO[bytes]) -> threading.Thread:
        """Take lines from a pipe until it closes, on a thread of its own."""
        thread = threading.Thread(target=self._pump, args=(stream,), name=f"log-{self.name}", daemon=True)
        thread.start()
        return thread

    def _pump(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.write(line.decode(errors="replace").rstrip("\n"))

    def write(self, line: str) -> None:
        """Keep a line, and show it when it is important."""
        with self.lock:
            self.last.append(line)
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self.file.write(f"{stamp} {self.name}: {line}\n".encode())
            self.file.flush()
            if self.file.tell() > self.max_bytes:
                self._rotate()
            if IMPORTANT.search(line):
                self._show(line)

    def _rotate(self) -> None:
        self.file.close()
        for number in range(KEPT_FILES, 0, -1):
            older = self.path.with_name(f"{self.name}.log.{number}")
            newer = self.path if number == 1 else self.path.with_name(f"{self.name}.log.{number - 1}")
            if newer.exists():
                newer.replace(older)
        self.file = self.path.open("ab")

    def _show(self, line: str) -> None:
        """Put a line on the terminal; a flood is cut, the file has all of it."""
        now = time.monotonic()
        if len(self.shown) == SHOWN_LINES and now - self.shown[0] < SHOWN_EVERY_S:
            return
        self.shown.append(now)
        flooded = len(self.shown) == SHOWN_LINES and now - self.shown[0] < SHOWN_EVERY_S
        say(f"{self.name:<8} {line}" + (f"  (more in {self.path})" if flooded else ""))

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.file.close()


def say(text: str) -> None:
    """Tell the person at the terminal; one that went away (a closed pipe) does not stop the product."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115 - lives as long as the process
