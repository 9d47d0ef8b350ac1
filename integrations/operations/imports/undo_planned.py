"""A large import's undo is worked out by a worker and frozen, so that its page needs not wait for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from integrations.engine.clock import db_now
from integrations.engine.context import process_name
from integrations.models import ImportRun, PlannedUndo
from integrations.operations.refusals import NotPossible
from integrations.tasks import ring_for_imports

from . import undo_words
from .runs import Interrupted
from .undo import undo_plan, undoable

log = logging.getLogger(__name__)

LEASE_MS = 30_000
TELL_EVERY_S = 2.0
FAILED = "It could not be worked out; the log of the worker has the error. Nothing was changed."


def ask(run_id: int, *, actor: str) -> None:
    """Have it worked out, again if it was before. Raises ImportRun.DoesNotExist, NotPossible."""
    with transaction.atomic():
        run = undoable(ImportRun.objects.select_for_update().get(pk=run_id))
        if PlannedUndo.objects.filter(run=run, made_at=None, failed="").exists():
            return  # somebody asked already
        PlannedUndo.objects.filter(run=run).delete()
        PlannedUndo.objects.create(run=run, asked_by=actor[:150])
        ring_for_imports()


def of(run: ImportRun) -> PlannedUndo | None:
    """The plan as it is, without the ids."""
    return PlannedUndo.objects.filter(run=run).defer("acts").first()


def unfinished() -> list[int]:
    """Runs whose plan nobody has in hand."""
    free = PlannedUndo.objects.filter(made_at=None, failed="", until_ms__lt=db_now())
    return list(free.order_by("pk").values_list("run_id", flat=True))


def work_on(run_id: int, *, going_on: Callable[[], None]) -> None:
    """Work it out, if nobody else does. `going_on` is asked now and then, and may raise. Raises DatabaseError."""
    owner, now = process_name(), db_now()
    open_plans = PlannedUndo.objects.filter(run_id=run_id, made_at=None, failed="")
    planned = open_plans.filter(until_ms__lt=now).first()
    if planned is None:
        return
    # Another plan may stand in its place by the end: what was asked for anew has another id.
    mine = open_plans.filter(pk=planned.pk).filter(Q(owner=owner) | Q(until_ms__lt=now))
    run = ImportRun.objects.get(pk=run_id)
    if not mine.update(owner=owner, until_ms=now + LEASE_MS, next_row=run.next_row, done=0, total=0):
        return
    held = open_plans.filter(pk=planned.pk, owner=owner)
    try:
        plan = undo_plan(run_id, _Telling(held, going_on))
    except NotPossible as error:
        held.update(failed=str(error)[:200])
    except Interrupted:
        held.update(until_ms=0)
        raise
    except DatabaseError:
        raise
    except Exception:  # whatever it was, the page must not wait for ever
        log.exception("import %s: its undo could not be worked out", run_id)
        held.update(failed=FAILED)
    else:
        held.update(
            made_at=timezone.now(),
            says=undo_words.sentences(plan),
            names=undo_words.names(plan),
            acts={entity_type: sorted(ids) for entity_type, ids in plan.acts.items()},
        )


class _Telling:
    """Notes how far it is every few seconds, and so keeps it in hand."""

    def __init__(self, held: QuerySet[PlannedUndo], going_on: Callable[[], None]) -> None:
        self._held, self._going_on, self._next = held, going_on, 0.0

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + TELL_EVERY_S
            self._held.update(done=done, total=total, until_ms=db_now() + LEASE_MS)
        self._going_on()
