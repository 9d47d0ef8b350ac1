"""The gate's way to Redis: scripts by digest, and no command before the server said which process it is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

import redis
from redis.exceptions import NoScriptError, RedisError

from integrations.gate.calls import Call, script
from integrations.gate.plan import KEEP_MS
from integrations.gate.types import GateAway

if TYPE_CHECKING:
    from redis.connection import ConnectionInterface


def _call(connection: ConnectionInterface, call: Call, *first: str | float) -> object:
    """Its answer. One round trip where the server knows the script. Raises RedisError."""
    try:
        return _ask(connection, call.by_digest(*first))
    except NoScriptError:
        return _ask(connection, call.in_full(*first))


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
        self._greet = Call(script("greet"), (f"{prefix}:epoch".encode(),), 1)
        self._greeted: WeakSet[ConnectionInterface] = WeakSet()

    def run(self, call: Call, *first: str | float) -> str:
        """A script's answer. Raises GateAway for everything that keeps Redis from giving one."""
        try:
            connection = self._pool.get_connection()
            try:
                if connection not in self._greeted:
                    _call(connection, self._greet, KEEP_MS)
                    connection.register_connect_callback(self._made_anew)  # type: ignore[no-untyped-call]  # so in redis-py
                    self._greeted.add(connection)
                answer = _call(connection, call, *first)
            finally:
                self._pool.release(connection)
        except RedisError as exc:
            raise GateAway(f"Redis gave no answer ({type(exc).__name__}); nothing may be sent") from exc
        return answer.decode() if isinstance(answer, bytes) else str(answer)

    def _made_anew(self, connection: ConnectionInterface) -> None:
        self._greeted.discard(connection)
