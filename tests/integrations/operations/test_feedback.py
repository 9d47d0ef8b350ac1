"""Storing what was said after a showing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from integrations.models import AuditEvent, Feedback, Operation, TourStop
from integrations.operations.feedback import save_feedback, warnings
from integrations.operations.validation import FeedbackInput
from tests import factories as make

pytestmark = pytest.mark.django_db

BY = {"actor": "ann", "via": "api"}
AT = make.START + timedelta(hours=5)


def _said(role: str = "buyer", **values: Any) -> FeedbackInput:
    return FeedbackInput(role, AT, {"interest_level": "interested", "likes": ["yard"], **values})


def test_an_answer_is_stored_and_audited() -> None:
    make.ConnectionFactory()
    stop = make.TourStopFactory()

    saved = save_feedback(stop.pk, _said(), **BY)

    answer = Feedback.objects.get()
    assert (saved.created, answer.stop, answer.likes, answer.version) == (True, stop, ["yard"], 1)
    assert AuditEvent.objects.get().verb == "feedback.create"
    assert sorted(Operation.objects.values_list("kind", flat=True)) == [
        "contact.fields",
        "contact.link",
        "feedback.note",
    ]


def test_the_same_again_writes_nothing() -> None:
    stop = make.TourStopFactory()
    save_feedback(stop.pk, _said(), **BY)

    assert not save_feedback(stop.pk, _said(), **BY).changed

    assert (Feedback.objects.get().version, AuditEvent.objects.count()) == (1, 1)


def test_a_change_raises_its_version() -> None:
    stop = make.TourStopFactory()
    save_feedback(stop.pk, _said(), **BY)

    save_feedback(stop.pk, _said(likes=["yard", "kitchen"]), **BY)

    answer = Feedback.objects.get()
    event = AuditEvent.objects.latest("id")
    assert (answer.likes, answer.version) == (["yard", "kitchen"], 2)
    assert (event.verb, event.before, event.after) == (
        "feedback.update",
        {"likes": ["yard"]},
        {"likes": ["yard", "kitchen"]},
    )


def test_another_role_is_another_answer() -> None:
    stop = make.TourStopFactory()
    save_feedback(stop.pk, _said(), **BY)

    assert save_feedback(stop.pk, _said("buyer_agent"), **BY).created

    assert Feedback.objects.count() == 2


def test_an_unknown_stop_is_said() -> None:
    with pytest.raises(TourStop.DoesNotExist):
        save_feedback(404, _said(), **BY)


def test_what_is_odd_is_a_warning() -> None:
    stop = make.TourStopFactory()

    assert warnings(stop, AT, now=AT) == []
    assert warnings(stop, AT, now=AT - timedelta(seconds=1)) == [
        ("submitted_at", "This feedback is dated in the future.")
    ]
    stop.appointment_status = "cancelled"
    assert [field for field, _ in warnings(stop, AT, now=AT)] == ["stop_sequence"]
