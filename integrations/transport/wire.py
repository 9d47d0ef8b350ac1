"""The socket below the guard: one request, its whole answer, one deadline for all of it.

The first byte is a place one can stand before: `first_byte` runs inside the socket's first `write`, connected, with
nothing but the kernel behind it. So "not one byte left us" is a fact here, not a guess.
"""

from __future__ import annotations

import errno
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import httpcore
import httpx

from integrations import failpoints
from integrations.gate import BreakerState

MAX_BODY = 4 * 1024 * 1024
KEEP_ALIVE_S = 15.0


class TransportRefusal(Exception):
    """Definite: no byte of this request reached the provider.

    `after_commit`: before_write had run already. When it ran for an earlier sending of the same write, that one was
    answered with a 401, which is as definite.
    """

    def __init__(self, words: str, *, after_commit: bool = False) -> None:
        super().__init__(words)
        self.after_commit = after_commit


class NotSent(TransportRefusal):
    """We could not get through.

    `local`: our own name resolution or network; else the provider would not let us connect. `breaker`: the circuit
    after this was reported (None: the gate could not be told).
    """

    def __init__(self, cause: str, *, local: bool) -> None:
        super().__init__(cause)
        self.local = local
        self.breaker: BreakerState | None = None


class UnsendableError(Exception):
    """A request that cannot be written as HTTP: a defect of an adapter. The text never quotes it."""


class Wire(Protocol):
    """Sends one request and reads the whole answer within `deadline_s` of network time.

    `first_byte` is called once, connected, directly before the first byte; what it raises stops the request and comes
    out unchanged. Raises NotSent, UnsendableError, or httpx.TransportError once bytes may have left.
    """

    def send(self, request: httpx.Request, *, deadline_s: float, first_byte: Callable[[], None]) -> httpx.Response: ...

    def close(self) -> None: ...


class _LocalFaultError(Exception):
    """Our name resolution or network failed."""


_LOCAL_ERRNOS = frozenset(
    {
        errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.EADDRNOTAVAIL, errno.EACCES,
        errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM,
    }
)  # fmt: skip


@dataclass
class _Call:
    """One request on its way, as the socket sees it. `write`: it may have an effect.

    `until`: monotonic time at which the network's share ends.
    """

    until: float
    first_byte: Callable[[], None]
    write: bool = False
    begun: bool = False
    out: bool = False

    def left(self, late: type[Exception]) -> float:
        """Seconds left. Raises `late` when there are none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise late("the deadline has passed")
        return left

    def begin(self) -> None:
        """Run `first_byte` once; the time it takes is ours, not the network's."""
        if self.begun:
            return
        self.begun = True
        before = time.monotonic()
        self.first_byte()
        self.until += time.monotonic() - before

    def gone(self) -> None:
        """The whole request is out, and its answer is waited for."""
        if self.write and self.out:
            self.write = False
            failpoints.reach("after_bytes_out")


class _Calls(threading.local):
    """HTTP/1.1 and whole bodies: a request lives in one thread, and a thread has one request on its way."""

    current: _Call | None = None

    def get(self) -> _Call:
        if self.current is None:
            raise RuntimeError("a socket was used outside of DirectWire.send")
        return self.current


_calls = _Calls()


