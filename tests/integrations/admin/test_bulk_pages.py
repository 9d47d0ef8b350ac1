"""Choosing many operations in the list, the plan, the decision, what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import AuditEvent, BulkRun, Connection, Operation, Tour
from integrations.operations import bulk
from tests.factories import ConnectionFactory, OperationFactory
from tests.integrations.admin.browsing import messages_of, page

Make = Callable[..., Operation]
LIST = "admin:integrations_operation_changelist"


def choose(client: Client, action: str, *rows: Operation, across: bool = False, **query: str) -> Any:
    url = reverse(LIST, query=query)
    marked = {"action": action, "_selected_action": [row.pk for row in rows], "select_across": int(across)}
    return client.post(url, marked)


def confirm(client: Client, run: BulkRun, **body: str) -> Any:
    return client.post(reverse("admin:integrations_operation_bulk_confirm", args=[run.pk]), body)


@pytest.fixture
def rows(crm_row: Connection) -> list[Operation]:
    """Two that failed, one that is done."""
    made = [OperationFactory(connection=crm_row, entity_id=key, state="dead", reason="rejected") for key in (1, 2)]
    return [*made, OperationFactory(connection=crm_row, entity_id=3, state="succeeded")]


def test_marked_rows_become_a_plan_and_nothing_else(staff: Client, rows: list[Operation]) -> None:
    answer = choose(staff, "retry_many", rows[0], rows[2])
    run = BulkRun.objects.get()
    assert answer["Location"] == reverse("admin:integrations_operation_bulk", args=[run.pk])
    assert set(run.items.values_list("operation_id", flat=True)) == {rows[0].pk, rows[2].pk}
    text = page(staff, "operation_bulk", run.pk)
    for words in (
        "Would act on</dt><dd>1 operation<",
        "Sent again when its turn comes",
        "At an end already",
        "Marked in the list.",
    ):
        assert words in text
    assert (Operation.objects.filter(state="dead").count(), AuditEvent.objects.count()) == (2, 0)


def test_all_that_match_are_those_of_the_filters(staff: Client, rows: list[Operation]) -> None:
    other = OperationFactory(connection=ConnectionFactory(), state="dead", reason="rejected")
    choose(staff, "cancel_many", rows[0], across=True, state="dead", connection=str(other.connection_id))
    run = BulkRun.objects.get()
    assert [item.operation_id for item in run.items.all()] == [other.pk]
    assert run.chosen.endswith(f": state Failed, connection {other.connection.label}.")


def test_a_confirmed_plan_is_done_and_tells_each_outcome(staff: Client, rows: list[Operation]) -> None:
    choose(staff, "retry_many", *rows)
    run = BulkRun.objects.get()
    answer = confirm(staff, run, reason="mended <b>")
    assert answer.status_code == 302
    assert sorted(Operation.objects.values_list("state", flat=True)) == ["pending", "pending", "succeeded"]
    text = page(staff, "operation_bulk", run.pk)
    for words in ("ada: mended &lt;b&gt;", "<dd>2; left as they were: 1<", "Left as it was: At an end already"):
        assert words in text
    assert "/confirm/" not in text


def test_a_reason_must_be_given(staff: Client, rows: list[Operation]) -> None:
    choose(staff, "retry_many", *rows)
    answer = confirm(staff, BulkRun.objects.get(), reason=" ")
    assert "This field is required." in answer.content.decode()
    assert BulkRun.objects.get().state == "planned"


def test_a_second_click_changes_nothing(staff: Client, rows: list[Operation]) -> None:
    choose(staff, "retry_many", *rows)
    run = BulkRun.objects.get()
    confirm(staff, run, reason="x")
    Operation.objects.filter(pk=rows[0].pk).update(state="dead")
    assert messages_of(confirm(staff, run, reason="x")) == ["This was decided already; here is how it stands."]
    assert Operation.objects.get(pk=rows[0].pk).state == "dead"


def test_a_long_one_shows_how_far_it_is_and_can_be_stopped(staff: Client, crm_row: Connection) -> None:
    for key in range(bulk.AT_ONCE + 1):
        OperationFactory(connection=crm_row, entity_id=key, state="dead", reason="rejected")
    choose(staff, "retry_many", Operation.objects.earliest("pk"), across=True)
    run = BulkRun.objects.get()
    confirm(staff, run, reason="x")
    bulk._piece(run.pk, "w1", 0)
    done = bulk.outcomes(run)["done"]
    text = page(staff, "operation_bulk", run.pk)
    assert f"</progress> {done} of {bulk.AT_ONCE + 1} operations." in text
    assert 'data-again="' in text
    staff.post(reverse("admin:integrations_operation_bulk_stop", args=[run.pk]))
    text = page(staff, "operation_bulk", run.pk)
    assert f"not touched: {bulk.AT_ONCE + 1 - done}" in text
    assert 'data-again="' not in text


def test_who_may_only_look_is_offered_no_action(viewer: Client, rows: list[Operation]) -> None:
    choose(viewer, "retry_many", *rows)
    assert BulkRun.objects.count() == 0
    assert "retry_many" not in page(viewer, "operation_changelist")


def test_the_actions_stand_in_the_list(staff: Client, rows: list[Operation]) -> None:
    text = page(staff, "operation_changelist")
    assert [f'value="{name}_many"' in text for name in ("retry", "cancel", "skip")] == [True] * 3
    assert "delete_selected" not in text


def test_a_plan_that_is_not_there_leads_back(staff: Client, db: None) -> None:
    for pk in (1, 2**70):
        answer = staff.get(reverse("admin:integrations_operation_bulk", args=[pk]))
        assert answer["Location"] == reverse(LIST)


def test_the_pages_come_in_parts_with_a_fixed_number_of_queries(
    staff: Client, crm_row: Connection, django_assert_max_num_queries: Any
) -> None:
    made = [OperationFactory.build(connection=crm_row, entity_id=key, state="dead") for key in range(250)]
    Operation.objects.bulk_create(made)
    choose(staff, "retry_many", Operation.objects.earliest("pk"), across=True)
    run = BulkRun.objects.get()
    with django_assert_max_num_queries(12) as queries:
        text = page(staff, "operation_bulk", run.pk, page="3")
    assert "Page 3 of 3" in text
    assert text.count("<td>Main CRM</td>") == 50
    assert not [query for query in queries.captured_queries if '"secrets"' in query["sql"]]
    assert f"/operation/bulk/{run.pk}/" in page(staff, "operation_bulk_runs")


# --- the filters that choose ----------------------------------------------------------------------------------------


def listed(client: Client, **query: str) -> set[int]:
    answer = client.get(reverse(LIST), query)
    assert answer.status_code == 200
    return {row.pk for row in answer.context["cl"].result_list}


def test_what_is_overdue(staff: Client, operation_of: Make) -> None:
    late = operation_of(due_ms=1)
    operation_of(due_ms=2**45)
    operation_of(due_ms=1, state="succeeded")
    assert listed(staff, due="1h") == {late.pk}
    assert len(listed(staff, due="nonsense")) == 3


def test_what_was_planned_long_ago(staff: Client, operation_of: Make) -> None:
    old = operation_of()
    Operation.objects.update(created_at="2020-01-01T00:00:00Z")
    operation_of(place=2)
    assert listed(staff, planned="7d") == {old.pk}


def test_all_of_one_tour(staff: Client, tour: Tour, operation_of: Make) -> None:
    mine = [operation_of(), operation_of(entity_type="tour", entity_id=tour.pk, kind="tour.summary")]
    mine += [operation_of(entity_type="contact", entity_id=tour.buyer_id, kind="contact.link")]
    operation_of(entity_id=987_654)
    operation_of(entity_type="tour", entity_id=987_654, kind="tour.summary")
    assert listed(staff, tour="t-100") == {row.pk for row in mine}
    assert listed(staff, tour="T-1") == set()
    assert len(listed(staff, tour=" ")) == 5


def test_a_typed_tour_keeps_the_other_filters(staff: Client, operation_of: Make) -> None:
    operation_of(state="dead")
    text = page(staff, "operation_changelist", state="dead", tour="T-100", q="elm")
    form = text.partition('id="filter-form"')[2].partition("</form>")[0]
    assert form.count('<input type="hidden" name="state" value="dead">') == 1
    assert form.count('name="tour"') == 1
    assert form.count('name="q"') == 1
