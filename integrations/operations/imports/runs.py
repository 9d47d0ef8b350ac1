"""One import from beginning to end: check all, then apply in short transactions that a kill may fall between.

How far a run got (`ImportRun.next_row`) is stored in the transaction of what it did, so the same command goes on
where it stopped. Applying compares with what is stored: reading the same file again writes no tour.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import ModuleType

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from integrations.models import ImportRun
from integrations.operations import audit
from integrations.operations.refusals import NotPossible

from . import feedback, tours
from .reader import CsvReader, Problem, Row
from .staging import Group, Staging
from .tally import Tally

FORMATS: dict[str, ModuleType] = {tours.KIND: tours, feedback.KIND: feedback}
MAX_TRANSACTION_ROWS = 120
TARGET_S = 0.12
"""Seconds a transaction should take: well below the 250 ms that one may hold SQLite's write lock."""
GROWTH = 1.5
SILENT_S = 90
"""Seconds without a sign of life after which a run counts as interrupted."""
MAX_NAMED = 1000
"""Tours left out that are kept by name."""
WORKS_S, RESTS_S = 0.3, 0.12
"""Who waits for SQLite's write lock asks again every 100 ms at most, in no order: a rest longer than that, every so
often, lets everyone through. Without it an import that takes the lock again at once can keep a save out for seconds."""


class Interrupted(Exception):
    """The process is being stopped; the job is taken up again by another."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the first pass found. `tours` counts references (tours) without a bad row, `left_out` those with one."""

    rows: int
    bad_rows: int
    tours: int
    left_out: int
    file_hash: str


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who listens to an import: each error and warning as it is found, and how far it is (done, of)."""

    error: Callable[[Problem], None] = lambda problem: None
    warning: Callable[[Problem], None] = lambda problem: None
    checking: Callable[[int, int], None] = lambda done, size: None
    applying: Callable[[int, int], None] = lambda done, total: None


UNHEARD = Watcher()


@dataclass(slots=True)
class Pace:
    """How many tours a transaction takes: grown and shrunk by how long the last one took."""

    size: int = 20
    largest: int = 50

    def took(self, seconds: float) -> None:
        fits = self.size * (TARGET_S / seconds if seconds > 0 else GROWTH)
        self.size = max(1, min(int(fits), int(self.size * GROWTH) + 1, self.largest))


class Breath:
    """Lets others write between transactions, where the database has one write lock. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], None] = time.sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._worked_since = clock()
        self._needed = connection.vendor == "sqlite"

    def draw(self) -> None:
        """To be called outside of a transaction."""
        if self._needed and self._clock() - self._worked_since >= WORKS_S:
            self._sleep(RESTS_S)
            self._worked_since = self._clock()


@dataclass(frozen=True, slots=True)
class Imported:
    """The end of an import. `run` None: nothing was applied, because of bad rows or because only a check was asked."""

    checked: Checked
    run: ImportRun | None = None
    tally: Tally = field(default_factory=Tally)
    resumed: bool = False


def import_file(
    path: Path,
    kind: str,
    *,
    actor: str,
    via: str,
    clock: Callable[[], float],
    skip_bad: bool = False,
    check_only: bool = False,
    watcher: Watcher = UNHEARD,
    run: ImportRun | None = None,
) -> Imported:
    """Check the file, then apply it. `clock`: monotonic seconds. `run`: one that was begun for this file (`begin`).

    With bad rows nothing is applied, unless `skip_bad`: then each tour that has one is left out, whole.
    Raises UnreadableFileError, OSError; NotPossible when another process is importing this very file.
    """
    form = FORMATS[kind]
    with Staging() as staging:
        checked = check_file(path, form, staging, watcher)
        if check_only or (checked.bad_rows and not skip_bad) or not checked.rows:
            return Imported(checked)
        resumed = False
        if run is None:
            left_out = staging.bad_refs(MAX_NAMED)
            run, resumed = begin(kind, path.name, checked, left_out, actor)
        elif run.file_hash != checked.file_hash:
            raise NotPossible(f"The file of import {run.pk} is not the one that was checked.")
        tally = _apply(run, form, staging, checked, watcher, clock, actor, via)
        return Imported(checked, _finish(run, actor, via), tally, resumed)


def check_file(path: Path, form: ModuleType, staging: Staging, watcher: Watcher) -> Checked:
    """The first pass: what is wrong is told to the watcher, every row staged. Raises UnreadableFileError, OSError."""
    reader = CsvReader(path, form.COLUMNS, form.OPTIONAL)

    def rows() -> Iterator[Row]:
        for row in reader:
            watcher.checking(reader.offset, reader.size)
            yield row

    total, bad = form.check(rows(), staging, watcher.error, watcher.warning)
    return Checked(total, bad, staging.count(bad=False), staging.count(bad=True), reader.digest)


