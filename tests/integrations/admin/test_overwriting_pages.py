"""Whose values win when a record was changed in the CRM, as staff press it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import AuditEvent, ExternalRef, Operation, Tour
from tests.integrations.admin.browsing import messages_of, page

Make = Callable[..., Operation]
TOLD = "title: there “<b>Coffee</b>”, ours “Showing”"


@pytest.fixture
def asked(operation_of: Make) -> Operation:
    operation = operation_of(state="needs_person", reason="changed_at_provider", message=TOLD)
    ExternalRef.objects.create(
        connection=operation.connection, entity_type="stop", entity_id=operation.entity_id, resource="appointment",
        external_id="appt_1", acked_version=1, acked_digest="d" * 64, acked_body={"title": "Showing"},
    )  # fmt: skip
    return operation


def verb_url(operation: Operation, verb: str) -> str:
    return reverse("admin:integrations_operation_verb", args=[operation.pk, verb])


def test_the_page_asks_with_exactly_two_ways(staff: Client, asked: Operation) -> None:
    answer = staff.get(reverse("admin:integrations_operation_change", args=[asked.pk]))
    assert [verb.slug for verb in answer.context["story"].verbs] == ["send-ours", "keep-theirs"]
    text = answer.content.decode()
    assert "Send ours over it, or keep theirs?" in text
    assert "there “&lt;b&gt;Coffee&lt;/b&gt;”" in text


def test_the_tour_page_offers_both(staff: Client, viewer: Client, tour: Tour, asked: Operation) -> None:
    text = page(staff, "tour_change", tour.pk)
    assert [slug for slug in ("send-ours", "keep-theirs", "retry") if verb_url(asked, slug) in text] == [
        "send-ours",
        "keep-theirs",
    ]
    assert verb_url(asked, "send-ours") not in page(viewer, "tour_change", tour.pk)


@pytest.mark.parametrize("verb", ["send-ours", "keep-theirs"])
def test_asking_changes_nothing(staff: Client, asked: Operation, verb: str) -> None:
    assert staff.get(verb_url(asked, verb)).status_code == 200
    assert (Operation.objects.get().state, AuditEvent.objects.count()) == ("needs_person", 0)


@pytest.mark.parametrize(
    ("verb", "state", "reason", "body"),
    [("send-ours", "pending", "", None), ("keep-theirs", "cancelled", "kept_theirs", {"title": "Showing"})],
)
def test_a_double_click_answers_once(
    staff: Client, asked: Operation, verb: str, state: str, reason: str, body: Any
) -> None:
    for _ in range(2):
        answer = staff.post(verb_url(asked, verb), {"reason": "they know better"})
    after, ref = Operation.objects.get(), ExternalRef.objects.get()
    assert (after.state, after.reason, ref.acked_body, ref.acked_digest) == (state, reason, body, None)
    event = AuditEvent.objects.get()
    assert (event.verb, event.actor, event.reason) == (verb.replace("-", "_"), "ada", "they know better")
    assert "does not apply" in messages_of(answer)[-1]


def test_what_was_kept_says_so(staff: Client, tour: Tour, asked: Operation) -> None:
    staff.post(verb_url(asked, "keep-theirs"))
    text = page(staff, "tour_change", tour.pk)
    assert "Kept as the CRM shows it" in text
    assert "Our next change asks again." in text


@pytest.mark.parametrize("verb", ["send-ours", "keep-theirs", "recreate", "leave-out"])
def test_who_may_only_look_may_not_decide(viewer: Client, asked: Operation, verb: str) -> None:
    assert viewer.post(verb_url(asked, verb), {"reason": "x"}).status_code == 403
    assert Operation.objects.get().state == "needs_person"


@pytest.mark.parametrize("verb", ["send-ours", "keep-theirs"])
def test_it_does_not_apply_to_another_question(staff: Client, operation_of: Make, verb: str) -> None:
    operation = operation_of(state="needs_person", reason="two_matches", in_doubt=True)
    staff.post(verb_url(operation, verb))
    assert (Operation.objects.get().state, AuditEvent.objects.count()) == ("needs_person", 0)
