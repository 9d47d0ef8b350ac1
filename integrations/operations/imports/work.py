"""What is done with a file that came by browser: look at it, import it, take it back; at once or by a worker.

A job is named by a word: `check-<token>`, `run-<id>`, `plan-<id>` (of an undo) or `undo-<id>`. A message to a
worker does not even say that: what is to be done stands on disk (the file) and in the database (the run), and
`unfinished` finds what nobody has in hand.
A lost message or a killed worker costs a minute or two. Doing a job twice does nothing twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from integrations.models import ImportRun
from integrations.operations.refusals import NotPossible
from integrations.tasks import ring_for_imports

from . import undo_planned, uploads
from .preview import Preview, preview_file
from .reader import Problem, UnreadableFileError
from .runs import SILENT_S, Checked, Interrupted, Watcher, begin, claim, import_file, in_hand, release
from .undo import carry_on, start_undo
from .uploads import Upload

log = logging.getLogger(__name__)

VIA = "admin"
TELL_EVERY_S = 2.0
MAX_WARNINGS = 20
FAILED = "It ended with an error that is none of the file's; the log of the worker has it. Importing again is harmless."


def never() -> bool:
    return False


# --- what staff ask for ------------------------------------------------------------------------------------------


def at_once(rows: int) -> bool:
    """Whether so many rows are worked on while the person waits."""
    return rows <= int(settings.REANNA_IMPORT_AT_ONCE_ROWS)


def ask(job: str, *, rows: int) -> None:
    """Do the job now when it is small, else ring for a worker."""
    if at_once(rows):
        work(job)
    else:
        ring_for_imports()


def look(upload: Upload) -> None:
    """Check a file and find out what an import of it would do."""
    ask(f"check-{upload.token}", rows=upload.lines)


def confirm(token: str, digest: str, *, skip_bad: bool, actor: str) -> tuple[ImportRun, bool]:
    """Import what was looked at; True when this is what began it. Raises NotPossible.

    Asked again (a double click), the run that was begun is handed out.
    """
    upload = uploads.find(token)
    if upload is None:
        return _begun(digest), False
    found = upload.preview()
    if found is None or upload.digest != digest:
        raise NotPossible("This file was not looked at yet; open its preview first.")
    if found["bad_rows"] and not skip_bad:
        raise NotPossible("Some rows are wrong: correct them, or choose to leave them out.")
    if not found["good"]:
        raise NotPossible("There is nothing to import in this file.")
    taken = upload.claim()
    if taken is None:
        return _begun(digest), False
    checked = Checked(found["rows"], found["bad_rows"], found["good"], found["left_out"], digest)
    run, known = begin(taken.kind, taken.name, checked, found["left_out_names"], actor)
    if taken.attach(run.pk, skip_bad=skip_bad) is None:
        taken.remove()
    ask(f"run-{run.pk}", rows=run.rows)
    run.refresh_from_db()
    return run, not known


def _begun(digest: str) -> ImportRun:
    run = ImportRun.objects.filter(file_hash=digest).order_by("-pk").first() if digest else None
    if run is None:
        raise NotPossible("This file is not here any more: files wait a day for an answer. Hand it in again.")
    return run


def take_back(run_id: int, *, actor: str, plan_id: int | None = None) -> ImportRun:
    """Begin to take a run back, by the frozen plan if one was seen. Raises ImportRun.DoesNotExist, NotPossible."""
    run = start_undo(run_id, actor=actor, plan_id=plan_id)
    ask(f"undo-{run.pk}", rows=run.rows)
    run.refresh_from_db()
    return run


# --- what a worker does ------------------------------------------------------------------------------------------


def work(job: str, *, stopping: Callable[[], bool] = never) -> None:
    """Do a job, if nobody else has it in hand. What goes wrong is kept where staff see it. Raises DatabaseError."""
    what, _, which = job.partition("-")
    try:
        if what == "check":
            _check(which, stopping)
        elif which.isdigit() and what == "run":
            _run(int(which), stopping)
        elif which.isdigit() and what == "plan":
            undo_planned.work_on(int(which), going_on=lambda: _unless(stopping))
        elif which.isdigit() and what == "undo":
            _undo(int(which), stopping)
    except Interrupted:
        log.info("import: %s is taken up again later", job)


def work_on_all(now: datetime, *, stopping: Callable[[], bool] = never) -> None:
    """Do what nobody has in hand. One that cannot be done just now is left to the next round."""
    for job in unfinished(now):
        if stopping():
            return
        try:
            work(job, stopping=stopping)
        except DatabaseError:
            log.exception("import: %s is taken up again later", job)


def unfinished(now: datetime) -> list[str]:
    """Jobs nobody has in hand; files of runs that ended are removed."""
    jobs = [f"check-{upload.token}" for upload in uploads.looked_at() if upload.preview() is None and _silent(upload)]
    open_runs = ImportRun.objects.filter(state__in=(ImportRun.State.RUNNING, ImportRun.State.UNDOING))
    runs = {run.pk: run for run in open_runs}
    for pk in uploads.runs_with_files():
        upload = uploads.of_run(pk)
        if upload and (pk not in runs or runs[pk].state != ImportRun.State.RUNNING):
            upload.remove()
        elif upload and not in_hand(runs[pk]):
            jobs.append(f"run-{pk}")
    jobs += [f"undo-{pk}" for pk, run in runs.items() if run.state == ImportRun.State.UNDOING and not in_hand(run)]
    jobs += [f"plan-{pk}" for pk in undo_planned.unfinished()]
    uploads.purge(now)
    return jobs


def _silent(upload: Upload) -> bool:
    silent = upload.silent_for()
    return silent is None or silent > SILENT_S


def _check(token: str, stopping: Callable[[], bool]) -> None:
    upload = uploads.find(token)
    if upload is None or upload.preview() is not None or not upload.take(SILENT_S):
        return
    telling = _Telling(stopping, upload.tell_progress)
    warned: list[str] = []
    try:
        with upload.bad_file() as bad:
            watcher = Watcher(
                error=bad.add,
                warning=lambda problem: _note(warned, problem),
                checking=lambda done, of: telling("checking", done, of),
                applying=lambda done, of: telling("planning", done, of),
            )
            found = preview_file(upload.path, upload.kind, clock=time.monotonic, watcher=watcher)
    except UnreadableFileError as error:
        upload.tell_preview({**_NOTHING, "failed": str(error)})
    except (DatabaseError, Interrupted):
        raise
    except Exception:  # whatever it was, the page must not wait for ever
        log.exception("import: looking at %s failed", token)
        upload.tell_preview({**_NOTHING, "failed": FAILED})
    else:
        upload.tell_preview(_plain(found, warned))
    finally:
        upload.give_back()


_NOTHING: dict[str, Any] = {"rows": 0, "bad_rows": 0, "good": 0, "left_out": 0, "left_out_names": [], "failed": ""}


def _note(warned: list[str], problem: Problem) -> None:
    warned.append(str(problem) if len(warned) < MAX_WARNINGS else "")


def _plain(found: Preview, warned: list[str]) -> dict[str, Any]:
    checked = found.checked
    return {
        **_NOTHING,
        "rows": checked.rows,
        "bad_rows": checked.bad_rows,
        "good": checked.tours,
        "left_out": checked.left_out,
        "left_out_names": found.left_out,
        "tally": asdict(found.tally),
        "going": [asdict(going) for going in found.going],
        "warnings": len(warned),
        "first_warnings": warned[:MAX_WARNINGS],
    }


def _run(run_id: int, stopping: Callable[[], bool]) -> None:
    upload = uploads.of_run(run_id)
    if upload is None or not claim(run_id, ImportRun.State.RUNNING):
        return
    run = ImportRun.objects.get(pk=run_id)
    alive = _Telling(stopping, lambda _phase, _done, _of: _sign_of_life(run_id))
    watcher = Watcher(
        checking=lambda done, of: alive("checking", done, of), applying=lambda _done, _total: _unless(stopping)
    )
    try:
        done = import_file(
            upload.path,
            upload.kind,
            actor=run.actor,
            via=VIA,
            clock=time.monotonic,
            skip_bad=upload.skip_bad,
            watcher=watcher,
            run=run,
        )
        if done.run is None:
            bad = f"{done.checked.bad_rows} rows are wrong now that were not when the file was looked at."
            _stopped(run_id, f"{bad} Hand it in again to see which.")
    except (UnreadableFileError, NotPossible, OSError) as error:
        _stopped(run_id, f"{error} Importing the file again is harmless.")
    except (DatabaseError, Interrupted):
        release(run_id)
        raise
    except Exception:  # whatever it was, the page must not wait for ever
        log.exception("import %s failed", run_id)
        _stopped(run_id, FAILED)
    upload.remove()


def _stopped(run_id: int, why: str) -> None:
    running = ImportRun.objects.filter(pk=run_id, state=ImportRun.State.RUNNING)
    running.update(state=ImportRun.State.STOPPED, detail=why[:300], ended_at=timezone.now())


def _undo(run_id: int, stopping: Callable[[], bool]) -> None:
    if not claim(run_id, ImportRun.State.UNDOING):
        return
    run = ImportRun.objects.get(pk=run_id)
    actor = (run.undone or {}).get("actor", "")
    carry_on(run, now=timezone.now(), actor=actor, via=VIA, progress=lambda _tours: _unless(stopping))


def _unless(stopping: Callable[[], bool]) -> None:
    if stopping():
        raise Interrupted


def _sign_of_life(run_id: int) -> None:
    ImportRun.objects.filter(pk=run_id).update(updated_at=timezone.now())


class _Telling:
    """Tells how far it is every few seconds, and ends the work when the process is being stopped."""

    def __init__(self, stopping: Callable[[], bool], tell: Callable[[str, int, int], None]) -> None:
        self._stopping, self._tell = stopping, tell
        self._next = 0.0

    def __call__(self, phase: str, done: int, of: int) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + TELL_EVERY_S
        self._tell(phase, done, of)
        _unless(self._stopping)
