"""An app that gets its tokens by itself: no person's consent, no refresh token."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from integrations.models import Connection, Operation
from tests.crm import LOFTY_CONFIG, Crm, make_connection, make_tour
from tests.redis_server import RedisServer
from tests.sandbox_server import LOFTY_ACCOUNT, SandboxServer

APP = {"client_id": "app-1", "client_secret": "app-secret-01", "customer_key": "customer-key-01"}
SECRETS = {"client_secret": "app-secret-01", "customer_key": "customer-key-01"}


@pytest.fixture
def app(world: SandboxServer, redis_server: RedisServer) -> Iterator[Crm]:
    world.lofty(oauth=APP)
    config = {**LOFTY_CONFIG, "client_id": "app-1"}
    crm = Crm(
        world,
        redis_server,
        make_connection(provider="lofty", account_key=LOFTY_ACCOUNT, config=config, secrets=SECRETS),
    )
    yield crm
    crm.close()


def token_calls(crm: Crm) -> list[tuple[int, str]]:
    rows = [row for row in crm.sandbox.journal() if row["path"].endswith("/oauth/token")]
    return [(row["status"], row["body"]["grant_type"]) for row in rows]


def test_a_token_is_got_and_used_and_no_refresh_token_is_kept(app: Crm, tomorrow: datetime) -> None:
    app.sync(make_tour(tomorrow))
    assert {one.state for one in Operation.objects.all()} == {"succeeded"}
    assert token_calls(app) == [(200, "client_credentials")]
    row = Connection.objects.get()
    assert sorted(row.secrets) == ["access_token", "client_secret", "customer_key"]
    assert row.token_expires_at is not None
    assert not [secret for secret in row.secrets.values() if secret in str(app.sandbox.journal())]


def test_a_dead_token_is_got_anew_without_losing_an_attempt(app: Crm, tomorrow: datetime) -> None:
    row = Connection.objects.get()
    row.secrets = {**SECRETS, "access_token": "worthless"}
    row.save()
    app.sync(make_tour(tomorrow))
    assert set(Operation.objects.values_list("state", "attempts")) == {("succeeded", 1)}
    assert token_calls(app) == [(200, "client_credentials")]


def test_a_refused_key_asks_for_a_person(app: Crm, tomorrow: datetime) -> None:
    row = Connection.objects.get()
    row.secrets = {**SECRETS, "customer_key": "never-good-01"}
    row.save()
    app.sync(make_tour(tomorrow))
    row.refresh_from_db()
    assert (row.state, "no access token is given" in row.state_reason) == ("auth_needed", True)
    assert "never-good-01" not in row.state_reason
    assert set(Operation.objects.values_list("state", "attempts")) == {("pending", 0)}
