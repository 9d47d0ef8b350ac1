"""Mapping agents to users of a CRM, and what is sent because of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database

from integrations.engine.clock import db_now
from integrations.models import Agent, AgentUser, AuditEvent, Connection, Operation, Tour, TourStop
from integrations.operations import agent_users, connections, deletion, unmapped
from integrations.operations.agent_users import Mapped
from integrations.operations.audit import Who
from integrations.operations.feedback import save_feedback
from integrations.operations.tours import save_tour
from integrations.operations.validation import AgentInput, FeedbackInput, TourInput
from integrations.providers.base import ProviderUser
from tests.crm import AGENT_USERS, Crm, make_tour, move
from tests.factories import AgentFactory, ConnectionFactory

OLGA = Who("olga", "admin", "they asked")
ANN = ProviderUser("user_ann", "Ann Agent", "ann@brokerage.example")
BOB = ProviderUser("user_bob", "Bob Broker", "bob@brokerage.example")


@pytest.fixture
def tour(giving: Crm, tomorrow: datetime) -> Tour:
    """Two stops that wait for Ann's user."""
    made = make_tour(tomorrow, stops=2)
    giving.sync(made)
    return made


def map_ann(crm: Crm, tour: Tour, user: ProviderUser = ANN) -> Mapped:
    return agent_users.map_agent(crm.connection.pk, tour.agent_id, user, OLGA)


def users_named(crm: Crm) -> list[Any]:
    """Whom each write of an appointment or a task named, in order; None: nobody."""
    kinds = ("/appointments", "/appointments/", "/tasks")
    sent = [row for row in crm.requests() if row["method"] != "GET" and any(kind in row["path"] for kind in kinds)]
    return [row["body"].get("assignedUserId", row["body"].get("assignedTo")) for row in sent]


def verbs() -> list[str]:
    return list(AuditEvent.objects.filter(verb__endswith="map_agent").order_by("pk").values_list("verb", flat=True))


# --- mapping ---------------------------------------------------------------------------------------------------------


def test_mapping_lets_what_waits_go_on_at_once(giving: Crm, tour: Tour) -> None:
    assert users_named(giving) == []
    assert map_ann(giving, tour) == Mapped(changed=True, released=2, moved=0)
    giving.drain()
    assert users_named(giving) == ["user_ann", "user_ann"]


def test_mapping_rings_for_the_connection_once(
    giving: Crm, tour: Tour, django_capture_on_commit_callbacks: Any
) -> None:
    database.run_on_commit.clear()  # what the tour itself rang for
    with django_capture_on_commit_callbacks() as rung:
        map_ann(giving, tour)
    assert [callback.connection_id for callback in rung] == [giving.connection.pk]


def test_only_what_waits_for_this_agent_goes_on(giving: Crm, tour: Tour, tomorrow: datetime) -> None:
    other = make_tour(tomorrow)
    Tour.objects.filter(pk=other.pk).update(agent=AgentFactory())
    giving.sync(other)
    Operation.objects.filter(kind="contact.link").update(
        state="waiting", reason="rate_limited", due_ms=db_now() + 99_000
    )
    assert map_ann(giving, tour).released == 2
    due = Operation.objects.filter(state="waiting", due_ms__lte=db_now())
    assert set(due.values_list("entity_type", "entity_id")) == {("stop", stop.pk) for stop in tour.stops.all()}


def test_a_task_goes_on_too(giving: Crm, tour: Tour) -> None:
    said = FeedbackInput("buyer", datetime(2026, 9, 18, 23, 0, tzinfo=UTC), {"interest_level": "very_interested"})
    save_feedback(tour.stops.earliest("sequence").pk, said, actor="ann", via="api")
    giving.drain()
    assert unmapped.held_up(giving.connection.pk) == {tour.agent_id: 3}
    assert map_ann(giving, tour).released == 3
    giving.drain()
    assert (users_named(giving), unmapped.held_up(giving.connection.pk)) == (["user_ann"] * 3, {})


def test_it_is_on_record_who_mapped_whom_and_why(giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)
    map_ann(giving, tour, BOB)
    first, second = AuditEvent.objects.filter(verb="connection.map_agent").order_by("pk")
    agent = "Ann Agent (ann@brokerage.example)"
    assert (first.actor, first.reason, first.object_id) == ("olga", "they asked", giving.connection.pk)
    assert (first.before, first.after) == (
        {"agent": agent, "user": None}, {"agent": agent, "user": "Ann Agent (user_ann)"},
    )  # fmt: skip
    assert second.before["user"] == "Ann Agent (user_ann)"


