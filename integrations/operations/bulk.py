"""Retry, cancel or skip for many operations: a frozen choice, its plan, and the work in small pieces.

Each operation goes through its verb in `operations.py`, under its lock and audited there. A piece is one short
transaction; a killed worker costs half a minute, and doing a piece twice does nothing twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone

from integrations.engine.clock import db_now
from integrations.engine.context import process_name
from integrations.models import BulkItem, BulkRun, Connection, Operation, OperationDependency, State
from integrations.tasks import ring_for_bulk

from . import audit, expected, operations
from .audit import Who
from .bulk_effects import VERBS, Effect, Standing, effect
from .imports.runs import Breath
from .refusals import NotPossible

log = logging.getLogger(__name__)

MOST = 20_000
"""Operations in one plan."""

AT_ONCE = 50
"""So many are done while the person waits; more by a worker."""

WRITTEN_TOGETHER = 500
PIECE, PIECE_S = 25, 0.06
"""A piece ends after so many operations or seconds, well before the 250 ms that a transaction may take."""

LEASE_MS = 30_000
BUSY_S = 0.05

_ACTS: Mapping[str, Callable[[int, Who], Operation]] = {
    "retry": operations.retry,
    "cancel": operations.cancel,
    "skip": operations.skip_predecessors,
}
_COLUMNS = ("state", "reason", "in_doubt", "cancel_requested")


# --- the plan ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """So many operations of one connection to which the same happens."""

    connection: str
    effect: Effect
    number: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen now. `requests`, `lasts_ms`: how many it leads to, and how long they take by the limits."""

    acting: Sequence[Group]
    left: Sequence[Group]
    requests: int
    lasts_ms: int

    @property
    def number(self) -> int:
        """How many operations something happens to."""
        return sum(group.number for group in self.acting)


def make(rows: QuerySet[Operation], verb: str, who: Who, *, chosen: str) -> BulkRun:
    """Freeze a choice by its ids; nothing else happens. Raises NotPossible (none, too many), KeyError (the verb)."""
    label = VERBS[verb].label
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[: MOST + 1])
    if not ids:
        raise NotPossible("No operation was chosen.")
    if len(ids) > MOST:
        raise NotPossible(f"{label} takes {MOST:,} operations at a time; narrow the filters down.")
    run = BulkRun.objects.create(verb=verb, total=0, made_by=who.actor, chosen=chosen[:300])
    for at in range(0, len(ids), WRITTEN_TOGETHER):
        part = ids[at : at + WRITTEN_TOGETHER]
        BulkItem.objects.bulk_create([BulkItem(run=run, operation_id=pk) for pk in part])
    BulkRun.objects.filter(pk=run.pk).update(total=len(ids))
    run.total = len(ids)
    return run


def look(run: BulkRun) -> Plan:
    """What confirming it now would do to what is still to be done. Four queries, and a look at the gate."""
    edges = OperationDependency.objects.filter(
        operation=OuterRef("operation"), settled=False, needs__state__in=(State.DEAD, State.CANCELLED)
    )
    known = ("operation__connection", *(f"operation__{name}" for name in _COLUMNS), "blocked", "stuck", "doubted")
    rows = (
        run.items.filter(outcome="")
        .order_by()
        .annotate(
            blocked=Exists(Operation.objects.filter(pk=OuterRef("operation"), blockers__gt=0)),
            stuck=Exists(edges),
            doubted=Exists(edges.filter(needs__in_doubt=True)),
        )
        .values_list(*known)
        .annotate(number=Count("pk"))
    )
    labels = dict(Connection.objects.values_list("pk", "label"))
    counts: dict[tuple[str, Effect], int] = {}
    sends: dict[int, int] = {}
    for pk, state, reason, in_doubt, asked, blocked, stuck, doubted, number in rows:
        found = effect(run.verb, Standing(state, reason, in_doubt, blocked, asked, stuck, doubted))
        counts[labels[pk], found] = counts.get((labels[pk], found), 0) + number
        if found.sends:
            sends[pk] = sends.get(pk, 0) + number
    groups = [Group(label, what, number) for (label, what), number in sorted(counts.items(), key=_order)]
    requests, lasts_ms = expected.how_long(sends, db_now())
    acting = [group for group in groups if group.effect.acts]
    return Plan(acting, [group for group in groups if not group.effect.acts], requests, lasts_ms)


def _order(item: tuple[tuple[str, Effect], int]) -> tuple[str, str]:
    (label, what), _ = item
    return label, what.words


def outcomes(run: BulkRun) -> dict[str, int]:
    """How many operations came to which end so far; "" for those whose turn has not come. One query."""
    return dict(run.items.order_by().values_list("outcome").annotate(Count("pk")))


# --- a person decides ----------------------------------------------------------------------------------------------


