"""`import_tours`, `import_feedback` and `undo_import` as someone at a terminal meets them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from integrations.management.progress import Progress
from integrations.models import Feedback, ImportRun, Tour
from tests.tour_files import DATA, feedback_file, shared_sample, tours_file

pytestmark = pytest.mark.django_db


def _run(*args: Any, **kwargs: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command(*args, stdout=out, stderr=err, no_color=True, **kwargs)
    return out.getvalue(), err.getvalue()


def _fails(*args: Any, **kwargs: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command(*args, stdout=out, stderr=err, no_color=True, **kwargs)
    assert out.getvalue() == ""
    return str(caught.value), err.getvalue()


def test_an_import_says_what_it_did() -> None:
    out, err = _run("import_tours", DATA / "tours-small.csv")

    run = ImportRun.objects.get()
    assert out.splitlines() == [
        f"Import {run.pk}: 3 tours created, 0 updated, 0 unchanged.",
        "Stops: 4 created, 0 changed.",
        f"To take it back: manage.py undo_import {run.pk}",
    ]
    assert err.splitlines() == [
        "warning: line 3, appointment_start: Ann Agent is at S-1 stop 1 (line 2) when S-2 stop 1 begins."
    ]


def test_an_import_of_the_same_file_says_that_nothing_changed() -> None:
    _run("import_tours", DATA / "tours-small.csv")

    out, _ = _run("import_tours", DATA / "tours-small.csv")

    assert out == f"Import {ImportRun.objects.latest('pk').pk}: 0 tours created, 0 updated, 3 unchanged.\n"


def test_wrong_rows_are_named_and_the_command_fails(tmp_path: Path) -> None:
    path = tours_file(tmp_path / "a.csv", {"list_price": "-5"}, {"tour_ref": "B-1"})

    failure, err = _fails("import_tours", path)

    assert failure == (
        "1 of 2 rows are wrong: nothing was imported. "
        "Correct them, or leave out each tour that has a wrong row, whole, with --skip-bad."
    )
    assert err == "line 2, list_price: The price must lie between 0 and 9999999999.99, not -5.\n"
    assert Tour.objects.count() == 0


def test_leaving_out_wrong_tours_still_names_them(tmp_path: Path) -> None:
    path = tours_file(tmp_path / "a.csv", {"list_price": "-5"}, {"tour_ref": "B-1"})

    out, err = _run("import_tours", path, skip_bad=True)

    assert "1 tours created" in out
    assert "Left out: 1 tours, 1 wrong rows." in out
    assert err.startswith("line 2, list_price: ")


def test_checking_stores_nothing(tmp_path: Path) -> None:
    out, _ = _run("import_tours", DATA / "tours-small.csv", check=True)
    failure, _ = _fails("import_tours", tours_file(tmp_path / "a.csv", {"street": ""}), check=True)

    assert out == "4 rows checked, all good; nothing was stored.\n"
    assert failure == "1 of 1 rows are wrong: nothing was imported."
    assert ImportRun.objects.count() == 0


def test_a_file_that_cannot_be_read_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "wrong.csv").write_text("a,b\n")

    assert "unknown column “a”, “b”" in _fails("import_tours", tmp_path / "wrong.csv")[0]
    assert _fails("import_tours", tmp_path / "no.csv")[0].endswith("no.csv: No such file or directory")
    assert _fails("import_tours", tmp_path)[0].endswith(": Is a directory")


def test_many_warnings_are_cut_short(tmp_path: Path) -> None:
    path = tours_file(tmp_path / "a.csv", *({"tour_ref": f"R-{number}"} for number in range(30)))

    _, err = _run("import_tours", path)

    assert len(err.splitlines()) == 21
    assert err.splitlines()[-1] == "warning: and 9 more"


def test_a_resumed_import_says_so(tmp_path: Path) -> None:
    _run("import_tours", DATA / "tours-small.csv")
    ImportRun.objects.update(state="running")

    out, _ = _run("import_tours", DATA / "tours-small.csv")

    assert out.startswith("An import of this file was interrupted; it went on as import ")
    assert ImportRun.objects.get().state == "done"


def test_feedback_is_imported(tmp_path: Path) -> None:
    _run("import_tours", DATA / "tours-small.csv")

    out, _ = _run("import_feedback", DATA / "feedback-small.csv")
    failure, err = _fails("import_feedback", feedback_file(tmp_path / "f.csv", {"tour_ref": "Z-9"}))

    assert "3 answers created, 0 updated, 0 unchanged." in out
    assert failure.endswith("Correct them, or leave out wrong rows with --skip-bad.")
    assert err == "line 2, tour_ref: There is no tour “Z-9”.\n"
    assert Feedback.objects.count() == 3


def test_an_undo_shows_its_plan_and_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    _run("import_tours", DATA / "tours-small.csv")
    run = ImportRun.objects.get()
    monkeypatch.setattr("builtins.input", lambda question: "no")

    out, _ = _run("undo_import", run.pk)

    assert out.splitlines() == [
        f"Import {run.pk} of tours-small.csv:",
        "3 tours would be cancelled and archived:",
        "  S-1 Núñez — 2 homes",
        "  S-2 Formula",
        "  S-3",
        "3 buyers would be archived.",
        "2 agents it created stay.",
        "Nothing was changed.",
    ]
    assert not Tour.objects.filter(status="cancelled").exists()


def test_an_agreed_undo_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    _run("import_tours", DATA / "tours-small.csv")
    monkeypatch.setattr("builtins.input", lambda question: " Yes ")

    out, _ = _run("undo_import", ImportRun.objects.get().pk)

    assert "3 tours were cancelled and archived:" in out
    assert Tour.objects.filter(status="cancelled").count() == 3


def test_an_undo_of_feedback_counts_answers() -> None:
    _run("import_tours", DATA / "tours-small.csv")
    _run("import_feedback", DATA / "feedback-small.csv")

    out, _ = _run("undo_import", ImportRun.objects.latest("pk").pk, yes=True)

    assert "3 answers were deleted, 0 put back." in out
    assert Feedback.objects.count() == 0


def test_an_undo_nobody_can_be_asked_about_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(question: str) -> str:
        raise EOFError

    _run("import_tours", DATA / "tours-small.csv")
    monkeypatch.setattr("builtins.input", nobody)

    with pytest.raises(CommandError, match="add --yes"):
        call_command("undo_import", ImportRun.objects.get().pk, stdout=io.StringIO())


def test_an_undo_of_what_is_not_there_is_a_plain_error() -> None:
    assert _fails("undo_import", 404, yes=True)[0] == "There is no import 404."
    _run("import_tours", DATA / "tours-small.csv")
    run = ImportRun.objects.get()
    _run("undo_import", run.pk, yes=True)

    assert _fails("undo_import", run.pk, yes=True)[0] == f"Import {run.pk} is undone already."


def test_a_long_undo_plan_is_cut_short(tmp_path: Path) -> None:
    _run("import_tours", tours_file(tmp_path / "a.csv", *({"tour_ref": f"R-{number}"} for number in range(25))))

    out, _ = _run("undo_import", ImportRun.objects.get().pk, yes=True)

    assert "  … and 5 more" in out


def test_the_damaged_sample_says_each_of_its_rows() -> None:
    failure, err = _fails("import_tours", shared_sample("tours-damaged.csv"))

    assert len([line for line in err.splitlines() if line.startswith("line ")]) == 12
    assert failure.startswith("12 of 52 rows are wrong: nothing was imported.")


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_line_every_few_seconds_where_nobody_watches() -> None:
    times = iter([0.0, 1.0, 5.0, 5.0, 6.0, 11.0, 11.0])
    stream = io.StringIO()
    progress = Progress(stream, "importing", "rows", clock=lambda: next(times))

    for done in (10, 20, 30, 1000):
        progress(done, 2000)
    progress.close()

    assert stream.getvalue() == "importing: 20 of 2,000 rows (1 %)\nimporting: 1,000 of 2,000 rows (50 %)\n"


def test_progress_is_a_bar_on_a_terminal() -> None:
    screen = _Screen()
    progress = Progress(screen, "importing", "rows")

    progress(10, 100)
    progress(100, 100)
    progress.close()
    progress.close()

    assert "importing" in screen.getvalue()
