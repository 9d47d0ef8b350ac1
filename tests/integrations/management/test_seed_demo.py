"""The demo: a connection to the sandbox each time it is missing, tours once in the life of a database."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from django.core.management import CommandError, call_command

from integrations.management.demo import demo_tours
from integrations.models import Agent, AuditEvent, Connection, Contact, Operation, Tour, TourStop
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
    return sandbox_server


def test_a_first_start_makes_the_connection_and_the_tours(sandbox: SandboxServer) -> None:
    assert _seed() == "Connection “GoHighLevel (sandbox)”.\n5 demo tours.\n"

    connection = Connection.objects.get()
    assert (connection.scope, connection.account_key, connection.state) == ("brokerage", "loc_demo", "active")
    assert (connection.config, connection.sync_from.isoformat()) == (
        {"location_id": "loc_demo", "calendar_id": "cal_demo"},
        "2026-01-01T00:00:00+00:00",
    )
    assert sorted(Tour.objects.values_list("reference", flat=True)) == [f"DEMO-{number}" for number in range(1, 6)]
    assert Operation.objects.filter(kind="appointment.sync").count() == TourStop.objects.count() == 12
    assert all(contact.email.endswith("@mail.example") for contact in Contact.objects.all())


def test_the_sandbox_knows_the_token(sandbox: SandboxServer) -> None:
    _seed(no_demo=True)

    secrets = Connection.objects.get().secrets
    assert secrets["token"].startswith("pit-")
    assert len(secrets["token"]) > 30
    assert "pit-" not in str(list(AuditEvent.objects.values()))
    # Its data may be new while ours is not: then it is told again.
    sandbox.reset(accounts=True)
    _seed(no_demo=True)
    assert Connection.objects.get().secrets == secrets
    assert sandbox.account("loc_demo")["calendar"] == "cal_demo"


def test_the_sandbox_knows_the_demo_tours_agents_as_users(sandbox: SandboxServer) -> None:
    _seed()
    token = Connection.objects.get().secrets["token"]
    headers = {"Authorization": f"Bearer {token}", "Version": "2021-07-28"}
    listed = httpx.get(f"{sandbox.url}/users/", params={"locationId": "loc_demo"}, headers=headers).json()["users"]
    agents = set(Agent.objects.values_list("name", "email"))
    assert {(user["name"], user["email"]) for user in listed} == agents
    assert len(agents) == 2


def test_without_demo_only_the_connection_is_made(sandbox: SandboxServer) -> None:
    _seed(no_demo=True)

    assert (Connection.objects.count(), Tour.objects.count()) == (1, 0)


def test_a_second_start_changes_nothing_staff_did(sandbox: SandboxServer) -> None:
    _seed()
    Tour.objects.filter(reference="DEMO-1").update(title="Ours now")
    TourStop.objects.filter(tour__reference="DEMO-3").delete()
    Tour.objects.filter(reference="DEMO-3").delete()
    Connection.objects.update(label="Renamed", state="paused")

    assert _seed() == ""

    assert Tour.objects.count() == 4
    assert Tour.objects.get(reference="DEMO-1").title == "Ours now"
    assert (Connection.objects.get().label, Connection.objects.get().state) == ("Renamed", "paused")


def test_without_a_sandbox_nothing_is_made(settings: Any) -> None:
    settings.REANNA_SANDBOX_URL = ""

    assert _seed() == "No sandbox (REANNA_SANDBOX_URL is empty): no demo connection.\n"
    assert Connection.objects.count() == 0


def test_a_sandbox_that_does_not_answer_is_named(settings: Any) -> None:
    settings.REANNA_SANDBOX_URL = "http://127.0.0.1:9"

    with pytest.raises(CommandError, match=r"The sandbox at http://127\.0\.0\.1:9 does not answer"):
        _seed()
    assert Connection.objects.count() == 0


@pytest.mark.parametrize("day", ["2026-03-07", "2026-10-31", "2026-12-31"])
def test_demo_tours_can_be_made_on_any_day(day: str) -> None:
    now = datetime.fromisoformat(f"{day}T23:30").replace(tzinfo=ZoneInfo("America/Los_Angeles"))

    tours = demo_tours(now)

    assert [tour.reference for tour in tours] == ["DEMO-1", "DEMO-2", "DEMO-3", "DEMO-4", "DEMO-5"]
    assert all(tour.values["starts_at"] > now for tour in tours)
