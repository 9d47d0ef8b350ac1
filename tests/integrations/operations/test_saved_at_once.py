"""Tours saved in the same moment: what several of them need first is planned once, and all of them are saved."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database

from integrations.models import Agent, Connection, Contact, Operation, OperationDependency, Tour
from integrations.operations import planning
from integrations.operations.planned import Planned
from integrations.operations.tour_saving import save_tour
from integrations.operations.validation import StopInput, TourInput
from tests.at_once import at_once
from tests.crm import make_connection, make_rollout_connection

pytestmark = pytest.mark.django_db(transaction=True)

TWO = 2


@pytest.fixture
def agent() -> Agent:
    return Agent.objects.create(email="ann@brokerage.example", name="Ann Agent")


def buyer(number: int = 1) -> Contact:
    return Contact.objects.create(first_name="Bea", last_name=f"Buyer{number}", email=f"bea{number}@mail.example")


def save(reference: str, of: Contact, agent: Agent, at: datetime) -> None:
    stop = {"street": "1 High St", "appointment_start": at, "appointment_end": at + timedelta(minutes=30)}
    values = {"time_zone": "America/Los_Angeles", "starts_at": at}
    stops = (StopInput(1, {**stop, "appointment_status": "confirmed"}),)
    save_tour(TourInput(reference, values, buyer=of.pk, agent=agent.pk, stops=stops), actor="ann", via="admin")


def both_look_before_either_plans(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Each finds nothing planned of that kind before the other goes on. SQLite lets one in after the other anyway."""
    together, looked = threading.Barrier(TWO), threading.local()

    def newest(connection: Connection, of: str, ids: Iterable[int]) -> dict[int, Planned]:
        found = real(connection, of, ids)
        if of == kind and not hasattr(looked, "once"):
            looked.once = True
            with contextlib.suppress(threading.BrokenBarrierError):  # the other waits for a lock of ours
                together.wait(3)
        return found

    real = planning.newest
    if database.vendor == "postgresql":
        monkeypatch.setattr(planning, "newest", newest)


def planned(kind: str) -> list[Any]:
    return sorted(Operation.objects.filter(kind=kind).values_list("connection__provider", flat=True))


def test_two_tours_of_one_buyer_saved_at_once_share_the_buyers_link(
    monkeypatch: pytest.MonkeyPatch, agent: Agent, tomorrow: datetime
) -> None:
    make_connection()
    make_rollout_connection()
    bea = buyer()
    both_look_before_either_plans(monkeypatch, "contact.link")
    assert at_once(*[lambda name=name: save(name, bea, agent, tomorrow) for name in ("A", "B")]) == []  # type: ignore[misc]
    assert sorted(Tour.objects.values_list("reference", flat=True)) == ["A", "B"]
    assert planned("contact.link") == ["gohighlevel", "rollout"]
    assert planned("appointment.sync") == ["gohighlevel"] * 2 + ["rollout"] * 2
    link = Operation.objects.get(kind="contact.link", connection__provider="gohighlevel")
    assert OperationDependency.objects.filter(needs=link, settled=False).count() == TWO


def test_the_first_tours_of_two_buyers_saved_at_once_share_what_the_account_needs(
    monkeypatch: pytest.MonkeyPatch, agent: Agent, tomorrow: datetime
) -> None:
    make_rollout_connection()
    bea, ben = buyer(1), buyer(2)
    both_look_before_either_plans(monkeypatch, "appointment_type.link")
    assert at_once(lambda: save("A", bea, agent, tomorrow), lambda: save("B", ben, agent, tomorrow)) == []
    assert planned("appointment_type.link") == ["rollout"]
    assert planned("contact.link") == planned("appointment.sync") == ["rollout"] * 2
