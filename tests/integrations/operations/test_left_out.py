"""Leaving a record out of one CRM: what ends, what is cancelled there, what never begins; and taking it back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist, ValidationError

from integrations.models import AuditEvent, Connection, Contact, ExternalRef, Feedback, LeftOut, Operation, Tour
from integrations.operations import left_out, planning, tours
from integrations.operations.audit import Who
from integrations.operations.feedback import save_feedback
from integrations.operations.left_out import Reach
from integrations.operations.validation import FeedbackInput
from tests.crm import Crm, make_connection, make_tour, move

OLGA = Who("olga", "admin")
WHY = "private sale"


@pytest.fixture
def connection(db: None) -> Connection:
    return make_connection()


def leave(entity_type: str, entity_id: int, connection: Connection) -> Reach | None:
    return left_out.leave_out(entity_type, entity_id, connection.pk, WHY, OLGA)


def back(entity_type: str, entity_id: int, connection: Connection) -> bool:
    return left_out.take_back(entity_type, entity_id, connection.pk, OLGA)


def rows(**where: Any) -> list[tuple[str, int, str, str]]:
    """(kind, version, state, reason), oldest first."""
    found = Operation.objects.filter(**where).order_by("pk")
    return list(found.values_list("kind", "version", "state", "reason"))


def say(tour: Tour, **values: Any) -> Feedback:
    stop = tour.stops.earliest("sequence")
    at = tour.starts_at
    data = FeedbackInput("buyer", at, {"interest_level": "interested", **values})
    return save_feedback(stop.pk, data, actor="ann", via="api").feedback


def statuses(crm: Crm) -> list[str]:
    return [row["body"]["appointmentStatus"] for row in crm.requests("PUT")]


# --- nothing was sent yet -------------------------------------------------------------------------------------------


def test_what_waits_for_a_tour_ends(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=2)
    planning.plan_tour(tour)
    assert leave("tour", tour.pk, connection) == Reach(cancelled=0, ended=3)
    assert rows() == [
        ("contact.link", 1, "cancelled", "left_out"),
        ("appointment.sync", 1, "cancelled", "left_out"),
        ("appointment.sync", 1, "cancelled", "left_out"),
    ]


def test_a_tour_left_out_is_planned_nowhere_but_elsewhere(connection: Connection, tomorrow: datetime) -> None:
    other = make_connection(account_key="loc_b", config={"location_id": "loc_b", "calendar_id": "c"})
    tour = make_tour(tomorrow)
    leave("tour", tour.pk, connection)
    planning.plan_tour(tour)
    say(tour, second_showing="yes")
    assert set(Operation.objects.values_list("connection", flat=True)) == {other.pk}


def test_the_buyers_link_stays_for_another_tour(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    other = make_tour(tomorrow, buyer=tour.buyer)
    planning.plan_tours([tour, other])
    assert leave("tour", tour.pk, connection) == Reach(cancelled=0, ended=1)
    assert rows(kind="contact.link") == [("contact.link", 1, "pending", "")]


def test_a_buyer_takes_all_tours_along(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    other = make_tour(tomorrow, buyer=tour.buyer)
    planning.plan_tours([tour, other])
    say(other)
    assert leave("contact", tour.buyer_id, connection) == Reach(cancelled=0, ended=5)
    assert {state for _, _, state, _ in rows()} == {"cancelled"}
    planning.plan_tours([tour, other])
    assert Operation.objects.count() == 5


def test_a_stop_goes_alone(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=2)
    planning.plan_tour(tour)
    leave("stop", tour.stops.earliest("sequence").pk, connection)
    assert rows() == [
        ("contact.link", 1, "pending", ""),
        ("appointment.sync", 1, "cancelled", "left_out"),
        ("appointment.sync", 1, "pending", ""),
    ]


def test_an_answer_goes_alone(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    planning.plan_tour(tour)
    answer = say(tour, second_showing="yes")
    assert leave("feedback", answer.pk, connection) == Reach(cancelled=0, ended=2)
    say(tour, second_showing="no")
    ended = ("cancelled", "left_out")
    assert [row[2:] for row in rows(entity_type="feedback")] == [ended, ended]
    assert [row[2] for row in rows(entity_type="stop")] == ["pending"]


@pytest.mark.parametrize("state", ["dead", "needs_person", "retryable", "waiting"])
def test_what_failed_or_asked_a_person_ends_too(connection: Connection, tomorrow: datetime, state: str) -> None:
    tour = make_tour(tomorrow)
    planning.plan_tour(tour)
    Operation.objects.filter(kind="appointment.sync").update(state=state, reason="rejected")
    leave("stop", tour.stops.get().pk, connection)
    assert rows(kind="appointment.sync") == [("appointment.sync", 1, "cancelled", "left_out")]


def test_what_may_have_arrived_goes_its_way_and_its_end_waits_for_it(
    connection: Connection, tomorrow: datetime
) -> None:
    tour = make_tour(tomorrow)
    planning.plan_tour(tour)
    Operation.objects.filter(kind="contact.link").update(state="succeeded")
    Operation.objects.filter(kind="appointment.sync").update(state="unknown", in_doubt=True, blockers=0)
    assert leave("tour", tour.pk, connection) == Reach(cancelled=1, ended=0)
    old, new = Operation.objects.filter(kind="appointment.sync").order_by("version")
    assert (old.state, new.state, new.blockers) == ("unknown", "pending", 1)


def test_leaving_out_twice_is_once(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    leave("tour", tour.pk, connection)
    assert leave("tour", tour.pk, connection) is None
    assert (LeftOut.objects.count(), AuditEvent.objects.count()) == (1, 1)


def test_it_is_audited_with_reason_and_counts(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    planning.plan_tour(tour)
    leave("tour", tour.pk, connection)
    event = AuditEvent.objects.get()
    assert (event.verb, event.actor, event.object_type, event.reason) == ("leave_out", "olga", "tour", WHY)
    assert event.after == {"connection": connection.pk, "cancelled there": 0, "operations ended": 2}


@pytest.mark.parametrize("reason", ["", "   ", "x" * 301])
def test_a_reason_must_be_given(connection: Connection, tomorrow: datetime, reason: str) -> None:
    tour = make_tour(tomorrow)
    planning.plan_tour(tour)
    with pytest.raises(ValidationError) as caught:
        left_out.leave_out("tour", tour.pk, connection.pk, reason, OLGA)
    assert list(caught.value.message_dict) == ["reason"]
    assert (LeftOut.objects.count(), {row[2] for row in rows()}) == (0, {"pending"})


def test_what_does_not_exist_cannot_be_left_out(connection: Connection) -> None:
    with pytest.raises(ObjectDoesNotExist):
        leave("tour", 4711, connection)
    with pytest.raises(KeyError):
        leave("connection", connection.pk, connection)


def test_the_reach_is_known_before_and_changes_nothing(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=2)
    planning.plan_tour(tour)
    stop = tour.stops.earliest("sequence")
    ExternalRef.objects.create(
        connection=connection, entity_type="stop", entity_id=stop.pk, resource="appointment", external_id="a1"
    )
    before = rows()
    assert left_out.reach_of("tour", tour.pk, connection.pk) == Reach(cancelled=1, ended=3)
    assert (rows(), LeftOut.objects.count()) == (before, 0)


def test_planning_left_out_tours_costs_no_query_for_each(
    connection: Connection, tomorrow: datetime, django_assert_max_num_queries: Any
) -> None:
    made = [make_tour(tomorrow, stops=2) for _ in range(6)]
    for tour in made:
        leave("tour", tour.pk, connection)
    with django_assert_max_num_queries(5):
        assert planning.plan_tours(made) == []


# --- taken back before anything was sent ----------------------------------------------------------------------------


def test_taken_back_what_ended_goes_on(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    planning.plan_tour(tour)
    leave("tour", tour.pk, connection)
    assert back("tour", tour.pk, connection)
    assert rows() == [("contact.link", 1, "pending", ""), ("appointment.sync", 1, "pending", "")]
    assert Operation.objects.get(kind="appointment.sync").blockers == 1


def test_taking_back_twice_is_once(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    leave("tour", tour.pk, connection)
    assert (back("tour", tour.pk, connection), back("tour", tour.pk, connection)) == (True, False)
    assert list(AuditEvent.objects.order_by("pk").values_list("verb", flat=True)) == ["leave_out", "take_back"]


def test_a_tour_taken_back_stays_out_while_its_buyer_is(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    leave("tour", tour.pk, connection)
    leave("contact", tour.buyer_id, connection)
    back("tour", tour.pk, connection)
    assert rows() == []
    assert left_out.returning("contact", tour.buyer_id, connection.pk) == 1
    assert left_out.returning("tour", tour.pk, connection.pk) == 0


def test_another_tour_of_the_buyer_brings_the_ended_link_back(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    planning.plan_tour(tour)
    leave("tour", tour.pk, connection)
    planning.plan_tour(make_tour(tomorrow, buyer=tour.buyer))
    assert rows(kind="contact.link") == [("contact.link", 1, "pending", "")]
    assert Operation.objects.get(kind="appointment.sync", state="pending").blockers == 1


# --- at the CRM -----------------------------------------------------------------------------------------------------


def test_each_appointment_that_stands_is_cancelled_there_once(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=2)
    crm.sync(tour)
    assert leave("tour", tour.pk, crm.connection) == Reach(cancelled=2, ended=0)
    crm.drain()
    crm.sync(tour)
    assert statuses(crm) == ["cancelled", "cancelled"]
    assert [op for op, _ in crm.appointments()] == ["create", "create", "update", "update"]


def test_an_appointment_that_was_cancelled_before_is_not_cancelled_again(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=2)
    crm.sync(tour)
    tours.set_stop_status(tour.stops.earliest("sequence").pk, "cancelled", actor="ann", via="admin")
    crm.drain()
    assert leave("tour", tour.pk, crm.connection) == Reach(cancelled=1, ended=0)
    crm.drain()
    assert statuses(crm) == ["cancelled", "cancelled"]


def test_a_cancel_that_was_not_sent_yet_is_not_lost(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    tours.set_stop_status(tour.stops.get().pk, "cancelled", actor="ann", via="admin")
    assert leave("tour", tour.pk, crm.connection) == Reach(cancelled=1, ended=1)
    crm.drain()
    assert statuses(crm) == ["cancelled"]


def test_changes_of_what_is_left_out_make_no_request(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    planning.plan_tour(tour)
    leave("tour", tour.pk, crm.connection)
    move(tour.stops.get(), 30)
    say(tour, second_showing="yes")
    crm.sync(tour)
    assert crm.requests() == []
    assert not Operation.objects.open().exists()


def test_a_lost_create_of_what_is_left_out_is_found_and_cancelled(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match={"method": "POST", "path": "/calendars/events/appointments"})
    tour = make_tour(tomorrow)
    crm.sync(tour)
    leave("tour", tour.pk, crm.connection)
    crm.settle_doubt()
    crm.drain()
    assert statuses(crm) == ["cancelled"]
    assert [op for op, _ in crm.appointments()] == ["create", "update"]


@pytest.mark.parametrize("entity_type", ["tour", "contact"])
def test_a_create_that_never_arrived_is_not_sent_again(crm: Crm, tomorrow: datetime, entity_type: str) -> None:
    crm.sandbox.faults("drop_before_effect", match={"method": "POST", "path": "/calendars/events/appointments"})
    tour = make_tour(tomorrow)
    crm.sync(tour)
    leave(entity_type, tour.pk if entity_type == "tour" else tour.buyer_id, crm.connection)
    crm.settle_doubt()
    crm.drain()
    assert crm.appointments() == []
    assert rows(kind="appointment.sync") == [
        ("appointment.sync", 1, "cancelled", "left_out"),
        ("appointment.sync", 2, "cancelled", "left_out"),
    ]


def test_a_buyer_who_never_arrived_is_not_created_once_left_out(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_before_effect", match={"method": "POST", "path": "/contacts/"})
    tour = make_tour(tomorrow)
    crm.sync(tour)
    leave("contact", tour.buyer_id, crm.connection)
    crm.settle_doubt()
    crm.drain()
    assert crm.sandbox.effects() == []
    assert (rows(kind="contact.link"), Operation.objects.open().exists()) == (
        [("contact.link", 1, "cancelled", "left_out")],
        False,
    )


def test_notes_and_people_stay(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    say(tour)
    crm.drain()
    leave("contact", tour.buyer_id, crm.connection)
    crm.drain()
    effects = [(row["kind"], row["op"]) for row in crm.sandbox.effects()]
    assert [pair for pair in effects if pair[0] in ("note", "contact")] == [("contact", "create"), ("note", "create")]


def test_taken_back_the_same_appointment_stands_again(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    leave("tour", tour.pk, crm.connection)
    crm.drain()
    assert left_out.returning("tour", tour.pk, crm.connection.pk) == 1
    back("tour", tour.pk, crm.connection)
    crm.drain()
    assert statuses(crm) == ["cancelled", "confirmed"]
    assert len({pk for _, pk in crm.appointments()}) == 1


def test_taken_back_before_the_cancel_was_sent_nothing_is_sent(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    leave("tour", tour.pk, crm.connection)
    back("tour", tour.pk, crm.connection)
    crm.drain()
    assert statuses(crm) == []
    assert crm.operation().reason == "no_change"


def test_what_was_said_meanwhile_is_told_once_taken_back(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    leave("contact", tour.buyer_id, crm.connection)
    crm.sync(tour)
    say(tour, comments="nice yard")
    back("contact", tour.buyer_id, crm.connection)
    crm.drain()
    effects = [(row["kind"], row["op"]) for row in crm.sandbox.effects()]
    assert sorted(effects) == [("appointment", "create"), ("contact", "create"), ("note", "create")]
    assert Contact.objects.count() == 1
