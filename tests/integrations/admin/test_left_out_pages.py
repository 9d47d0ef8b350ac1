"""Leaving a tour, a buyer or what was deleted out of a CRM, as staff press it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import AuditEvent, Connection, ConnectionState, ExternalRef, LeftOut, Operation, Tour
from integrations.operations import left_out, planning
from integrations.operations.audit import Who
from tests.factories import FeedbackFactory
from tests.integrations.admin.browsing import linked, messages_of, page

Make = Callable[..., Operation]
BY = Who("ada", "admin")


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:integrations_{name}", args=args)


@pytest.fixture
def standing(tour: Tour, crm_row: Connection) -> Tour:
    """The tour's two stops stand in the CRM; a third operation waits."""
    planning.plan_tour(tour)
    for stop in tour.stops.all():
        linked(crm_row, "stop", stop.pk, f"appt_{stop.sequence}")
    linked(crm_row, "contact", tour.buyer_id, "c_1")
    Operation.objects.update(state="succeeded")
    planning.plan_feedback([FeedbackFactory(stop=tour.stops.first())])
    return tour


# --- a tour and a buyer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["tour", "contact"])
def test_it_counts_before_it_does(staff: Client, standing: Tour, crm_row: Connection, model: str) -> None:
    pk = standing.pk if model == "tour" else standing.buyer_id
    text = page(staff, f"{model}_leave_out", pk, crm_row.pk)
    assert "2 appointments are cancelled in Main CRM" in text
    assert "1 waiting operation ends" in text or "2 waiting operations end" in text
    assert (LeftOut.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_a_tour_is_left_out_with_its_reason(staff: Client, standing: Tour, crm_row: Connection) -> None:
    answer = staff.post(url("tour_leave_out", standing.pk, crm_row.pk), {"reason": "private sale"})
    assert answer["Location"] == url("tour_change", standing.pk)
    kept = LeftOut.objects.get()
    assert (kept.connection_id, kept.entity_type, kept.entity_id, kept.reason) == (
        crm_row.pk, "tour", standing.pk, "private sale",
    )  # fmt: skip
    assert "2 appointments are cancelled" in messages_of(answer)[0]
    assert AuditEvent.objects.get().actor == "ada"
    text = page(staff, "tour_change", standing.pk)
    assert "Left out of this CRM: private sale." in text
    assert f"../crm/{crm_row.pk}/take-back/" in text


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301, "a\x00b"])
def test_a_reason_must_be_given(staff: Client, standing: Tour, crm_row: Connection, reason: str) -> None:
    answer = staff.post(url("tour_leave_out", standing.pk, crm_row.pk), {"reason": reason})
    assert list(answer.context["form"].errors) == ["reason"]
    assert LeftOut.objects.count() == 0


def test_a_double_click_leaves_out_once(staff: Client, standing: Tour, crm_row: Connection) -> None:
    for _ in range(2):
        answer = staff.post(url("contact_leave_out", standing.buyer_id, crm_row.pk), {"reason": "moved away"})
    assert "left out of Main CRM already" in messages_of(answer)[-1]
    assert (LeftOut.objects.count(), AuditEvent.objects.count()) == (1, 1)


def test_a_buyers_page_offers_each_crm(staff: Client, standing: Tour, crm_row: Connection) -> None:
    assert f"../crm/{crm_row.pk}/leave-out/" in page(staff, "contact_change", standing.buyer_id)
    left_out.leave_out("contact", standing.buyer_id, crm_row.pk, "moved away", BY)
    text = page(staff, "contact_change", standing.buyer_id)
    assert "left out: moved away" in text
    assert f"../crm/{crm_row.pk}/take-back/" in text
    assert "Left out of this CRM: moved away." in page(staff, "tour_change", standing.pk)


@pytest.mark.parametrize("model", ["tour", "contact"])
def test_taking_back_says_what_stands_again(staff: Client, standing: Tour, crm_row: Connection, model: str) -> None:
    pk = standing.pk if model == "tour" else standing.buyer_id
    left_out.leave_out(model, pk, crm_row.pk, "private sale", BY)
    assert "2 appointments stand in Main CRM again" in page(staff, f"{model}_take_back", pk, crm_row.pk)
    assert LeftOut.objects.count() == 1
    staff.post(url(f"{model}_take_back", pk, crm_row.pk))
    assert LeftOut.objects.count() == 0
    assert AuditEvent.objects.latest("pk").verb == "take_back"


@pytest.mark.parametrize("connection", [4711, 2**70])
def test_a_connection_that_is_not_there_leads_back(staff: Client, tour: Tour, connection: int) -> None:
    assert staff.post(url("tour_leave_out", tour.pk, connection), {"reason": "x"}).status_code == 302
    assert LeftOut.objects.count() == 0


def test_a_disabled_connection_says_that_it_is_told_later(staff: Client, standing: Tour, crm_row: Connection) -> None:
    Connection.objects.update(state=ConnectionState.DISABLED)
    assert "the CRM is told once it is resumed" in page(staff, "tour_leave_out", standing.pk, crm_row.pk)


