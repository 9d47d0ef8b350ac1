"""Merging two buyers over the API: the plan, and what it is confirmed by."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.models import Contact, Tour
from tests.factories import ConnectionFactory, ContactFactory, ExternalRefFactory
from tests.integrations.api.asking import Asking, fields, token


@pytest.fixture
def pair(tour: Tour) -> tuple[Contact, Contact]:
    """(merged, survivor)."""
    Contact.objects.filter(pk=tour.buyer_id).update(email="b@work.example", phone="+19165550111")
    survivor = ContactFactory(first_name="Bea", last_name="Lopez", email="bea@mail.example", phone="+19165550111")
    return tour.buyer, survivor


def plan_of(api: Asking, merged: Contact, survivor: Contact) -> Any:
    return api.get(f"/api/contacts/{merged.pk}/merge?into={survivor.pk}")


def test_the_plan_says_what_would_happen_and_nothing_happens(api: Asking, pair: tuple[Contact, Contact]) -> None:
    merged, survivor = pair
    ref = ExternalRefFactory(
        connection=ConnectionFactory(label="Main"), entity_type="contact", entity_id=merged.pk, resource="contact"
    )
    answer = plan_of(api, merged, survivor)
    told = answer.json()
    assert (answer.status_code, told["tours"], told["refusals"]) == (200, 1, [])
    assert {value["name"]: value["asked"] for value in told["values"]}["email"] is True
    assert told["values"][3] == {
        "name": "phone", "survivor": "+19165550111", "merged": "+19165550111", "asked": False,
    }  # fmt: skip
    (there,) = told["connections"]
    assert (there["connection_label"], there["links"], there["merged_external_id"]) == (
        "Main",
        "taken",
        ref.external_id,
    )
    assert told["says"][-1].startswith("This cannot be undone")
    assert Contact.objects.filter(merged_into__isnull=False).count() == 0


def test_a_merge_is_confirmed_by_the_plan(api: Asking, pair: tuple[Contact, Contact]) -> None:
    merged, survivor = pair
    tag = plan_of(api, merged, survivor)["ETag"]
    body = {"into": str(survivor.pk), "fields": {"email": "merged"}, "reason": "same person"}
    answer = api.post(f"/api/contacts/{merged.pk}/merge", body, If_Match=tag)
    assert (answer.status_code, answer.json()["email"]) == (200, "b@work.example")
    assert api.get(f"/api/contacts/{merged.pk}").json()["merged_into_id"] == str(survivor.pk)
    assert Tour.objects.get().buyer_id == survivor.pk
    again = api.post(f"/api/contacts/{merged.pk}/merge", body, If_Match=tag)
    assert again.status_code == 409


def test_without_the_plan_or_with_an_old_one_nothing_is_merged(api: Asking, pair: tuple[Contact, Contact]) -> None:
    merged, survivor = pair
    url, body = f"/api/contacts/{merged.pk}/merge", {"into": str(survivor.pk)}
    tag = plan_of(api, merged, survivor)["ETag"]
    assert api.post(url, body).status_code == 428
    Contact.objects.filter(pk=survivor.pk).update(phone="+19165550199", version=2)
    assert api.post(url, body, If_Match=tag).status_code == 412
    assert Contact.objects.filter(merged_into__isnull=False).count() == 0


def test_the_same_request_again_is_answered_again(api: Asking, pair: tuple[Contact, Contact]) -> None:
    merged, survivor = pair
    asked = {"If_Match": "*", "Idempotency_Key": "merge-1"}
    first = api.post(f"/api/contacts/{merged.pk}/merge", {"into": str(survivor.pk)}, **asked)
    again = api.post(f"/api/contacts/{merged.pk}/merge", {"into": str(survivor.pk)}, **asked)
    assert (first.status_code, again.status_code, again["Idempotent-Replayed"]) == (200, 200, "true")
    assert again.json() == first.json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "into"),
        ({"into": "x"}, "into"),
        ({"into": "999999"}, "into"),
        ({"into": "SELF"}, "into"),
        ({"into": "OTHER", "fields": {"email": "theirs"}}, "fields.email"),
        ({"into": "OTHER", "fields": {"notes": "merged"}}, "fields.notes"),
        ({"into": "OTHER", "fields": []}, "fields"),
        ({"into": "OTHER", "fields": {"email": ["merged"]}}, "fields.email"),
    ],
)
def test_what_cannot_be_taken_is_named(
    api: Asking, pair: tuple[Contact, Contact], body: dict[str, Any], field: str
) -> None:
    merged, survivor = pair
    ids = {"SELF": str(merged.pk), "OTHER": str(survivor.pk)}
    body = {name: ids.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
    answer = api.post(f"/api/contacts/{merged.pk}/merge", body, If_Match="*")
    assert (answer.status_code, list(fields(answer))) == (400, [field])
    assert Contact.objects.filter(merged_into__isnull=False).count() == 0


def test_a_new_tour_of_the_merged_one_is_the_survivors(api: Asking, pair: tuple[Contact, Contact], tour: Tour) -> None:
    merged, survivor = pair
    api.post(f"/api/contacts/{merged.pk}/merge", {"into": str(survivor.pk)}, If_Match="*")
    body = {
        "reference": "T-2", "time_zone": "America/Los_Angeles", "starts_at": "2031-09-15T14:00",
        "agent": {"id": str(tour.agent_id)}, "buyer": {"id": str(merged.pk)},
    }  # fmt: skip
    answer = api.post("/api/tours", body)
    assert (answer.status_code, answer.json()["buyer"]["id"]) == (201, str(survivor.pk))


def test_changing_contacts_is_not_enough(pair: tuple[Contact, Contact]) -> None:
    merged, survivor = pair
    asking = Asking(token("contacts:write"))
    assert asking.get(f"/api/contacts/{merged.pk}/merge?into={survivor.pk}").status_code == 403
    asked = asking.post(f"/api/contacts/{merged.pk}/merge", {"into": str(survivor.pk)}, If_Match="*")
    assert asked.status_code == 403
