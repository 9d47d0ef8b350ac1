"""Feedback: the list and the form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import AuditEvent, Connection, Feedback, Operation, Tour, TourStop
from integrations.operations import planning
from tests.factories import FeedbackFactory
from tests.integrations.admin.browsing import page

ADD = "/admin/integrations/feedback/add/"


def answer_data(**values: Any) -> dict[str, Any]:
    return {
        "tour_ref": "T-100", "stop_sequence": "1", "author_role": "buyer", "submitted_at": "2027-09-14T18:00",
        "channel": "form", "interest_level": "interested", "overall_rating": "4", "price_opinion": "fair",
        "second_showing": "", "likes": "kitchen | light", "dislikes": "", "comments": "Nice.", **values,
    }  # fmt: skip


def errors_of(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return list(answer.context["form"].errors)


def test_an_answer_is_stored_in_utc(staff: Client, tour: Tour) -> None:
    staff.post(ADD, answer_data())
    stored = Feedback.objects.get()
    assert (stored.submitted_at, stored.likes) == (datetime(2027, 9, 15, 1, 0, tzinfo=UTC), ["kitchen", "light"])


def test_the_form_is_filled_in_from_the_tours_page(staff: Client, tour: Tour) -> None:
    form = staff.get(ADD, {"tour_ref": "T-100", "stop_sequence": "2"}).context["form"]
    assert (form["tour_ref"].value(), form["stop_sequence"].value()) == ("T-100", "2")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tour_ref", "T-999"), ("tour_ref", ""), ("stop_sequence", "x"), ("author_role", "cat"),
        ("submitted_at", "2027-03-14T02:30"), ("overall_rating", "6"), ("overall_rating", "9" * 5000),
        ("interest_level", "much"), ("likes", "x" * 81), ("comments", "\x00"), ("comments", "x" * 5001),
    ],
)  # fmt: skip
def test_bad_input_names_its_field_and_stores_nothing(staff: Client, tour: Tour, field: str, value: str) -> None:
    assert errors_of(staff.post(ADD, answer_data(**{field: value}))) == [field]
    assert Feedback.objects.count() == 0


def test_an_answer_is_not_overwritten_by_adding_it_again(staff: Client, tour: Tour) -> None:
    staff.post(ADD, answer_data())
    answer = staff.post(ADD, answer_data(comments="Other."))
    assert "There is an answer of this role at this time already" in answer.content.decode()
    assert Feedback.objects.get().comments == "Nice."


def test_an_answer_is_corrected_and_audited(staff: Client, tour: Tour) -> None:
    stored = FeedbackFactory(stop=TourStop.objects.get(sequence=1))
    url = reverse("admin:integrations_feedback_change", args=[stored.pk])
    staff.post(url, answer_data(interest_level="unsure"))
    stored.refresh_from_db()
    assert (stored.interest_level, stored.version) == ("unsure", 2)
    assert AuditEvent.objects.get().verb == "feedback.update"


def test_feedback_is_not_deleted(staff: Client, tour: Tour) -> None:
    stored = FeedbackFactory(stop=TourStop.objects.get(sequence=1))
    assert staff.post(reverse("admin:integrations_feedback_delete", args=[stored.pk])).status_code == 403


def test_the_lists_query_count_does_not_grow(staff: Client, django_assert_max_num_queries: Any) -> None:
    FeedbackFactory.create_batch(10)
    with django_assert_max_num_queries(6):
        page(staff, "feedback_changelist")


def test_hostile_comments_are_shown_as_texts(staff: Client, tour: Tour) -> None:
    stored = FeedbackFactory(
        stop=TourStop.objects.get(sequence=1), comments="</textarea><script>alert(1)</script>", likes=["<b>"]
    )
    text = page(staff, "feedback_change", stored.pk)
    assert [tag for tag in ("<script>alert", "<b>") if tag in text] == []


def test_an_answers_page_says_what_became_of_it_at_each_crm(staff: Client, tour: Tour, crm_row: Connection) -> None:
    stored = FeedbackFactory(stop=TourStop.objects.get(sequence=1), second_showing="yes")
    planning.plan_feedback([stored])
    text = page(staff, "feedback_change", stored.pk)
    for operation in Operation.objects.filter(entity_type="feedback"):
        assert reverse("admin:integrations_operation_change", args=[operation.pk]) in text
    assert (text.count("Feedback note"), text.count("Follow-up task")) == (1, 1)


def test_the_page_of_a_note_leads_to_its_answer(staff: Client, tour: Tour, crm_row: Connection) -> None:
    stored = FeedbackFactory(stop=TourStop.objects.get(sequence=1))
    planning.plan_feedback([stored])
    text = page(staff, "operation_change", Operation.objects.get(kind="feedback.note").pk)
    assert reverse("admin:integrations_feedback_change", args=[stored.pk]) in text
    assert "T-100, feedback on 1 Elm St (buyer)" in text


def test_how_likely_an_offer_is_is_chosen_in_the_form(staff: Client, tour: Tour) -> None:
    stored = FeedbackFactory(stop=TourStop.objects.get(sequence=1))
    url = reverse("admin:integrations_feedback_change", args=[stored.pk])
    assert "Writing an offer" in page(staff, "feedback_change", stored.pk)
    staff.post(url, answer_data(offer_likelihood="writing_offer"))
    stored.refresh_from_db()
    assert (stored.offer_likelihood, stored.version) == ("writing_offer", 2)
    staff.post(url, answer_data(offer_likelihood="sure"))
    stored.refresh_from_db()
    assert stored.offer_likelihood == "writing_offer"
