"""One import from beginning to end: check all, then apply in short transactions that a kill may fall between.

How far a run got (`ImportRun.next_row`) is stored in the transaction of what it did, so the same command goes on
where it stopped. Applying compares with what is stored: reading the same file again writes no tour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from django.db import transaction

from integrations.models import ImportRun
from integrations.operations import audit
from integrations.operations.refusals import NotPossible

from . import feedback, tours
from .reader import CsvReader, Problem, Row
from .staging import Group, Staging
from .tally import Tally

FORMATS: dict[str, ModuleType] = {tours.KIND: tours, feedback.KIND: feedback}
MAX_TRANSACTION_ROWS = 120
TARGET_S = 0.08
"""Seconds a transaction should take: well below the 250 ms that one may hold SQLite's write lock."""
GROWTH = 1.5


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


@dataclass(slots=True)
class Pace:
    """How many tours a transaction takes: grown and shrunk by how long the last one took."""

    size: int = 20
    largest: int = 50

    def took(self, seconds: float) -> None:
        fits = self.size * (TARGET_S / seconds if seconds > 0 else GROWTH)
        self.size = max(1, min(int(fits), int(self.size * GROWTH) + 1, self.largest))


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
    watcher: Watcher = Watcher(),
) -> Imported:
    """Check the file, then apply it. `clock`: monotonic seconds.

    With bad rows nothing is applied, unless `skip_bad`: then each tour that has one is left out, whole.
    Raises UnreadableFileError, OSError; NotPossible when another process is importing this very file.
    """
    form = FORMATS[kind]
    with Staging() as staging:
        checked = _check(path, form, staging, watcher)
        if check_only or (checked.bad_rows and not skip_bad) or not checked.rows:
            return Imported(checked)
        run, resumed = _begin(path, kind, checked, staging.bad_refs(1000), actor)
        tally = _apply(run, form, staging, checked, watcher, clock, actor, via)
        return Imported(checked, _finish(run, actor, via), tally, resumed)


def _check(path: Path, form: ModuleType, staging: Staging, watcher: Watcher) -> Checked:
    reader = CsvReader(path, form.COLUMNS)

    def rows() -> Iterator[Row]:
        for row in reader:
            watcher.checking(reader.offset, reader.size)
            yield row

    total, bad = form.check(rows(), staging, watcher.error, watcher.warning)
    return Checked(total, bad, staging.count(bad=False), staging.count(bad=True), reader.digest)


def _begin(path: Path, kind: str, checked: Checked, left_out: list[str], actor: str) -> tuple[ImportRun, bool]:
    """The run that was interrupted in this file, or a new one."""
    with transaction.atomic():
        known = ImportRun.objects.select_for_update().filter(
            kind=kind, file_hash=checked.file_hash, state=ImportRun.State.RUNNING
        )
        run = known.order_by("-pk").first()
        if run is not None:
            return run, True
        return ImportRun.objects.create(
            kind=kind,
            file_name=path.name[:255],
            file_hash=checked.file_hash,
            actor=actor[:150],
            rows=checked.rows,
            skipped=left_out,
        ), False


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
    total, pace, done = Tally(), Pace(), 0
    for groups in _portions(staging.groups(run.next_row), pace):
        began = clock()
        with transaction.atomic():
            _advance(run, groups)
            part = form.apply(groups, run, actor=actor, via=via)
            ImportRun.objects.filter(pk=run.pk).update(
                created_count=run.created_count + part.created,
                updated_count=run.updated_count + part.updated,
                unchanged_count=run.unchanged_count + part.unchanged,
                next_row=groups[-1].first_line + 1,
            )
        run.refresh_from_db()
        pace.took(clock() - began)
        total += part
        done += sum(len(group.rows) for group in groups)
        watcher.applying(done, checked.rows)
    return total


def _portions(groups: Iterable[Group], pace: Pace) -> Iterator[Sequence[Group]]:
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
        stored.state = ImportRun.State.DONE
        stored.save(update_fields=["state", "updated_at"])
        after = {
            "rows": stored.rows,
            "created": stored.created_count,
            "updated": stored.updated_count,
            "unchanged": stored.unchanged_count,
            "left_out": len(stored.skipped),
        }
        audit.record(f"import.{stored.kind}", stored, actor=actor, via=via, after=after)
        return stored
