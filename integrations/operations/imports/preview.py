"""What an import would do, by doing it and taking each transaction back: no rule stands here a second time.

The transactions are as short as those of an import. What spans several of them (a buyer whose link one plans and the
next would find planned) is counted once by what it is about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from django.db import transaction

from integrations.models import Connection, Contact, ImportRun, Operation, Tour

from .runs import FORMATS, MAX_NAMED, UNHEARD, Breath, Checked, Pace, Watcher, check_file, portions
from .staging import Group, Staging
from .tally import Tally

_PLANNED = "planned"


@dataclass(frozen=True, slots=True)
class Going:
    """What would go to one connection: operations by kind."""

    connection_id: int
    label: str
    operations: dict[str, int]


@dataclass(frozen=True, slots=True)
class Preview:
    """What was found, and what an import that leaves out the bad rows would do. `left_out`: the first names."""

    checked: Checked
    left_out: list[str]
    tally: Tally = field(default_factory=Tally)
    going: list[Going] = field(default_factory=list)


def preview_file(path: Path, kind: str, *, clock: Callable[[], float], watcher: Watcher = UNHEARD) -> Preview:
    """Stores nothing. `clock`: monotonic seconds. Raises UnreadableFileError, OSError."""
    form = FORMATS[kind]
    with Staging() as staging:
        checked = check_file(path, form, staging, watcher)
        left_out = staging.bad_refs(MAX_NAMED)
        tally, planned = _try(form, kind, staging, checked, clock, watcher)
    labels = dict(Connection.objects.filter(pk__in={pk for pk, _ in planned}).values_list("pk", "label"))
    going = [
        Going(pk, labels.get(pk, str(pk)), {kind: count for (to, kind), count in sorted(planned.items()) if to == pk})
        for pk in sorted({pk for pk, _ in planned})
    ]
    return Preview(checked, left_out, tally, going)


def _try(
    form: ModuleType,
    kind: str,
    staging: Staging,
    checked: Checked,
    clock: Callable[[], float],
    watcher: Watcher,
) -> tuple[Tally, Counter[tuple[int, str]]]:
    total, pace, done, breath = Tally(), Pace(), 0, Breath(clock)
    planned: Counter[tuple[int, str]] = Counter()
    for groups in portions(staging.groups(), pace):
        began = clock()
        part, operations = _tried(form, kind, groups)
        pace.took(clock() - began)
        total += part
        for to, what, about in operations:
            if not about or staging.claim(_PLANNED, f"{to} {what} {about}", 0) is None:
                planned[to, what] += 1
        done += sum(len(group.rows) for group in groups)
        watcher.applying(done, checked.rows)
        breath.draw()
    return total, planned


def _tried(form: ModuleType, kind: str, groups: Sequence[Group]) -> tuple[Tally, list[tuple[int, str, str]]]:
    with transaction.atomic():
        run = ImportRun.objects.create(kind=kind, file_name="preview", file_hash="")
        part: Tally = form.apply(groups, run, actor="", via="system")
        operations = list(_planned(run))
        transaction.set_rollback(True)
    return part, operations


def _planned(run: ImportRun) -> Iterator[tuple[int, str, str]]:
    """(connection, kind, what it is about in words that outlive the transaction; empty: it comes but once)."""
    rows: list[Any] = list(
        Operation.objects.filter(import_run=run).values_list("connection_id", "kind", "entity_type", "entity_id")
    )
    ids = {kind: {pk for _, _, entity_type, pk in rows if entity_type == kind} for kind in ("contact", "tour")}
    names = {("tour", tour.pk): tour.reference for tour in Tour.objects.filter(pk__in=ids["tour"])}
    for contact in Contact.objects.filter(pk__in=ids["contact"]):
        reached = contact.email or contact.phone
        names["contact", contact.pk] = f"{contact.first_name}|{contact.last_name}|{reached}".casefold()
    for to, kind, entity_type, pk in rows:
        # A stop or an answer stands once in a file. The ids of new ones come again after a rollback.
        once = entity_type in ("stop", "feedback")
        yield to, kind, "" if once else names.get((entity_type, pk), str(pk))
