"""Tokens are renewed before they run out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.engine.clock import db_now
from integrations.engine.tokens import refresh_due
from integrations.models import Connection, ConnectionState
from tests.crm import Crm
from tests.sandbox_server import ACCOUNT, CALENDAR

SECRETS = {"client_secret": "app-secret", "refresh_token": "first-refresh", "access_token": "first-access"}
NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)


@pytest.fixture
def oauth(crm: Crm) -> Crm:
    """The connection signs in with an app's credentials; its token runs out in ten minutes."""
    crm.sandbox.account(oauth={"client_id": "app-1", **SECRETS})
    change(
        secrets=SECRETS,
        config={"location_id": ACCOUNT, "calendar_id": CALENDAR, "client_id": "app-1"},
        token_expires_at=NOW + timedelta(minutes=10),
    )
    return crm


def change(**values: Any) -> None:
    Connection.objects.update(**values)


def renew() -> int:
    return refresh_due(NOW, random=lambda: 0.5)


def token_requests(crm: Crm) -> list[int]:
    return [row["status"] for row in crm.sandbox.journal() if row["path"] == "/oauth/token"]


def test_a_token_that_runs_out_soon_is_renewed_once(oauth: Crm) -> None:
    assert renew() == 1
    row = Connection.objects.get()
    assert (row.secrets_version, row.refresh_owner, row.refresh_until_ms) == (2, "", 0)
    assert row.secrets["refresh_token"] != "first-refresh"
    assert row.token_expires_at is not None
    assert row.token_expires_at > datetime.now(UTC) + timedelta(hours=23)
    assert token_requests(oauth) == [200]


def test_a_token_that_lasts_is_left_alone(oauth: Crm) -> None:
    change(token_expires_at=NOW + timedelta(minutes=29))
    assert (renew(), token_requests(oauth)) == (0, [])


@pytest.mark.parametrize("state", [ConnectionState.PAUSED, ConnectionState.DISABLED, ConnectionState.AUTH_NEEDED])
def test_a_connection_that_is_not_active_is_left_alone(oauth: Crm, state: str) -> None:
    change(state=state)
    assert (renew(), token_requests(oauth)) == (0, [])


def test_a_connection_whose_token_stays_is_left_alone(crm: Crm) -> None:
    assert (renew(), crm.sandbox.journal()) == (0, [])


def test_a_definite_refusal_asks_for_a_person(oauth: Crm) -> None:
    change(secrets={**SECRETS, "refresh_token": "used-up"})
    assert renew() == 0
    row = Connection.objects.get()
    assert row.state == ConnectionState.AUTH_NEEDED
    assert "cannot be renewed" in row.state_reason
    assert "used-up" not in row.state_reason


def test_a_lost_answer_is_tried_again_the_next_time(oauth: Crm) -> None:
    oauth.sandbox.faults("drop_before_effect", match={"path": "/oauth/token"})
    assert renew() == 0
    assert Connection.objects.get().state == ConnectionState.ACTIVE
    # For 30 s nobody tries again.
    assert (renew(), len(token_requests(oauth))) == (0, 1)
    left_ms = Connection.objects.get().refresh_rest_ms - db_now()
    assert 25_000 < left_ms <= 30_000
    change(refresh_rest_ms=db_now())
    assert renew() == 1


def test_one_that_another_process_is_renewing_is_left_to_it(oauth: Crm) -> None:
    change(refresh_owner="another", refresh_until_ms=2**50)
    assert (renew(), token_requests(oauth)) == (0, [])
    assert Connection.objects.get().state == ConnectionState.ACTIVE
