"""Offices, agents and buyers."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import Agent, AuditEvent, Connection, Contact, Office, Operation, Tour
from integrations.operations import planning
from tests.factories import AgentFactory, ConnectionFactory, ContactFactory, OfficeFactory
from tests.integrations.admin.browsing import linked, messages_of, page


def url(model: str, name: str, *args: Any) -> str:
    return reverse(f"admin:integrations_{model}_{name}", args=args)


def agent_data(**values: Any) -> dict[str, Any]:
    return {"name": "Ann Agent", "email": "ann@brokerage.example", "mls_id": "", "office": "", "active": "on", **values}


def buyer_data(**values: Any) -> dict[str, Any]:
    return {"first_name": "Bea", "last_name": "Buyer", "email": "bea@mail.example", "phone": "+19165550123", **values}


def form_errors(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return list(answer.context["adminform"].form.errors)


def test_an_office_is_made_and_audited(staff: Client) -> None:
    staff.post(url("office", "add"), {"name": "Downtown"})
    assert Office.objects.get().name == "Downtown"
    event = AuditEvent.objects.get()
    assert (event.verb, event.actor, event.via, event.after) == ("office.create", "ada", "admin", {"name": "Downtown"})


def test_saving_an_office_unchanged_is_not_audited(staff: Client) -> None:
    office = OfficeFactory(name="Downtown")
    staff.post(url("office", "change", office.pk), {"name": "Downtown"})
    assert AuditEvent.objects.count() == 0


def test_an_agent_is_changed_and_audited(staff: Client) -> None:
    agent = AgentFactory(name="Ann", email="ann@brokerage.example")
    staff.post(url("agent", "change", agent.pk), agent_data(name="Anne"))
    event = AuditEvent.objects.get()
    assert (event.verb, event.before, event.after) == ("agent.update", {"name": "Ann"}, {"name": "Anne"})


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", "\x00"), ("email", "no"), ("email", "a@b@c"), ("mls_id", "9" * 41), ("office", "abc"),
     ("office", "9" * 30)],
)  # fmt: skip
def test_bad_input_for_an_agent_names_its_field(staff: Client, field: str, value: str) -> None:
    assert form_errors(staff.post(url("agent", "add"), agent_data(**{field: value}))) == [field]
    assert Agent.objects.count() == 0


def test_an_agents_address_is_unique_without_case(staff: Client) -> None:
    AgentFactory(email="ann@brokerage.example")
    answer = staff.post(url("agent", "add"), agent_data(email="ANN@brokerage.example"))
    assert answer.status_code == 200
    assert Agent.objects.count() == 1


def test_the_tours_of_an_agent_who_moves_join_the_new_offices_connection(
    staff: Client, tour: Tour, django_capture_on_commit_callbacks: Any
) -> None:
    office = OfficeFactory()
    connection = ConnectionFactory(scope="office", office=office)
    with django_capture_on_commit_callbacks(execute=True):
        staff.post(
            url("agent", "change", tour.agent_id),
            agent_data(name=tour.agent.name, email=tour.agent.email, office=office.pk),
        )
    assert Operation.objects.filter(connection=connection).count() == 3


def test_an_agent_with_tours_is_not_deleted(staff: Client, tour: Tour) -> None:
    answer = staff.post(url("agent", "delete", tour.agent_id))
    assert "This agent has tours or connections." in answer.content.decode()


def test_an_agent_without_tours_is_deleted(staff: Client) -> None:
    staff.post(url("agent", "delete", AgentFactory().pk))
    assert Agent.objects.count() == 0


def test_a_buyer_is_made(staff: Client) -> None:
    staff.post(url("contact", "add"), buyer_data())
    assert Contact.objects.get().email == "bea@mail.example"


def test_a_changed_buyer_gets_a_new_version(staff: Client) -> None:
    buyer = ContactFactory(**buyer_data())
    staff.post(url("contact", "change", buyer.pk), buyer_data(phone="+19165550199"))
    buyer.refresh_from_db()
    assert (buyer.phone, buyer.version) == ("+19165550199", 2)


def test_a_buyer_needs_an_address_or_a_number(staff: Client) -> None:
    assert form_errors(staff.post(url("contact", "add"), buyer_data(email="", phone=""))) == ["email"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("first_name", "x" * 81), ("last_name", "\x07bell"), ("email", "no"), ("phone", "12345"), ("phone", "9" * 5000)],
)
def test_bad_input_for_a_buyer_names_its_field(staff: Client, field: str, value: str) -> None:
    assert form_errors(staff.post(url("contact", "add"), buyer_data(**{field: value}))) == [field]
    assert Contact.objects.count() == 0


def test_a_buyers_page_lists_their_tours(staff: Client, tour: Tour) -> None:
    assert url("tour", "change", tour.pk) in page(staff, "contact_change", tour.buyer_id)


def test_a_buyer_with_tours_is_not_deleted(staff: Client, tour: Tour) -> None:
    answer = staff.post(url("contact", "delete", tour.buyer_id))
    assert "This buyer has tours. Archive the buyer instead." in answer.content.decode()


@pytest.mark.parametrize("model", ["office", "agent", "contact"])
def test_lists_are_searched_with_anything(staff: Client, model: str) -> None:
    assert staff.get(url(model, "changelist"), {"q": "%_'\" 🏠"}).status_code == 200


@pytest.mark.parametrize("model", ["office", "agent", "contact", "feedback", "importrun", "auditevent", "connection"])
@pytest.mark.parametrize("bad", ["0", "abc", "9" * 30])
def test_ids_that_are_none_lead_back(staff: Client, model: str, bad: str) -> None:
    assert staff.get(url(model, "change", bad)).status_code == 302


def test_hostile_names_are_shown_as_texts(staff: Client) -> None:
    buyer = ContactFactory(first_name="<img src=x>", last_name="<b>")
    text = page(staff, "contact_changelist") + page(staff, "contact_change", buyer.pk)
    assert [tag for tag in ("<img src=x>", "<b>") if tag in text] == []


def test_a_renamed_agents_tours_are_planned_anew(
    staff: Client, tour: Tour, crm_row: Connection, django_capture_on_commit_callbacks: Any
) -> None:
    planning.plan_tour(tour)
    agent = tour.agent
    with django_capture_on_commit_callbacks(execute=True):
        staff.post(url("agent", "change", agent.pk), agent_data(name="Anne New", email=agent.email))
    assert list(Operation.objects.filter(version=2).values_list("kind", "state")) == [
        ("appointment.sync", "pending"),
        ("appointment.sync", "pending"),
    ]


def test_a_buyer_is_archived_and_brought_back(staff: Client) -> None:
    buyer = ContactFactory()
    assert 'href="../archive/"' in page(staff, "contact_change", buyer.pk)
    assert staff.get(url("contact", "archive", buyer.pk)).status_code == 200
    assert Contact.objects.get().archived_at is None
    answer = staff.post(url("contact", "archive", buyer.pk), {"reason": "moved away"})
    assert messages_of(answer) == ["Archive buyer: done."]
    assert Contact.objects.get().archived_at is not None
    assert 'href="../unarchive/"' in page(staff, "contact_change", buyer.pk)
    staff.post(url("contact", "unarchive", buyer.pk))
    assert Contact.objects.get().archived_at is None
    assert list(AuditEvent.objects.order_by("id").values_list("verb", "reason")) == [
        ("contact.archive", "moved away"),
        ("contact.unarchive", ""),
    ]


def test_a_buyer_with_a_standing_tour_is_not_archived(staff: Client, tour: Tour) -> None:
    answer = staff.post(url("contact", "archive", tour.buyer_id))
    assert "Tour T-100 of this buyer still stands" in answer.content.decode()
    assert Contact.objects.get().archived_at is None


def test_a_buyers_page_leads_to_the_buyer_in_the_crm(
    staff: Client, tour: Tour, crm_row: Connection, settings: Any
) -> None:
    settings.REANNA_SANDBOX_URL = ""
    linked(crm_row, "contact", tour.buyer_id, "c<9")
    text = page(staff, "contact_change", tour.buyer_id)
    there = f"https://app.gohighlevel.com/v2/location/{crm_row.account_key}/contacts/detail/c%3C9"
    assert f'<a href="{there}" target="_blank" rel="noopener noreferrer">' in text
    assert '<code class="rr-id">c&lt;9</code>' in text
    assert f'<a href="{there}"' in page(staff, "tour_change", tour.pk)
