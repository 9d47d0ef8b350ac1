"""Import runs, the audit trail, and the first page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.engine.clock import db_now
from integrations.models import AuditEvent, Connection, Operation, Tour
from integrations.operations import tours
from tests.factories import ConnectionFactory, ImportItemFactory, ImportRunFactory
from tests.integrations.admin.browsing import page


def test_a_run_shows_counts_items_and_what_was_left_out(staff: Client) -> None:
    run = ImportRunFactory(rows=31, created_count=4, skipped=["T-9 <b>"], state="done")
    ImportItemFactory(run=run, entity_type="stop", created=False, before={"street": ["Old", "New"]})
    text = page(staff, "importrun_change", run.pk)
    for words in ("<dd>31</dd>", "<dd>4</dd>", "T-9 &lt;b&gt;", "street: Old → New", "stop, changed: 1"):
        assert words in text


def test_a_long_run_is_shown_in_part(staff: Client, django_assert_max_num_queries: Any) -> None:
    run = ImportRunFactory(skipped=[f"T-{number}" for number in range(500)])
    ImportItemFactory.create_batch(250, run=run)
    with django_assert_max_num_queries(6):
        text = page(staff, "importrun_change", run.pk)
    assert "and 300 more" in text
    assert "The first 200 are shown." in text


@pytest.mark.parametrize("model", ["importrun", "auditevent"])
def test_trails_are_read_only(staff: Client, tour: Tour, model: str) -> None:
    run = ImportRunFactory()
    tours.cancel_tour(tour.pk, actor="bob", via="admin")
    pk = {"importrun": run.pk, "auditevent": AuditEvent.objects.get().pk}[model]
    for name, args in (("add", []), ("change", [pk]), ("delete", [pk])):
        assert staff.post(reverse(f"admin:integrations_{model}_{name}", args=args)).status_code == 403


def test_the_trail_is_filtered_by_record(staff: Client, tour: Tour) -> None:
    tours.cancel_tour(tour.pk, actor="bob", via="api")
    assert "tour.cancelled" in page(staff, "auditevent_changelist", record="tour", via__exact="api")
    assert "tour.cancelled" not in page(staff, "auditevent_changelist", record="office")


def test_a_records_history_leads_to_its_trail(staff: Client, tour: Tour) -> None:
    tours.cancel_tour(tour.pk, actor="bob", via="admin")
    answer = staff.get(reverse("admin:integrations_tour_history", args=[tour.pk]), follow=True)
    assert "tour.cancelled" in answer.content.decode()


def test_an_event_shows_before_and_after_as_texts(staff: Client, tour: Tour) -> None:
    event = AuditEvent.objects.create(
        actor="<b>", via="admin", verb="tour.update", object_type="tour", object_id=tour.pk,
        before={"title": "<script>alert(1)</script>"}, after={"title": "x"},
    )  # fmt: skip
    text = page(staff, "auditevent_change", event.pk)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


# --- the first page -------------------------------------------------------------------------------------------------


def overview(client: Client) -> Any:
    answer = client.get(reverse("admin:index"))
    assert answer.status_code == 200
    return answer


def test_an_empty_house_says_what_to_do_first(staff: Client) -> None:
    text = overview(staff).content.decode()
    assert "Connect a CRM" in text
    assert "import a file" in text


def test_what_is_there_is_not_asked_for(staff: Client, tour: Tour, crm_row: Connection) -> None:
    assert "What to do first" not in overview(staff).content.decode()


def test_operations_are_counted_by_state(staff: Client, operation_of: Callable[..., Operation]) -> None:
    operation_of()
    operation_of(place=2)
    operation_of(state="dead", kind="contact.link")
    counts = overview(staff).context["overview"].counts
    assert [(count.state, count.number) for count in counts] == [("dead", 1), ("pending", 2)]


def test_the_oldest_due_operation_is_told(staff: Client, operation_of: Callable[..., Operation]) -> None:
    operation_of(due_ms=db_now() - 125_000)
    assert "(2 min 5 s ago)" in overview(staff).context["overview"].oldest


def test_what_is_blocked_is_not_due(staff: Client, operation_of: Callable[..., Operation]) -> None:
    operation_of(blockers=1)
    assert overview(staff).context["overview"].oldest == ""


def test_a_connection_that_does_not_send_is_named(staff: Client) -> None:
    ConnectionFactory(label="Held", hold_reason="day_used", hold_until_ms=db_now() + 60_000)
    ConnectionFactory(label="Needs sign-in", state="auth_needed", state_reason="401")
    ConnectionFactory(label="Fine")
    lines = {line.label: line.why for line in overview(staff).context["overview"].connections}
    assert lines["Fine"] == ""
    assert lines["Needs sign-in"] == "401"
    assert lines["Held"].startswith("The CRM's limit for a day is used up; not before ")


def test_a_connection_tells_what_waits_and_what_failed(
    staff: Client, operation_of: Callable[..., Operation], crm_row: Connection
) -> None:
    operation_of()
    operation_of(place=2, state="dead")
    operation_of(state="succeeded", kind="contact.link")
    (line,) = overview(staff).context["overview"].connections
    assert (line.label, line.open, line.failed) == (crm_row.label, 1, 1)


def test_the_demo_explains_itself(staff: Client, tour: Tour, crm_row: Connection) -> None:
    Tour.objects.filter(pk=tour.pk).update(reference="DEMO-1")
    text = overview(staff).content.decode()
    assert "The demo in three steps" in text
    steps = text[text.index("The demo in three steps") :]
    assert steps[: steps.index("</ol>")].count("<li>") == 3


def test_a_tour_at_risk_is_told_with_its_reason(
    staff: Client, tour: Tour, operation_of: Callable[..., Operation]
) -> None:
    soon = timezone.now() + timedelta(hours=2)
    tour.stops.update(appointment_start=soon, appointment_end=soon + timedelta(minutes=30))
    operation_of(state="dead", reason="rejected")
    (line,) = overview(staff).context["overview"].at_risk
    assert (line.state, line.reason, line.stops) == ("dead", "The CRM refused it", 1)
    assert line.away in ("1 h 59 min", "2 h")


def test_the_first_pages_query_count_is_fixed(staff: Client, django_assert_max_num_queries: Any) -> None:
    ConnectionFactory.create_batch(5)
    with django_assert_max_num_queries(12):
        overview(staff)


def test_staff_without_the_right_see_no_overview(stranger: Client, viewer: Client) -> None:
    assert stranger.get(reverse("admin:index")).status_code == 302
    assert overview(viewer).context["overview"] is not None


def test_the_sites_name(staff: Client) -> None:
    assert "REanna Router" in overview(staff).content.decode()


def test_staff_change_the_schedule(staff: Client) -> None:
    assert staff.get(reverse("admin:django_celery_beat_periodictask_changelist")).status_code == 200
