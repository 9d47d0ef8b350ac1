"""The pure parts joined to our database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection as database

from integrations import conf, wiring
from integrations.gate import BreakerState, Permit, Scope, Window
from integrations.models import Attempt, Connection, Operation
from tests.crm import Crm, make_connection
from tests.redis_server import RedisServer
from tests.sandbox_server import ACCOUNT

EXPIRES = datetime(2030, 1, 1, tzinfo=UTC)
CLOSED = BreakerState("closed", 0, 0, None, None)
OPEN = BreakerState("open", 3, 4, 1_000, 31_000)
DAY = Window("daily", 200_000, 86_400)


@pytest.fixture
def connection(db: None) -> Iterator[Connection]:
    wiring.forget_saved()
    yield make_connection(secrets={"access_token": "old", "refresh_token": "r1"})
    wiring.forget_saved()


@pytest.fixture
def store(connection: Connection) -> wiring.DatabaseCredentialStore:
    return wiring.DatabaseCredentialStore(connection.pk)


def attempt(connection: Connection, started_ms: int, calls: int) -> None:
    operation = Operation.objects.create(
        op_key=f"op-{started_ms}-{calls}",
        connection=connection,
        kind="contact.link",
        entity_type="contact",
        entity_id=1,
        version=1,
        due_ms=0,
    )
    Attempt.objects.create(
        operation=operation, connection=connection, token=1, version=1, calls=calls, started_ms=started_ms
    )


# --- credentials ---------------------------------------------------------------------------------------------------


def test_what_is_saved_is_loaded_one_version_later(store: wiring.DatabaseCredentialStore) -> None:
    assert store.save({"access_token": "new", "refresh_token": "r2"}, EXPIRES, version=1) is True
    loaded = store.load()
    assert (loaded.secrets, loaded.version, loaded.expires_at) == (
        {"access_token": "new", "refresh_token": "r2"},
        2,
        EXPIRES,
    )


def test_secrets_that_changed_meanwhile_are_not_overwritten(store: wiring.DatabaseCredentialStore) -> None:
    store.save({"access_token": "by a person"}, None, version=1)
    assert store.save({"access_token": "late"}, EXPIRES, version=1) is False
    assert (store.load().secrets, store.load().version) == ({"access_token": "by a person"}, 2)


def test_secrets_are_stored_encrypted(store: wiring.DatabaseCredentialStore, connection: Connection) -> None:
    store.save({"access_token": "very-secret"}, None, version=1)
    with database.cursor() as cursor:
        cursor.execute("SELECT secrets FROM integrations_connection WHERE id = %s", [connection.pk])
        assert b"very-secret" not in bytes(cursor.fetchone()[0])


def test_one_holds_the_lease_at_a_time(store: wiring.DatabaseCredentialStore, connection: Connection) -> None:
    other = wiring.DatabaseCredentialStore(connection.pk)
    with store.refresh_lease() as mine:
        with other.refresh_lease() as theirs:
            assert (mine, theirs) == (True, False)
        with other.refresh_lease() as still:
            assert still is False
    with other.refresh_lease() as then:
        assert then is True


def test_a_lease_is_given_back_when_the_holder_fails(store: wiring.DatabaseCredentialStore) -> None:
    with pytest.raises(ZeroDivisionError), store.refresh_lease():
        raise ZeroDivisionError
    with store.refresh_lease() as mine:
        assert mine is True


def test_a_lease_outlasts_a_request_and_runs_out_by_itself(
    store: wiring.DatabaseCredentialStore, connection: Connection
) -> None:
    before_ms = time.time_ns() // 1_000_000
    with store.refresh_lease():
        connection.refresh_from_db()
        assert connection.refresh_until_ms >= before_ms + int(conf.current().total_deadline_s * 1000) + 10_000
        Connection.objects.update(refresh_until_ms=before_ms - 1)
        with wiring.DatabaseCredentialStore(connection.pk).refresh_lease() as taken:
            assert taken is True


def test_one_whose_lease_was_taken_does_not_give_back_the_others(
    store: wiring.DatabaseCredentialStore, connection: Connection
) -> None:
    with store.refresh_lease():
        Connection.objects.update(refresh_owner="another", refresh_until_ms=2**50)
    connection.refresh_from_db()
    assert connection.refresh_owner == "another"


def test_no_transaction_is_open_while_the_lease_is_held(
    transactional_db: None,
) -> None:
    store = wiring.DatabaseCredentialStore(make_connection().pk)
    with store.refresh_lease():
        assert database.in_atomic_block is False


# --- what the gate is told when Redis forgot -----------------------------------------------------------------------


def seed(connection: Connection, *windows: Window) -> Any:
    return wiring.DatabaseSeeds().seed(Scope(f"{connection.provider}:{connection.account_key}", windows))


def test_calls_of_a_long_window_are_told_by_its_sub_buckets(connection: Connection) -> None:
    now_ms = time.time_ns() // 1_000_000
    start = now_ms - now_ms % DAY.bucket_ms
    attempt(connection, start - 2 * DAY.bucket_ms, 3)
    attempt(connection, start - 2 * DAY.bucket_ms + 5, 4)
    attempt(connection, start - DAY.bucket_ms, 2)
    attempt(connection, start - DAY.bucket_ms + 1, 0)
    assert seed(connection, DAY).used == {"daily": [(start - 2 * DAY.bucket_ms, 7), (start - DAY.bucket_ms, 2)]}


def test_calls_before_the_window_and_of_other_connections_are_not_told(connection: Connection) -> None:
    now_ms = time.time_ns() // 1_000_000
    attempt(connection, now_ms - 86_400_000 - 60_000, 3)
    attempt(make_connection(account_key="other"), now_ms - 1_000, 5)
    assert seed(connection, DAY).used == {"daily": []}


def test_short_windows_are_not_told(connection: Connection) -> None:
    assert seed(connection, Window("burst", 100, 10)).used == {}


def test_circuit_and_not_before_are_told_as_last_saved(connection: Connection) -> None:
    wiring.save_gate_facts(connection.pk, OPEN, 5_000)
    told = seed(connection, DAY)
    assert (told.breaker, told.not_before_ms) == (OPEN, 5_000)


def test_of_an_unknown_account_nothing_is_told(db: None) -> None:
    told = wiring.DatabaseSeeds().seed(Scope("gohighlevel:nobody", (DAY,)))
    assert (told.used, told.breaker, told.not_before_ms) == ({}, None, None)


# --- saving what the gate said -------------------------------------------------------------------------------------


def test_saving_costs_nothing_while_nothing_changes(connection: Connection, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        wiring.save_gate_facts(connection.pk, CLOSED, None)
    with django_assert_num_queries(0):
        wiring.save_gate_facts(connection.pk, CLOSED, None)
        wiring.save_gate_facts(connection.pk, None, None)


def test_what_is_not_known_stays_as_it_was(connection: Connection) -> None:
    wiring.save_gate_facts(connection.pk, OPEN, 5_000)
    wiring.save_gate_facts(connection.pk, None, None)
    connection.refresh_from_db()
    assert (connection.breaker["state"], connection.not_before_ms) == ("open", 5_000)


def test_an_older_circuit_of_a_slow_process_is_not_stored(connection: Connection) -> None:
    wiring.save_gate_facts(connection.pk, OPEN, None)
    wiring.forget_saved()
    wiring.save_gate_facts(connection.pk, CLOSED, None)
    connection.refresh_from_db()
    assert connection.breaker["state"] == "open"


def test_a_newer_circuit_is_stored(connection: Connection) -> None:
    wiring.save_gate_facts(connection.pk, OPEN, None)
    wiring.save_gate_facts(connection.pk, BreakerState("closed", 0, 5, None, None), None)
    connection.refresh_from_db()
    assert (connection.breaker["state"], connection.breaker["generation"]) == ("closed", 5)


def test_not_before_never_moves_back(connection: Connection) -> None:
    wiring.save_gate_facts(connection.pk, None, 5_000)
    wiring.forget_saved()
    wiring.save_gate_facts(connection.pk, None, 4_000)
    connection.refresh_from_db()
    assert connection.not_before_ms == 5_000


# --- the whole way -------------------------------------------------------------------------------------------------


def test_a_connection_row_becomes_a_way_to_its_crm(crm: Crm) -> None:
    link = wiring.link(crm.connection)
    assert wiring.link(Connection.objects.get()) is link
    exchange = link.exchange(lambda: None)
    assert exchange.read("GET", f"/locations/{ACCOUNT}", headers={"Version": "2021-07-28"}).status_code == 200
    (row,) = crm.sandbox.journal()
    assert (row["account"], row["status"]) == (ACCOUNT, 200)


def test_new_credentials_give_a_new_link(crm: Crm) -> None:
    link = wiring.link(crm.connection)
    wiring.DatabaseCredentialStore(crm.connection.pk).save({"token": "other"}, None, version=1)
    assert wiring.link(Connection.objects.get()) is not link


def test_one_gate_a_process_and_redis(redis_server: RedisServer, settings: Any) -> None:
    settings.REDIS_URL = redis_server.url
    gate = wiring.gate()
    assert wiring.gate() is gate
    settings.REDIS_URL = f"{redis_server.url}?db=1"
    assert wiring.gate() is not gate


def test_a_gate_that_does_not_know_the_account_asks_the_database(crm: Crm) -> None:
    attempt(crm.connection, time.time_ns() // 1_000_000 - 1_000, 9)
    scope = wiring.scope(crm.connection)
    assert isinstance(wiring.gate().admit(scope), Permit)
    assert wiring.gate().look(scope).used["daily"] == 10


def test_every_setting_of_the_engine_is_read(settings: Any) -> None:
    settings.REANNA_LEASE_S = 33.0
    settings.REANNA_BASE_URLS = {"gohighlevel": "http://here"}
    now = conf.current()
    assert (now.lease_s, now.base_urls["gohighlevel"]) == (33.0, "http://here")
