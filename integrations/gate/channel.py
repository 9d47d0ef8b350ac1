"""The gate's way to Redis: scripts by digest, and no command before the server said which process it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING
from weakref import WeakSet

import redis
from redis.exceptions import NoScriptError, RedisError

from integrations.gate.plan import KEEP_MS
from integrations.gate.types import GateAway

if TYPE_CHECKING:
    from redis.connection import ConnectionInterface


class Script:
    """A script by its digest, sent in full only to a server that does not know it (yet, or any more)."""

    def __init__(self, *texts: str) -> None:
        self._text = "\n".join(texts).encode()
        self._digest = hashlib.sha1(self._text, usedforsecurity=False).hexdigest().encode()

    def run(self, connection: ConnectionInterface, keys: tuple[bytes, ...], *args: str | float) -> object:
        """Its answer. One round trip where the server knows the script. Raises RedisError."""
        tail = _bulk(str(arg).encode() for arg in args)
        try:
            return _ask(connection, _head(b"EVALSHA", self._digest, keys, len(args)) + tail)
        except NoScriptError:
            return _ask(connection, _head(b"EVAL", self._text, keys, len(args)) + tail)


def _bulk(parts: Iterable[bytes]) -> bytes:
    return b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


@lru_cache(maxsize=8_192)
def _head(command: bytes, script: bytes, keys: tuple[bytes, ...], args: int) -> bytes:
    """The part of a command that is the same for every call of a scope, in Redis's protocol (RESP arrays).

    https://redis.io/docs/latest/develop/reference/protocol-spec/ - kept, because packing every call anew in Python
    costs half as much as the whole round trip.
    """
    parts = (command, script, b"%d" % len(keys), *keys)
    return b"*%d\r\n" % (len(parts) + args) + _bulk(parts)


@cache
def _source(name: str) -> str:
    return (resources.files("integrations.gate") / "scripts" / f"{name}.lua").read_text("utf-8")


@lru_cache(maxsize=1_024)
def script(name: str, policy: str = "") -> Script:
    """The script of that name for scopes of that policy (``Plan.policy``)."""
    return Script(policy, _source("shared"), _source(name))


def _ask(connection: ConnectionInterface, command: bytes) -> object:
    # Without the health check, which might reconnect unseen between greeting and command.
    connection.send_packed_command([command], check_health=False)  # type: ignore[no-untyped-call]  # so in redis-py
    answer: object = connection.read_response()
    return answer


class Channel:
    """Runs scripts on connections of the client's pool, each greeted once per time it was made.

    The greeting lets the server compare its own ``run_id`` with the epoch's. A process answers on a connection as
    long as the connection lives, so whoever speaks on a greeted one speaks to the process that was compared; what a
    client believed before plays no part, and two clients cannot disagree. A restart breaks every connection.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._pool = client.connection_pool
        self._epoch = (f"{prefix}:epoch".encode(),)
        self._greet = script("greet")
        self._greeted: WeakSet[ConnectionInterface] = WeakSet()

    def run(self, text: Script, keys: tuple[bytes, ...], *args: str | float) -> list[str]:
        """The words of its answer. Raises GateAway for everything that keeps Redis from giving one."""
        try:
            connection = self._pool.get_connection()
            try:
                if connection not in self._greeted:
                    self._greet.run(connection, self._epoch, KEEP_MS)
                    connection.register_connect_callback(self._made_anew)  # type: ignore[no-untyped-call]  # so in redis-py
                    self._greeted.add(connection)
                answer = text.run(connection, keys, *args)
            finally:
                self._pool.release(connection)
        except RedisError as exc:
            raise GateAway(f"Redis gave no answer ({type(exc).__name__}); nothing may be sent") from exc
        return (answer.decode() if isinstance(answer, bytes) else str(answer)).split(" ")

    def _made_anew(self, connection: ConnectionInterface) -> None:
        self._greeted.discard(connection)
