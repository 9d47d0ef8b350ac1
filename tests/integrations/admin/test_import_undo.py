"""Taking an import back by browser: the plan first, then once, and the CRM follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import AuditEvent, Contact, ExternalRef, ImportRun, PlannedUndo, Tour, TourStop
from integrations.operations import tours
from integrations.operations.imports import work
from tests.crm import Crm
from tests.factories import ImportRunFactory, TourFactory
from tests.integrations.admin.browsing import messages_of, page
from tests.integrations.admin.importing import confirm, everything, preview
from tests.tour_files import DATA, tours_file


def imported(staff: Client, path: Path, kind: str = "tours") -> ImportRun:
    confirm(staff, preview(staff, path, kind)[1])
    return ImportRun.objects.latest("pk")


def undo_url(run: ImportRun) -> str:
    return reverse("admin:integrations_importrun_undo", args=[run.pk])


def test_the_plan_stands_first_and_changes_nothing(staff: Client, tmp_path: Path) -> None:
    other = {"tour_ref": "A-2", "buyer_email": "bo@mail.example", "buyer_phone": ""}
    run = imported(staff, tours_file(tmp_path / "a.csv", {}, other))
    stop = TourStop.objects.get(tour__reference="A-1")
    tours.set_stop_status(stop.pk, "denied", actor="ann", via="admin")
    # The buyer of A-2 came to be on another tour since.
    TourFactory(reference="Z-1", buyer=Tour.objects.get(reference="A-2").buyer)
    before = everything()

    text = page(staff, "importrun_undo", run.pk)

    for words in (
        "Tours that it created, cancelled and archived: 1.",
        "Buyers that it created and others use, who stay: 2.",
        "Agents that it created, who stay: 1.",
        "Records left as they are, because someone changed them since or a CRM knows of them: 1.",
        "Left: A-1 Two homes: someone changed it since;",
        "Cancelled and archived: A-2 Two homes",
        "is on tour Z-1.",
        "is on tour A-1.",
    ):
        assert words in text
    assert everything() == before
    assert set(Tour.objects.values_list("status", "archived_at")) == {("scheduled", None)}


def test_every_appointment_is_cancelled_once_and_people_stay(staff: Client, crm: Crm, tmp_path: Path) -> None:
    stops = [{"stop_sequence": str(place), "tour_ref": ref} for ref in ("A-1", "A-2") for place in (1, 2)]
    run = imported(staff, tours_file(tmp_path / "a.csv", *stops))
    crm.drain()
    posted = [row for row in journal(crm, "POST") if row["path"].startswith("/calendars/events/appointments")]
    assert len(posted) == 4
    text = page(staff, "importrun_undo", run.pk)
    assert f"Appointments cancelled in {crm.connection.label}: 4." in text

    answer = staff.post(undo_url(run))
    staff.post(undo_url(run))
    crm.drain()

    assert messages_of(answer)[-1] == f"Import {run.pk} was taken back."
    cancelled = [row for row in journal(crm, "PUT") if row["path"].startswith("/calendars/events/appointments")]
    assert len({row["path"] for row in cancelled}) == len(cancelled) == 4
    assert journal(crm, "DELETE") == []
    assert ExternalRef.objects.filter(resource="contact", external_id__isnull=False).count() == 1
    assert Contact.objects.get().archived_at is not None


def journal(crm: Crm, method: str) -> list[dict[str, Any]]:
    return [row for row in crm.sandbox.journal() if row["method"] == method]


def test_the_result_is_shown_and_it_is_not_done_again(staff: Client) -> None:
    run = imported(staff, DATA / "tours-small.csv")
    staff.post(undo_url(run))

    text = page(staff, "importrun_change", run.pk)
    assert "<h2>Taken back</h2>" in text
    assert "<dt>Tours cancelled and archived</dt><dd>3</dd>" in text
    assert "<dt>Buyers archived</dt><dd>3</dd>" in text
    assert "../undo/" not in text
    again = staff.get(undo_url(run))
    assert messages_of(again)[-1] == f"Import {run.pk} is undone already."
    before = everything()
    assert f"Import {run.pk} is undone already." in staff.post(undo_url(run)).content.decode()
    assert everything() == before
    event = AuditEvent.objects.get(verb="import.undo")
    assert (event.actor, event.via, event.after["cancelled"]) == ("ada", "admin", 3)


def test_a_file_that_was_taken_back_can_be_imported_again_with_its_buyers(staff: Client) -> None:
    run = imported(staff, DATA / "tours-small.csv")
    staff.post(undo_url(run))
    assert Contact.objects.filter(archived_at__isnull=True).count() == 0

    again = imported(staff, DATA / "tours-small.csv")

    assert (again.pk > run.pk, again.updated_count) == (True, 3)
    assert Contact.objects.filter(archived_at__isnull=False).count() == 0
    assert Tour.objects.filter(status="scheduled", archived_at__isnull=True).count() == 3


def test_answers_are_taken_back(staff: Client, tmp_path: Path) -> None:
    imported(staff, DATA / "tours-small.csv")
    run = imported(staff, DATA / "feedback-small.csv", "feedback")
    assert "Answers that it brought and no CRM knows of, deleted: 3." in page(staff, "importrun_undo", run.pk)
    staff.post(undo_url(run))
    assert TourStop.objects.filter(feedback__isnull=False).count() == 0


def test_an_import_that_did_nothing_says_so(staff: Client, db: None) -> None:
    assert "There is nothing to take back" in page(staff, "importrun_undo", ImportRunFactory(state="done").pk)


def test_who_may_only_look_cannot_take_back(viewer: Client, staff: Client) -> None:
    run = imported(staff, DATA / "tours-small.csv")
    assert viewer.get(undo_url(run)).status_code == 403
    assert viewer.post(undo_url(run)).status_code == 403
    assert "../undo/" not in page(viewer, "importrun_change", run.pk)
    assert Tour.objects.filter(status="cancelled").count() == 0


@pytest.mark.parametrize("pk", ["999999", "x"])
def test_an_import_that_is_none_leads_back(staff: Client, pk: str) -> None:
    answer = staff.get(f"/admin/integrations/importrun/{pk}/undo/")
    assert answer.status_code == 302


# --- a large import: a worker finds out first what an undo would do ------------------------------------------------


@pytest.fixture
def large(staff: Client, settings: Any, tmp_path: Path) -> ImportRun:
    """Two tours, of a file that is too large to wait for; the import itself is done."""
    run = imported(staff, tours_file(tmp_path / "a.csv", {}, {"tour_ref": "A-2"}))
    settings.REANNA_IMPORT_AT_ONCE_ROWS = 1
    return run


def planned(staff: Client, run: ImportRun) -> PlannedUndo:
    staff.post(undo_url(run), {"plan": "1"})
    work.work_on_all(timezone.now())
    return PlannedUndo.objects.get(run=run)


def test_a_large_plan_is_asked_for_worked_out_and_shown(staff: Client, large: ImportRun) -> None:
    before = everything()
    assert "Work out what it would do" in page(staff, "importrun_undo", large.pk)
    staff.post(undo_url(large), {"plan": "1"})
    staff.post(undo_url(large), {"plan": "1"})
    assert "It waits for a worker." in page(staff, "importrun_undo", large.pk)

    work.work_on_all(timezone.now())

    text = page(staff, "importrun_undo", large.pk)
    assert "Tours that it created, cancelled and archived: 2." in text
    assert "Cancelled and archived: A-2 Two homes" in text
    assert everything() == {**before, "PlannedUndo": 1}


def test_what_was_seen_is_done_and_nothing_else(staff: Client, large: ImportRun) -> None:
    stop = TourStop.objects.filter(tour__reference="A-1")[0]
    tours.set_stop_status(stop.pk, "denied", actor="ann", via="admin")
    plan = planned(staff, large)
    assert plan.acts["tour"] == [Tour.objects.get(reference="A-2").pk]
    # By now nobody's change would stand in the way: the plan does.
    AuditEvent.objects.filter(verb="stop.status")._raw_delete("default")

    staff.post(undo_url(large), {"seen": str(plan.pk)})
    work.work_on_all(timezone.now())

    assert dict(Tour.objects.values_list("reference", "status")) == {"A-1": "scheduled", "A-2": "cancelled"}
    large.refresh_from_db()
    assert (large.state, large.undone["cancelled"]) == ("undone", 1)
    assert large.undone["left"] == ["A-1 Two homes: it was not in the plan, so it is left as it is."]
    assert PlannedUndo.objects.count() == 0


@pytest.mark.parametrize("seen", ["", "x", "999999"])
def test_a_large_import_is_not_taken_back_unseen(staff: Client, large: ImportRun, seen: str) -> None:
    planned(staff, large)

    answer = staff.post(undo_url(large), {"seen": seen})

    assert messages_of(answer)[-1] == "This plan is not up to date any more; have it worked out again."
    assert set(Tour.objects.values_list("status", flat=True)) == {"scheduled"}


def test_a_plan_of_an_import_that_went_on_is_refused(staff: Client, large: ImportRun) -> None:
    plan = planned(staff, large)
    ImportRun.objects.filter(pk=large.pk).update(next_row=large.next_row + 1)

    staff.post(undo_url(large), {"seen": str(plan.pk)})

    large.refresh_from_db()
    assert large.state == "done"


def test_a_plan_in_hand_is_left_to_whoever_has_it(staff: Client, large: ImportRun) -> None:
    staff.post(undo_url(large), {"plan": "1"})
    PlannedUndo.objects.update(owner="another", until_ms=2**60, done=1, total=2)

    work.work_on_all(timezone.now())

    assert "Finding out what it would do: 50 % of 2 tours." in page(staff, "importrun_undo", large.pk)


def test_a_worker_that_is_stopped_leaves_the_plan_to_the_next(staff: Client, large: ImportRun) -> None:
    staff.post(undo_url(large), {"plan": "1"})

    work.work(f"plan-{large.pk}", stopping=lambda: True)
    assert PlannedUndo.objects.get().made_at is None
    work.work_on_all(timezone.now())

    assert PlannedUndo.objects.get().made_at is not None
