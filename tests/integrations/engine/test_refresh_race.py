"""Renewing a token is one process's work, however many want it; and whoever dies at it loses nobody's work."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations import gateway, wiring
from integrations.engine.clock import db_now
from integrations.models import Connection, Operation
from integrations.providers.auth import INTERRUPTED
from integrations.providers.errors import AuthError, RefreshBusy
from tests.at_once import at_once
from tests.crm import Crm, make_connection, make_hubspot_connection, make_tour
from tests.redis_server import RedisServer
from tests.sandbox_server import ACCOUNT, CALENDAR, SandboxServer

START = datetime(2027, 9, 14, 21, 0, tzinfo=UTC)
WORKERS = 50
SECRETS = {"client_secret": "app-secret", "refresh_token": "first-refresh", "access_token": "worthless"}
APP = {"client_id": "app-1", "client_secret": "app-secret", "refresh_token": "first-refresh"}


def signing_in(world: SandboxServer, redis: RedisServer) -> Crm:
    """A connection whose access token is worthless and whose refresh token is good once."""
    world.account(oauth=APP)
    config = {"location_id": ACCOUNT, "calendar_id": CALENDAR, "client_id": "app-1"}
    return Crm(world, redis, make_connection(config=config, secrets=SECRETS))


@pytest.fixture
def oauth(world: SandboxServer, redis_server: RedisServer) -> Iterator[Crm]:
    crm = signing_in(world, redis_server)
    yield crm
    crm.close()


def token_calls(crm: Crm) -> list[int | None]:
    return [row["status"] for row in crm.sandbox.journal() if row["path"] == "/oauth/token"]


def stored() -> Connection:
    return Connection.objects.get()


def process(crm: Crm) -> gateway.Link:
    """The way to the CRM as another process has it: nothing in common but the database."""
    settings = wiring.conf.current()
    row = stored()
    facts = gateway.ConnectionFacts(
        id=row.pk, provider=row.provider, account_key=row.account_key, config=row.config, limit_overrides={},
        secrets_version=row.secrets_version, base_url=settings.base_urls[row.provider],
    )  # fmt: skip
    return gateway.Link(facts, wiring.DatabaseCredentialStore(row.pk), wiring.gate(), settings)


def test_fifty_workers_make_one_token_call(
    transactional_db: None, world: SandboxServer, redis_server: RedisServer
) -> None:
    crm = signing_in(world, redis_server)
    links = [process(crm) for _ in range(WORKERS)]
    became: Counter[str] = Counter()
    lock = threading.Lock()

    def worker(link: gateway.Link) -> Callable[[], None]:
        def press() -> None:
            try:
                link.http.auth.renew("worthless")  # type: ignore[union-attr]
                told = "renewed"
            except RefreshBusy as busy:
                told = f"comes back in {busy.retry_after_s:g} s"
            with lock:
                became[told] += 1
            link.retire()

        return press

    assert at_once(*(worker(link) for link in links)) == []
    crm.close()
    assert token_calls(crm) == [200]
    assert set(became) <= {"renewed", "comes back in 1 s"}
    assert (sum(became.values()), became["renewed"] >= 1) == (WORKERS, True)
    row = stored()
    assert (row.secrets_version, row.refresh_owner, row.refresh_until_ms) == (2, "", 0)


def test_after_a_failure_nobody_asks_for_thirty_seconds(oauth: Crm) -> None:
    oauth.sandbox.faults("status", status=503, match={"path": "/oauth/token"}, times=None)
    first, second = process(oauth), process(oauth)
    with pytest.raises(RefreshBusy):
        first.renew_token()
    for link in (first, second):
        with pytest.raises(RefreshBusy) as told:
            link.renew_token()
        assert 25 < (told.value.retry_after_s or 0) <= 30
    assert token_calls(oauth) == [503]
    oauth.sandbox.clear_faults()
    Connection.objects.update(refresh_rest_ms=db_now())
    assert second.renew_token() is True


def test_new_credentials_need_not_rest(oauth: Crm) -> None:
    oauth.sandbox.faults("status", status=503, match={"path": "/oauth/token"})
    with pytest.raises(RefreshBusy):
        process(oauth).renew_token()
    row = stored()
    row.secrets = {**SECRETS, "refresh_token": "first-refresh"}
    row.secrets_version += 1
    row.save()
    assert process(oauth).renew_token() is True


# --- dying at it ---------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Nothing of this process runs after it."""


