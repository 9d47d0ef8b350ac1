"""Follow Up Boss from the saved tour to the CRM's journal: what is its own there, the rest is every provider's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from integrations.models import AgentUser, Attempt, Connection, Operation, TourStop
from integrations.operations import crm_links, tours
from integrations.operations import operations as verbs
from integrations.operations.audit import Who
from integrations.operations.feedback import save_feedback
from integrations.operations.tours import set_tour_status
from integrations.operations.validation import FeedbackInput
from tests.crm import Crm, make_tour
from tests.crm_acts import Act
from tests.sandbox_server import FUB_USERS

AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)
DANA = FUB_USERS[1]["id"]
STAFF = Who("olga", "admin")


def bodies(crm: Crm, method: str, path: str) -> list[dict[str, Any]]:
    return [row["body"] for row in crm.requests(method) if row["path"].startswith(path)]


def say(stop: TourStop, **values: Any) -> None:
    data = FeedbackInput("buyer", AT, {"interest_level": "interested", **values})
    save_feedback(stop.pk, data, actor="ann", via="api")


def outcome(crm: Crm, kind: str = "appointment.sync") -> tuple[str, str, bool]:
    found = crm.operation(kind)
    return (found.state, found.reason, found.in_doubt)


def test_a_tour_from_its_first_stop_to_its_summary(followupboss_crm: Crm, tomorrow: datetime) -> None:
    crm = followupboss_crm
    crm.sandbox.followupboss(appointment_outcomes=["Completed"], custom_fields=["customMood"])
    crm.connection.config = {**crm.connection.config, "interest_field": "customMood"}
    crm.connection.save()
    tour = make_tour(tomorrow)
    crm.sync(tour)
    stop = tour.stops.get()
    tours.set_stop_outcome(stop.pk, "showed", actor="ann", via="admin")
    say(stop, second_showing="yes", overall_rating=4)
    crm.drain()
    set_tour_status(tour.pk, "completed", actor="ann", via="api")
    crm.drain()
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}
    done = [(effect["kind"], effect["op"]) for effect in crm.sandbox.effects() if effect["kind"] != "tag"]
    assert sorted(done) == [
        ("appointment", "create"), ("appointment", "update"), ("contact", "create"), ("contact", "update"),
        ("note", "create"), ("note", "create"), ("task", "create"),
    ]  # fmt: skip
    assert not any(effect.get("notified") for effect in crm.sandbox.effects())
    person = crm.sandbox.effects("contact")[0]["id"]
    shown = crm.call("GET", f"/v1/people/{person}?fields=allFields").json()
    assert (shown["customMood"], shown["tags"]) == ("Interested", ["showing:interested", "rating:4"])
    (appointment,) = {record for _, record in crm.appointments()}
    assert crm.call("GET", f"/v1/appointments/{appointment}").json()["outcome"] == "Completed"


def test_person_showing_and_task_are_the_agents_where_showings_are_given(
    followupboss_crm: Crm, tomorrow: datetime
) -> None:
    crm = followupboss_crm
    Connection.objects.update(assigns=True)
    crm.connection.refresh_from_db()
    tour = make_tour(tomorrow)
    AgentUser.objects.create(connection=crm.connection, agent=tour.agent, external_id=DANA)
    crm.sync(tour)
    say(tour.stops.get(), second_showing="yes")
    crm.drain()
    assert [body["assignedUserId"] for body in bodies(crm, "POST", "/v1/people")] == [int(DANA)]
    assert [body["assignedUserId"] for body in bodies(crm, "POST", "/v1/tasks")] == [int(DANA)]
    (appointment,) = bodies(crm, "POST", "/v1/appointments")
    assert {"userId": int(DANA)} in appointment["invitees"]


def test_a_buyer_of_another_agent_is_for_staff_to_settle(followupboss_crm: Crm, tomorrow: datetime) -> None:
    crm = followupboss_crm
    tour = make_tour(tomorrow)
    mail = [{"value": tour.buyer.email}]
    crm.call("POST", "/v1/people", {"firstName": "Bea", "emails": mail, "assignedUserId": int(DANA)})
    crm.sandbox.followupboss(sees="assigned")
    crm.sync(tour)
    assert outcome(crm, "contact.link") == ("dead", "rejected", False)
    assert "assigned to Dana Okafor" in crm.operation("contact.link").message
    assert len(crm.sandbox.effects("contact")) == 1
    # An admin's key, or the person shared: then it goes on by itself.
    crm.sandbox.followupboss(sees="everybody")
    verbs.retry(crm.operation("contact.link").pk, STAFF)
    crm.drain()
    assert outcome(crm) == ("succeeded", "", False)


def test_a_lost_answer_behind_a_calendar_nobody_shares_is_a_persons_question(
    followupboss_crm: Crm, tomorrow: datetime
) -> None:
    crm = followupboss_crm
    act = Act(crm, "create", tomorrow)
    act.fault("drop_after_effect")
    act.go()
    crm.sandbox.followupboss(shares_calendar=False)
    crm.settle_doubt()
    act.go()
    assert outcome(crm) == ("needs_person", "rejected", True)
    assert "shares their calendar" in act.operation.message
    assert len(act.writes()) == 1
    verbs.answer_arrived(act.operation_id, act.writes()[0]["effect"]["id"], STAFF)
    act.go()
    act.assert_done_once()


def test_an_expired_account_stops_the_connection(followupboss_crm: Crm, tomorrow: datetime) -> None:
    followupboss_crm.sandbox.followupboss(expired=True)
    followupboss_crm.sync(make_tour(tomorrow))
    assert Connection.objects.get().state == "auth_needed"
    assert followupboss_crm.sandbox.effects() == []


def test_as_many_notes_as_are_allowed_are_sent_and_the_rest_waits(followupboss_crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=12)
    followupboss_crm.sync(tour)
    for stop in tour.stops.all():
        say(stop)
    followupboss_crm.drain()
    assert len(followupboss_crm.sandbox.effects("note")) == 10
    assert Connection.objects.get().hold_reason == "rate_limited"
    assert [row for row in followupboss_crm.requests() if row["status"] == 429] == []
    assert Attempt.objects.filter(operation__kind="feedback.note", sent_ms__isnull=False).count() == 10


def test_the_page_of_a_person_is_in_the_accounts_own_address(followupboss_crm: Crm, settings: Any) -> None:
    settings.REANNA_SANDBOX_URL = ""
    found = crm_links.url(followupboss_crm.connection, "contact", "9007199254740993")
    assert found == "https://acme.followupboss.com/2/people/view/9007199254740993"
