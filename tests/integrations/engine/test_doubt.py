"""Answers that were lost: what is in doubt is looked up before anything is sent again."""

from __future__ import annotations

from datetime import datetime

import pytest

from integrations.models import (
    Operation,
)
from integrations.operations.audit import Who
from tests.crm import Crm, make_tour, move

POST_APPOINTMENT = {"method": "POST", "path": "/calendars/events/appointments"}
STAFF = Who("olga", "admin")


def test_a_lost_answer_is_unknown_and_in_doubt(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    operation = crm.operation()
    assert (operation.state, operation.reason, operation.in_doubt, operation.attempts) == (
        "unknown", "answer_lost", True, 1,
    )  # fmt: skip


def test_a_lost_answer_is_looked_up_and_not_sent_again(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    tour = make_tour(tomorrow)
    crm.sync(tour)
    crm.settle_doubt()
    crm.drain()
    assert [op for op, _ in crm.appointments()] == ["create"]
    assert crm.ref(tour.stops.get()).external_id == crm.appointments()[0][1]
    assert crm.operation().state == "succeeded"


def test_nothing_is_asked_before_the_answer_must_have_settled(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    seen = len(crm.requests())
    crm.pass_time(10)
    crm.drain()
    assert len(crm.requests()) == seen


def test_a_request_lost_on_its_way_is_sent_again_after_a_look(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_before_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    assert crm.operation().state == "unknown"
    crm.settle_doubt()
    crm.drain()
    paths = [(row["method"], row["path"].rsplit("/", 1)[-1]) for row in crm.requests()][-3:]
    assert paths == [("POST", "appointments"), ("GET", "appointments"), ("POST", "appointments")]
    assert [op for op, _ in crm.appointments()] == ["create"]


@pytest.mark.parametrize("status", [500, 502, 504])
def test_an_answer_that_says_nothing_is_doubt(crm: Crm, tomorrow: datetime, status: int) -> None:
    crm.sandbox.faults("status", status=status, match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    assert (crm.operation().state, crm.operation().in_doubt) == ("unknown", True)


def test_a_garbled_answer_is_doubt_and_one_effect(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("garbled", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    assert (crm.operation().state, crm.operation().in_doubt) == ("unknown", True)
    crm.settle_doubt()
    crm.drain()
    assert [op for op, _ in crm.appointments()] == ["create"]
    assert crm.operation().state == "succeeded"


def test_a_to_b_to_a_while_the_answer_to_b_is_lost_ends_at_a(synced: Crm) -> None:
    start = synced.stop.appointment_start
    synced.sandbox.faults("drop_after_effect", match={"method": "PUT"})
    move(synced.stop, 30)
    synced.sync(synced.tour)
    move(synced.stop, -30)
    synced.sync(synced.tour)
    assert synced.operation().blockers == 1, "A waits for what became of B"
    synced.settle_doubt()
    synced.drain()
    last = [row["body"]["startTime"] for row in synced.requests("PUT")][-1]
    assert datetime.fromisoformat(last) == start
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}
    assert len(synced.appointments()) == 3


def test_a_failed_look_keeps_the_doubt(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    crm.settle_doubt()
    crm.sandbox.faults("status", status=503, match={"method": "GET"})
    crm.drain()
    operation = crm.operation()
    assert (operation.state, operation.in_doubt, operation.attempts) == ("unknown", True, 2)


def test_two_matches_ask_a_person(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    tour = make_tour(tomorrow)
    crm.sync(tour)
    sent = next(row["body"] for row in crm.requests("POST") if row["path"].endswith("/appointments"))
    crm.post_appointment(sent)
    crm.settle_doubt()
    crm.drain()
    assert (crm.operation().state, crm.operation().reason) == ("needs_person", "two_matches")


def test_attempts_used_up_in_doubt_ask_a_person_and_never_send_again(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    Operation.objects.filter(kind="appointment.sync").update(attempts=4)
    crm.settle_doubt()
    crm.sandbox.faults("status", status=500, match={"method": "GET"})
    crm.drain()
    assert (crm.operation().state, crm.operation().reason) == ("needs_person", "attempts_used_up")
