"""The page that answers "why hasn't this tour synced?"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.engine.clock import db_now
from integrations.models import (
    AuditEvent,
    Connection,
    GateMode,
    Operation,
    OperationDependency,
    Tour,
    TourStop,
)
from integrations.operations import planning
from integrations.operations.tours import set_tour_status
from tests.factories import ConnectionFactory, ExternalRefFactory, FeedbackFactory, OperationFactory, TourStopFactory
from tests.integrations.admin.browsing import and_the_clock, linked, messages_of, page

# One for each kind of record the page shows, however many there are; on PostgreSQL one more, which asks the time.
PAGE_QUERIES = 14


def url(name: str, tour: Tour, *more: Any) -> str:
    return reverse(f"admin:integrations_tour_{name}", args=[tour.pk, *more])


def test_times_stand_in_the_tours_zone(staff: Client, tour: Tour) -> None:
    assert "Tue 14 Sep 2027, 14:00–14:30 PDT" in page(staff, "tour_change", tour.pk)


def test_stops_stand_in_their_order(staff: Client, tour: Tour) -> None:
    text = page(staff, "tour_change", tour.pk)
    assert text.index("1. 1 Elm St") < text.index("2. 2 Elm St")


def test_what_is_in_the_crm_is_said_with_its_id(
    staff: Client, tour: Tour, operation_of: Callable[..., Operation]
) -> None:
    operation = operation_of(state="succeeded")
    linked(operation.connection, "stop", operation.entity_id, "appt_77")
    text = " ".join(page(staff, "tour_change", tour.pk).split())
    assert '<span class="rr-badge rr-in">In the CRM</span> <code class="rr-id">appt_77</code>' in text


def test_what_waits_is_said_with_its_operation(
    staff: Client, tour: Tour, operation_of: Callable[..., Operation]
) -> None:
    operation = operation_of(state="waiting", reason="rate_limited", due_ms=db_now() + 90_000)
    text = page(staff, "tour_change", tour.pk)
    assert "The CRM&#x27;s rate limit; not before" in text
    assert reverse("admin:integrations_operation_change", args=[operation.pk]) in text


def test_what_blocks_is_linked(staff: Client, tour: Tour, operation_of: Callable[..., Operation]) -> None:
    link = operation_of(kind="contact.link", entity_type="contact", entity_id=tour.buyer_id, state="dead")
    blocked = operation_of(blockers=1)
    OperationDependency.objects.create(operation=blocked, needs=link)
    text = " ".join(page(staff, "tour_change", tour.pk).split())
    assert f">operation {link.pk}</a>, Buyer: failed" in text


def test_a_stuck_blocker_is_named_before_others(
    staff: Client, tour: Tour, operation_of: Callable[..., Operation]
) -> None:
    other = operation_of(place=2)
    link = operation_of(kind="contact.link", entity_type="contact", entity_id=tour.buyer_id, state="dead")
    blocked = operation_of(blockers=2)
    OperationDependency.objects.create(operation=blocked, needs=other)
    OperationDependency.objects.create(operation=blocked, needs=link)
    assert f">operation {link.pk}</a>" in page(staff, "tour_change", tour.pk)


def test_a_connection_the_tour_is_not_routed_to_says_why(staff: Client, tour: Tour) -> None:
    ConnectionFactory(scope="agent", agent=tour.agent.__class__.objects.create(name="Else", email="else@x.example"))
    assert "This connection belongs to another agent." in page(staff, "tour_change", tour.pk)


def test_redis_away_is_said(staff: Client, tour: Tour, operation_of: Callable[..., Operation]) -> None:
    operation_of()
    GateMode.objects.update_or_create(pk=1, defaults={"mode": "away"})
    assert "Redis cannot be reached, so no more than a trickle is sent." in page(staff, "tour_change", tour.pk)


def test_only_the_newest_version_is_told(staff: Client, tour: Tour, operation_of: Callable[..., Operation]) -> None:
    operation_of(state="dead", reason="rejected", version=1)
    operation_of(state="pending", version=2)
    assert "The CRM refused it" not in page(staff, "tour_change", tour.pk)


def test_a_linked_buyer_of_a_cancelled_tour_is_still_in_the_crm(staff: Client, tour: Tour, crm_row: Connection) -> None:
    Tour.objects.filter(pk=tour.pk).update(status="cancelled")
    linked(crm_row, "contact", tour.buyer_id, "person_1")
    text = " ".join(page(staff, "tour_change", tour.pk).split())
    assert '<span class="rr-badge rr-in">In the CRM</span> <code class="rr-id">person_1</code>' in text


def test_without_a_connection_the_page_says_what_to_do(staff: Client, tour: Tour) -> None:
    assert "No CRM is connected yet." in page(staff, "tour_change", tour.pk)


def test_the_number_of_queries_does_not_grow(
    staff: Client, tour: Tour, crm_row: Connection, django_assert_max_num_queries: Any
) -> None:
    for place in range(3, 23):
        TourStopFactory(tour=tour, sequence=place)
    for _ in range(4):
        ConnectionFactory()
    planning.plan_tour(tour)
    with django_assert_max_num_queries(and_the_clock(PAGE_QUERIES)):
        page(staff, "tour_change", tour.pk)


def test_hostile_texts_are_shown_as_texts(staff: Client, tour: Tour, operation_of: Callable[..., Operation]) -> None:
    evil = "<img src=x onerror=alert(1)>"
    Tour.objects.filter(pk=tour.pk).update(title=evil, notes=evil)
    TourStop.objects.filter(tour=tour).update(street=evil, city=evil)
    operation_of(state="dead", reason="rejected", message=evil)
    Connection.objects.update(label=evil[:80], state_reason=evil)
    assert "<img" not in page(staff, "tour_change", tour.pk)


def test_the_page_takes_no_post(staff: Client, tour: Tour) -> None:
    assert staff.post(url("change", tour)).status_code == 405


# --- verbs ----------------------------------------------------------------------------------------------------------


def test_asking_to_cancel_changes_nothing(staff: Client, tour: Tour) -> None:
    assert staff.get(url("cancel", tour)).status_code == 200
    assert Tour.objects.get().status == "scheduled"


def test_cancelling_cancels_and_is_audited(staff: Client, tour: Tour) -> None:
    answer = staff.post(url("cancel", tour), {"reason": "ill"})
    assert answer.status_code == 302
    assert Tour.objects.get().status == "cancelled"
    event = AuditEvent.objects.get()
    assert (event.actor, event.via, event.verb, event.reason) == ("ada", "admin", "tour.cancelled", "ill")


def test_cancelling_twice_does_it_once(staff: Client, tour: Tour) -> None:
    staff.post(url("cancel", tour))
    answer = staff.post(url("cancel", tour))
    assert messages_of(answer)[-1] == "Cancel tour: nothing to do, it was so already."
    assert AuditEvent.objects.count() == 1


def test_a_standing_tour_is_not_archived(staff: Client, tour: Tour) -> None:
    answer = staff.post(url("archive", tour))
    assert "This tour still stands" in answer.content.decode()
    assert Tour.objects.get().archived_at is None


def test_a_cancelled_tour_is_archived_and_brought_back(staff: Client, tour: Tour) -> None:
    Tour.objects.update(status="cancelled")
    staff.post(url("archive", tour))
    assert Tour.objects.get().archived_at is not None
    staff.post(url("unarchive", tour))
    assert Tour.objects.get().archived_at is None


def test_a_stop_is_cancelled_by_its_status(staff: Client, tour: Tour) -> None:
    stop = TourStop.objects.get(sequence=2)
    staff.post(url("stop_status", tour, stop.pk), {"value": "cancelled"})
    stop.refresh_from_db()
    assert (stop.appointment_status, stop.version) == ("cancelled", 2)


def test_an_unknown_status_is_refused_at_its_field(staff: Client, tour: Tour) -> None:
    stop = TourStop.objects.get(sequence=2)
    answer = staff.post(url("stop_status", tour, stop.pk), {"value": "gone\x00"})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert TourStop.objects.get(pk=stop.pk).appointment_status == "confirmed"


def test_an_outcome_is_noted(staff: Client, tour: Tour) -> None:
    stop = TourStop.objects.get(sequence=1)
    staff.post(url("stop_outcome", tour, stop.pk), {"value": "showed"})
    assert TourStop.objects.get(pk=stop.pk).outcome == "showed"


def test_a_stop_of_another_tour_is_not_touched(staff: Client, tour: Tour) -> None:
    other = TourStopFactory()
    answer = staff.post(url("stop_status", tour, other.pk), {"value": "cancelled"})
    assert answer.status_code == 302
    assert TourStop.objects.get(pk=other.pk).appointment_status == "confirmed"


def test_a_tour_the_crm_knows_is_not_deleted(staff: Client, tour: Tour, operation_of: Callable[..., Operation]) -> None:
    operation_of()
    answer = staff.post(url("delete", tour))
    assert "This tour is known to a CRM or has operations, so it cannot be deleted." in answer.content.decode()
    assert Tour.objects.count() == 1


def test_a_tour_nobody_knows_is_deleted(staff: Client, tour: Tour) -> None:
    assert staff.post(url("delete", tour)).url == reverse("admin:integrations_tour_changelist")
    assert Tour.objects.count() == 0


def test_a_tour_is_not_deleted_by_looking(staff: Client, tour: Tour) -> None:
    assert staff.get(url("delete", tour)).status_code == 200
    assert Tour.objects.count() == 1


@pytest.mark.parametrize("name", ["change", "edit", "cancel", "archive", "unarchive", "delete", "history"])
@pytest.mark.parametrize("bad", ["0", "abc", "99999999999999999999999", "1'--", "%00"])
def test_ids_that_are_none_are_told(staff: Client, db: None, name: str, bad: str) -> None:
    answer = staff.get(reverse(f"admin:integrations_tour_{name}", args=["ID"]).replace("ID", bad))
    assert answer.status_code == 302
    assert "There is no tour" in messages_of(answer)[0]


def test_the_list_shows_a_tour_with_a_fixed_number_of_queries(
    staff: Client, tour: Tour, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        TourStopFactory()
    with django_assert_max_num_queries(10):
        assert "T-100" in page(staff, "tour_changelist")


def test_the_list_is_searched_by_reference(staff: Client, tour: Tour) -> None:
    other = TourStopFactory().tour
    text = page(staff, "tour_changelist", q="T-100")
    assert "T-100" in text
    assert f">{other.reference}<" not in text


def test_the_list_is_filtered_by_what_is_archived(staff: Client, tour: Tour) -> None:
    assert "T-100" not in page(staff, "tour_changelist", archived="yes")
    assert "T-100" in page(staff, "tour_changelist", archived="no")


def test_operations_of_another_entity_with_the_same_id_do_not_leak(
    staff: Client, tour: Tour, crm_row: Connection
) -> None:
    stop = TourStop.objects.get(sequence=1)
    OperationFactory(
        connection=crm_row, kind="contact.link", entity_type="contact", entity_id=stop.pk + 10_000, state="dead"
    )
    assert "Failed" not in page(staff, "tour_change", tour.pk)


# --- feedback -------------------------------------------------------------------------------------------------------


def test_what_was_said_stands_under_its_stop_with_its_note_and_task(
    staff: Client, tour: Tour, crm_row: Connection
) -> None:
    answer = FeedbackFactory(stop=tour.stops.get(sequence=1), second_showing="yes")
    planning.plan_feedback([answer])
    ExternalRefFactory(
        connection=crm_row, entity_type="feedback", entity_id=answer.pk, resource="note", external_id="note_1"
    )
    Operation.objects.filter(kind="feedback.note").update(state="succeeded")
    text = " ".join(page(staff, "tour_change", tour.pk).split())
    assert f'<a href="/admin/integrations/feedback/{answer.pk}/change/">Feedback of the buyer</a>: interested' in text
    note, task = (Operation.objects.get(kind=kind) for kind in ("feedback.note", "feedback.task"))
    assert (
        'Feedback note</span> <span class="rr-badge rr-in">In the CRM</span> <code class="rr-id">note_1</code>' in text
    )
    assert 'Follow-up task</span> <span class="rr-badge rr-blocked">Blocked by</span>' in text
    for operation in (note, task):
        assert f'href="/admin/integrations/operation/{operation.pk}/change/"' in text


def test_an_answer_that_calls_for_nothing_has_no_line_for_a_task(
    staff: Client, tour: Tour, crm_row: Connection
) -> None:
    planning.plan_feedback([FeedbackFactory(stop=tour.stops.get(sequence=1))])
    assert "Follow-up task" not in page(staff, "tour_change", tour.pk)


def test_answers_cost_the_page_no_further_queries(
    staff: Client, tour: Tour, crm_row: Connection, django_assert_max_num_queries: Any
) -> None:
    roles = ("buyer", "buyer_agent", "showing_agent", "listing_agent")
    planning.plan_feedback(
        [FeedbackFactory(stop=stop, author_role=role) for stop in tour.stops.all() for role in roles]
    )
    with django_assert_max_num_queries(and_the_clock(PAGE_QUERIES)):
        page(staff, "tour_change", tour.pk)


# --- the summary ----------------------------------------------------------------------------------------------------


def test_a_completed_tours_summary_stands_below_its_stops(staff: Client, tour: Tour, crm_row: Connection) -> None:
    FeedbackFactory(stop=tour.stops.get(sequence=1))
    set_tour_status(tour.pk, "completed", actor="ann", via="admin")
    ExternalRefFactory(connection=crm_row, entity_type="tour", entity_id=tour.pk, resource="summary", external_id="n_9")
    Operation.objects.update(state="succeeded", blockers=0)
    text = " ".join(page(staff, "tour_change", tour.pk).split())
    row = text.partition("Summary of the tour</th>")[2].partition("</tr>")[0]
    assert '<span class="rr-badge rr-in">In the CRM</span> <code class="rr-id">n_9</code>' in row
    operation = Operation.objects.get(kind="tour.summary")
    assert f'href="/admin/integrations/operation/{operation.pk}/change/"' in row


def test_a_summary_stays_there_when_its_tour_goes_back(staff: Client, tour: Tour, crm_row: Connection) -> None:
    OperationFactory(connection=crm_row, kind="tour.summary", entity_type="tour", entity_id=tour.pk, state="succeeded")
    ExternalRefFactory(connection=crm_row, entity_type="tour", entity_id=tour.pk, resource="summary", external_id="n_9")
    row = page(staff, "tour_change", tour.pk).partition("Summary of the tour</th>")[2]
    assert "In the CRM" in row


def test_a_tour_that_is_not_over_has_no_line_for_a_summary(staff: Client, tour: Tour, crm_row: Connection) -> None:
    FeedbackFactory(stop=tour.stops.get(sequence=1))
    assert "Summary of the tour" not in page(staff, "tour_change", tour.pk)


def test_a_summary_that_is_not_planned_here_says_so(staff: Client, tour: Tour, crm_row: Connection) -> None:
    FeedbackFactory(stop=tour.stops.get(sequence=1))
    Tour.objects.update(status="completed")
    assert "Not planned yet" in page(staff, "tour_change", tour.pk).partition("Summary of the tour</th>")[2]


def test_the_page_of_a_summary_leads_to_its_tour(staff: Client, tour: Tour, crm_row: Connection) -> None:
    operation = OperationFactory(connection=crm_row, kind="tour.summary", entity_type="tour", entity_id=tour.pk)
    text = page(staff, "operation_change", operation.pk)
    assert (f'href="/admin/integrations/tour/{tour.pk}/change/"' in text, "Tour summary" in text) == (True, True)
    assert str(operation.pk) in page(staff, "operation_changelist", q="T-100")


def test_what_is_held_says_when_it_is_expected(
    staff: Client, tour: Tour, crm_row: Connection, operation_of: Callable[..., Operation]
) -> None:
    held_until = db_now() + 3_595_000
    Connection.objects.filter(pk=crm_row.pk).update(hold_reason="rate_limited", hold_until_ms=held_until)
    for _ in range(41):
        OperationFactory(connection=crm_row, due_ms=1, entity_id=9_999)
    operation_of(due_ms=2)
    text = page(staff, "tour_change", tour.pk)
    assert "The CRM&#x27;s rate limit; not before " in text
    assert "; expected ~" in text
    assert "after about 41 others." in text
