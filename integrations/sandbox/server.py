"""The sockets: HTTP/1.1 with keep-alive over threads, and connections that can be dropped without an answer."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import IO

from .app import Sandbox
from .messages import MAX_BODY_BYTES, Drop, Request, Response, complaint

log = logging.getLogger("sandbox")

MAX_LINE = 65_536
IDLE_S = 120.0
GRACE_S = 5.0
DRIPS = 20


class StartError(Exception):
    """The sandbox cannot start; the text says why, for a person."""


class Server(ThreadingHTTPServer):
    """One listening socket and its threads."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.stopping = threading.Event()
        self._busy = 0
        self._idle = threading.Condition()
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without the look-up of our own host name that the standard library does here."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        host, port = self.socket.getsockname()[:2]
        self.server_address = (host, port)
        self.server_name, self.server_port = str(host), int(port)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Marks a request in hand, so that stopping waits for its answer."""
        with self._idle:
            self._busy += 1
        try:
            yield
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def wait_until_idle(self, seconds: float) -> None:
        """Wait for the requests in hand, at most so long."""
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0, seconds)

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that ended badly is the client's affair, unless the error is ours."""
        error = sys.exception()
        if not isinstance(error, OSError):
            log.error("the connection from %s ended with %s", client_address, error, exc_info=error)


class Handler(BaseHTTPRequestHandler):
    """Reads requests off one connection and writes answers to it."""

    protocol_version = "HTTP/1.1"
    server: Server
    timeout = IDLE_S
    disable_nagle_algorithm = True
    server_version = "sandbox"
    sys_version = ""

    def handle_one_request(self) -> None:
        """Read one request, let the sandbox judge it, answer or drop."""
        try:
            self.raw_requestline = self.rfile.readline(MAX_LINE + 1)
        except (TimeoutError, ConnectionError):
            self.close_connection = True
            return
        arrived = time.monotonic()
        if not self.raw_requestline or self.server.stopping.is_set():
            self.close_connection = True
            return
        with self.server.working():
            try:
                self._one(arrived)
            except (TimeoutError, ConnectionError):
                self.close_connection = True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library finds wrong with a request line or a header, as JSON."""
        self.close_connection = True
        self._send(complaint(int(code), message or explain or "the request cannot be read"))

    def log_message(self, *_: object) -> None:
        """The standard library's own lines are not wanted."""

    def _one(self, arrived: float) -> None:
        if len(self.raw_requestline) > MAX_LINE:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414, "the request line is too long")
            return
        if not self.parse_request():
            return
        request = self._read(arrived)
        if request is None:
            self.close_connection = True
            return
        answer = self.server.sandbox.handle(request)
        status = "dropped"
        if isinstance(answer, Drop):
            self.close_connection = True
            self.server.stopping.wait(answer.after_s)
            with suppress(OSError):  # the client may have gone first
                self.connection.shutdown(socket.SHUT_RDWR)
        else:
            status = str(answer.status)
            if answer.delay_s and self.server.stopping.wait(answer.delay_s):
                self.close_connection = True
                return
            self._send(answer)
        log.info(
            "%s %s %s %.1f ms", self.command, ascii(request.path)[1:-1], status, (time.monotonic() - arrived) * 1000
        )

    def _read(self, arrived: float) -> Request | None:
        """The request with its body; None when the client did not send all of it."""
        target, _, query = self.path.partition("?")
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        refused = self._refusal(headers)
        body = b""
        if refused is None:
            length = int(headers.get("content-length", "0"))
            body = self.rfile.read(length) if length else b""
            if len(body) < length:
                return None
        else:
            self.close_connection = True
        path = "/" + target.partition("#")[0].lstrip("/")
        return Request(self.command, path, query, headers, body, arrived, refused)

    @staticmethod
    def _refusal(headers: dict[str, str]) -> Response | None:
        if "transfer-encoding" in headers:
            return complaint(411, "the body must come with a Content-Length")
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return complaint(400, "Content-Length must be a whole number", "Content-Length")
        if len(length) > 12 or int(length) > MAX_BODY_BYTES:
            return complaint(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
        return None

    def _send(self, answer: Response) -> None:
        streamed = not isinstance(answer.body, bytes)
        if streamed and self.request_version == "HTTP/1.0":
            self.close_connection = True
        head = [
            f"HTTP/1.1 {answer.status} {self.responses[answer.status][0] if answer.status in self.responses else ''}",
            f"Date: {self.date_time_string()}",
            f"Content-Type: {answer.content_type}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
        ]
        if self.close_connection:
            head.append("Connection: close")
        body = answer.body if isinstance(answer.body, bytes) else b""
        if not streamed and answer.status != 204:
            head.append(f"Content-Length: {len(body)}")
        elif streamed and not self.close_connection:
            head.append("Transfer-Encoding: chunked")
        if getattr(self, "command", "") == "HEAD":
            body = b""
        start = "\r\n".join([*head, "", ""]).encode("latin-1", "replace")
        if answer.drip_s:
            self.wfile.write(start)
            self._drip(body, answer.drip_s)
            return
        self.wfile.write(start + body)
        if not isinstance(answer.body, bytes):
            for chunk in answer.body:
                self.wfile.write(chunk if self.close_connection else b"%x\r\n%b\r\n" % (len(chunk), chunk))
            if not self.close_connection:
                self.wfile.write(b"0\r\n\r\n")

    def _drip(self, body: bytes, seconds: float) -> None:
        """A few bytes at a time, so that no single wait is long."""
        size = max(1, len(body) // DRIPS)
        for start in range(0, len(body), size):
            if self.server.stopping.wait(seconds / DRIPS):
                self.close_connection = True
                return
            self.wfile.write(body[start : start + size])


def boot_id() -> str:
    """Which run of the machine this is: monotonic times mean nothing across two of them."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _locked(data_dir: Path) -> IO[str]:
    """Take the directory for ourselves. Raises StartError when another sandbox has it."""
    lock = (data_dir / "sandbox.lock").open("a", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise StartError(f"another sandbox is running on {data_dir}; stop it, or choose another --data") from None
    return lock


def serve(host: str, port: int, data_dir: Path) -> None:
    """Run until SIGTERM or SIGINT. Port 0 takes a free one; the line ``sandbox http://…`` on stdout says which.

    Raises StartError when the port or the directory cannot be had.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _locked(data_dir)
    except OSError as error:
        raise StartError(f"cannot use {data_dir}: {error.strerror}") from None
    with lock:
        sandbox = Sandbox(data_dir, boot_id=boot_id())
        try:
            server = Server((host, port), sandbox)
        except (OSError, OverflowError) as error:
            sandbox.close()
            busy = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            why = (
                "is in use by another program; stop it, or choose another --port"
                if busy
                else f"cannot be used: {error}"
            )
            raise StartError(f"port {port} on {host} {why}") from None
        _run(server)
        sandbox.close()


def _run(server: Server) -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.stopping.set()
        # shutdown() waits for the loop that this very thread runs, so another must call it.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    shown = f"[{server.server_name}]" if ":" in server.server_name else server.server_name
    sys.stdout.write(f"sandbox http://{shown}:{server.server_port}\n")
    sys.stdout.flush()
    with server:
        server.serve_forever(poll_interval=0.1)
        server.socket.close()
        server.wait_until_idle(GRACE_S)
    log.info("stopped, process %d", os.getpid())
