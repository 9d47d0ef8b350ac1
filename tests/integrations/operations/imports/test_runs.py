"""An import that is killed goes on where it stopped; two at once do not disturb one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integrations.models import AuditEvent, ImportRun, Tour
from integrations.operations.imports import runs, tours
from integrations.operations.imports.reader import UnreadableFileError
from integrations.operations.imports.runs import MAX_TRANSACTION_ROWS, Imported, Pace, Watcher, import_file
from integrations.operations.imports.staging import Group
from integrations.operations.refusals import NotPossible
from tests.tour_files import tours_file


class Killed(BaseException):
    """The process ends here."""


def _import(path: Path, **kwargs: Any) -> Imported:
    return import_file(path, "tours", actor="ann", via="command", clock=lambda: 0.0, **kwargs)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Fifty tours of one stop."""
    return tours_file(tmp_path / "tours.csv", *({"tour_ref": f"R-{number}"} for number in range(50)))


def _killed_after(applied: int) -> Watcher:
    """Lets a number of transactions pass, then the process ends."""
    left = iter(range(applied - 1))

    def applying(done: int, total: int) -> None:
        if next(left, None) is None:
            raise Killed

    return Watcher(applying=applying)


@pytest.mark.django_db(transaction=True)
def test_a_killed_import_is_resumed_by_the_same_command(path: Path) -> None:
    with pytest.raises(Killed):
        _import(path, watcher=_killed_after(1))
    run = ImportRun.objects.get()
    assert (Tour.objects.count(), run.state, run.next_row, run.created_count) == (20, "running", 22, 20)

    done = _import(path)

    assert done.run is not None
    assert (done.resumed, done.run.pk, done.run.state) == (True, run.pk, "done")
    assert (done.tally.created, done.tally.unchanged, done.run.created_count) == (30, 0, 50)
    assert AuditEvent.objects.filter(verb="import.tours").get().after == {
        "rows": 50,
        "created": 50,
        "updated": 0,
        "unchanged": 0,
        "left_out": 0,
    }


@pytest.mark.django_db(transaction=True)
def test_a_kill_inside_a_transaction_leaves_none_of_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*args: Any, **kwargs: Any) -> Any:
        tours_applied(*args, **kwargs)
        raise Killed

    tours_applied = tours.apply
    monkeypatch.setattr(tours, "apply", die)
    with pytest.raises(Killed):
        _import(path)

    assert (Tour.objects.count(), ImportRun.objects.get().next_row) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_another_file_does_not_resume_it(path: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        _import(path, watcher=_killed_after(1))

    done = _import(tours_file(tmp_path / "other.csv", {"tour_ref": "X"}))

    assert done.run is not None
    assert (done.resumed, done.run.created_count) == (False, 1)


@pytest.mark.django_db
def test_two_imports_of_one_file_at_once_do_not_both_apply_it(path: Path) -> None:
    inner: list[Imported] = []

    def applying(done: int, total: int) -> None:
        if not inner:
            inner.append(_import(path))

    with pytest.raises(NotPossible, match="was ended meanwhile; this one stopped before line 22"):
        _import(path, watcher=Watcher(applying=applying))

    assert inner[0].run is not None
    assert (inner[0].resumed, inner[0].run.created_count, Tour.objects.count()) == (True, 50, 50)
    assert ImportRun.objects.count() == 1


@pytest.mark.django_db
def test_one_that_was_overtaken_says_where_the_other_is(path: Path) -> None:
    def applying(done: int, total: int) -> None:
        ImportRun.objects.update(next_row=40)

    with pytest.raises(NotPossible, match=r"Another process is importing this file \(run \d+, now at line 40 of 51\)"):
        _import(path, watcher=Watcher(applying=applying))


@pytest.mark.django_db
def test_progress_is_told(path: Path) -> None:
    checking: list[tuple[int, int]] = []
    applying: list[tuple[int, int]] = []

    _import(
        path,
        watcher=Watcher(checking=lambda *at: checking.append(at), applying=lambda *at: applying.append(at)),
    )

    assert checking[-1] == (path.stat().st_size, path.stat().st_size)
    assert applying == [(20, 50), (50, 50)]


@pytest.mark.django_db
def test_a_wrong_file_begins_no_run(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n")

    with pytest.raises(UnreadableFileError):
        _import(wrong)

    assert ImportRun.objects.count() == 0


def test_transactions_shrink_when_they_are_slow_and_grow_when_they_are_quick() -> None:
    pace = Pace()
    sizes = []
    for seconds in (0.24, 0.24, 0.12, 0.06, 0.001):
        pace.took(seconds)
        sizes.append(pace.size)

    assert sizes == [10, 5, 5, 8, 13]
    for _ in range(20):
        pace.took(0.0)
    assert pace.size == 50
    for _ in range(20):
        pace.took(1.0)
    assert pace.size == 1


def test_a_transaction_takes_whole_tours_up_to_a_number_of_rows() -> None:
    groups = [Group(f"G-{number}", number, ((number, []),) * rows) for number, rows in enumerate([70, 60, 300, 1])]

    portions = list(runs.portions(groups, Pace()))

    assert [[group.ref for group in portion] for portion in portions] == [["G-0"], ["G-1"], ["G-2"], ["G-3"]]
    assert MAX_TRANSACTION_ROWS == 120
