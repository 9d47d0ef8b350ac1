"""A provider made of a bare socket, and a gate whose answers a test writes down."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from integrations.gate import BreakerState, GateAway, Learned, Outcome, Permit, Refusal, Scope, Window

SCOPE = Scope("test:account", (Window("burst", 100, 10),))
CLOSED = BreakerState("closed", 0, 0, None, None)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Peer:
    """Listens on loopback; `serve(connection)` runs for each connection in a thread of its own."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.received: list[bytes] = []
        self.accepted = 0
        self.serve: Callable[[socket.socket], None] = lambda connection: self.answer(connection, *[OK] * 10)
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        self._start(self._accept)

    def read_request(self, connection: socket.socket) -> bytes:
        """One request with a Content-Length body or none; b"" when the client closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(65536)
            if not chunk:
                return data
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        while len(body) < (int(lengths[0]) if lengths else 0):
            body += connection.recv(65536)
        self.received.append(head + b"\r\n\r\n" + body)
        return data

    def answer(self, connection: socket.socket, *answers: bytes) -> None:
        """Answer one request after another, then close."""
        for answer in answers:
            if not self.read_request(connection):
                return
            connection.sendall(answer)

    def close(self) -> None:
        if self.listener.fileno() == -1:
            return
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # closed: the test is over
            self.accepted += 1
            self._connections.append(connection)
            self._start(self._handle, connection)

    def _handle(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            try:
                self.serve(connection)
            except OSError:
                return  # the client went away, as many tests want it to

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()


@dataclass
class ScriptedGate:
    """Admits, unless `answers` says otherwise, and writes down what it is told. `on_report` may raise."""

    log: list[object] = field(default_factory=list)
    answers: list[Permit | Refusal | GateAway] = field(default_factory=list)
    report_away: bool = False
    guard_ms: int = 60_000
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def admit(self, scope: Scope, cost: int = 1) -> Permit | Refusal:
        self.log.append("admit")
        answer = self.answers.pop(0) if self.answers else self.permit()
        if isinstance(answer, GateAway):
            raise answer
        return answer

    def report(
        self,
        permit: Permit,
        outcome: Outcome,
        *,
        retry_after_s: float | None = None,
        delay_ms: int | None = None,
        took_ms: int | None = None,
        learned: Sequence[Learned] = (),
    ) -> BreakerState:
        self.log.append((outcome, retry_after_s) if retry_after_s is not None else outcome)
        self.delays.append(delay_ms)
        self.took.append(took_ms)
        self.learned += learned
        if self.report_away:
            raise GateAway("Redis gave no answer")
        return CLOSED

    def permit(self) -> Permit:
        return Permit(SCOPE, str(next(self.numbers)), 1_000, self.guard_ms, None, 99)

    def __post_init__(self) -> None:
        self.delays: list[int | None] = []
        self.took: list[int | None] = []
        self.learned: list[Learned] = []


@pytest.fixture
def peer() -> Iterator[Peer]:
    server = Peer()
    yield server
    server.close()


@pytest.fixture
def gate() -> ScriptedGate:
    return ScriptedGate()


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()
