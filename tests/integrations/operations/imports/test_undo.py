"""Taking an import back: shown first, then done through the verbs; what people changed since is theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integrations.models import Agent, Contact, Feedback, ImportRun, Operation, Tour, TourStop
from integrations.operations import tours
from integrations.operations.imports.runs import Imported, import_file
from integrations.operations.imports.undo import undo, undo_plan
from integrations.operations.refusals import NotPossible
from tests import factories as make
from tests.tour_files import feedback_file, tours_file

pytestmark = pytest.mark.django_db

BY = {"actor": "ann", "via": "admin"}


def _import(path: Path, kind: str = "tours") -> ImportRun:
    done: Imported = import_file(path, kind, actor="ann", via="command", clock=lambda: 0.0)
    assert done.run is not None
    return done.run


def _undo(run: ImportRun) -> Any:
    return undo(run.pk, now=make.START, **BY)


def _two(tmp_path: Path, **changes: str) -> Path:
    return tours_file(tmp_path / "two.csv", {"tour_ref": "A-1", **changes}, {"tour_ref": "A-2"})


def test_created_tours_and_buyers_are_put_away_and_agents_stay(tmp_path: Path) -> None:
    make.ConnectionFactory()
    run = _import(_two(tmp_path))

    plan = _undo(run)

    run.refresh_from_db()
    assert (plan.cancel, plan.restore, plan.left) == (["A-1 Two homes", "A-2 Two homes"], [], [])
    assert (plan.contacts_archived, plan.contacts_left, plan.agents_kept, run.state) == (1, [], 1, "undone")
    assert Contact.objects.get().archived_at == make.START
    assert set(Tour.objects.values_list("status", "archived_at")) == {("cancelled", make.START)}
    assert sorted(Operation.objects.filter(kind="appointment.sync").values_list("version", "state")) == [
        (1, "superseded"),
        (1, "superseded"),
        (2, "pending"),
        (2, "pending"),
    ]
    assert (Contact.objects.count(), Agent.objects.count()) == (1, 1)


def test_the_plan_says_what_will_be_done_and_writes_nothing(tmp_path: Path) -> None:
    run = _import(_two(tmp_path))

    plan = undo_plan(run.pk)

    assert (plan.cancel, plan.contacts_archived) == (["A-1 Two homes", "A-2 Two homes"], 1)
    assert Contact.objects.get().archived_at is None
    run.refresh_from_db()
    assert run.state == "done"
    assert set(Tour.objects.values_list("status", "archived_at")) == {("scheduled", None)}


def test_a_tour_that_someone_changed_since_is_left_to_them(tmp_path: Path) -> None:
    run = _import(_two(tmp_path))
    stop = TourStop.objects.get(tour__reference="A-1")
    tours.set_stop_status(stop.pk, "denied", **BY)

    plan = _undo(run)

    assert plan.cancel == ["A-2 Two homes"]
    assert plan.left == ["A-1 Two homes: someone changed it since; cancel and archive it yourself if it is not wanted."]
    assert Tour.objects.get(reference="A-1").status == "scheduled"


def test_changes_are_put_back(tmp_path: Path) -> None:
    _import(_two(tmp_path))
    run = _import(
        _two(
            tmp_path,
            title="Other",
            starts_at="2026-09-15T09:00",
            list_price="1",
            buyer_first_name="Bo",
            appointment_end="2026-09-14T15:00",
        )
    )

    plan = _undo(run)

    tour = Tour.objects.get(reference="A-1")
    stop = tour.stops.get()
    assert (plan.cancel, plan.restore, plan.left) == ([], ["A-1 Two homes"], [])
    assert (tour.title, tour.starts_at, tour.buyer.first_name) == ("Two homes", make.START, "Bea")
    assert (stop.list_price, stop.version) == (59222, 3)
    assert TourStop.objects.get(tour__reference="A-2").version == 1


def test_only_what_still_stands_as_imported_is_put_back(tmp_path: Path) -> None:
    _import(_two(tmp_path))
    run = _import(_two(tmp_path, title="Other", street="9 Elm St", city="Davis"))
    stop = TourStop.objects.get(tour__reference="A-1")
    tours.change_stop_values(stop.pk, {"city": "Lodi"}, **BY)

    plan = _undo(run)

    stop.refresh_from_db()
    assert (stop.street, stop.city, Tour.objects.get(reference="A-1").title) == ("3526 High St", "Lodi", "Two homes")
    assert plan.left == ["A-1 Two homes: changed since, left as it is: stop 1 city."]


def test_a_stop_added_to_a_known_tour_is_cancelled(tmp_path: Path) -> None:
    _import(_two(tmp_path))
    run = _import(tours_file(tmp_path / "more.csv", {"tour_ref": "A-1", "stop_sequence": "2"}))

    plan = _undo(run)

    assert plan.restore == ["A-1 Two homes"]
    assert list(TourStop.objects.filter(tour__reference="A-1").values_list("sequence", "appointment_status")) == [
        (1, "confirmed"),
        (2, "cancelled"),
    ]


def test_an_undone_file_can_be_imported_again(tmp_path: Path) -> None:
    make.ConnectionFactory()
    path = _two(tmp_path)
    _undo(_import(path))

    again = _import(path)

    assert again.updated_count == 2
    assert set(Tour.objects.values_list("status", "archived_at")) == {("scheduled", None)}
    assert Operation.objects.filter(kind="appointment.sync", state="pending", version=3).count() == 2
    _undo(again)
    assert set(Tour.objects.values_list("status", "archived_at")) == {("cancelled", make.START)}


def test_what_staff_archived_themselves_stays_archived(tmp_path: Path) -> None:
    path = _two(tmp_path)
    _import(path)
    tour = Tour.objects.get(reference="A-1")
    tours.cancel_tour(tour.pk, **BY)
    tours.archive_tour(tour.pk, now=make.START, **BY)

    assert _import(path).unchanged_count == 2


def test_undoing_twice_is_refused(tmp_path: Path) -> None:
    run = _import(_two(tmp_path))
    _undo(run)

    for again in (lambda: undo_plan(run.pk), lambda: _undo(run)):
        with pytest.raises(NotPossible, match=f"Import {run.pk} is undone already"):
            again()


def test_an_undo_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    path = tours_file(tmp_path / "many.csv", *({"tour_ref": f"R-{number}"} for number in range(30)))
    run = _import(path)

    def stop(tours_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        undo(run.pk, now=make.START, progress=stop, **BY)
    assert Tour.objects.filter(status="cancelled").count() == 20

    plan = _undo(run)

    assert (len(plan.cancel), plan.left) == (10, [])
    assert Tour.objects.filter(status="cancelled").count() == 30


def test_an_import_that_still_runs_is_ended_by_its_undo(tmp_path: Path) -> None:
    run = _import(_two(tmp_path))
    ImportRun.objects.update(state="running")

    _undo(run)

    run.refresh_from_db()
    assert run.state == "undone"


def test_created_answers_are_deleted_and_changed_ones_put_back(tmp_path: Path) -> None:
    _import(_two(tmp_path))
    first = _import(feedback_file(tmp_path / "f.csv", {}), "feedback")
    path = feedback_file(tmp_path / "g.csv", {"comments": "Else"}, {"author_role": "buyer_agent"})
    second = _import(path, "feedback")

    plan = _undo(second)
    assert (plan.feedback_deleted, plan.feedback_restored, plan.left) == (1, 1, [])
    assert Feedback.objects.get().comments == "Light all day."

    plan = _undo(first)
    assert plan.feedback_deleted == 0
    assert [line.endswith(": changed since, left as it is.") for line in plan.left] == [True]
    assert Feedback.objects.count() == 1


def test_the_plan_of_answers_writes_nothing(tmp_path: Path) -> None:
    _import(_two(tmp_path))
    run = _import(feedback_file(tmp_path / "f.csv", {}), "feedback")

    assert undo_plan(run.pk).feedback_deleted == 1
    assert Feedback.objects.count() == 1


def test_an_answer_no_crm_was_told_of_is_deleted_with_its_operations(tmp_path: Path) -> None:
    make.ConnectionFactory()
    _import(_two(tmp_path))
    run = _import(feedback_file(tmp_path / "f.csv", {}), "feedback")
    assert Operation.objects.filter(entity_type="feedback", import_run=run).count() == 1

    assert undo_plan(run.pk).feedback_deleted == 1
    assert _undo(run).feedback_deleted == 1

    assert (Feedback.objects.count(), Operation.objects.filter(entity_type="feedback").count()) == (0, 0)


def test_an_answer_a_crm_may_know_is_left_and_named(tmp_path: Path) -> None:
    make.ConnectionFactory()
    _import(_two(tmp_path))
    run = _import(feedback_file(tmp_path / "f.csv", {}), "feedback")
    Operation.objects.filter(kind="feedback.note").update(state="unknown", in_doubt=True, token=1)

    plan = _undo(run)

    assert (plan.feedback_deleted, Feedback.objects.count()) == (0, 1)
    assert plan.left[0].endswith(": its note is in a CRM or on its way there, so it is left as it is.")


def test_an_answer_put_back_is_told_again(tmp_path: Path) -> None:
    make.ConnectionFactory()
    _import(_two(tmp_path))
    _import(feedback_file(tmp_path / "f.csv", {}), "feedback")
    second = _import(feedback_file(tmp_path / "g.csv", {"comments": "Else"}), "feedback")

    _undo(second)

    notes = Operation.objects.filter(kind="feedback.note").order_by("version")
    assert list(notes.values_list("version", "state")) == [(1, "superseded"), (2, "superseded"), (3, "pending")]
