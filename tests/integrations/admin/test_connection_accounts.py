"""Choosing one of the CRMs a Rollout consumer has connected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations import gateway
from integrations.models import AuditEvent, Connection
from tests.factories import ConnectionFactory, OperationFactory
from tests.integrations.admin.browsing import messages_of, page
from tests.redis_server import RedisServer
from tests.sandbox_server import ROLLOUT_CLIENT, ROLLOUT_CONSUMER, ROLLOUT_SECRET, SandboxServer

ADD = "/admin/integrations/connection/add/?provider=rollout"


@pytest.fixture
def rollout(
    db: None, sandbox_server: SandboxServer, redis_server: RedisServer, settings: Any
) -> Iterator[SandboxServer]:
    """Rollout at the sandbox with two CRMs of one consumer."""
    sandbox_server.reset(accounts=True)
    sandbox_server.clear_faults()
    sandbox_server.rollout(label="East")
    sandbox_server.rollout("cred_second", app_key="lofty", label="West <b>")
    settings.REDIS_URL = redis_server.url
    settings.REANNA_BASE_URLS = {
        "rollout": f"{sandbox_server.url}/rollout/api",
        "rollout_credentials": f"{sandbox_server.url}/rollout/universal/api",
    }
    redis_server.wipe_warm("reanna:gate")
    yield sandbox_server
    gateway.close_all()


@pytest.fixture
def connection(rollout: SandboxServer) -> Connection:
    """A stored connection for the first of them."""
    config = {"credential_id": "cred_demo", "client_id": ROLLOUT_CLIENT, "consumer": ROLLOUT_CONSUMER}
    made: Connection = ConnectionFactory(
        provider="rollout", label="East", account_key="cred_demo", config=config,
        secrets={"client_secret": ROLLOUT_SECRET},
    )  # fmt: skip
    return made


def at(name: str, connection: Connection) -> str:
    return reverse(f"admin:integrations_connection_{name}", args=[connection.pk])


def typed(**values: Any) -> dict[str, Any]:
    return {
        "label": "", "scope": "brokerage", "client_id": ROLLOUT_CLIENT, "consumer": ROLLOUT_CONSUMER,
        "client_secret": ROLLOUT_SECRET, **values,
    }  # fmt: skip


def test_the_credentials_are_listed(staff: Client, connection: Connection) -> None:
    assert 'href="../accounts/"' in page(staff, "connection_change", connection.pk)
    text = page(staff, "connection_accounts", connection.pk)
    assert "Used by this connection" in text
    assert 'href="../account/?id=cred_second"' in text
    assert "West &lt;b&gt;" in text
    assert "2 in all" in text
    assert ROLLOUT_SECRET not in text


def test_many_are_shown_in_pages(staff: Client, connection: Connection, rollout: SandboxServer) -> None:
    for number in range(60):
        rollout.rollout(f"cred_{number:03}")
    assert "62 in all, page 1 of 2" in page(staff, "connection_accounts", connection.pk)
    assert "cred_second" in page(staff, "connection_accounts", connection.pk, page=2)
    assert "page 2 of 2" in page(staff, "connection_accounts", connection.pk, page=9)


def test_none_is_said(staff: Client, connection: Connection, rollout: SandboxServer) -> None:
    rollout.faults("status", provider="rollout", status=404, body={"errorMessage": "Not found"})
    assert "There is none yet" in page(staff, "connection_accounts", connection.pk)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "Rollout refused these credentials (401)"), (500, "Rollout could not be asked (500)")]
)
def test_what_goes_wrong_is_said(
    staff: Client, connection: Connection, rollout: SandboxServer, status: int, words: str
) -> None:
    rollout.faults("status", provider="rollout", status=status, times=None)
    assert words in page(staff, "connection_accounts", connection.pk)


def test_choosing_asks_tries_it_out_and_stores_it(
    staff: Client, connection: Connection, rollout: SandboxServer
) -> None:
    url = at("account", connection) + "?id=cred_second"
    assert "Use cred_second for “East”?" in staff.get(url).content.decode()
    assert Connection.objects.get().account_key == "cred_demo"
    assert messages_of(staff.post(url))[-1] == "“East” is for cred_second now."
    after = Connection.objects.get()
    assert (after.account_key, after.config["credential_id"]) == ("cred_second", "cred_second")
    assert after.last_verified_at is not None
    assert [(row["method"], row["path"]) for row in rollout.journal("rollout")] == [("GET", "/api/people")]


def test_one_that_is_none_of_the_consumers_is_refused(staff: Client, connection: Connection) -> None:
    answer = staff.post(at("account", connection) + "?id=cred_stranger")
    assert "Rollout refused these credentials (403)" in answer.content.decode()
    assert Connection.objects.get().account_key == "cred_demo"
    assert AuditEvent.objects.count() == 0


def test_a_connection_with_records_keeps_its_account(staff: Client, connection: Connection) -> None:
    OperationFactory(connection=connection)
    answer = staff.post(at("account", connection) + "?id=cred_second")
    assert "This connection has records in its account already." in answer.content.decode()


def test_a_new_connections_form_lists_them_and_fills_one_in(staff: Client, rollout: SandboxServer) -> None:
    text = staff.post(ADD, typed(_accounts="1")).content.decode()
    assert 'name="_choose" value="cred_second"' in text
    assert ROLLOUT_SECRET not in text
    answer = staff.post(ADD, typed(_choose="cred_second"))
    assert answer.context["form"]["credential_id"].value() == "cred_second"
    assert Connection.objects.count() == 0
    staff.post(ADD, typed(label="West", credential_id="cred_second"))
    assert Connection.objects.get().account_key == "cred_second"


def test_what_is_missing_to_list_them_is_said(staff: Client, rollout: SandboxServer) -> None:
    answer = staff.post(ADD, typed(client_secret="", consumer="", _accounts="1"))
    assert "Fill in first: Consumer, Client secret." in answer.content.decode()
    assert rollout.journal("rollout") == []


def test_a_provider_without_such_a_list_has_no_page(staff: Client, crm_row: Connection) -> None:
    assert staff.get(at("accounts", crm_row)).status_code == 302
    assert 'href="../accounts/"' not in page(staff, "connection_change", crm_row.pk)


@pytest.mark.parametrize("name", ["test", "accounts", "account"])
def test_who_may_only_look_asks_nothing(
    viewer: Client, connection: Connection, rollout: SandboxServer, name: str
) -> None:
    assert viewer.post(at(name, connection)).status_code == 403
    assert viewer.get(at(name, connection)).status_code == 403
    assert rollout.journal("rollout") == []
