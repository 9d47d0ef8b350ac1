"""Records that are given to the user of the tour's agent: with one, without one, and never to another."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from integrations import wiring
from integrations.engine.clock import db_now
from integrations.models import Agent, AgentUser, Attempt, Connection, ExternalRef, Operation, Tour, TourStop
from integrations.operations import operations as verbs
from integrations.operations.audit import Who
from integrations.operations.feedback import save_feedback
from integrations.operations.validation import FeedbackInput
from integrations.trickle.mode import Obeyed
from tests.crm import AGENT_USERS, Crm, make_tour, move
from tests.openapi import validate_request
from tests.sandbox_server import TOKEN

AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)
HOUR_MS = 3_600_000
POST_APPOINTMENT = {"method": "POST", "path": "/calendars/events/appointments"}


@pytest.fixture
def tour(giving: Crm, tomorrow: datetime) -> Tour:
    return make_tour(tomorrow, stops=2)


def mapped(crm: Crm, agent: Agent, user: str = "user_ann") -> AgentUser:
    made, _ = AgentUser.objects.update_or_create(connection=crm.connection, agent=agent, defaults={"external_id": user})
    return made


def due_now() -> None:
    Operation.objects.filter(state="waiting").update(due_ms=0)


def assigned(crm: Crm) -> list[Any]:
    """Whom each request about an appointment or a task named, in order; None: nobody."""
    sent = [row for row in crm.requests() if row["method"] != "GET" and row["path"] != "/contacts/"]
    return [row["body"].get("assignedUserId", row["body"].get("assignedTo")) for row in sent]


def say(stop: TourStop, **values: Any) -> None:
    data = FeedbackInput("buyer", AT, {"interest_level": "very_interested", **values})
    save_feedback(stop.pk, data, actor="ann", via="api")


def waiting(kind: str = "appointment.sync") -> set[tuple[str, str, int, bool]]:
    rows = Operation.objects.filter(kind=kind)
    return set(rows.values_list("state", "reason", "attempts", "in_doubt"))


# --- waiting --------------------------------------------------------------------------------------------------------


def test_a_stop_of_an_agent_without_a_user_waits_and_nothing_of_it_is_sent(giving: Crm, tour: Tour) -> None:
    giving.sync(tour)
    assert waiting() == {("waiting", "agent_unmapped", 0, False)}
    assert giving.appointments() == []
    assert [row["path"] for row in giving.requests() if row["method"] != "GET"] == ["/contacts/"]
    assert not Attempt.objects.filter(operation__kind="appointment.sync").exists()


def test_it_says_for_whom_and_is_looked_at_again_after_an_hour(giving: Crm, tour: Tour) -> None:
    giving.sync(tour)
    operation = giving.operation()
    assert operation.message == "Ann Agent has no user in this CRM yet"
    assert HOUR_MS - 60_000 < operation.due_ms - db_now() <= HOUR_MS


def test_a_task_waits_and_its_note_does_not(giving: Crm, tour: Tour) -> None:
    say(tour.stops.earliest("sequence"))
    giving.drain()
    assert waiting("feedback.task") == {("waiting", "agent_unmapped", 0, False)}
    assert giving.operation("feedback.note").state == "succeeded"
    assert [row["kind"] for row in giving.sandbox.effects()] == ["contact", "note"]


def test_looked_at_again_without_a_user_it_waits_on_and_asks_nothing(giving: Crm, tour: Tour) -> None:
    giving.sync(tour)
    seen = len(giving.requests())
    due_now()
    assert giving.drain() == 2
    assert (len(giving.requests()), waiting()) == (seen, {("waiting", "agent_unmapped", 0, False)})


def test_a_stop_that_stands_unassigned_waits_when_the_connection_begins_to_give(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    Connection.objects.update(assigns=True)
    move(tour.stops.get(), 30)
    crm.sync(tour)
    assert (crm.operation().reason, [op for op, _ in crm.appointments()]) == ("agent_unmapped", ["create"])


def test_a_cancel_asked_while_it_is_in_hand_is_honoured(giving: Crm, tour: Tour) -> None:
    giving.sync(tour)
    due_now()
    operation = giving.operation()

    def press(point: str) -> None:
        if point == "after_claim":
            verbs.cancel(operation.pk, who=Who("olga", "admin"))

    giving.engine.observe = press
    giving.drain()
    operation.refresh_from_db()
    assert (operation.state, operation.reason) == ("cancelled", "by_person")


# --- sent with a user ------------------------------------------------------------------------------------------------


def test_with_a_user_every_appointment_and_task_is_given_to_that_user(giving: Crm, tour: Tour) -> None:
    mapped(giving, tour.agent)
    giving.sync(tour)
    say(tour.stops.earliest("sequence"))
    giving.drain()
    move(tour.stops.earliest("sequence"), 15)
    giving.sync(tour)
    # Two creations, a note that is nobody's, a task, an edit.
    assert assigned(giving) == ["user_ann", "user_ann", None, "user_ann", "user_ann"]
    assert {row["path"].rsplit("/", 1)[-1] for row in giving.requests("POST")} == {"", "appointments", "notes", "tasks"}


def test_every_request_is_as_the_contract_has_it(giving: Crm, tour: Tour) -> None:
    mapped(giving, tour.agent)
    giving.sync(tour)
    say(tour.stops.earliest("sequence"))
    giving.drain()
    move(tour.stops.earliest("sequence"), 15)
    giving.sync(tour)
    say(tour.stops.earliest("sequence"), comments="and soon")
    giving.drain()
    for row in giving.requests():
        headers = {**row["headers"], "authorization": f"Bearer {TOKEN}"}
        validate_request(row["method"], row["path"], headers, row["query"], row["body"])


def test_once_mapped_what_waited_is_sent_to_that_user(giving: Crm, tour: Tour) -> None:
    giving.sync(tour)
    mapped(giving, tour.agent)
    due_now()
    giving.drain()
    assert (assigned(giving), waiting()) == (["user_ann", "user_ann"], {("succeeded", "", 1, False)})


def test_each_tour_goes_to_its_own_agents_user(giving: Crm, tour: Tour, tomorrow: datetime) -> None:
    bob = Agent.objects.create(name="Bob Broker", email="bob@brokerage.example")
    other = make_tour(tomorrow)
    Tour.objects.filter(pk=other.pk).update(agent=bob)
    mapped(giving, tour.agent)
    mapped(giving, bob, "user_bob")
    giving.sync(tour, other)
    sent = [row["body"] for row in giving.requests("POST") if row["path"].endswith("appointments")]
    streets = {stop.street: stop.tour.agent_id for stop in TourStop.objects.select_related("tour")}
    expected = {tour.agent_id: "user_ann", bob.pk: "user_bob"}
    assert len(sent) == 3
    for body in sent:
        (agent_id,) = [agent for street, agent in streets.items() if street in body["address"]]
        assert body["assignedUserId"] == expected[agent_id]


def test_a_user_at_another_connection_does_not_count(giving: Crm, tour: Tour) -> None:
    other = Connection.objects.create(
        provider="gohighlevel", label="Other", account_key="loc_other", sync_from=tour.starts_at, state="disabled"
    )
    AgentUser.objects.create(connection=other, agent=tour.agent, external_id="user_bob")
    giving.sync(tour)
    assert (waiting(), giving.appointments()) == ({("waiting", "agent_unmapped", 0, False)}, [])


def test_a_connection_that_gives_nothing_names_no_user_even_of_a_mapped_agent(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    mapped(crm, tour.agent)
    crm.sync(tour)
    say(tour.stops.get())
    crm.drain()
    assert assigned(crm) == [None, None, None]


def test_an_edit_of_a_task_leaves_who_does_it_to_the_agent(giving: Crm, tour: Tour) -> None:
    mapped(giving, tour.agent)
    say(tour.stops.earliest("sequence"))
    giving.drain()
    say(tour.stops.earliest("sequence"), second_showing="yes")
    giving.drain()
    assert [set(row["body"]) for row in giving.requests("PUT") if "/tasks/" in row["path"]] == [{"title", "body"}]


# --- what needs no user ----------------------------------------------------------------------------------------------


def cancelled(stop: TourStop) -> TourStop:
    stop.appointment_status = "cancelled"
    stop.version += 1
    stop.save()
    return stop


def test_a_cancelled_stop_is_cancelled_there_without_a_user(giving: Crm, tour: Tour) -> None:
    user = mapped(giving, tour.agent)
    giving.sync(tour)
    user.delete()
    cancelled(tour.stops.earliest("sequence"))
    giving.sync(tour)
    assert [op for op, _ in giving.appointments()] == ["create", "create", "update"]
    (body,) = [row["body"] for row in giving.requests("PUT")]
    assert (body["appointmentStatus"], "assignedUserId" in body) == ("cancelled", False)


def test_a_user_who_left_does_not_stand_in_the_way_of_a_cancellation(giving: Crm, tour: Tour) -> None:
    mapped(giving, tour.agent)
    giving.sync(tour)
    giving.sandbox.account(users=AGENT_USERS[1:])
    cancelled(tour.stops.earliest("sequence"))
    giving.sync(tour)
    assert (giving.operation().state, "assignedUserId" in giving.requests("PUT")[0]["body"]) == ("succeeded", False)


def test_a_stop_that_waits_and_is_cancelled_needs_nothing(giving: Crm, tour: Tour) -> None:
    giving.sync(tour)
    cancelled(tour.stops.earliest("sequence"))
    giving.sync(tour)
    newest = Operation.objects.get(entity_id=tour.stops.earliest("sequence").pk, version=2)
    assert (newest.state, newest.reason, giving.appointments()) == ("succeeded", "nothing_to_do", [])


def test_a_task_that_is_not_called_for_any_more_needs_nobody(giving: Crm, tour: Tour) -> None:
    stop = tour.stops.earliest("sequence")
    say(stop)
    giving.drain()
    say(stop, interest_level="unsure")
    Operation.objects.filter(kind="feedback.task", state="waiting").update(due_ms=0)
    giving.drain()
    assert giving.operation("feedback.task").reason == "nothing_to_do"


# --- doubt -----------------------------------------------------------------------------------------------------------


def test_in_doubt_without_a_user_it_keeps_its_doubt_and_looks_first_once_mapped(
    giving: Crm, tomorrow: datetime
) -> None:
    tour = make_tour(tomorrow)
    user = mapped(giving, tour.agent)
    giving.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    giving.sync(tour)
    user.delete()
    giving.settle_doubt()
    seen = len(giving.requests())
    giving.drain()
    assert (waiting(), len(giving.requests())) == ({("waiting", "agent_unmapped", 1, True)}, seen)
    mapped(giving, tour.agent)
    due_now()
    giving.drain()
    assert (giving.operation().reason, giving.appointments()) == (
        "already_there", [("create", ExternalRef.objects.get(resource="appointment").external_id)],
    )  # fmt: skip


def test_what_a_look_up_finds_with_another_user_is_given_to_the_right_one(giving: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    mapped(giving, tour.agent, "user_bob")
    giving.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    giving.sync(tour)
    mapped(giving, tour.agent, "user_ann")
    giving.settle_doubt()
    giving.drain()
    assert [op for op, _ in giving.appointments()] == ["create", "update"]
    assert assigned(giving) == ["user_bob", "user_ann"]


# --- a mapping in the same moment ------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["mapped", "no longer given"])
def test_an_agent_mapped_while_the_row_is_in_hand_lets_it_go_on_at_once(
    giving: Crm, tomorrow: datetime, change: str
) -> None:
    tour = make_tour(tomorrow)

    def meanwhile(point: str) -> None:
        if point == "before_success_commit" and Operation.objects.filter(kind="appointment.sync", state="leased"):
            if change == "mapped":
                mapped(giving, tour.agent)
            else:
                Connection.objects.update(assigns=False)

    giving.engine.observe = meanwhile
    giving.plan(tour)
    while not waiting() & {("waiting", "agent_unmapped", 0, False)}:
        assert giving.drain_once()
    giving.drain()
    assert assigned(giving) == ["user_ann" if change == "mapped" else None]


# --- what it costs ---------------------------------------------------------------------------------------------------


def queries_of_a_move(crm: Crm, tour: Tour, counted: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    # The gate's mode is read once a second; here once, however long the move takes.
    monkeypatch.setattr(wiring.gate(), "obeyed", Obeyed(lambda: 0.0))
    move(tour.stops.earliest("sequence"), 15)
    crm.plan(tour)
    with counted as found:
        crm.drain_once()
    # Which mode the gate is in is read once a second, however many operations that are.
    return sum("integrations_gatemode" not in query["sql"] for query in found.captured_queries)


def test_giving_costs_one_query_an_operation(
    giving: Crm, tour: Tour, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped(giving, tour.agent)
    giving.sync(tour)
    with_user = queries_of_a_move(giving, tour, django_assert_max_num_queries(99), monkeypatch)
    Connection.objects.update(assigns=False)
    assert with_user - queries_of_a_move(giving, tour, django_assert_max_num_queries(99), monkeypatch) == 1