def test_mapping_twice_is_mapping_once(giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)
    giving.drain()
    operations = Operation.objects.count()
    assert map_ann(giving, tour) == Mapped()
    assert (AgentUser.objects.count(), Operation.objects.count(), verbs()) == (1, operations, ["connection.map_agent"])


def test_names_longer_than_we_keep_are_cut(giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour, ProviderUser("user_ann", "A" * 500, "b" * 500))
    row = AgentUser.objects.get()
    assert (len(row.name), len(row.email)) == (160, 254)


# --- another user ----------------------------------------------------------------------------------------------------


def test_another_user_gets_the_upcoming_showings(giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)
    giving.drain()
    assert map_ann(giving, tour, BOB) == Mapped(changed=True, released=0, moved=2)
    giving.drain()
    assert users_named(giving) == ["user_ann", "user_ann", "user_bob", "user_bob"]
    assert [op for op, _ in giving.appointments()] == ["create", "create", "update", "update"]


def test_what_is_over_or_cancelled_stays_with_whom_it_was_given_to(giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)
    giving.drain()
    past, gone = tour.stops.order_by("sequence")
    start = datetime.now(UTC) - timedelta(days=2)
    TourStop.objects.filter(pk=past.pk).update(appointment_start=start, appointment_end=start + timedelta(minutes=30))
    TourStop.objects.filter(pk=gone.pk).update(appointment_status="cancelled")
    seen = len(giving.requests())
    assert map_ann(giving, tour, BOB).moved == 0
    giving.drain()
    assert len(giving.requests()) == seen


def test_what_was_not_sent_yet_goes_to_the_new_user_without_a_new_plan(giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)
    operations = Operation.objects.count()
    assert map_ann(giving, tour, BOB) == Mapped(changed=True, released=2, moved=0)
    giving.drain()
    assert (users_named(giving), Operation.objects.count()) == (["user_bob", "user_bob"], operations)


def test_a_showing_being_sent_to_the_old_user_is_handed_to_the_new_one(giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)

    def meanwhile(point: str) -> None:
        if point == "after_answer" and not AgentUser.objects.filter(external_id="user_bob").exists():
            map_ann(giving, tour, BOB)

    giving.engine.observe = meanwhile
    giving.drain()
    first, *rest = users_named(giving)
    assert (first, set(rest)) == ("user_ann", {"user_bob"})
    assert Operation.objects.exclude(state__in=("succeeded", "superseded")).count() == 0


def test_a_rejected_showing_is_tried_again_with_the_new_user(giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour, replace(ANN, id="user_gone"))
    giving.drain()
    assert set(Operation.objects.filter(kind="appointment.sync").values_list("state", "reason")) == {
        ("dead", "rejected")
    }
    assert map_ann(giving, tour).moved == 2
    giving.drain()
    assert [op for op, _ in giving.appointments()] == ["create", "create"]


def test_a_tour_given_to_another_agent_goes_to_that_agents_user(giving: Crm, tour: Tour) -> None:
    bob = AgentFactory(name="Bob Broker", email=BOB.email)
    agent_users.map_agent(giving.connection.pk, bob.pk, BOB, OLGA)
    said = FeedbackInput("buyer", datetime(2026, 9, 18, 23, 0, tzinfo=UTC), {"interest_level": "very_interested"})
    save_feedback(tour.stops.earliest("sequence").pk, said, actor="ann", via="api")
    giving.drain()
    hand_over = TourInput(tour.reference, {}, agent=AgentInput(bob.email, bob.name), buyer=None, stops=())
    save_tour(hand_over, actor="olga", via="admin")
    giving.drain()
    assert users_named(giving) == ["user_bob"] * 3


# --- unmapping -------------------------------------------------------------------------------------------------------


def test_unmapping_sends_nothing_and_what_comes_waits(giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)
    giving.drain()
    seen = len(giving.requests())
    assert agent_users.unmap_agent(giving.connection.pk, tour.agent_id, OLGA) is True
    giving.drain()
    assert len(giving.requests()) == seen
    move(tour.stops.earliest("sequence"), 15)
    giving.sync(tour)
    assert (len(giving.requests()), unmapped.held_up(giving.connection.pk)) == (seen, {tour.agent_id: 1})


def test_unmapping_twice_is_unmapping_once(giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)
    agent_users.unmap_agent(giving.connection.pk, tour.agent_id, OLGA)
    assert agent_users.unmap_agent(giving.connection.pk, tour.agent_id, OLGA) is False
    assert verbs() == ["connection.map_agent", "connection.unmap_agent"]


def test_mapped_again_to_another_the_showings_that_stand_are_handed_over(giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)
    giving.drain()
    agent_users.unmap_agent(giving.connection.pk, tour.agent_id, OLGA)
    assert map_ann(giving, tour, BOB).moved == 2
    giving.drain()
    assert users_named(giving)[-2:] == ["user_bob", "user_bob"]