def begin(kind: str, name: str, checked: Checked, left_out: list[str], actor: str) -> tuple[ImportRun, bool]:
    """The run that was interrupted in this file (True), or a new one."""
    with transaction.atomic():
        known = ImportRun.objects.select_for_update().filter(
            kind=kind, file_hash=checked.file_hash, state=ImportRun.State.RUNNING
        )
        run = known.order_by("-pk").first()
        if run is not None:
            return run, True
        return ImportRun.objects.create(
            kind=kind,
            file_name=name[:255],
            file_hash=checked.file_hash,
            actor=actor[:150],
            rows=checked.rows,
            bad_count=checked.bad_rows,
            skipped=left_out,
        ), False


def claim(run_id: int, state: str) -> bool:
    """Take a run in that state in hand; False while somebody has it who gave a sign of life lately."""
    now = timezone.now()
    free = Q(began_at=None) | Q(updated_at__lt=now - timedelta(seconds=SILENT_S))
    mine = ImportRun.objects.filter(free, pk=run_id, state=state)
    return mine.update(began_at=now, began_row=F("next_row"), updated_at=now) == 1


def release(run_id: int) -> None:
    """Let it go: whoever comes next may take it in hand at once."""
    ImportRun.objects.filter(pk=run_id).update(began_at=None)


def in_hand(run: ImportRun) -> bool:
    """Whether somebody works on it, as far as can be told."""
    return run.began_at is not None and timezone.now() - run.updated_at < timedelta(seconds=SILENT_S)


def _apply(
    run: ImportRun,
    form: ModuleType,
    staging: Staging,
    checked: Checked,
    watcher: Watcher,
    clock: Callable[[], float],
    actor: str,
    via: str,
) -> Tally:
    total, pace, done, breath = Tally(), Pace(), 0, Breath(clock)
    now = timezone.now()
    ImportRun.objects.filter(pk=run.pk).update(began_at=now, began_row=F("next_row"), updated_at=now)
    for groups in portions(staging.groups(run.next_row), pace):
        began = clock()
        with transaction.atomic():
            _advance(run, groups)
            part = form.apply(groups, run, actor=actor, via=via)
            ImportRun.objects.filter(pk=run.pk).update(
                created_count=run.created_count + part.created,
                updated_count=run.updated_count + part.updated,
                unchanged_count=run.unchanged_count + part.unchanged,
                next_row=groups[-1].first_line + 1,
                updated_at=timezone.now(),
            )
        run.refresh_from_db()
        pace.took(clock() - began)
        total += part
        done += sum(len(group.rows) for group in groups)
        watcher.applying(done, checked.rows)
        breath.draw()
    return total


def portions(groups: Iterable[Group], pace: Pace) -> Iterator[Sequence[Group]]:
    """A transaction's worth at a time: a tour is never split."""
    portion: list[Group] = []
    rows = 0
    for group in groups:
        if portion and (len(portion) >= pace.size or rows + len(group.rows) > MAX_TRANSACTION_ROWS):
            yield portion
            portion, rows = [], 0
        portion.append(group)
        rows += len(group.rows)
    if portion:
        yield portion


def _advance(run: ImportRun, groups: Sequence[Group]) -> None:
    """Lock the run and see that it still is where we left it."""
    stored = ImportRun.objects.select_for_update().get(pk=run.pk)
    if stored.state != ImportRun.State.RUNNING:
        raise NotPossible(f"Import {run.pk} was ended meanwhile; this one stopped before line {groups[0].first_line}.")
    if stored.next_row != run.next_row:
        raise NotPossible(
            f"Another process is importing this file (run {run.pk}, now at line {stored.next_row} of {run.rows + 1}); "
            f"this one stopped before line {groups[0].first_line}."
        )


def _finish(run: ImportRun, actor: str, via: str) -> ImportRun:
    with transaction.atomic():
        stored = ImportRun.objects.select_for_update().get(pk=run.pk)
        if stored.state != ImportRun.State.RUNNING:
            return stored
        stored.state, stored.ended_at = ImportRun.State.DONE, timezone.now()
        stored.save(update_fields=["state", "ended_at", "updated_at"])
        after = {
            "rows": stored.rows,
            "created": stored.created_count,
            "updated": stored.updated_count,
            "unchanged": stored.unchanged_count,
            "left_out": len(stored.skipped),
        }
        audit.record(f"import.{stored.kind}", stored, actor=actor, via=via, after=after)
        return stored
