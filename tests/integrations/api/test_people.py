"""Buyers and agents over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from integrations.models import AuditEvent, Contact, Tour
from tests.factories import AgentFactory, ContactFactory, OfficeFactory
from tests.integrations.api.asking import NOW, Asking, fields


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


def test_agents_are_listed_by_office(api: Asking) -> None:
    agent = AgentFactory(office=OfficeFactory(name="North"))
    assert api.get(f"/api/agents/{agent.pk}").json()["office"]["name"] == "North"
    assert [row["id"] for row in api.get(f"/api/agents?office={agent.office_id}").json()["results"]] == [str(agent.pk)]


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


def test_a_buyer_is_put_away_and_brought_back(api: Asking) -> None:
    buyer = ContactFactory()
    at = f"/api/contacts/{buyer.pk}"
    tag = api.get(at)["ETag"]
    away = api.post(f"{at}/archive", {"reason": "moved"}, If_Match=tag)
    assert (away.status_code, away.json()["archived_at"] is not None) == (200, True)
    assert api.post(f"{at}/unarchive", If_Match=tag).status_code == 412
    assert api.post(f"{at}/unarchive", If_Match=away["ETag"]).json()["archived_at"] is None
    assert list(AuditEvent.objects.order_by("id").values_list("verb", "reason", "via")) == [
        ("token.create", "", "admin"), ("contact.archive", "moved", "api"), ("contact.unarchive", "", "api"),
    ]  # fmt: skip


def test_a_buyer_whose_tour_stands_stays(api: Asking, tour: Tour) -> None:
    at = f"/api/contacts/{tour.buyer_id}"
    answer = api.post(f"{at}/archive")
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "Tour T-100 of this buyer still stands: complete or cancel it first.",
    )
    assert api.ask("DELETE", at, If_Match="*").status_code == 409
    assert Contact.objects.get().archived_at is None


def test_a_buyer_nobody_knows_is_deleted_by_who_saw_the_last_change(api: Asking) -> None:
    buyer = ContactFactory()
    at = f"/api/contacts/{buyer.pk}"
    assert api.ask("DELETE", at).status_code == 428
    assert api.ask("DELETE", at, If_Match='"old"').status_code == 412
    gone = api.ask("DELETE", at, If_Match=api.get(at)["ETag"], Idempotency_Key="k")
    assert (gone.status_code, gone.content, Contact.objects.count()) == (204, b"", 0)
    again = api.ask("DELETE", at, If_Match=gone.wsgi_request.headers["If-Match"], Idempotency_Key="k")
    assert (again.status_code, again["Idempotent-Replayed"]) == (204, "true")
    assert api.ask("DELETE", at, If_Match="*").status_code == 404


def test_buyers_are_filtered(api: Asking, tour: Tour) -> None:
    other = ContactFactory()
    tour.further_buyers.add(other)
    third = ContactFactory()
    Contact.objects.filter(pk=third.pk).update(updated_at=NOW + timedelta(days=900))
    for query, wanted in (
        (f"tour={tour.pk}", [other.pk, tour.buyer_id]),
        (f"agent={tour.agent_id}", [tour.buyer_id]),
        (f"updated_since={NOW + timedelta(days=900):%Y-%m-%dT%H:%MZ}", [third.pk]),
        ("updated_since=2090-01-01T00:00%2B02:00", []),
    ):
        rows = api.get(f"/api/contacts?{query}").json()["results"]
        assert [row["id"] for row in rows] == [str(pk) for pk in wanted], query
    for value in ("2026-01-01T00:00", "yesterday", "9999-01-01T00:00Z", "2026-01-01T00:00Z" * 9):
        answer = api.get(f"/api/contacts?updated_since={value}")
        assert (answer.status_code, list(fields(answer))) == (400, ["updated_since"]), value