class _TimedStream(httpcore.NetworkStream):
    """A stream whose every step gets what is left of the whole request's time, however many steps there are."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        call = _calls.get()
        call.gone()
        return self._inner.read(max_bytes, call.left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        call = _calls.get()
        call.left(httpcore.WriteTimeout)
        call.begin()
        sock: socket.socket = self._inner.get_extra_info("socket")
        rest = memoryview(buffer)
        while rest:
            sock.settimeout(call.left(httpcore.WriteTimeout))
            try:
                sent = sock.send(rest)
            except TimeoutError:
                call.out = True  # part of it may be on its way
                raise httpcore.WriteTimeout("the deadline has passed") from None
            except OSError as error:
                raise httpcore.WriteError(_words(error)) from None
            call.out = True
            rest = rest[sent:]

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _calls.get().left(httpcore.ConnectTimeout)
        share = left if timeout is None else min(left, timeout)
        return _TimedStream(self._inner.start_tls(ssl_context, server_hostname, share))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _TimedBackend(httpcore.NetworkBackend):
    """Connects within the connect timeout whatever number of addresses a name has.

    Resolving a name cannot be interrupted; one that takes too long fails at the next step, before any byte.
    """

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        call = _calls.get()
        until = call.until if timeout is None else min(call.until, time.monotonic() + timeout)
        addresses = _resolve(host, port)
        local, failure = True, "no address"
        for index, address in enumerate(addresses):
            share = (until - time.monotonic()) / (len(addresses) - index)
            if share <= 0:
                raise httpcore.ConnectTimeout("connecting took too long")
            try:
                return _TimedStream(self._inner.connect_tcp(address, port, share, local_address, socket_options))
            except httpcore.ConnectTimeout:
                local, failure = False, "connecting took too long"
            except httpcore.ConnectError as error:
                cause = error.__cause__
                local = local and isinstance(cause, OSError) and cause.errno in _LOCAL_ERRNOS
                failure = _words(error)
        raise _LocalFaultError(failure) if local else httpcore.ConnectError(failure)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise NotImplementedError("providers are reached over TCP")


def _resolve(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _LocalFaultError(f"the name {host} cannot be resolved: {_words(error)}") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _words(error: BaseException) -> str:
    return str(error)[:200] or type(error).__name__


class DirectWire(httpx.HTTPTransport):
    """Straight to the provider: HTTP/1.1, no proxy, no redirect, no retry; at most `connections` sockets.

    `ssl_context` should be shared by all wires of a process (building one reads the whole certificate store).
    """

    def __init__(self, *, connections: int, ssl_context: ssl.SSLContext) -> None:
        super().__init__(verify=ssl_context, trust_env=False)
        # httpx offers no way to hand in a network backend; a test with a dripping server holds this line.
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEEP_ALIVE_S,
            network_backend=_TimedBackend(),
        )
        self._lock = threading.Lock()
        self._on_their_way = 0
        self._retired = False

    def retire(self) -> None:
        """Close the sockets once nothing is on its way. One who was handed this wire a moment ago may still use it."""
        with self._lock:
            self._retired = True
            idle = self._on_their_way == 0
        if idle:
            self.close()

    def send(self, request: httpx.Request, *, deadline_s: float, first_byte: Callable[[], None]) -> httpx.Response:
        """See `Wire`."""
        if _calls.current is not None:
            raise RuntimeError("a request inside a request")
        with self._lock:
            self._on_their_way += 1
        call = _calls.current = _Call(
            time.monotonic() + deadline_s, first_byte, write=request.extensions.get("reanna.phase") == "write"
        )
        try:
            return self._exchange(request, call)
        finally:
            _calls.current = None
            with self._lock:
                self._on_their_way -= 1
                last = self._retired and self._on_their_way == 0
            if last:
                self.close()

    def _exchange(self, request: httpx.Request, call: _Call) -> httpx.Response:
        try:
            return _whole(self.handle_request(request))
        except _LocalFaultError as error:
            raise NotSent(str(error), local=True) from None
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol):
            if call.out:
                raise
            # h11 quotes the header it dislikes, and that may be the one with the token.
            raise UnsendableError("the request cannot be written as HTTP") from None
        except httpx.PoolTimeout:
            raise NotSent("all our connections are in use", local=True) from None
        except httpx.RemoteProtocolError:
            if not call.out:
                raise NotSent("the connection was closed", local=False) from None
            raise httpx.RemoteProtocolError("the answer is broken or was cut off") from None
        except httpx.TransportError as error:
            if not call.out:
                raise NotSent(_words(error), local=False) from None
            raise


def _whole(response: httpx.Response) -> httpx.Response:
    """Read the body to its end, decoded, at most MAX_BODY bytes of it."""
    body = bytearray()
    try:
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BODY:
                raise httpx.ReadError("the answer is larger than 4 MiB")
    except httpx.DecodingError:
        raise httpx.ReadError("the answer cannot be decoded") from None
    finally:
        response.close()
    framing = (b"content-encoding", b"content-length", b"transfer-encoding")
    return httpx.Response(
        response.status_code,
        headers=[(name, value) for name, value in response.headers.raw if name.lower() not in framing],
        content=bytes(body),
        extensions={"http_version": b"HTTP/1.1", "reason_phrase": response.extensions.get("reason_phrase", b"")},
    )
