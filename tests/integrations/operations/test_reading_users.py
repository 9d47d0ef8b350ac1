"""Who has a login in a CRM, read for a page: named well, or refused in words that say what to do."""

from __future__ import annotations

import pytest

from integrations.models import Connection
from integrations.operations import agent_users
from integrations.operations.refusals import NotPossible
from integrations.providers.base import ProviderUser
from tests.crm import Crm
from tests.integrations.operations.test_agent_users import ANN, BOB
from tests.sandbox_server import TOKEN


def test_the_users_are_read_by_name(giving: Crm) -> None:
    assert agent_users.read_users(giving.connection) == [ANN, BOB]


def refusal(connection: Connection) -> str:
    with pytest.raises(NotPossible) as caught:
        agent_users.read_users(connection)
    return str(caught.value)


def test_a_refused_sign_in_says_what_to_do_and_no_secret(giving: Crm) -> None:
    giving.sandbox.faults("status", status=401, times=2, body={"message": f"token {TOKEN} is invalid"})
    assert refusal(giving.connection) == (
        "The CRM’s users could not be read: token ••• is invalid. "
        "Sign in again or give a new key on the connection's page."
    )
    giving.connection.refresh_from_db()
    assert giving.connection.state == "active"


def test_a_crm_that_fails_is_told(giving: Crm) -> None:
    giving.sandbox.faults("status", status=503)
    assert refusal(giving.connection).endswith("Try again in a moment.")


def test_without_redis_nothing_is_asked(giving: Crm) -> None:
    giving.redis.freeze()
    try:
        said = refusal(giving.connection)
    finally:
        giving.redis.thaw()
    assert said == (
        "The CRM’s users could not be read: Redis cannot be reached, so nothing may be asked. Try again in a moment."
    )
    assert giving.requests() == []


def test_after_redis_forgot_it_says_that_in_words(giving: Crm) -> None:
    giving.redis.wipe()
    assert refusal(giving.connection) == (
        "The CRM’s users could not be read: its limits are being counted anew after Redis forgot. "
        "Try again in a moment."
    )
    assert giving.requests() == []


def test_a_disabled_connection_is_not_asked(giving: Crm) -> None:
    Connection.objects.update(state="disabled")
    giving.connection.refresh_from_db()
    assert "is disabled" in refusal(giving.connection)
    assert giving.requests() == []


@pytest.mark.parametrize("broken", [{"provider": "nobody"}, {"limit_overrides": {"nothing": 5}}])
def test_a_connection_that_cannot_be_opened_is_told(giving: Crm, broken: dict[str, object]) -> None:
    Connection.objects.update(**broken)
    giving.connection.refresh_from_db()
    assert refusal(giving.connection).startswith("The CRM’s users could not be read: ")


def test_a_user_whose_id_we_cannot_keep_is_left_out(giving: Crm) -> None:
    giving.sandbox.faults("status", status=200, body={"users": [{"id": "x" * 121}, {"id": "ok", "name": " Kim "}]})
    assert agent_users.read_users(giving.connection) == [ProviderUser("ok", "Kim", "")]