class Dying(wiring.DatabaseCredentialStore):
    """The store of a process that is killed at one point of a refresh."""

    def __init__(self, connection_id: int, point: str) -> None:
        super().__init__(connection_id)
        self._point = point

    def _reach(self, point: str) -> None:
        if point == self._point:
            raise Killed

    @contextmanager
    def refresh_lease(self) -> Iterator[bool]:
        with super().refresh_lease() as mine:
            held = stored()
            try:
                self._reach("leased")
                yield mine
            except Killed:
                # A dead process gives nothing back.
                Connection.objects.update(refresh_owner=held.refresh_owner + "+", refresh_until_ms=2**50)
                raise

    def refresh_begins(self, version: int) -> bool:
        unheard = super().refresh_begins(version)
        self._reach("begun")
        return unheard

    def save(self, secrets: Any, expires_at: datetime | None, *, version: int) -> bool:
        self._reach("answered")
        done = super().save(secrets, expires_at, version=version)
        self._reach("stored")
        return done


def kill_at(crm: Crm, point: str) -> None:
    link = process(crm)
    link.http.auth._store = Dying(crm.connection.pk, point)  # type: ignore[union-attr]
    with pytest.raises(Killed):
        link.renew_token()
    link.retire()


def lease_runs_out() -> None:
    Connection.objects.update(refresh_until_ms=db_now())


@pytest.mark.parametrize(("point", "calls"), [("leased", [200]), ("begun", [200]), ("stored", [200])])
def test_a_holder_that_is_killed_holds_nobody_up_longer_than_its_lease(
    oauth: Crm, point: str, calls: list[int]
) -> None:
    oauth.plan(make_tour(START))
    kill_at(oauth, point)
    if point != "stored":
        oauth.drain_once()
        assert {one.attempts for one in Operation.objects.all()} == {0}
        assert token_calls(oauth) == []
    lease_runs_out()
    oauth.pass_time(5)
    oauth.drain()
    assert token_calls(oauth) == calls
    assert {one.state for one in Operation.objects.all()} == {"succeeded"}
    assert len(oauth.appointments()) == 1
    assert stored().state == "active"


def test_a_token_that_died_with_its_holder_is_asked_for_and_nothing_is_lost(oauth: Crm) -> None:
    oauth.plan(make_tour(START))
    kill_at(oauth, "answered")
    assert stored().refresh_version == 1
    lease_runs_out()
    oauth.drain()
    row = stored()
    assert row.state == "auth_needed"
    assert row.state_reason.startswith(INTERRUPTED)
    assert token_calls(oauth) == [200, 400]
    waiting = list(Operation.objects.all())
    assert {(one.state, one.attempts) for one in waiting} == {("pending", 0)}
    assert oauth.appointments() == []
    # A person signs in again, in place.
    oauth.sandbox.account(oauth={**APP, "refresh_token": "second-refresh"})
    row.secrets = {**SECRETS, "refresh_token": "second-refresh"}
    row.secrets_version, row.state = row.secrets_version + 1, "active"
    row.save()
    oauth.drain()
    assert {(one.state, one.attempts) for one in Operation.objects.all()} == {("succeeded", 1)}
    assert len(oauth.appointments()) == 1


def test_where_a_refresh_token_stays_good_such_a_death_costs_nothing(
    world: SandboxServer, redis_server: RedisServer
) -> None:
    world.hubspot(oauth=APP)
    connection = make_hubspot_connection(client_id="app-1")
    connection.secrets = SECRETS
    connection.save()
    crm = Crm(world, redis_server, connection)
    crm.plan(make_tour(START))
    kill_at(crm, "answered")
    lease_runs_out()
    crm.drain()
    assert [row["status"] for row in world.journal() if row["path"] == "/oauth/v3/token"] == [200, 200]
    assert (stored().state, {one.state for one in Operation.objects.all()}) == ("active", {"succeeded"})
    crm.close()


def test_a_plain_refusal_is_not_called_an_interruption(oauth: Crm) -> None:
    Connection.objects.update(secrets_version=3)
    row = stored()
    row.secrets = {**SECRETS, "refresh_token": "never-good"}
    row.save()
    with pytest.raises(AuthError) as told:
        process(oauth).renew_token()
    assert INTERRUPTED not in str(told.value)