def test_an_agent_or_a_connection_that_is_only_mapped_can_be_deleted(db: None) -> None:
    agent, connection = AgentFactory(), ConnectionFactory()
    agent_users.map_agent(connection.pk, agent.pk, ANN, OLGA)
    deletion.delete_agent(agent.pk, actor="olga", via="admin")
    other = AgentFactory()
    agent_users.map_agent(connection.pk, other.pk, ANN, OLGA)
    deletion.delete_connection(connection.pk, actor="olga", via="admin")
    assert (AgentUser.objects.count(), Agent.objects.count(), Connection.objects.count()) == (0, 1, 0)


# --- suggestions -----------------------------------------------------------------------------------------------------


def test_an_equal_address_suggests_and_applies_nothing(db: None) -> None:
    ann, other = AgentFactory(email="Ann@Brokerage.example"), AgentFactory()
    assert agent_users.suggestions([ann, other], [BOB, replace(ANN, email=" ANN@brokerage.EXAMPLE ")]) == {
        ann.pk: replace(ANN, email=" ANN@brokerage.EXAMPLE ")
    }
    assert AgentUser.objects.count() == 0


def test_two_users_with_one_address_suggest_nobody(db: None) -> None:
    ann = AgentFactory(email=ANN.email)
    assert agent_users.suggestions([ann], [ANN, replace(BOB, email=ANN.email)]) == {}


def test_users_without_an_address_suggest_nobody(db: None) -> None:
    ann = AgentFactory(email="")
    assert agent_users.suggestions([ann], [replace(ANN, email="")]) == {}


def test_several_are_mapped_at_once_and_nobody_who_is_mapped_is_changed(giving: Crm, tour: Tour) -> None:
    bob = AgentFactory(email=BOB.email)
    map_ann(giving, tour, BOB)
    done = agent_users.map_agents(giving.connection.pk, {tour.agent_id: ANN, bob.pk: BOB}, OLGA)
    assert done == Mapped(changed=True, released=0, moved=0)
    assert dict(AgentUser.objects.values_list("agent", "external_id")) == {
        tour.agent_id: "user_bob",
        bob.pk: "user_bob",
    }
    assert agent_users.map_agents(giving.connection.pk, {bob.pk: BOB}, OLGA) == Mapped()


# --- giving, and giving no more --------------------------------------------------------------------------------------


def set_assigns(crm: Crm, assigns: bool) -> None:
    connections.update_connection(crm.connection.pk, {"assigns": assigns}, actor="olga", via="admin")


def test_a_connection_that_begins_to_give_hands_over_what_is_upcoming(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.account(users=AGENT_USERS)
    tour = make_tour(tomorrow, stops=2)
    crm.sync(tour)
    map_ann(crm, tour)
    crm.drain()
    assert users_named(crm) == [None, None]
    set_assigns(crm, True)
    crm.drain()
    assert users_named(crm) == [None, None, "user_ann", "user_ann"]


def test_what_is_upcoming_of_an_agent_without_a_user_waits_then(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=2)
    crm.sync(tour)
    set_assigns(crm, True)
    crm.drain()
    assert (users_named(crm), unmapped.held_up(crm.connection.pk)) == ([None, None], {tour.agent_id: 2})


def test_a_connection_that_gives_no_more_sends_what_waited_and_leaves_what_stands(giving: Crm, tour: Tour) -> None:
    set_assigns(giving, False)
    giving.drain()
    assert (users_named(giving), unmapped.held_up(giving.connection.pk)) == ([None, None], {})


def test_what_stands_keeps_its_user_when_giving_ends(giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)
    giving.drain()
    seen = len(giving.requests())
    set_assigns(giving, False)
    giving.drain()
    assert len(giving.requests()) == seen


def test_saying_it_again_changes_nothing(giving: Crm, tour: Tour) -> None:
    operations = Operation.objects.count()
    assert connections.update_connection(giving.connection.pk, {"assigns": True}, actor="olga", via="admin") is False
    assert Operation.objects.count() == operations


def test_mapping_where_nothing_is_given_plans_nothing(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    map_ann(crm, tour)
    assert map_ann(crm, tour, BOB) == Mapped(changed=True)


def test_a_drain_that_began_before_gives_what_it_claims_after(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.plan(tour)
    crm.drain_once()  # the buyer
    real = crm.engine.link

    def meanwhile(connection: Connection) -> Any:
        Connection.objects.update(assigns=True)
        return real(connection)

    crm.engine.link = meanwhile
    crm.drain()
    assert (users_named(crm), crm.operation().reason) == ([], "agent_unmapped")
