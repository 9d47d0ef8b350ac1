"""Redis frozen, gone, forgetful of scripts or unable to write: nothing is sent, nothing hangs, no secret is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import redis

from integrations.gate import Gate, GateAway, Outcome, Permit, Scope, Seed, Window, connect

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integrations.gate.conftest import Memory, RedisServer

SCOPE = Scope("crm:outage", (Window("burst", 50, 1), Window("daily", 200_000, 86_400)))


def test_a_frozen_redis_is_away_within_the_timeout(
    gate: Gate, make_gate: Callable[..., Gate], redis_server: RedisServer
) -> None:
    hasty = make_gate(timeout_s=0.3)
    permit = hasty.admit(SCOPE)
    assert isinstance(permit, Permit)
    redis_server.freeze()
    try:
        for _ in range(2):  # on the connection it has, and on a new one
            with pytest.raises(GateAway, match="TimeoutError"):
                hasty.admit(SCOPE)
        with pytest.raises(GateAway):
            hasty.report(permit, Outcome.OK)
        with pytest.raises(GateAway):
            hasty.look(SCOPE)
    finally:
        redis_server.thaw()
    assert isinstance(gate.admit(SCOPE), Permit)


def test_a_redis_that_is_gone_is_away(tmp_path: Path) -> None:
    class Nothing:
        def seed(self, scope: Scope) -> Seed:
            raise AssertionError("not to be asked")

    gate = Gate(connect(f"unix://{tmp_path}/none.sock"), seeds=Nothing(), random=lambda: 0.5)
    with pytest.raises(GateAway, match="ConnectionError"):
        gate.admit(SCOPE)


def test_no_password_in_what_is_raised(redis_server: RedisServer) -> None:
    class Nothing:
        def seed(self, scope: Scope) -> Seed:
            raise AssertionError("not to be asked")

    url = redis_server.url.replace("unix://", "unix://somebody:hunter2@")
    gate = Gate(connect(url), seeds=Nothing(), random=lambda: 0.5)
    with pytest.raises(GateAway) as caught:
        gate.admit(SCOPE)
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_scripts_forgotten_in_the_middle_do_not_matter(gate: Gate, client: redis.Redis) -> None:
    for _ in range(3):
        permit = gate.admit(SCOPE)
        assert isinstance(permit, Permit)
        client.script_flush()
        gate.report(permit, Outcome.OK)
        client.script_flush()
    assert gate.look(SCOPE).used == {"burst": 3, "daily": 3}


def test_a_redis_that_must_not_write_is_away(gate: Gate, client: redis.Redis) -> None:
    assert isinstance(gate.admit(SCOPE), Permit)
    client.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(GateAway, match="ReadOnlyError"):
            gate.admit(SCOPE)
    finally:
        client.replicaof("NO", "ONE")


def test_a_key_of_the_wrong_kind_is_away_not_a_crash(gate: Gate, client: redis.Redis, prefix: str) -> None:
    client.set(f"{prefix}:{{crm:outage}}:state", "spoilt", ex=60)
    with pytest.raises(GateAway, match="ResponseError"):
        gate.admit(SCOPE)


def test_warm_admit_and_report_are_one_command_each(gate: Gate, client: redis.Redis) -> None:
    first = gate.admit(SCOPE)
    assert isinstance(first, Permit)
    gate.report(first, Outcome.OK)
    client.config_resetstat()
    for _ in range(10):
        permit = gate.admit(SCOPE)
        assert isinstance(permit, Permit)
        gate.report(permit, Outcome.OK, delay_ms=7)
    calls = {name: stat["calls"] for name, stat in client.info("commandstats").items()}
    assert calls["cmdstat_evalsha"] == 20
    assert "cmdstat_eval" not in calls
    assert client.info("stats")["total_commands_processed"] - 1 == sum(calls.values())


def test_every_new_connection_is_greeted_once(gate: Gate, client: redis.Redis) -> None:
    gate.admit(SCOPE)
    client.config_resetstat()
    gate.admit(SCOPE)
    assert "cmdstat_info" not in client.info("commandstats")
    client.client_kill_filter(_type="normal", skipme=True)
    client.config_resetstat()
    for _ in range(3):
        assert isinstance(gate.admit(SCOPE), Permit)
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 3 + 1


def test_the_client_gives_up_soon_and_never_retries_by_itself() -> None:
    for url in ("unix:///nowhere.sock", "redis://localhost:1/0"):
        client = connect(url, timeout_s=0.3)
        options = client.get_connection_kwargs()
        assert (options["socket_timeout"], options["socket_connect_timeout"]) == (0.3, 0.3)
        assert options["retry"].get_retries() == 0


def test_a_client_that_decodes_answers_works_too(
    gate: Gate, redis_server: RedisServer, prefix: str, memory: Memory
) -> None:
    decoding = redis.Redis.from_url(redis_server.url, decode_responses=True)
    other = Gate(decoding, prefix=prefix, seeds=memory, random=lambda: 0.5)
    permit = other.admit(SCOPE)
    assert isinstance(permit, Permit)
    assert other.report(permit, Outcome.OK).state == "closed"
    decoding.close()
