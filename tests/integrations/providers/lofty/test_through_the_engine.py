"""Lofty from the saved tour to the CRM's journal: what is its own there, the rest is every provider's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.models import AgentUser, Connection, Operation, TourStop
from integrations.operations import verification
from integrations.operations.feedback import save_feedback
from integrations.operations.validation import FeedbackInput
from tests.crm import Crm, make_tour, move
from tests.sandbox_server import LOFTY_USERS

AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)
ANN = LOFTY_USERS[0]["id"]


def bodies(crm: Crm, method: str, path: str) -> list[dict[str, Any]]:
    return [row["body"] for row in crm.requests(method) if row["path"].startswith(path)]


def say(stop: TourStop, **values: Any) -> None:
    data = FeedbackInput("buyer", AT, {"interest_level": "interested", **values})
    save_feedback(stop.pk, data, actor="ann", via="api")


def outcome(crm: Crm, kind: str = "appointment.sync") -> tuple[str, str, bool]:
    found = crm.operation(kind)
    return (found.state, found.reason, found.in_doubt)


# --- whose a lead is -------------------------------------------------------------------------------------------------


@pytest.fixture
def giving(lofty_crm: Crm) -> Crm:
    """Where showings are given to agents."""
    Connection.objects.update(assigns=True)
    lofty_crm.connection.refresh_from_db()
    return lofty_crm


def test_a_new_lead_is_the_tours_agents_where_showings_are_given(giving: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    AgentUser.objects.create(connection=giving.connection, agent=tour.agent, external_id=ANN)
    giving.sync(tour)
    assert [body["assignedUserId"] for body in bodies(giving, "POST", "/v1.0/leads")] == [int(ANN)]
    (appointment,) = bodies(giving, "POST", "/v2.0/calendar")
    assert ANN not in str(appointment)
    assert outcome(giving)[0] == "succeeded"


def test_of_an_agent_nobody_mapped_the_routing_rules_say_and_the_showing_waits(giving: Crm, tomorrow: datetime) -> None:
    giving.sync(make_tour(tomorrow))
    assert ["assignedUserId" in body for body in bodies(giving, "POST", "/v1.0/leads")] == [False]
    assert outcome(giving) == ("waiting", "agent_unmapped", False)
    assert giving.appointments() == []


def test_of_several_agents_the_newest_tours_has_the_lead(giving: Crm, tomorrow: datetime) -> None:
    older = make_tour(tomorrow)
    AgentUser.objects.create(connection=giving.connection, agent=older.agent, external_id=LOFTY_USERS[1]["id"])
    bob = type(older.agent).objects.create(name="Bob Broker", email="bob@brokerage.example")
    newer = make_tour(tomorrow + timedelta(days=1), buyer=older.buyer, agent=bob)
    AgentUser.objects.create(connection=giving.connection, agent=bob, external_id=ANN)
    giving.sync(older, newer)
    assert [body["assignedUserId"] for body in bodies(giving, "POST", "/v1.0/leads")] == [int(ANN)]


# --- a lead that does not show yet -----------------------------------------------------------------------------------


def test_a_showing_of_a_lead_that_is_not_there_yet_is_tried_again_and_never_in_doubt(
    lofty_crm: Crm, tomorrow: datetime
) -> None:
    lofty_crm.sandbox.lofty(lag_s=3600, late_writes=True)
    lofty_crm.sync(make_tour(tomorrow))
    assert outcome(lofty_crm, "contact.link") == ("succeeded", "", False)
    assert outcome(lofty_crm) == ("retryable", "not_processed", False)
    lofty_crm.sandbox.lofty(lag_s=0)
    lofty_crm.pass_time(60)
    lofty_crm.drain()
    assert outcome(lofty_crm) == ("succeeded", "", False)
    assert [op for op, _ in lofty_crm.appointments()] == ["create"]


def test_a_lost_answer_about_a_new_lead_is_looked_for_when_it_must_show(lofty_crm: Crm, tomorrow: datetime) -> None:
    lofty_crm.sandbox.faults("drop_after_effect", provider="lofty", match={"method": "POST", "path": "/v1.0/leads"})
    lofty_crm.sync(make_tour(tomorrow))
    asked = len(lofty_crm.requests())
    lofty_crm.pass_time(45)
    lofty_crm.drain()
    assert outcome(lofty_crm, "contact.link")[0] == "unknown"
    assert len(lofty_crm.requests()) == asked
    lofty_crm.pass_time(10)
    lofty_crm.drain()
    assert outcome(lofty_crm, "contact.link")[0] == "succeeded"
    assert [row["op"] for row in lofty_crm.sandbox.effects("contact")] == ["create"]


# --- all of a tour ---------------------------------------------------------------------------------------------------


def test_a_tours_whole_life_as_tasks_leaves_nothing_open_and_nobody_hears_of_it(
    lofty_crm: Crm, tomorrow: datetime
) -> None:
    Connection.objects.update(config={**lofty_crm.connection.config, "showing_as": "task"})
    tour = make_tour(tomorrow, stops=2)
    lofty_crm.sync(tour)
    kept, cancelled = tour.stops.order_by("sequence")
    move(kept, 30)
    cancelled.appointment_status, cancelled.version = "cancelled", 2
    cancelled.save()
    lofty_crm.sync(tour)
    say(kept, second_showing="yes", overall_rating=4)
    lofty_crm.drain()
    done = [(row["kind"], row["op"]) for row in lofty_crm.sandbox.effects()]
    assert sorted(done) == sorted(
        [("contact", "create"), ("note", "create"), ("tag", "create")]
        + [("task", op) for op in ("create", "create", "update", "delete", "create")]
    )
    assert bodies(lofty_crm, "PUT", "/v1.0/leads/") == [{"tagsAdd": ["showing:interested", "rating:4"]}]
    assert not Operation.objects.open().exists()
    assert not any(row.get("notified") for row in lofty_crm.sandbox.effects())


def test_tokens_are_renewed_at_the_address_of_the_settings(lofty_crm: Crm, tomorrow: datetime) -> None:
    oauth = {"client_secret": "app-secret", "refresh_token": "first-refresh", "access_token": "first-access"}
    lofty_crm.sandbox.lofty(oauth={"client_id": "app-1", **oauth})
    Connection.objects.update(secrets={**oauth, "access_token": "worthless"}, config={
        **lofty_crm.connection.config, "client_id": "app-1",
    })  # fmt: skip
    lofty_crm.sync(make_tour(tomorrow))
    assert outcome(lofty_crm) == ("succeeded", "", False)
    assert [row["status"] for row in lofty_crm.requests() if row["path"].endswith("/oauth/token")] == [200]
    stored = Connection.objects.get()
    assert (stored.state, stored.secrets["refresh_token"] != "first-refresh") == ("active", True)


def test_a_refusal_of_one_record_does_not_stop_the_connection(lofty_crm: Crm, tomorrow: datetime) -> None:
    body = {"code": "PERMISSION_DENIED", "message": "not your lead"}
    match = {"method": "POST", "path": "/v2.0/calendar"}
    lofty_crm.sandbox.faults("status", provider="lofty", status=403, body=body, match=match)
    lofty_crm.sync(make_tour(tomorrow))
    assert outcome(lofty_crm) == ("dead", "rejected", False)
    assert Connection.objects.get().state == "active"


def test_a_key_that_ended_needs_a_person_and_nothing_is_sent(lofty_crm: Crm, tomorrow: datetime) -> None:
    lofty_crm.sandbox.lofty(token="another-key")
    lofty_crm.sync(make_tour(tomorrow))
    assert Connection.objects.get().state == "auth_needed"
    assert lofty_crm.sandbox.effects() == []


# --- trying out ------------------------------------------------------------------------------------------------------


def test_a_new_connection_is_tried_out_and_what_is_wrong_is_named(lofty_crm: Crm) -> None:
    data = {"label": "Lofty", "scope": "brokerage", "account_email": "bob@brokerage.example", "token": "bobs-key"}
    lofty_crm.sandbox.lofty("bob@brokerage.example", token="bobs-key")
    passed = verification.try_out("lofty", data, None)
    assert passed is not None
    assert (passed.error, passed.verified_at is not None) == ("", True)
    other = verification.try_out("lofty", {**data, "account_email": "kay@brokerage.example"}, None)
    assert other is not None
    assert (other.correct, "those of bob@brokerage.example" in other.error) == ("account_email", True)
    refused = verification.try_out("lofty", {**data, "token": "mistyped-key"}, None)
    assert refused is not None
    assert (refused.correct, "mistyped-key" in refused.error) == ("token", False)