def confirm(run_id: int, who: Who) -> bool:
    """Begin; True when this is what began it (a double click is not). Raises NotPossible, BulkRun.DoesNotExist."""
    if not who.reason.strip():
        raise NotPossible("Say why; it is kept with each operation.")
    with transaction.atomic():
        planned = BulkRun.objects.filter(pk=run_id, state=BulkRun.State.PLANNED)
        began = planned.update(
            state=BulkRun.State.RUNNING,
            actor=who.actor,
            via=who.via,
            reason=who.reason.strip()[:200],
            started_at=timezone.now(),
        )
        run = BulkRun.objects.get(pk=run_id)
        if not began:
            return False
        _audit(run, f"bulk.{run.verb}", who, {"operations": run.total, "chosen": run.chosen})
        if run.total > AT_ONCE:
            ring_for_bulk()
    if run.total <= AT_ONCE:
        work_on(run_id)
    return True


def stop(run_id: int, who: Who) -> bool:
    """No further operation is touched; what was done stays done. False: it had ended already."""
    with transaction.atomic():
        going = BulkRun.objects.filter(pk=run_id, state__in=(BulkRun.State.PLANNED, BulkRun.State.RUNNING))
        if not going.update(state=BulkRun.State.STOPPED, ended_at=timezone.now()):
            return False
        run = BulkRun.objects.get(pk=run_id)
        left = outcomes(run).get("", 0)
        _audit(run, "bulk.stop", who, {"not_touched": left})
    return True


def _audit(run: BulkRun, verb: str, who: Who, after: Mapping[str, Any]) -> None:
    audit.record(verb, run, actor=who.actor, via=who.via, reason=who.reason, after=after)


# --- the work ------------------------------------------------------------------------------------------------------


def never() -> bool:
    return False


def work_on_all(*, stopping: Callable[[], bool] = never) -> None:
    """Goes on with every confirmed plan that nobody has in hand."""
    for run_id in BulkRun.objects.filter(state=BulkRun.State.RUNNING).order_by("pk").values_list("pk", flat=True):
        if stopping():
            return
        try:
            work_on(run_id, stopping=stopping)
        except DatabaseError:
            log.exception("bulk: run %s is taken up again later", run_id)


def work_on(run_id: int, *, stopping: Callable[[], bool] = never) -> None:
    """Works until nothing is left, it is stopped, or somebody else has it in hand."""
    owner, breath, after = process_name(), Breath(time.monotonic), 0
    while not stopping():
        piece = _piece(run_id, owner, after)
        if piece is None:
            return
        if not piece.done and not piece.last:
            after = 0  # once more for those that others held just now
            time.sleep(BUSY_S)
        else:
            after = piece.last
        breath.draw()


@dataclass(frozen=True, slots=True)
class _Piece:
    """How many operations were done with, and where the next piece begins; `last` 0: nothing stood there."""

    done: int
    last: int


def _piece(run_id: int, owner: str, after: int) -> _Piece | None:
    """One short transaction; None when there is nothing more to do here."""
    began = time.monotonic()
    with transaction.atomic():
        now = db_now()
        mine = BulkRun.objects.filter(pk=run_id, state=BulkRun.State.RUNNING)
        run = mine.select_for_update().first()
        if run is None or (run.owner != owner and run.until_ms > now):
            return None
        mine.update(owner=owner, until_ms=now + LEASE_MS)
        open_items = run.items.filter(outcome="")
        items = dict(open_items.filter(pk__gt=after).order_by("pk").values_list("operation_id", "pk")[:PIECE])
        if not items:
            if open_items.exists():
                return _Piece(0, 0)
            mine.update(state=BulkRun.State.DONE, ended_at=timezone.now(), owner="", until_ms=0)
            return None
        # Never waits for a row that a worker has locked: it comes in the next round.
        held = Operation.objects.filter(pk__in=items).order_by("pk").select_for_update(skip_locked=True)
        by = Who(run.actor, run.via, f"{run.reason} (bulk {run.pk})")
        told: dict[tuple[str, str], list[int]] = {}
        last = after
        for operation in held:
            told.setdefault(_do(operation, run.verb, by), []).append(items[operation.pk])
            last = items[operation.pk]
            if time.monotonic() - began > PIECE_S:
                break
        else:
            last = max(items.values())
        for (outcome, detail), pks in told.items():
            BulkItem.objects.filter(pk__in=pks).update(outcome=outcome, detail=detail)
        return _Piece(sum(len(pks) for pks in told.values()), last)


def _do(operation: Operation, verb: str, by: Who) -> tuple[str, str]:
    """The verb on one locked operation: what came of it, in words."""
    found = effect(verb, standing_of(operation))
    if not found.acts:
        return BulkItem.Outcome.LEFT, found.words
    try:
        with transaction.atomic():
            _ACTS[verb](operation.pk, by)
    except ValidationError as error:
        return BulkItem.Outcome.LEFT, " ".join(error.messages)[:200]
    return BulkItem.Outcome.DONE, found.words


def standing_of(operation: Operation) -> Standing:
    """As `bulk_effects` reads it; asks what a blocked one waits for."""
    doubts: list[bool] = []
    if operation.blockers:
        edges = operation.dependencies.filter(settled=False, needs__state__in=(State.DEAD, State.CANCELLED))
        doubts = list(edges.values_list("needs__in_doubt", flat=True))
    return Standing(
        operation.state,
        operation.reason,
        operation.in_doubt,
        blocked=operation.blockers > 0,
        cancel_requested=operation.cancel_requested,
        stuck=bool(doubts),
        stuck_in_doubt=any(doubts),
    )
