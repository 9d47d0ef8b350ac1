"""Buyers and agents over the API."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.models import AuditEvent, Contact
from tests.factories import AgentFactory, ContactFactory, OfficeFactory
from tests.integrations.api.asking import Asking, fields


def test_a_buyer_is_made_and_audited(api: Asking) -> None:
    answer = api.post("/api/contacts", {"first_name": "Bea", "email": "Bea@Mail.example"})
    assert (answer.status_code, answer.json()["email"]) == (201, "bea@mail.example")
    assert answer.json()["id"] == str(Contact.objects.get().pk)
    assert AuditEvent.objects.latest("id").verb == "contact.create"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"phone": "12"}, "phone"),
        ({"email": "x"}, "email"),
        ({"id": "3", "phone": "+19165550100"}, "id"),
    ],
)
def test_a_buyer_that_cannot_be_is_refused_by_name(api: Asking, body: dict[str, Any], field: str) -> None:
    answer = api.post("/api/contacts", body)
    assert (answer.status_code, list(fields(answer)), Contact.objects.count()) == (400, [field], 0)


def test_a_change_keeps_what_it_does_not_speak_of(api: Asking) -> None:
    contact = ContactFactory(first_name="Bea", phone="+19165550100")
    tag = api.get(f"/api/contacts/{contact.pk}")["ETag"]
    answer = api.patch(f"/api/contacts/{contact.pk}", {"first_name": "Beatrice"}, If_Match=tag)
    assert (answer.json()["first_name"], answer.json()["phone"]) == ("Beatrice", "+19165550100")
    assert api.patch(f"/api/contacts/{contact.pk}", {"first_name": "B"}, If_Match=tag).status_code == 412


def test_buyers_are_found_by_address_and_beginnings(api: Asking) -> None:
    one, _ = ContactFactory(last_name="Lopez", email="bea@mail.example"), ContactFactory(last_name="Moss")
    for query in ("email=BEA@mail.example", "text=lop", f"phone=%2B{one.phone[1:]}"):
        assert [row["id"] for row in api.get(f"/api/contacts?{query}").json()["results"]] == [str(one.pk)]


def test_agents_are_read_and_nothing_else(api: Asking) -> None:
    agent = AgentFactory(office=OfficeFactory(name="North"))
    assert api.get(f"/api/agents/{agent.pk}").json()["office"]["name"] == "North"
    assert [row["id"] for row in api.get(f"/api/agents?office={agent.office_id}").json()["results"]] == [str(agent.pk)]
    assert api.post("/api/agents", {}).status_code == 405
    assert api.patch(f"/api/agents/{agent.pk}", {}).status_code == 405


@pytest.mark.parametrize("query", ["password=x", "tours__buyer__email=x", "office__name=x", "users__external_id=1"])
def test_agents_cannot_be_asked_about_what_is_not_shown(api: Asking, query: str) -> None:
    answer = api.get(f"/api/agents?{query}")
    assert (answer.status_code, list(fields(answer))) == (400, [query.split("=", maxsplit=1)[0]])


@pytest.mark.parametrize("path", ["contacts", "agents"])
def test_lists_ask_a_fixed_number_of_questions(api: Asking, path: str, django_assert_max_num_queries: Any) -> None:
    for _ in range(20):
        ContactFactory()
        AgentFactory(office=OfficeFactory())
    with django_assert_max_num_queries(6):
        assert len(api.get(f"/api/{path}").json()["results"]) == 20
