"""The demo: connections to the sandbox each time they are missing, tours once in the life of a database."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from django.core.management import CommandError, call_command

from integrations.management.demo import demo_tours
from integrations.models import (
    Agent,
    AuditEvent,
    Connection,
    Contact,
    Operation,
    OperationDependency,
    Tour,
    TourStop,
)
from tests.crm import base_urls
from tests.sandbox_server import SandboxServer

pytestmark = pytest.mark.django_db


def _seed(**kwargs: Any) -> str:
    out = io.StringIO()
    call_command("seed_demo", stdout=out, **kwargs)
    return out.getvalue()


@pytest.fixture
def sandbox(sandbox_server: SandboxServer, settings: Any) -> SandboxServer:
    sandbox_server.reset(accounts=True)
    settings.REANNA_SANDBOX_URL = sandbox_server.url
    settings.REANNA_BASE_URLS = base_urls(sandbox_server)
    return sandbox_server


def connections() -> dict[str, Connection]:
    return {connection.provider: connection for connection in Connection.objects.all()}


def test_a_first_start_makes_the_connections_and_the_tours(sandbox: SandboxServer) -> None:
    assert _seed() == "Connection “GoHighLevel (sandbox)”.\nConnection “Rollout (sandbox)”.\n5 demo tours.\n"

    assert {slug: (each.account_key, each.config) for slug, each in connections().items()} == {
        "gohighlevel": ("loc_demo", {"location_id": "loc_demo", "calendar_id": "cal_demo"}),
        "rollout": (
            "cred_demo",
            {"credential_id": "cred_demo", "client_id": "client_demo", "consumer": "brokerage_demo"},
        ),
    }
    assert {(each.scope, each.state, each.sync_from.isoformat()) for each in connections().values()} == {
        ("brokerage", "active", "2026-01-01T00:00:00+00:00")
    }
    assert sorted(Tour.objects.values_list("reference", flat=True)) == [f"DEMO-{number}" for number in range(1, 6)]
    assert TourStop.objects.count() == 12
    for connection in connections().values():
        assert Operation.objects.filter(kind="appointment.sync", connection=connection).count() == 12
    assert all(contact.email.endswith("@mail.example") for contact in Contact.objects.all())


def test_the_sandbox_knows_the_secrets(sandbox: SandboxServer) -> None:
    _seed(no_demo=True)

    kept = {slug: connection.secrets for slug, connection in connections().items()}
    token, secret = kept["gohighlevel"]["token"], kept["rollout"]["client_secret"]
    assert (token[:4], secret[:4], len(token) > 30, len(secret) > 60) == ("pit-", "rsk-", True, True)
    events = str(list(AuditEvent.objects.values()))
    assert token not in events
    assert secret not in events
    # Its data may be new while ours is not: then it is told again.
    sandbox.reset(accounts=True)
    _seed(no_demo=True)
    assert {slug: connection.secrets for slug, connection in connections().items()} == kept
    assert sandbox.account("loc_demo")["calendar"] == "cal_demo"
    told = sandbox.account("cred_demo", provider="rollout")
    assert (told["consumer"], told["appointment_types"]) == (
        "brokerage_demo",
        ["Buyer consultation", "Listing appointment"],
    )
    assert [user["email"] for user in told["users"]] == [
        "rosa.keller@brokerage.example",
        "owen.tallis@brokerage.example",
    ]


def test_the_sandbox_knows_the_demo_tours_agents_as_users(sandbox: SandboxServer) -> None:
    _seed()
    token = connections()["gohighlevel"].secrets["token"]
    headers = {"Authorization": f"Bearer {token}", "Version": "2021-07-28"}
    listed = httpx.get(f"{sandbox.url}/users/", params={"locationId": "loc_demo"}, headers=headers).json()["users"]
    agents = set(Agent.objects.values_list("name", "email"))
    assert {(user["name"], user["email"]) for user in listed} == agents
    assert len(agents) == 2


def test_without_demo_only_the_connections_are_made(sandbox: SandboxServer) -> None:
    _seed(no_demo=True)

    assert (Connection.objects.count(), Tour.objects.count()) == (2, 0)


def test_a_second_start_changes_nothing_staff_did(sandbox: SandboxServer) -> None:
    _seed()
    Tour.objects.filter(reference="DEMO-1").update(title="Ours now")
    TourStop.objects.filter(tour__reference="DEMO-3").delete()
    Tour.objects.filter(reference="DEMO-3").delete()
    Connection.objects.filter(provider="gohighlevel").update(label="Renamed", state="paused")

    assert _seed() == ""

    assert Tour.objects.count() == 4
    assert Tour.objects.get(reference="DEMO-1").title == "Ours now"
    renamed = connections()["gohighlevel"]
    assert (renamed.label, renamed.state) == ("Renamed", "paused")


def test_an_installation_from_before_gets_the_second_connection_and_keeps_the_rest(sandbox: SandboxServer) -> None:
    _seed()
    rollout = connections()["rollout"]
    OperationDependency.objects.filter(operation__connection=rollout).delete()
    Operation.objects.filter(connection=rollout).delete()
    rollout.delete()
    before = dict(Operation.objects.values_list("pk", "updated_at"))

    assert _seed() == "Connection “Rollout (sandbox)”.\n"

    assert before.items() <= dict(Operation.objects.values_list("pk", "updated_at")).items()
    added = Operation.objects.filter(connection=connections()["rollout"], kind="appointment.sync")
    assert (added.count(), Tour.objects.count()) == (12, 5)


def test_made_up_credentials_are_never_for_the_vendor_itself(sandbox: SandboxServer, settings: Any) -> None:
    settings.REANNA_BASE_URLS = {**settings.REANNA_BASE_URLS, "rollout": "https://crm.universal.rollout.com/api"}

    assert _seed(no_demo=True) == "Connection “GoHighLevel (sandbox)”.\n"
    assert list(connections()) == ["gohighlevel"]


def test_without_a_sandbox_nothing_is_made(settings: Any) -> None:
    settings.REANNA_SANDBOX_URL = ""

    assert _seed() == "No sandbox (REANNA_SANDBOX_URL is empty): no demo connections.\n"
    assert Connection.objects.count() == 0


def test_a_sandbox_that_does_not_answer_is_named(settings: Any) -> None:
    settings.REANNA_SANDBOX_URL = "http://127.0.0.1:9"
    settings.REANNA_BASE_URLS = dict.fromkeys(settings.REANNA_BASE_URLS, settings.REANNA_SANDBOX_URL)

    with pytest.raises(CommandError, match=r"The sandbox at http://127\.0\.0\.1:9 does not answer"):
        _seed()
    assert Connection.objects.count() == 0


@pytest.mark.parametrize("day", ["2026-03-07", "2026-10-31", "2026-12-31"])
def test_demo_tours_can_be_made_on_any_day(day: str) -> None:
    now = datetime.fromisoformat(f"{day}T23:30").replace(tzinfo=ZoneInfo("America/Los_Angeles"))

    tours = demo_tours(now)

    assert [tour.reference for tour in tours] == ["DEMO-1", "DEMO-2", "DEMO-3", "DEMO-4", "DEMO-5"]
    assert all(tour.values["starts_at"] > now for tour in tours)
