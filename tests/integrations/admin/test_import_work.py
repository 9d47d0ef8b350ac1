"""Large files: a worker looks at them, imports them and takes them back; nothing hangs on a message or a process."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations import jobs, tasks
from integrations.models import ImportRun, Operation, PlannedUndo, Tour
from integrations.operations.imports import runs, uploads, work
from integrations.operations.imports import tours as format_of_tours
from tests.factories import ConnectionFactory
from tests.integrations.admin.browsing import messages_of, page
from tests.integrations.admin.importing import confirm, errors_of, hand_in, preview, told
from tests.tour_files import many_tours

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("small_limit")]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Sixty tours in 192 rows."""
    return many_tours(tmp_path / "large.csv", 60)


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a worker would find each time the doorbell rang. Only the publish is replaced: tests have no broker."""
    jobs: list[str] = []
    monkeypatch.setattr(tasks.doorbell, "ring_for_imports", lambda: jobs.extend(work.unfinished(timezone.now())))
    return jobs


@pytest.fixture
def small_limit(settings: Any) -> None:
    """Everything above ten rows goes to a worker."""
    settings.REANNA_IMPORT_AT_ONCE_ROWS = 10


def test_a_large_file_is_looked_at_and_imported_by_a_worker(staff: Client, tmp_path: Path, rung: list[str]) -> None:
    url, text = preview(staff, many_tours(tmp_path / "many.csv", 10))
    token = uploads.looked_at()[0].token
    assert rung == [f"check-{token}"]
    assert "It waits for a worker." in text
    assert 'data-again="3"' in text

    work.work(rung[0])
    text = staff.get(url).content.decode()
    assert told(text)["Tours to create"].startswith("10")
    assert "data-again" not in text

    answer = confirm(staff, text)
    run = ImportRun.objects.get()
    assert rung[1:] == [f"run-{run.pk}"]
    assert (run.state, Tour.objects.count()) == ("running", 0)
    waiting = staff.get(answer.url).content.decode()
    assert "0 of 32 rows" in waiting
    assert 'data-again="3"' in waiting

    work.work(rung[1])
    run.refresh_from_db()
    assert (run.state, run.created_count, Tour.objects.count()) == ("done", 10, 10)
    assert "data-again" not in staff.get(answer.url).content.decode()
    assert uploads.runs_with_files() == []


def test_a_large_file_with_wrong_columns_is_refused_at_once(staff: Client, tmp_path: Path, rung: list[str]) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text("a,b\n" + "1,2\n" * 50)
    assert "missing column" in errors_of(hand_in(staff, path))
    assert rung == []


def test_a_large_file_that_turns_out_wrong_says_so_on_its_page(staff: Client, tmp_path: Path, rung: list[str]) -> None:
    path = many_tours(tmp_path / "many.csv", 10)
    path.write_bytes(path.read_bytes().replace(b"Tour 9", b"Tour \xe9"))
    url, _ = preview(staff, path)
    work.work(rung[0])
    text = staff.get(url).content.decode()
    assert "is not UTF-8" in text
    assert "process_import" not in text


# --- killed, stopped, doubled ------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


def confirmed(staff: Client, path: Path, rung: list[str]) -> ImportRun:
    """A large file that was looked at and confirmed; nobody has begun to import it."""
    url, _ = preview(staff, path)
    work.work(rung.pop())
    confirm(staff, staff.get(url).content.decode())
    assert rung.pop() == f"run-{ImportRun.objects.get().pk}"
    return ImportRun.objects.get()


@pytest.fixture
def dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is killed before its second transaction."""
    applied = format_of_tours.apply
    calls: list[int] = []

    def apply(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise Killed
        return applied(*args, **kwargs)

    monkeypatch.setattr(format_of_tours, "apply", apply)


def time_passes(seconds: int) -> None:
    """Makes every sign of life so much older."""
    past = timedelta(seconds=seconds)
    for run in ImportRun.objects.all():
        ImportRun.objects.filter(pk=run.pk).update(updated_at=run.updated_at - past)
    for hand in uploads._root().glob("*/in-hand"):
        before = hand.stat().st_mtime - seconds
        os.utime(hand, (before, before))


@pytest.mark.usefixtures("dies")
def test_a_look_that_was_cut_short_is_taken_up_again(staff: Client, large: Path, rung: list[str]) -> None:
    url, _ = preview(staff, large)
    job = rung.pop()
    with pytest.raises(Killed):
        work.work(job)
    assert work.unfinished(timezone.now()) == [job]
    work.work(job)
    assert told(staff.get(url).content.decode())["Tours to create"].startswith("60")
    assert Tour.objects.count() == 0


def test_a_killed_import_is_found_when_it_gave_no_sign_of_life(
    staff: Client, large: Path, rung: list[str], request: pytest.FixtureRequest
) -> None:
    run = confirmed(staff, large, rung)
    request.getfixturevalue("dies")
    with pytest.raises(Killed):
        work.work(f"run-{run.pk}")
    assert Tour.objects.count() == 20

    assert work.unfinished(timezone.now()) == []
    work.work(f"run-{run.pk}")
    assert Tour.objects.count() == 20  # another may still have it in hand
    time_passes(runs.SILENT_S + 1)
    assert "It waits for a worker" in page(staff, "importrun_change", run.pk)
    assert work.unfinished(timezone.now()) == [f"run-{run.pk}"]

    jobs.work_on_imports()
    run.refresh_from_db()
    assert (run.state, run.created_count, Tour.objects.count()) == ("done", 60, 60)
    assert work.unfinished(timezone.now()) == []


def test_a_worker_that_is_stopped_lets_go_at_once(staff: Client, large: Path, rung: list[str]) -> None:
    run = confirmed(staff, large, rung)
    work.work(f"run-{run.pk}", stopping=Tour.objects.exists)
    run.refresh_from_db()
    assert (run.state, run.began_at, Tour.objects.count()) == ("running", None, 20)
    assert work.unfinished(timezone.now()) == [f"run-{run.pk}"]
    work.work(f"run-{run.pk}")
    assert Tour.objects.count() == 60


def test_a_run_done_twice_is_done_once(staff: Client, large: Path, rung: list[str]) -> None:
    ConnectionFactory()
    run = confirmed(staff, large, rung)
    work.work(f"run-{run.pk}")
    planned = Operation.objects.count()
    work.work(f"run-{run.pk}")
    run.refresh_from_db()
    assert (run.created_count, run.unchanged_count, Operation.objects.count()) == (60, 0, planned)


def test_what_goes_wrong_is_said_on_the_page(
    staff: Client, large: Path, rung: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = confirmed(staff, large, rung)

    def breaks(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(format_of_tours, "apply", breaks)
    work.work(f"run-{run.pk}")

    text = page(staff, "importrun_change", run.pk)
    run.refresh_from_db()
    assert run.state == "stopped"
    assert "Importing again is harmless." in text
    assert "secret detail" not in text
    assert "data-again" not in text
    assert uploads.runs_with_files() == []


def test_a_run_without_a_file_says_to_import_again(staff: Client, large: Path, rung: list[str]) -> None:
    run = confirmed(staff, large, rung)
    upload = uploads.of_run(run.pk)
    assert upload is not None
    upload.remove()
    text = page(staff, "importrun_change", run.pk)
    assert "Import the same file again: it goes on where it stopped" in text
    assert "data-again" not in text

    url, _ = preview(staff, large)
    work.work(rung.pop())
    confirm(staff, staff.get(url).content.decode())
    work.work(rung.pop())
    run.refresh_from_db()
    assert (run.state, ImportRun.objects.count(), Tour.objects.count()) == ("done", 1, 60)


def test_a_file_nobody_confirmed_is_removed_after_a_day(staff: Client, large: Path, rung: list[str]) -> None:
    preview(staff, large)
    assert uploads.purge(timezone.now() + timedelta(hours=23)) == 0
    assert uploads.purge(timezone.now() + timedelta(hours=25)) == 1
    assert uploads.looked_at() == []


@pytest.mark.parametrize("job", ["", "check-", "run-x", "run-999", "undo-999", "drop-1", "check-../run-1"])
def test_a_job_that_is_none_does_nothing(job: str) -> None:
    work.work(job)
    assert ImportRun.objects.count() == 0


def test_a_broker_that_is_away_loses_nothing(staff: Client, large: Path, settings: Any) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.current_app, "send_task", away)
        patch.setattr(tasks, "doorbell", tasks.Doorbell())
        url, _ = preview(staff, large)
    token = uploads.looked_at()[0].token
    assert work.unfinished(timezone.now()) == [f"check-{token}"]
    assert "It waits for a worker." in staff.get(url).content.decode()


# --- taking back -------------------------------------------------------------------------------------------------


def planned_undo(staff: Client, run: ImportRun) -> str:
    """Ask for the plan, have it worked out; the address where it is agreed to."""
    url = reverse("admin:integrations_importrun_undo", args=[run.pk])
    assert staff.post(url, {"plan": "1"}).url == url
    work.work(f"plan-{run.pk}")
    return url


def test_a_large_undo_is_done_by_a_worker(staff: Client, large: Path, rung: list[str]) -> None:
    run = confirmed(staff, large, rung)
    work.work(f"run-{run.pk}")
    url = planned_undo(staff, run)
    seen = {"seen": str(PlannedUndo.objects.get(run=run).pk)}
    rung.clear()

    first, second = staff.post(url, seen), staff.post(url, seen)

    assert rung == [f"undo-{run.pk}"] * 2
    assert messages_of(first) == [f"Import {run.pk} is being taken back; this page shows how far it is."]
    assert second.status_code == 302
    waiting = page(staff, "importrun_change", run.pk)
    assert "It is being taken back." in waiting
    assert "../undo/" not in waiting
    assert Tour.objects.filter(status="cancelled").count() == 0

    for job in rung:
        work.work(job)
    run.refresh_from_db()
    assert run.state == "undone"
    assert run.undone["cancelled"] == 60
    assert Tour.objects.filter(status="cancelled", archived_at__isnull=False).count() == 60


def test_an_undo_that_is_stopped_goes_on_and_counts_all(staff: Client, large: Path, rung: list[str]) -> None:
    run = confirmed(staff, large, rung)
    work.work(f"run-{run.pk}")
    staff.post(planned_undo(staff, run), {"seen": str(PlannedUndo.objects.get(run=run).pk)})
    work.work(f"undo-{run.pk}", stopping=lambda: Tour.objects.filter(status="cancelled").exists())
    assert Tour.objects.filter(status="cancelled").count() == 20
    assert "So far 20 tours cancelled" in page(staff, "importrun_change", run.pk)

    assert work.unfinished(timezone.now()) == [f"undo-{run.pk}"]
    work.work(f"undo-{run.pk}")
    run.refresh_from_db()
    assert (run.state, run.undone["cancelled"], run.undone["contacts_archived"]) == ("undone", 60, 60)