# --- the connection's list ------------------------------------------------------------------------------------------


def test_a_connection_lists_what_is_left_out(staff: Client, standing: Tour, crm_row: Connection) -> None:
    assert "Nothing. A tour or a buyer is left out" in page(staff, "connection_change", crm_row.pk)
    stop, answer = standing.stops.get(sequence=2), standing.stops.get(sequence=1).feedback.get()
    for entity_type, pk in (
        ("tour", standing.pk), ("contact", standing.buyer_id), ("stop", stop.pk), ("feedback", answer.pk),
    ):  # fmt: skip
        left_out.leave_out(entity_type, pk, crm_row.pk, f"why {entity_type}", BY)
    text = page(staff, "connection_change", crm_row.pk)
    for words in ("T-100 Two homes</a>: why tour", "why contact", "T-100, stop 2: 2 Elm St</a>: why stop",
                  "why feedback"):  # fmt: skip
        assert words in text
    assert text.count("/take-back/") == 4


def test_from_there_it_is_taken_back_once(staff: Client, standing: Tour, crm_row: Connection) -> None:
    stop = standing.stops.get(sequence=2)
    left_out.leave_out("stop", stop.pk, crm_row.pk, "gone", BY)
    row = LeftOut.objects.get()
    assert "1 appointment stands" in page(staff, "connection_take_back", crm_row.pk, row.pk)
    for _ in range(2):
        answer = staff.post(url("connection_take_back", crm_row.pk, row.pk))
    assert LeftOut.objects.count() == 0
    assert messages_of(answer)[-1] == "This was taken back already."


# --- deleted in the CRM ---------------------------------------------------------------------------------------------


@pytest.fixture
def gone(operation_of: Make) -> Operation:
    operation = operation_of(state="dead", reason="gone_at_provider")
    ExternalRef.objects.create(
        connection=operation.connection, entity_type="stop", entity_id=operation.entity_id, resource="appointment"
    )
    return operation


def test_what_was_deleted_there_offers_exactly_two_ways(staff: Client, gone: Operation) -> None:
    story = staff.get(url("operation_change", gone.pk)).context["story"]
    assert [verb.slug for verb in story.verbs] == ["recreate", "leave-out"]


def test_the_tour_page_offers_both(staff: Client, tour: Tour, gone: Operation) -> None:
    text = page(staff, "tour_change", tour.pk)
    assert [slug for slug in ("recreate", "leave-out", "retry") if url("operation_verb", gone.pk, slug) in text] == [
        "recreate",
        "leave-out",
    ]


def test_who_may_only_look_is_offered_neither(viewer: Client, tour: Tour, gone: Operation) -> None:
    assert "/recreate/" not in page(viewer, "tour_change", tour.pk)


def test_recreate_sends_it_again_once(staff: Client, gone: Operation) -> None:
    assert "A new record is made" in page(staff, "operation_verb", gone.pk, "recreate")
    for _ in range(2):
        staff.post(url("operation_verb", gone.pk, "recreate"))
    after = Operation.objects.get(pk=gone.pk)
    assert (after.state, after.redrive_no) == ("pending", 1)
    assert list(AuditEvent.objects.values_list("verb", flat=True)) == ["recreate"]


def test_leaving_it_out_ends_the_operation(staff: Client, gone: Operation) -> None:
    assert "1 waiting operation ends" in page(staff, "operation_verb", gone.pk, "leave-out")
    for _ in range(2):
        staff.post(url("operation_verb", gone.pk, "leave-out"), {"reason": "deleted on purpose"})
    after = Operation.objects.get(pk=gone.pk)
    assert (after.state, after.reason) == ("cancelled", "left_out")
    kept = LeftOut.objects.get()
    assert (kept.entity_type, kept.entity_id, kept.reason) == ("stop", gone.entity_id, "deleted on purpose")
    assert list(AuditEvent.objects.values_list("verb", flat=True)) == ["leave_out"]
    assert staff.get(url("operation_change", gone.pk)).context["story"].verbs == []


def test_what_is_no_record_of_ours_can_only_be_recreated(
    staff: Client, crm_row: Connection, operation_of: Make
) -> None:
    operation = operation_of(
        state="dead", reason="gone_at_provider", kind="appointment_type.link", entity_type="connection",
        entity_id=crm_row.pk,
    )  # fmt: skip
    story = staff.get(url("operation_change", operation.pk)).context["story"]
    assert [verb.slug for verb in story.verbs] == ["recreate"]
    assert staff.post(url("operation_verb", operation.pk, "leave-out"), {"reason": "x"}).status_code == 302
    assert LeftOut.objects.count() == 0


@pytest.mark.parametrize("verb", ["recreate", "leave-out"])
def test_neither_applies_to_another_failure(staff: Client, operation_of: Make, verb: str) -> None:
    operation = operation_of(state="dead", reason="rejected")
    staff.post(url("operation_verb", operation.pk, verb), {"reason": "x"})
    assert (Operation.objects.get(pk=operation.pk).state, LeftOut.objects.count()) == ("dead", 0)
