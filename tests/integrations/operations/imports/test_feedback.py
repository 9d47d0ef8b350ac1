"""Files of feedback on known tours."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from integrations.models import AuditEvent, Feedback, ImportItem, Operation
from integrations.operations.imports.runs import Imported, Watcher, import_file
from tests import factories as make
from tests.tour_files import DATA, feedback_file, shared_sample, tours_file

pytestmark = pytest.mark.django_db


def _import(path: Path, kind: str = "feedback", heard: list[str] | None = None, **kwargs: Any) -> Imported:
    said = [] if heard is None else heard
    watcher = Watcher(
        error=lambda problem: said.append(str(problem)),
        warning=lambda problem: said.append(f"warning: {problem}"),
    )
    return import_file(path, kind, actor="ann", via="command", clock=lambda: 0.0, watcher=watcher, **kwargs)


@pytest.fixture
def _tour(tmp_path: Path) -> None:
    _import(tours_file(tmp_path / "tours.csv", {}, {"stop_sequence": "2", "appointment_status": "denied"}), "tours")


def test_a_small_file_is_stored_as_it_says() -> None:
    _import(DATA / "tours-small.csv", "tours")

    done = _import(DATA / "feedback-small.csv")

    first = Feedback.objects.get(stop__tour__reference="S-1", author_role="buyer")
    assert done.tally.created == 3
    assert (first.submitted_at, first.channel) == (datetime(2026, 9, 15, 2, 30, tzinfo=UTC), "import")
    assert (first.interest_level, first.overall_rating, first.price_opinion) == ("very_interested", 5, "fair")
    assert (first.second_showing, first.likes, first.dislikes) == ("yes", ["kitchen", "quiet street"], [])
    assert first.comments == "Loved it.\nWants to see it again."
    assert Operation.objects.count() == 0


def test_the_same_file_again_writes_nothing() -> None:
    _import(DATA / "tours-small.csv", "tours")
    _import(DATA / "feedback-small.csv")
    before = list(Feedback.objects.values())
    events = AuditEvent.objects.filter(object_type="feedback").count()

    done = _import(DATA / "feedback-small.csv")

    assert (done.tally.unchanged, list(Feedback.objects.values())) == (3, before)
    assert AuditEvent.objects.filter(object_type="feedback").count() == events
    assert ImportItem.objects.filter(run=done.run).count() == 0


@pytest.mark.usefixtures("_tour")
@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"tour_ref": "Z-9"}, "line 2, tour_ref: There is no tour “Z-9”."),
        ({"tour_ref": ""}, "line 2, tour_ref: This must be given."),
        ({"stop_sequence": "9"}, "line 2, stop_sequence: Tour A-1 has no stop 9."),
        ({"stop_sequence": "one"}, "line 2, stop_sequence: “one” is not a whole number."),
        ({"overall_rating": "6"}, "line 2, overall_rating: The rating must lie between 1 and 5, not 6."),
        (
            {"submitted_at": "2026-11-01T01:30"},
            "line 2, submitted_at: 2026-11-01 01:30 occurs twice in America/Los_Angeles: clocks go back that day.",
        ),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_stored(tmp_path: Path, row: dict[str, str], error: str) -> None:
    heard: list[str] = []

    done = _import(feedback_file(tmp_path / "f.csv", row), heard=heard)

    assert (heard, done.run, Feedback.objects.count()) == ([error], None, 0)


@pytest.mark.usefixtures("_tour")
def test_wrong_rows_alone_are_left_out_when_asked(tmp_path: Path) -> None:
    path = feedback_file(tmp_path / "f.csv", {}, {"overall_rating": "6", "author_role": "buyer_agent"})

    done = _import(path, skip_bad=True)

    assert (done.tally.created, done.checked.bad_rows) == (1, 1)
    assert Feedback.objects.get().author_role == "buyer"


@pytest.mark.usefixtures("_tour")
def test_the_same_answer_twice_is_named(tmp_path: Path) -> None:
    heard: list[str] = []

    _import(feedback_file(tmp_path / "f.csv", {}, {"author_role": "buyer_agent"}, {"comments": "Else"}), heard=heard)

    assert heard == ["line 4, submitted_at: The same answer stands on line 2 already."]


@pytest.mark.usefixtures("_tour")
def test_what_is_odd_is_warned_of_and_stored(tmp_path: Path) -> None:
    heard: list[str] = []

    odd = ({"submitted_at": "2099-01-01T10:00"}, {"stop_sequence": "2", "submitted_at": "2020-01-01T10:00"})
    _import(feedback_file(tmp_path / "f.csv", *odd), heard=heard)

    assert heard == [
        "warning: line 2, submitted_at: This feedback is dated in the future.",
        "warning: line 3, stop_sequence: This showing does not stand: it was cancelled or denied, or its tour was.",
    ]
    assert Feedback.objects.count() == 2


@pytest.mark.usefixtures("_tour")
def test_a_changed_answer_is_changed(tmp_path: Path) -> None:
    _import(feedback_file(tmp_path / "f.csv", {}))

    done = _import(feedback_file(tmp_path / "g.csv", {"comments": "Else", "likes": "yard"}))

    answer = Feedback.objects.get()
    assert (done.tally.updated, answer.comments, answer.likes, answer.version) == (1, "Else", ["yard"], 2)
    assert ImportItem.objects.get(run=done.run).before == {
        "comments": ["Light all day.", "Else"],
        "likes": [["kitchen", "yard"], ["yard"]],
    }


@pytest.mark.usefixtures("_tour")
def test_a_row_of_the_wrong_length_is_named(tmp_path: Path) -> None:
    path = feedback_file(tmp_path / "f.csv", {})
    path.write_text(path.read_text() + "A-1,1\n")
    heard: list[str] = []

    _import(path, heard=heard)

    assert heard == ["line 3, row: This row has 2 fields; the header has 11."]


def test_looking_up_does_not_grow_with_the_rows(tmp_path: Path, django_assert_max_num_queries: Any) -> None:
    _import(tours_file(tmp_path / "t.csv", *({"tour_ref": f"R-{number}"} for number in range(100))), "tours")
    path = feedback_file(tmp_path / "f.csv", *({"tour_ref": f"R-{number}"} for number in range(100)))
    _import(path)

    with django_assert_max_num_queries(60):
        _import(path)


def test_the_shared_sample_is_one_note_an_answer_and_tasks_only_where_called_for() -> None:
    make.ConnectionFactory(sync_from=datetime(2000, 1, 1, tzinfo=UTC))
    _import(shared_sample("tours.csv"), "tours")

    run = _import(shared_sample("feedback.csv")).run

    planned = Operation.objects.filter(entity_type="feedback", import_run=run)
    called = [said.pk for said in Feedback.objects.all() if said.calls_for_action]
    assert planned.filter(kind="feedback.note").values("entity_id").distinct().count() == 633
    assert sorted(planned.filter(kind="feedback.task").values_list("entity_id", flat=True)) == sorted(called)
    before = Operation.objects.count()
    _import(shared_sample("feedback.csv"))
    assert Operation.objects.count() == before


def test_the_shared_sample_is_stored_whole() -> None:
    _import(shared_sample("tours.csv"), "tours")

    done = _import(shared_sample("feedback.csv"))

    assert (done.checked.bad_rows, done.tally.created, Feedback.objects.count()) == (0, 633, 633)


# --- the column that may be missing ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("_tour")
def test_how_likely_an_offer_is_may_be_told_in_a_column_of_its_own(tmp_path: Path) -> None:
    _import(feedback_file(tmp_path / "f.csv", {"offer_likelihood": "likely"}, {"author_role": "buyer_agent"}))

    assert list(Feedback.objects.order_by("author_role").values_list("author_role", "offer_likelihood")) == [
        ("buyer", "likely"),
        ("buyer_agent", ""),
    ]


@pytest.mark.usefixtures("_tour")
def test_a_file_without_the_column_leaves_what_is_stored_and_one_with_it_empty_takes_it_away(tmp_path: Path) -> None:
    _import(feedback_file(tmp_path / "f.csv", {"offer_likelihood": "likely"}))

    assert _import(feedback_file(tmp_path / "g.csv", {})).tally.unchanged == 1
    assert Feedback.objects.get().offer_likelihood == "likely"
    assert _import(feedback_file(tmp_path / "h.csv", {"offer_likelihood": ""})).tally.updated == 1
    assert Feedback.objects.get().offer_likelihood == ""


@pytest.mark.usefixtures("_tour")
def test_an_unknown_likelihood_is_named(tmp_path: Path) -> None:
    heard: list[str] = []

    done = _import(feedback_file(tmp_path / "f.csv", {"offer_likelihood": "sure"}), heard=heard)

    assert (done.run, len(heard)) == (None, 1)
    assert heard[0].startswith("line 2, offer_likelihood: ")
