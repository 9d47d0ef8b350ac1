"""A worker dies at a named point of a send: afterwards there is exactly one effect, and nobody had to help."""

from __future__ import annotations

from datetime import datetime

import pytest

from integrations.engine import sweep
from integrations.models import ExternalRef, Operation
from tests.crm import Crm, make_tour, move

POINTS = ["after_claim", "after_sent_commit", "after_answer", "before_success_commit", "after_success_commit"]


class Died(BaseException):
    """The process is gone: nothing that stands after this line ran."""


def die_at(crm: Crm, point: str, nth: int = 1) -> None:
    """The next `nth` time the engine comes to `point`, it dies there."""
    left = [nth]

    def observe(name: str) -> None:
        if name == point:
            left[0] -= 1
            if left[0] == 0:
                raise Died(point)

    crm.engine.observe = observe


def die_and_recover(crm: Crm, point: str, nth: int = 1) -> None:
    die_at(crm, point, nth)
    with pytest.raises(Died):
        crm.drain()
    crm.engine.observe = lambda _name: None
    for _ in range(4):
        crm.pass_time(70)
        sweep.recover_all(crm.engine.figures)
        crm.drain()


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_creating_survives_a_death_at(crm: Crm, tomorrow: datetime, point: str, nth: int) -> None:
    """The first time is the contact's, the second the appointment's (a drain claims each by itself)."""
    crm.plan(make_tour(tomorrow))
    die_and_recover(crm, point, nth)
    assert [(row["kind"], row["op"]) for row in crm.sandbox.effects()] == [
        ("contact", "create"),
        ("appointment", "create"),
    ]
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}
    assert ExternalRef.objects.get(resource="appointment").external_id == crm.appointments()[0][1]


@pytest.mark.parametrize("point", POINTS)
def test_moving_survives_a_death_at(crm: Crm, tomorrow: datetime, point: str) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    stop = move(tour.stops.get(), 30)
    crm.plan(tour)
    die_and_recover(crm, point)
    assert crm.operation().state == "succeeded"
    last = [row["body"]["startTime"] for row in crm.requests("PUT")][-1]
    assert datetime.fromisoformat(last) == stop.appointment_start
    assert len({identity for _, identity in crm.appointments()}) == 1


@pytest.mark.parametrize("point", POINTS)
def test_cancelling_survives_a_death_at(crm: Crm, tomorrow: datetime, point: str) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    tour.stops.update(appointment_status="cancelled", version=2)
    crm.plan(tour)
    die_and_recover(crm, point)
    assert crm.operation().state == "succeeded"
    assert {row["body"]["appointmentStatus"] for row in crm.requests("PUT")} == {"cancelled"}


def test_a_row_that_kills_its_worker_three_times_is_poison_and_the_others_go_on(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow), make_tour(tomorrow))
    poison = Operation.objects.filter(kind="contact.link").earliest("pk")

    def observe(name: str) -> None:
        poison.refresh_from_db()
        if name == "before_success_commit" and poison.state == "leased" and poison.entered:
            raise Died(name)

    crm.engine.observe = observe
    for _ in range(6):
        try:
            crm.drain()
        except Died:
            crm.pass_time(120)
            sweep.recover_all(crm.engine.figures)
    crm.pass_time(120)
    crm.drain()
    poison.refresh_from_db()
    assert poison.reason == "poison"
    other = Operation.objects.filter(kind="appointment.sync").exclude(dependencies__needs=poison).get()
    assert other.state == "succeeded"
    assert other.strikes == 0


def test_a_death_in_a_batch_leaves_the_innocent_their_attempts(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(*[make_tour(tomorrow) for _ in range(3)])
    die_at(crm, "after_claim")
    with pytest.raises(Died):
        crm.drain()
    crm.pass_time(120)
    sweep.recover_all(crm.engine.figures)
    assert set(Operation.objects.filter(kind="contact.link").values_list("attempts", "state")) == {(0, "pending")}
