"""The list of operations, the story of one, and the five things a person may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations.engine.clock import db_now
from integrations.models import (
    Attempt,
    AuditEvent,
    Connection,
    ExternalRef,
    GateMode,
    Operation,
    OperationDependency,
    Tour,
)
from tests.factories import AttemptFactory, ConnectionFactory, ImportRunFactory, OperationFactory, TourStopFactory
from tests.integrations.admin.browsing import and_the_clock, messages_of, page

Make = Callable[..., Operation]


def verb_url(operation: Operation, verb: str) -> str:
    return reverse("admin:integrations_operation_verb", args=[operation.pk, verb])


def listed(client: Client, **query: Any) -> set[int]:
    answer = client.get(reverse("admin:integrations_operation_changelist"), query)
    assert answer.status_code == 200
    return {row.pk for row in answer.context["cl"].result_list}


# --- the list -------------------------------------------------------------------------------------------------------


def test_a_row_says_state_reason_entity_and_time(staff: Client, operation_of: Make) -> None:
    operation_of(state="waiting", reason="rate_limited", due_ms=db_now() + 3_595_000)
    text = page(staff, "operation_changelist")
    for words in ("Told to wait", "The CRM&#x27;s rate limit", "T-100, stop 1: 1 Elm St", "Main CRM", "in 59 min"):
        assert words in text


def test_a_row_without_its_entity_is_shown_all_the_same(staff: Client, crm_row: Connection) -> None:
    OperationFactory(connection=crm_row, entity_id=987_654)
    assert "stop 987654" in page(staff, "operation_changelist")


def test_the_query_count_does_not_grow(staff: Client, crm_row: Connection) -> None:
    def asked_for(rows: int) -> int:
        for _ in range(rows):
            stop = TourStopFactory()
            OperationFactory(connection=crm_row, entity_id=stop.pk)
            OperationFactory(
                connection=crm_row, kind="contact.link", entity_type="contact", entity_id=stop.tour.buyer_id
            )
        with CaptureQueriesContext(database) as queries:
            page(staff, "operation_changelist")
        return len(queries)

    few = asked_for(1)
    assert asked_for(20) == few
    assert few <= and_the_clock(9)


def test_the_list_never_reads_secrets(staff: Client, operation_of: Make, django_assert_max_num_queries: Any) -> None:
    operation_of()
    with django_assert_max_num_queries(and_the_clock(9)) as queries:
        page(staff, "operation_changelist")
    assert not [query for query in queries.captured_queries if '"secrets"' in query["sql"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"state": "open"}, {"open"}),
        ({"state": "dead"}, {"dead"}),
        ({"reason": "rejected"}, {"dead"}),
        ({"kind": "contact.link"}, {"dead"}),
        ({"state": "nonsense"}, {"open", "dead"}),
        ({"connection": "abc"}, set()),
        ({"connection": "9" * 40}, set()),
    ],
)
def test_filters(staff: Client, operation_of: Make, query: dict[str, str], expected: set[str]) -> None:
    made = {
        "open": operation_of().pk,
        "dead": operation_of(state="dead", reason="rejected", kind="contact.link").pk,
    }
    assert listed(staff, **query) == {made[name] for name in expected}


def test_the_connection_filter(staff: Client, operation_of: Make) -> None:
    operation_of()
    other = OperationFactory(connection=ConnectionFactory())
    assert listed(staff, connection=other.connection_id) == {other.pk}


def test_operations_of_one_import(staff: Client, operation_of: Make) -> None:
    run = ImportRunFactory()
    operation_of()
    planned = operation_of(place=2, import_run=run)
    assert listed(staff, import_run__id__exact=run.pk) == {planned.pk}


@pytest.mark.parametrize("text", ["T-10", "t-100", "1 ELM", "ID"])
def test_search_by_reference_street_and_number(staff: Client, operation_of: Make, text: str) -> None:
    wanted = operation_of()
    OperationFactory(entity_id=TourStopFactory(street="Oak Ave", tour__reference="Z-1").pk)
    assert listed(staff, q=str(wanted.pk) if text == "ID" else text) == {wanted.pk}


def test_search_by_reference_finds_the_buyers_operation(staff: Client, tour: Tour, operation_of: Make) -> None:
    link = operation_of(kind="contact.link", entity_type="contact", entity_id=tour.buyer_id)
    assert listed(staff, q="T-100") == {link.pk}


@pytest.mark.parametrize("text", ["9" * 60, "%' OR 1=1 --", "🏠" * 300])
def test_hostile_searches_find_nothing(staff: Client, operation_of: Make, text: str) -> None:
    operation_of()
    answer = staff.get(reverse("admin:integrations_operation_changelist"), {"q": text})
    assert answer.status_code == 200
    assert list(answer.context["cl"].result_list) in ([], [Operation.objects.get()])


@pytest.mark.parametrize("name", ["state", "reason", "kind", "connection", "q"])
def test_an_address_no_database_takes_leads_back(staff: Client, db: None, name: str) -> None:
    url = reverse("admin:integrations_operation_changelist")
    answer = staff.get(url, {name: "a\x00b"})
    assert (answer.status_code, answer["Location"]) == (302, url)


# --- the story ------------------------------------------------------------------------------------------------------


def test_the_story_tells_every_try(staff: Client, operation_of: Make) -> None:
    operation = operation_of(state="dead", reason="rejected")
    for token, status in ((1, 503), (2, 422)):
        Attempt.objects.create(
            operation=operation, connection=operation.connection, token=token, version=1, calls=2,
            started_ms=1_789_421_405_000, sent_ms=1_789_421_405_100, ended_ms=1_789_421_405_350, outcome="rejected",
            status=status, request_id=f"req-{token}", message=f"said {status}",
        )  # fmt: skip
    text = page(staff, "operation_change", operation.pk)
    for words in ("0.35 s", "req-1", "req-2", "503", "422", "said 422", "2026-09-14 14:30:05 PDT"):
        assert words in text


def test_the_story_names_what_it_waits_for_and_what_waits_for_it(staff: Client, operation_of: Make) -> None:
    first, second, third = operation_of(place=1), operation_of(place=2), operation_of(kind="contact.link")
    OperationDependency.objects.create(operation=second, needs=first)
    OperationDependency.objects.create(operation=third, needs=second)
    story = staff.get(reverse("admin:integrations_operation_change", args=[second.pk])).context["story"]
    assert ([other.id for other in story.waits_for], [other.id for other in story.waited_for_by]) == (
        [first.pk],
        [third.pk],
    )


def test_the_story_of_a_held_row_says_until_when(staff: Client, operation_of: Make) -> None:
    operation = operation_of()
    Connection.objects.update(hold_reason="circuit_open", hold_until_ms=db_now() + 60_000)
    assert "sending pauses so that it can recover; not before" in page(staff, "operation_change", operation.pk)


def test_the_next_time_waits_for_redis(staff: Client, operation_of: Make) -> None:
    operation = operation_of()
    GateMode.objects.update_or_create(pk=1, defaults={"mode": "away"})
    assert "when Redis is back and counted in" in page(staff, "operation_change", operation.pk)


def test_the_story_asks_a_fixed_number_of_queries(
    staff: Client, operation_of: Make, django_assert_max_num_queries: Any
) -> None:
    operation = operation_of(state="waiting", blockers=5)
    for number in range(5):
        needs = operation_of(op_key=f"needs {number}", kind="contact.link")
        OperationDependency.objects.create(operation=operation, needs=needs)
    with django_assert_max_num_queries(and_the_clock(11)):
        page(staff, "operation_change", operation.pk)


def test_hostile_answers_of_a_crm_are_shown_as_texts(staff: Client, operation_of: Make) -> None:
    evil = "<img src=x onerror=alert(1)>\u202e"
    operation = operation_of(state="needs_person", reason="two_matches", message=evil)
    Attempt.objects.create(
        operation=operation, connection=operation.connection, token=1, version=1, started_ms=1, message=evil,
        outcome="<b>", request_id="<i>",
    )  # fmt: skip
    text = page(staff, "operation_change", operation.pk)
    assert [tag for tag in ("<img", "<b>", "<i>") if tag in text] == []


def test_the_page_takes_no_post(staff: Client, operation_of: Make) -> None:
    url = reverse("admin:integrations_operation_change", args=[operation_of().pk])
    assert staff.post(url, {"state": "succeeded"}).status_code == 405


@pytest.mark.parametrize("path", ["add/", "1/delete/"])
def test_operations_are_not_made_or_deleted_by_hand(staff: Client, operation_of: Make, path: str) -> None:
    operation = operation_of()
    answer = staff.post(reverse("admin:integrations_operation_changelist") + path.replace("1", str(operation.pk)))
    assert answer.status_code == 403
    assert Operation.objects.count() == 1


# --- the verbs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "verbs"),
    [
        ({"state": "pending"}, ["cancel"]),
        ({"state": "waiting"}, ["cancel"]),
        ({"state": "retryable"}, ["cancel"]),
        ({"state": "unknown", "in_doubt": True}, []),
        ({"state": "leased", "lease_until_ms": 2**50}, ["cancel"]),
        ({"state": "leased", "lease_until_ms": 2**50, "cancel_requested": True}, []),
        ({"state": "needs_person", "reason": "two_matches", "in_doubt": True}, ["retry", "arrived", "not-arrived"]),
        ({"state": "needs_person", "reason": "needs_missing"}, ["retry", "cancel"]),
        ({"state": "dead"}, ["retry"]),
        ({"state": "cancelled"}, ["retry"]),
        ({"state": "succeeded"}, []),
        ({"state": "ignored"}, []),
        ({"state": "superseded"}, []),
    ],
)
def test_only_buttons_that_apply_are_shown(
    staff: Client, operation_of: Make, columns: dict[str, Any], verbs: list[str]
) -> None:
    operation = operation_of(**columns)
    story = staff.get(reverse("admin:integrations_operation_change", args=[operation.pk])).context["story"]
    assert [verb.slug for verb in story.verbs] == verbs


def test_asking_changes_nothing(staff: Client, operation_of: Make) -> None:
    operation = operation_of(state="dead")
    assert staff.get(verb_url(operation, "retry")).status_code == 200
    assert Operation.objects.get().state == "dead"


def test_retry_is_done_and_audited(staff: Client, operation_of: Make) -> None:
    operation = operation_of(state="dead", reason="rejected", attempts=5)
    answer = staff.post(verb_url(operation, "retry"), {"reason": "calendar mended"})
    after = Operation.objects.get()
    assert (after.state, after.attempts, after.redrive_no) == ("pending", 0, 1)
    assert messages_of(answer) == ["Retry: the operation is waiting its turn now."]
    event = AuditEvent.objects.get()
    assert (event.actor, event.via, event.verb, event.reason) == ("ada", "admin", "retry", "calendar mended")


def test_a_double_click_on_retry_does_it_once(staff: Client, operation_of: Make) -> None:
    operation = operation_of(state="dead")
    staff.post(verb_url(operation, "retry"))
    answer = staff.post(verb_url(operation, "retry"))
    assert messages_of(answer)[-1] == "“Retry” does not apply: the operation is waiting its turn now."
    assert (Operation.objects.get().redrive_no, AuditEvent.objects.count()) == (1, 1)


def test_cancel(staff: Client, operation_of: Make) -> None:
    staff.post(verb_url(operation_of(), "cancel"))
    assert Operation.objects.get().state == "cancelled"


def test_cancelling_what_is_being_sent_asks_it_to_stop(staff: Client, operation_of: Make) -> None:
    operation = operation_of(state="leased", lease_until_ms=2**50)
    answer = staff.post(verb_url(operation, "cancel"))
    assert Operation.objects.get().cancel_requested
    assert messages_of(answer) == ["Asked to stop: it ends before it leaves us, if it has not left yet."]


def test_it_arrived_links_the_record(staff: Client, operation_of: Make) -> None:
    operation = operation_of(state="needs_person", reason="two_matches", in_doubt=True)
    staff.post(verb_url(operation, "arrived"), {"external_id": "appt_5"})
    assert Operation.objects.get().state == "succeeded"
    assert ExternalRef.objects.get().external_id == "appt_5"


@pytest.mark.parametrize("given", ["", "   ", "x" * 121, "a\x00b"])
def test_it_arrived_without_a_good_id_is_refused(staff: Client, operation_of: Make, given: str) -> None:
    operation = operation_of(state="needs_person", reason="two_matches", in_doubt=True)
    answer = staff.post(verb_url(operation, "arrived"), {"external_id": given})
    assert list(answer.context["form"].errors) == ["external_id"]
    assert Operation.objects.get().state == "needs_person"


def test_it_arrived_with_an_id_that_is_ours_already_is_refused(staff: Client, operation_of: Make) -> None:
    operation = operation_of(state="needs_person", reason="two_matches", in_doubt=True)
    ExternalRef.objects.create(
        connection=operation.connection, entity_type="stop", entity_id=operation.entity_id + 1,
        resource="appointment", external_id="appt_5",
    )  # fmt: skip
    answer = staff.post(verb_url(operation, "arrived"), {"external_id": "appt_5"})
    assert answer.context["form"].errors["external_id"] == ["This record is linked to another of ours already."]


def test_it_did_not_arrive_sends_again_without_doubt(staff: Client, operation_of: Make) -> None:
    operation = operation_of(state="needs_person", reason="two_matches", in_doubt=True)
    staff.post(verb_url(operation, "not-arrived"))
    after = Operation.objects.get()
    assert (after.state, after.in_doubt) == ("pending", False)


def test_going_on_without_a_failed_predecessor(staff: Client, operation_of: Make) -> None:
    needs, waiting = operation_of(place=2, state="dead"), operation_of(blockers=1)
    OperationDependency.objects.create(operation=waiting, needs=needs)
    asked = staff.get(verb_url(waiting, "skip")).content.decode()
    assert f"Goes on without: operation {needs.pk}" in asked
    staff.post(verb_url(waiting, "skip"))
    assert Operation.objects.get(pk=waiting.pk).blockers == 0


def test_going_on_without_one_in_doubt_is_refused(staff: Client, operation_of: Make) -> None:
    needs, waiting = operation_of(place=2, state="dead", in_doubt=True), operation_of(blockers=1)
    OperationDependency.objects.create(operation=waiting, needs=needs)
    answer = staff.post(verb_url(waiting, "skip"))
    assert "may have reached the CRM: look it up first" in answer.content.decode()
    assert Operation.objects.get(pk=waiting.pk).blockers == 1


def test_a_verb_that_does_not_exist_is_not_found(staff: Client, operation_of: Make) -> None:
    assert staff.post(verb_url(operation_of(), "explode")).status_code == 404


@pytest.mark.parametrize("bad", ["0", "abc", "9" * 30])
def test_ids_that_are_none_are_told(staff: Client, db: None, bad: str) -> None:
    for url in (
        reverse("admin:integrations_operation_change", args=[bad]),
        reverse("admin:integrations_operation_verb", args=[bad, "retry"]),
    ):
        answer = staff.post(url) if "do/" in url else staff.get(url)
        assert answer.status_code == 302


def test_the_kept_requests_of_a_try_are_shown_and_inert(staff: Client, operation_of: Callable[..., Operation]) -> None:
    operation = operation_of(state="dead")
    kept = {
        "method": "POST", "path": "/a?email", "status": 400, "ms": 12,
        "request": {"title": "<img src=x onerror=alert(1)>"}, "response": None,
    }  # fmt: skip
    AttemptFactory(operation=operation, connection=operation.connection, requests=[kept])

    text = page(staff, "operation_change", operation.pk)

    assert "POST /a?email: 400, 12 ms" in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "<img src=x" not in text


def test_the_story_says_when_its_turn_is_expected(staff: Client, operation_of: Make) -> None:
    for number in range(3):
        operation_of(entity_id=9_000 + number)
    last = operation_of(due_ms=1)
    text = page(staff, "operation_change", last.pk)
    assert "It waits for its turn" in text
    assert text.count("after about 3 others") == 2
