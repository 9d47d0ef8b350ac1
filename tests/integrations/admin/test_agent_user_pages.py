"""The page of agents and users, mapping from it, and the ways that lead there."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import Agent, AgentUser, AuditEvent, Connection, Operation, Tour
from tests.crm import Crm, make_tour
from tests.factories import AgentFactory, OfficeFactory
from tests.integrations.admin.browsing import messages_of, page


@pytest.fixture
def tour(giving: Crm, tomorrow: datetime) -> Tour:
    """Two stops that wait for the user of Ann, who has the address of one."""
    made = make_tour(tomorrow, stops=2)
    giving.sync(made)
    giving.seen = len(giving.requests())
    return made


@pytest.fixture
def rosa(giving: Crm) -> Agent:
    made: Agent = AgentFactory(name="Rosa Keller", email="rosa@elsewhere.example")
    return made


def at(name: str, *args: Any) -> str:
    return reverse(f"admin:integrations_connection_{name}", args=args)


def agents_page(client: Client, crm: Crm, **query: Any) -> str:
    return page(client, "connection_agents", crm.connection.pk, **query)


def map_ann(crm: Crm, tour: Tour, user: str = "user_ann") -> AgentUser:
    return AgentUser.objects.create(
        connection=crm.connection, agent=tour.agent, external_id=user, name="Ann Agent", email="ann@brokerage.example"
    )


def asked(crm: Crm) -> list[str]:
    """What was asked of the CRM since the tour was sent."""
    return [f"{row['method']} {row['path']}" for row in crm.requests()[crm.seen :]]


# --- the table -------------------------------------------------------------------------------------------------------


def test_the_page_says_who_is_not_mapped_how_much_waits_and_who_is_suggested(
    staff: Client, giving: Crm, tour: Tour, rosa: Agent
) -> None:
    text = agents_page(staff, giving)
    assert "1 agent not mapped: 2 operations wait" in text
    assert "<td>2 operations</td>" in text
    assert "Suggested: Ann Agent, ann@brokerage.example" in text
    assert "Rosa Keller" in text
    assert "The CRM has 2 users now." in text
    assert "Apply all 1 suggestion<" in text


def test_looking_reads_the_users_once_and_maps_nobody(staff: Client, giving: Crm, tour: Tour) -> None:
    agents_page(staff, giving)
    assert (asked(giving), AgentUser.objects.count(), AuditEvent.objects.count()) == (["GET /users/"], 0, 0)


def test_those_who_hold_work_up_come_first(staff: Client, giving: Crm, tour: Tour) -> None:
    AgentFactory(name="Aaron First")
    text = agents_page(staff, giving)
    assert text.index('<th scope="row">Ann Agent') < text.index('<th scope="row">Aaron First')


def test_only_the_unmapped(staff: Client, giving: Crm, tour: Tour, rosa: Agent) -> None:
    map_ann(giving, tour)
    text = agents_page(staff, giving, unmapped="1")
    assert "Unmapped only (1)" in text
    assert "Rosa Keller" in text
    assert '<th scope="row">Ann Agent' not in text


def test_when_everyone_is_mapped_it_says_so(staff: Client, giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)
    assert "Every agent is mapped." in agents_page(staff, giving, unmapped="1")


def test_without_agents_it_says_where_they_come_from(staff: Client, giving: Crm) -> None:
    assert "Agents come with the tours you import or add" in agents_page(staff, giving)


def test_a_user_who_is_not_in_the_crm_any_more_is_marked(staff: Client, giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour, "user_gone")
    assert "not a user of the CRM any more" in agents_page(staff, giving)


def test_an_inactive_agent_without_tours_is_left_out(staff: Client, giving: Crm, tour: Tour) -> None:
    AgentFactory(name="Old Hand", active=False)
    Agent.objects.filter(pk=tour.agent_id).update(active=False)
    text = agents_page(staff, giving)
    assert ("Old Hand" in text, "inactive" in text) == (False, True)


def test_an_offices_connection_shows_its_agents(staff: Client, giving: Crm, rosa: Agent) -> None:
    office = OfficeFactory()
    AgentFactory(name="Mia Office", office=office)
    Connection.objects.update(scope="office", office=office)
    text = agents_page(staff, giving)
    assert ("Mia Office" in text, "Rosa Keller" in text) == (True, False)


def test_many_agents_come_in_pages_and_the_queries_do_not_grow(
    staff: Client, giving: Crm, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        AgentFactory(name=f"Agent {number:02}")
    with django_assert_max_num_queries(13):
        text = agents_page(staff, giving)
    assert "Page 1 of 2" in text
    assert '<th scope="row">Agent 59' in agents_page(staff, giving, p="2")
    assert "Page 2 of 2" in agents_page(staff, giving, p="999")


def test_a_crm_that_does_not_answer_is_told_on_the_page(staff: Client, giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)
    giving.sandbox.faults("status", status=503)
    text = agents_page(staff, giving)
    assert "The CRM’s users could not be read: " in text
    assert "Try again in a moment." in text
    assert "Ann Agent" in text
    assert "not a user of the CRM any more" not in text


def test_without_redis_the_page_comes_all_the_same(staff: Client, giving: Crm, tour: Tour) -> None:
    giving.redis.freeze()
    try:
        text = agents_page(staff, giving)
    finally:
        giving.redis.thaw()
    assert "Redis cannot be reached, so nothing may be asked" in text


def test_a_hostile_name_in_the_crm_is_shown_as_text(staff: Client, giving: Crm, tour: Tour) -> None:
    evil = {"id": "user_evil", "name": "<script>alert(1)</script>", "email": "ann@brokerage.example"}
    giving.sandbox.account(users=[evil])
    assert "<script>alert(1)" not in agents_page(staff, giving)
    assert "&lt;script&gt;alert(1)" in agents_page(staff, giving)


# --- mapping ---------------------------------------------------------------------------------------------------------


def test_the_suggestion_is_chosen_already_and_applied_by_the_button_alone(
    staff: Client, giving: Crm, tour: Tour
) -> None:
    url = at("map_agent", giving.connection.pk, tour.agent_id)
    text = staff.get(url).content.decode()
    assert '<option value="user_ann" selected>Ann Agent, ann@brokerage.example</option>' in text
    assert "2 operations wait and are sent to this user at once." in text
    assert AgentUser.objects.count() == 0
    answer = staff.post(url, {"user": "user_ann", "reason": "asked her"})
    assert messages_of(answer) == ["Ann Agent is Ann Agent, ann@brokerage.example now; 2 waiting operations go on."]
    assert answer.url == at("agents", giving.connection.pk)
    giving.drain()
    sent = [row["body"]["assignedUserId"] for row in giving.requests("POST") if row["path"].endswith("appointments")]
    assert sent == ["user_ann", "user_ann"]
    assert AuditEvent.objects.get().reason == "asked her"


def test_pressing_twice_maps_once(staff: Client, giving: Crm, tour: Tour) -> None:
    url = at("map_agent", giving.connection.pk, tour.agent_id)
    staff.post(url, {"user": "user_ann"})
    answer = staff.post(url, {"user": "user_ann"})
    assert messages_of(answer)[-1].endswith("already: nothing was changed.")
    assert AuditEvent.objects.count() == 1


def test_a_changed_mapping_says_what_is_handed_over(staff: Client, giving: Crm, tour: Tour) -> None:
    url = at("map_agent", giving.connection.pk, tour.agent_id)
    staff.post(url, {"user": "user_ann"})
    giving.drain()
    assert "2 upcoming showings are handed to this user in the CRM." in staff.get(url).content.decode()
    answer = staff.post(url, {"user": "user_bob"})
    assert messages_of(answer)[-1].endswith("now; 2 upcoming showings are handed over.")


@pytest.mark.parametrize("user", ["", "user_nobody", "x" * 5000, "user_ann\x00"])
def test_a_user_the_crm_does_not_list_is_refused(staff: Client, giving: Crm, tour: Tour, user: str) -> None:
    answer = staff.post(at("map_agent", giving.connection.pk, tour.agent_id), {"user": user})
    assert list(answer.context["form"].errors) == ["user"]
    assert AgentUser.objects.count() == 0


def test_who_has_that_user_already_is_told(staff: Client, giving: Crm, tour: Tour, rosa: Agent) -> None:
    map_ann(giving, tour)
    text = staff.get(at("map_agent", giving.connection.pk, rosa.pk)).content.decode()
    assert "Ann Agent, ann@brokerage.example (now Ann Agent)</option>" in text
    assert "No user there has the address rosa@elsewhere.example." in text


@pytest.mark.parametrize("name", ["map_agent", "map_suggested"])
def test_when_the_users_cannot_be_read_nothing_is_changed(staff: Client, giving: Crm, tour: Tour, name: str) -> None:
    args = [giving.connection.pk] + ([tour.agent_id] if name == "map_agent" else [])
    giving.sandbox.faults("status", status=500, times=None)
    answer = staff.post(at(name, *args), {"user": "user_ann", "seen": json.dumps([f"{tour.agent_id}=user_ann"])})
    told = answer.content.decode() if answer.status_code == 200 else messages_of(answer)[0]
    assert "The CRM’s users could not be read: " in told
    assert "Nothing was changed." in told
    assert AgentUser.objects.count() == 0


def test_an_agent_who_does_not_exist_leads_back(staff: Client, giving: Crm) -> None:
    for agent_id in (999_999, 2**64):
        for name in ("map_agent", "unmap_agent"):
            answer = staff.get(at(name, giving.connection.pk, agent_id))
            assert answer.url == at("agents", giving.connection.pk)


def test_where_nothing_is_given_the_mapping_says_when_it_counts(staff: Client, giving: Crm, tour: Tour) -> None:
    Connection.objects.update(assigns=False)
    text = staff.get(at("map_agent", giving.connection.pk, tour.agent_id)).content.decode()
    assert "This connection gives showings to nobody; the mapping counts once it does." in text


# --- unmapping and suggestions ---------------------------------------------------------------------------------------


def test_unmapping_asks_first_and_sends_nothing(staff: Client, giving: Crm, tour: Tour) -> None:
    map_ann(giving, tour)
    url = at("unmap_agent", giving.connection.pk, tour.agent_id)
    assert "Nothing is sent: what stands in the CRM keeps its user." in staff.get(url).content.decode()
    assert AgentUser.objects.count() == 1
    assert messages_of(staff.post(url)) == [f"Ann Agent has no user in “{giving.connection}” now."]
    assert (AgentUser.objects.count(), asked(giving)) == (0, [])


def test_all_suggestions_are_listed_and_applied_together(staff: Client, giving: Crm, tour: Tour, rosa: Agent) -> None:
    bob = AgentFactory(name="Bob Broker", email="BOB@brokerage.example")
    url = at("map_suggested", giving.connection.pk)
    question = staff.get(url)
    assert "<li>Ann Agent is Ann Agent, ann@brokerage.example (user_ann)</li>" in question.content.decode()
    assert "<li>Bob Broker is Bob Broker, bob@brokerage.example (user_bob)</li>" in question.content.decode()
    assert AgentUser.objects.count() == 0
    answer = staff.post(url, {"seen": question.context["form"]["seen"].value()})
    assert messages_of(answer) == ["2 agents were mapped now; 2 waiting operations go on."]
    known = dict(AgentUser.objects.values_list("agent", "external_id"))
    assert known == {tour.agent_id: "user_ann", bob.pk: "user_bob"}


def test_only_what_was_listed_is_applied(staff: Client, giving: Crm, tour: Tour) -> None:
    AgentFactory(name="Bob Broker", email="bob@brokerage.example")
    staff.post(
        at("map_suggested", giving.connection.pk), {"seen": json.dumps([f"{tour.agent_id}=user_ann", "999=user_bob"])}
    )
    assert list(AgentUser.objects.values_list("external_id", flat=True)) == ["user_ann"]


@pytest.mark.parametrize("seen", ["", "[", "5", "null", '{"a": 1}', "[[]]", "x" * 100])
def test_what_no_page_listed_maps_nobody(staff: Client, giving: Crm, tour: Tour, seen: str) -> None:
    staff.post(at("map_suggested", giving.connection.pk), {"seen": seen})
    assert AgentUser.objects.count() == 0


def test_without_suggestions_there_is_nothing_to_apply(staff: Client, giving: Crm, rosa: Agent) -> None:
    answer = staff.get(at("map_suggested", giving.connection.pk))
    assert messages_of(answer) == ["There is nothing to suggest: no unmapped agent has the e-mail address of a user."]


# --- the ways there --------------------------------------------------------------------------------------------------


def test_the_connections_page_says_who_holds_work_up(staff: Client, giving: Crm, tour: Tour) -> None:
    text = page(staff, "connection_change", giving.connection.pk)
    assert "1 agent not mapped: 2 operations wait" in text
    assert f'href="{at("agents", giving.connection.pk)}?unmapped=1"' in text


def test_the_pages_of_the_tour_and_the_operation_lead_to_mapping(staff: Client, giving: Crm, tour: Tour) -> None:
    link = f'href="{at("map_agent", giving.connection.pk, tour.agent_id)}">Map Ann Agent</a>'
    waits = page(staff, "tour_change", tour.pk)
    assert waits.count(link) == 2
    assert "The tour’s agent has no user in this CRM yet; " in waits
    assert link in page(staff, "operation_change", giving.operation().pk)


def test_once_mapped_nothing_leads_there(staff: Client, giving: Crm, tour: Tour) -> None:
    staff.post(at("map_agent", giving.connection.pk, tour.agent_id), {"user": "user_ann"})
    assert "Map Ann Agent" not in page(staff, "tour_change", tour.pk)
    assert "1 agent not mapped" not in page(staff, "connection_change", giving.connection.pk)


# --- giving and giving no more ---------------------------------------------------------------------------------------


def form_data(connection: Connection, **values: Any) -> dict[str, Any]:
    return {
        "label": connection.label, "scope": "brokerage", "sync_from": "2026-01-01T00:00", **connection.config,
        "token": "", "assigns": "on", **values,
    }  # fmt: skip


def test_beginning_to_give_shows_first_what_is_handed_over(staff: Client, crm: Crm, tomorrow: datetime) -> None:
    crm.sync(make_tour(tomorrow, stops=2))
    url, data = at("change", crm.connection.pk), form_data(crm.connection)
    shown = staff.post(url, data)
    text = shown.content.decode()
    assert "Saving gives 2 upcoming showings in the CRM to the agents’ users; 2 of them wait, for their agents" in text
    assert Connection.objects.get().assigns is False
    staff.post(url, {**data, "seen": shown.context["form"]["seen"].value()})
    crm.drain()
    assert (Connection.objects.get().assigns, crm.operation().reason) == (True, "agent_unmapped")


def test_giving_no_more_shows_first_what_is_sent_without_a_user(staff: Client, giving: Crm, tour: Tour) -> None:
    url, data = at("change", giving.connection.pk), form_data(giving.connection)
    del data["assigns"]
    shown = staff.post(url, data)
    assert "Saving sends 2 operations that wait for an agent’s user without one;" in shown.content.decode()
    staff.post(url, {**data, "seen": shown.context["form"]["seen"].value()})
    assert Connection.objects.get().assigns is False
    assert Operation.objects.filter(state="waiting", due_ms__gt=10**13).count() == 0
    giving.drain()
    assert [op for op, _ in giving.appointments()] == ["create", "create"]


def test_with_nothing_to_hand_over_it_is_saved_at_once(staff: Client, crm: Crm) -> None:
    staff.post(at("change", crm.connection.pk), form_data(crm.connection))
    assert Connection.objects.get().assigns is True


# --- who may ---------------------------------------------------------------------------------------------------------


def test_who_may_only_look_sees_the_table_and_the_crm_is_not_asked(viewer: Client, giving: Crm, tour: Tour) -> None:
    text = agents_page(viewer, giving)
    assert "Ann Agent" in text
    assert [word for word in ("suggested/", ">Map…<", "/unmap/", "Read users") if word in text] == []
    assert asked(giving) == []


def test_who_may_only_look_cannot_map(viewer: Client, giving: Crm, tour: Tour) -> None:
    pk = giving.connection.pk
    urls = [at("map_agent", pk, tour.agent_id), at("unmap_agent", pk, tour.agent_id), at("map_suggested", pk)]
    for url in urls:
        assert (viewer.get(url).status_code, viewer.post(url, {"user": "user_ann"}).status_code) == (403, 403)
    assert (AgentUser.objects.count(), asked(giving)) == (0, [])
    assert "Map Ann Agent" not in page(viewer, "tour_change", tour.pk)


def test_the_table_is_only_looked_at(staff: Client, giving: Crm) -> None:
    assert staff.post(at("agents", giving.connection.pk)).status_code == 405


def test_a_past_tour_of_an_inactive_agent_is_not_upcoming(staff: Client, giving: Crm, tomorrow: datetime) -> None:
    old = make_tour(tomorrow - timedelta(days=400))
    Connection.objects.update(sync_from=tomorrow)
    Agent.objects.filter(pk=old.agent_id).update(active=False)
    assert "Ann Agent" not in agents_page(staff, giving)
