"""What nobody may learn or set by guessing: columns a list does not show, fields a form does not have."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from integrations.models import ApiToken, Connection, Contact, Tour, TourStop
from tests.factories import AgentFactory, AttemptFactory, FeedbackFactory, OperationFactory, TourStopFactory
from tests.integrations.admin.conftest import signed_in
from tests.integrations.api.asking import person, token
from tests.who_may import RECORDS

OURS = sorted(name for name in RECORDS if name.startswith("integrations_"))
QUESTIONS = (
    "id__gt", "pk", "created_at__gt", "digest__startswith", "key_id__startswith", "secrets__startswith",
    "config__contains", "owner__password__startswith", "owner__is_superuser", "connection__secrets__startswith",
    "connection__config__contains", "agent__connection__secrets__startswith",
    "buyer__tours__stops__access_instructions__contains", "stops__access_instructions__contains",
    "stop__access_instructions__contains", "access_instructions__contains", "before__contains", "after__contains",
    "response_excerpt__contains", "attempts__request__contains", "acked_digest__startswith", "op_key__startswith",
    "skipped__contains", "actor__regex", "name__regex", "label__regex",
)  # fmt: skip


@pytest.fixture
def manager(db: None) -> Client:
    return signed_in(person("manager"))


@pytest.mark.parametrize("name", OURS)
def test_a_list_answers_no_question_but_its_filters(manager: Client, name: str) -> None:
    """Not even whether there is such a row: the whole list comes, with a word about it."""
    address = reverse(f"admin:{name}_changelist")
    answered = []
    for question in QUESTIONS:
        answer = manager.get(address, {question: "a"})
        if answer.status_code != 302 or answer["Location"] not in (address, f"{address}?e=1"):
            answered.append(question)
    assert answered == []


@pytest.mark.parametrize(
    "query", [{"o": "1.2.-3.99.x"}, {"o": "digest"}, {"p": "-1"}, {"_to_field": "digest"}, {"q": "%"}]
)
def test_no_order_page_or_search_tells_of_a_tokens_digest(manager: Client, query: dict[str, str]) -> None:
    token()
    made = ApiToken.objects.get()
    answer = manager.get(reverse("admin:integrations_apitoken_changelist"), query, follow=True)
    assert answer.status_code in (200, 400)
    assert made.digest not in answer.content.decode()


def test_a_token_is_not_found_by_its_digest(manager: Client) -> None:
    token()
    digest = ApiToken.objects.get().digest
    text = manager.get(reverse("admin:integrations_apitoken_changelist"), {"q": digest[:8]}).content.decode()
    assert "Website" not in text


def test_the_box_of_choices_tells_nothing_about_other_records(manager: Client) -> None:
    url = reverse("admin:autocomplete")
    wrong = [
        {"app_label": "integrations", "model_name": "apitoken", "field_name": "owner"},
        {"app_label": "auth", "model_name": "user", "field_name": "groups"},
        {"app_label": "admin", "model_name": "logentry", "field_name": "user"},
        {"app_label": "integrations", "model_name": "tour", "field_name": "id"},
    ]
    assert {manager.get(url, query).status_code for query in wrong} <= {403, 404}


FORBIDDEN: dict[str, Any] = {
    "id": "99", "pk": "99", "version": "99", "state": "disabled", "status": "completed", "created_at":
    "2020-01-01", "updated_at": "2020-01-01", "archived_at": "2020-01-01T00:00", "acked_digest": "x", "digest":
    "x", "key_id": "aaaaaaaa", "owner": "1", "secrets": '{"token": "mine"}', "credentials": "mine", "account_key":
    "mine", "provider": "rollout", "hold_until_ms": "9999999999999", "state_reason": "mine", "is_staff": "on",
    "is_superuser": "on", "password": "mine", "last_verified_at": "2020-01-01", "import_run": "1", "_state": "x",
    "__class__": "x",
}  # fmt: skip
"""Names that no form of ours has; those it has are left out where they are posted."""


def row(record: Any, *without: str) -> dict[str, Any]:
    values = type(record).objects.filter(pk=record.pk).values().get()
    return {name: value for name, value in values.items() if name not in (*without, "updated_at")}


def test_a_buyer_takes_only_what_the_form_has(manager: Client, tour: Tour) -> None:
    before = row(tour.buyer)
    url = reverse("admin:integrations_contact_change", args=[tour.buyer_id])
    given = {name: before[name] for name in ("first_name", "email", "phone")} | {"last_name": "Changed"}
    assert manager.post(url, {**FORBIDDEN, **given}).status_code == 302
    assert row(tour.buyer) == before | {"last_name": "Changed", "version": before["version"] + 1}
    assert Contact.objects.count() == 1


def test_an_agent_takes_only_what_the_form_has(manager: Client) -> None:
    agent = AgentFactory()
    before = row(agent)
    url = reverse("admin:integrations_agent_change", args=[agent.pk])
    given = {"name": "Changed", "email": agent.email, "active": "on", "mls_id": "", "office": "", "phone": ""}
    assert manager.post(url, {**FORBIDDEN, **given}).status_code == 302
    assert row(agent) == before | {"name": "Changed"}


def test_an_answer_stays_with_its_stop_and_author(manager: Client, tour: Tour) -> None:
    feedback = FeedbackFactory(stop=tour.stops.get(sequence=1))
    before = row(feedback)
    other = {"stop": str(tour.stops.get(sequence=2).pk), "stop_id": "2", "author_role": "buyer_agent"}
    other |= {"tour_ref": tour.reference, "stop_sequence": "2", "submitted_at": "2026-09-14T10:00", "version": "9"}
    url = reverse("admin:integrations_feedback_change", args=[feedback.pk])
    given = {"interest_level": "interested", "comments": "Changed"}
    assert manager.post(url, {**FORBIDDEN, **other, **given}).status_code == 302
    after = row(feedback)
    assert after["comments"] == "Changed"
    assert [after[name] for name in ("stop_id", "author_role", "submitted_at")] == [
        before[name] for name in ("stop_id", "author_role", "submitted_at")
    ]


def test_a_tour_takes_no_stop_of_another_tour(manager: Client, tour: Tour) -> None:
    foreign = TourStopFactory(street="9 Other St")
    before = row(foreign)
    url = reverse("admin:integrations_tour_edit", args=[tour.pk])
    page = manager.get(url).context["page"]
    given = {bound.html_name: bound.value() or "" for bound in page.form}
    text = manager.post(
        url,
        {
            **FORBIDDEN,
            **given,
            "stops-TOTAL_FORMS": "1",
            "stops-INITIAL_FORMS": "1",
            "stops-0-stop_id": str(foreign.pk),
            "stops-0-street": "Mine",
        },
    )
    assert text.status_code < 500
    assert row(foreign) == before
    assert TourStop.objects.filter(tour=tour).count() == 2


def test_a_connection_is_paused_and_held_by_its_verbs_alone(manager: Client, crm_row: Connection) -> None:
    columns = ("provider", "state", "state_reason", "account_key", "hold_until_ms", "last_verified_at")
    before = {name: getattr(crm_row, name) for name in columns}
    url = reverse("admin:integrations_connection_change", args=[crm_row.pk])
    manager.post(url, {**FORBIDDEN, "_anyway": "1", "label": "Changed", "scope": "brokerage"})
    after = Connection.objects.get()
    assert {name: getattr(after, name) for name in columns} == before
    assert after.secrets == {"token": "pit-0123456789-last"}


def test_a_token_is_its_makers_and_has_a_secret_of_ours(manager: Client) -> None:
    victim = User.objects.create_superuser("ada")
    given = {"name": "Mine", "scopes": "tours:read", "last_day": ""}
    answer = manager.post(reverse("admin:integrations_apitoken_add"), {**FORBIDDEN, "owner": str(victim.pk), **given})
    assert answer.status_code == 200
    made = ApiToken.objects.get()
    assert made.owner.username == "a-manager"
    assert len(made.digest) == 64
    assert made.key_id != "aaaaaaaa"


def test_nobody_makes_themselves_more_by_changing_their_password(db: None) -> None:
    user = User.objects.create_user("tim", password="an old one 8", is_staff=True)
    given = {"old_password": "an old one 8", "new_password1": "a new one 88", "new_password2": "a new one 88"}
    answer = signed_in(user).post(reverse("admin:password_change"), {**FORBIDDEN, **given})
    assert answer.status_code == 302
    user.refresh_from_db()
    assert user.check_password("a new one 88")
    assert (user.is_superuser, user.groups.count(), user.pk) == (False, 0, User.objects.get().pk)


def test_an_operation_is_changed_by_its_verbs_alone(manager: Client, crm_row: Connection) -> None:
    operation = OperationFactory(connection=crm_row, state="dead")
    AttemptFactory(operation=operation)
    before = row(operation)
    url = reverse("admin:integrations_operation_change", args=[operation.pk])
    assert manager.post(url, {**FORBIDDEN, "due_ms": "1"}).status_code == 405
    assert row(operation) == before
