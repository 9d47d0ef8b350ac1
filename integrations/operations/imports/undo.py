"""Taking an import back, by a plan shown first.

What the import created is cancelled and archived; what it changed is put back; what someone changed since is left to
people and named. Buyers it created are archived unless another tour came to use them; agents stay. Everything goes
through the verbs, so the CRMs follow: appointments are cancelled, people stay there. Doing it again finds it done: an
undo that was killed is simply started again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from integrations.models import (
    AppointmentStatus,
    AuditEvent,
    Contact,
    Feedback,
    ImportItem,
    ImportRun,
    PlannedUndo,
    Tour,
    TourStatus,
    TourStop,
)
from integrations.operations import audit, planning
from integrations.operations.audit import Who
from integrations.operations.people import changes_of
from integrations.operations.refusals import NotPossible
from integrations.operations.tour_saving import (
    UNDONE_VERB,
    Saved,
    change_stop,
    lock_stops,
    lock_tours,
    settle,
    store,
)

from .runs import Breath, Pace, claim, in_hand, release
from .undo_plan import UNPLANNED, UndoPlan, decide_contacts, standing

_ANSWERS = 50
_IN_HAND = "Import {} is being taken back already."


@dataclass(slots=True)
class _Work:
    """What the run did to one tour."""

    created: bool = False
    tour_changes: dict[str, list[Any]] = field(default_factory=dict)
    new_stops: list[int] = field(default_factory=list)
    stop_changes: dict[int, dict[str, list[Any]]] = field(default_factory=dict)


def undo_plan(run_id: int, telling: Callable[[int, int], None] = lambda done, total: None) -> UndoPlan:
    """What `undo` would do now. Writes nothing. Raises ImportRun.DoesNotExist, NotPossible.

    `telling` hears how far it is, in tours.
    """
    run = undoable(ImportRun.objects.get(pk=run_id))
    plan, done = UndoPlan(run), 0
    for tour_ids, works, total in _batches(run, Pace()):
        tours = Tour.objects.filter(pk__in=tour_ids).select_related("agent", "buyer").in_bulk()
        stops = _stops_of(TourStop.objects.filter(tour__in=tours))
        touched = _touched(run, tours)
        ending: list[int] = []
        for tour_id in tour_ids:
            saved = Saved(tours[tour_id], created=False, stored=stops[tour_id])
            for stop in saved.stored:
                stop.tour = saved.tour
            live = {stop.pk for stop in saved.stored if stop.live}
            _decide(saved, works[tour_id], plan, touched=tour_id in touched)
            ending += [stop.pk for stop in saved.stored if stop.pk in live and not stop.live]
        plan.appointments += standing(ending)
        done += len(tour_ids)
        telling(done, total)
    _plan_feedback(run, plan, apply=False, who=Who("", "system"))
    decide_contacts(plan, now=None, who=None)
    _count_agents(plan)
    return plan


def start_undo(run_id: int, *, actor: str, plan_id: int | None = None) -> ImportRun:
    """Decide that the run is taken back: from here on it is `undoing`, until `undo` has done it.

    `plan_id`: the frozen plan that was seen; nothing else is done. Raises ImportRun.DoesNotExist, NotPossible when it
    is undone already, somebody has it in hand, or the plan is not what would be done any more.
    """
    with transaction.atomic():
        run = undoable(ImportRun.objects.select_for_update().get(pk=run_id))
        if plan_id is not None and run.state != ImportRun.State.UNDOING:
            seen = PlannedUndo.objects.filter(pk=plan_id, run=run, made_at__isnull=False).defer("acts").first()
            if seen is None or seen.next_row != run.next_row:
                raise NotPossible("This plan is not up to date any more; have it worked out again.")
        # An import that still runs (or was interrupted) ends here, or it would go on creating what is taken away.
        if run.state != ImportRun.State.UNDOING:
            run.undone = {"actor": actor, **({} if plan_id is None else {"plan": plan_id})}
        run.state, run.began_at = ImportRun.State.UNDOING, None
        run.save(update_fields=["state", "began_at", "undone", "updated_at"])
        return run


def undo(
    run_id: int,
    *,
    now: datetime,
    actor: str,
    via: str,
    progress: Callable[[int], None] = lambda tours: None,
    clock: Callable[[], float] = time.monotonic,
) -> UndoPlan:
    """Do it. Returns what was done. Raises ImportRun.DoesNotExist, NotPossible.

    Interrupted, it is started again in the same way.
    """
    run = start_undo(run_id, actor=actor)
    if not claim(run.pk, ImportRun.State.UNDOING):
        raise NotPossible(_IN_HAND.format(run_id))
    return carry_on(run, now=now, actor=actor, via=via, progress=progress, clock=clock)


def carry_on(
    run: ImportRun,
    *,
    now: datetime,
    actor: str,
    via: str,
    progress: Callable[[int], None] = lambda tours: None,
    clock: Callable[[], float] = time.monotonic,
) -> UndoPlan:
    """Take back a run that is in hand (`claim`). Whatever ends it before it is done lets it go for the next one."""
    plan = UndoPlan(run, only=_frozen(run))
    who = Who(actor, via, f"undo of import {run.pk}")
    try:
        _plan_feedback(run, plan, apply=True, who=who)
        _take_back(run, plan, who, now, progress, clock)
        decide_contacts(plan, now=now, who=who)
    except BaseException:
        release(run.pk)
        raise
    _count_agents(plan)
    with transaction.atomic():
        run.state, run.undone = ImportRun.State.UNDONE, plan.told(run.undone)
        run.save(update_fields=["state", "undone", "updated_at"])
        after = {name: number for name, number in run.undone.items() if isinstance(number, int)}
        audit.record("import.undo", run, actor=actor, via=via, after=after)
        PlannedUndo.objects.filter(run=run).delete()
    return plan


def _frozen(run: ImportRun) -> dict[str, set[int]] | None:
    """What the confirmed plan names; None when none was kept."""
    plan_id = (run.undone or {}).get("plan")
    if plan_id is None:
        return None
    acts = PlannedUndo.objects.values_list("acts", flat=True).get(pk=plan_id)
    return {entity_type: set(ids) for entity_type, ids in acts.items()}


def _take_back(
    run: ImportRun,
    plan: UndoPlan,
    who: Who,
    now: datetime,
    progress: Callable[[int], None],
    clock: Callable[[], float],
) -> None:
    pace, breath = Pace(), Breath(clock)
    for tour_ids, works, _total in _batches(run, pace):
        began = clock()
        with transaction.atomic():
            tours = {tour.pk: tour for tour in lock_tours(pk__in=tour_ids)}
            stops = lock_stops(tours.values())
            touched = _touched(run, tours)
            results = []
            for tour_id, tour in tours.items():
                saved = Saved(tour, created=False, stored=list(stops.get(tour_id, {}).values()))
                if _done(saved, works[tour_id], plan, touched=tour_id in touched, now=now):
                    store(saved)
                    results.append(saved)
            settle(results, who, verb=UNDONE_VERB)
            ImportRun.objects.filter(pk=run.pk).update(undone=plan.told(run.undone), updated_at=timezone.now())
        pace.took(clock() - began)
        progress(len(tour_ids))
        breath.draw()


def undoable(run: ImportRun) -> ImportRun:
    """The run. Raises NotPossible when it is taken back, or somebody is at it."""
    if run.state == ImportRun.State.UNDONE:
        raise NotPossible(f"Import {run.pk} is undone already.")
    if run.state == ImportRun.State.UNDOING and in_hand(run):
        raise NotPossible(_IN_HAND.format(run.pk))
    return run


def _batches(run: ImportRun, pace: Pace) -> Iterator[tuple[list[int], dict[int, _Work], int]]:
    """The tours the run touched, some at a time, with what it did to each; and how many there are in all."""
    works: dict[int, _Work] = defaultdict(_Work)
    items = ImportItem.objects.filter(run=run, entity_type__in=("tour", "tourstop"))
    stop_ids = items.filter(entity_type="tourstop").values("entity_id")
    tour_of = dict(TourStop.objects.filter(pk__in=stop_ids).values_list("pk", "tour_id"))
    for kind, pk, created, before in items.values_list("entity_type", "entity_id", "created", "before").iterator():
        if kind == "tour":
            works[pk].created = created
            works[pk].tour_changes = before or {}
        elif pk in tour_of and created:
            works[tour_of[pk]].new_stops.append(pk)
        elif pk in tour_of:
            works[tour_of[pk]].stop_changes[pk] = before or {}
    present = list(Tour.objects.filter(pk__in=list(works)).order_by("pk").values_list("pk", flat=True))
    at = 0
    while at < len(present):
        part = present[at : at + pace.size]
        at += len(part)
        yield part, works, len(present)


def _stops_of(stops: Iterable[TourStop]) -> dict[int, list[TourStop]]:
    found: dict[int, list[TourStop]] = defaultdict(list)
    for stop in stops:
        found[stop.tour_id].append(stop)
    return found


def _touched(run: ImportRun, tours: Iterable[int]) -> set[int | None]:
    """Tours that something else than this run (or an undo of it that was interrupted) changed after it."""
    events = AuditEvent.objects.filter(object_type="tour", object_id__in=list(tours)).order_by("id")
    seen: set[int | None] = set()
    touched: set[int | None] = set()
    for pk, reason in events.values_list("object_id", "reason"):
        if reason == f"import {run.pk}":
            seen.add(pk)
        elif pk in seen and reason != f"undo of import {run.pk}":
            touched.add(pk)
    return touched


def _done(saved: Saved, work: _Work, plan: UndoPlan, *, touched: bool, now: datetime) -> bool:
    """`_decide` for a tour that is in the plan; whether it is to be stored. One that is not is left and named."""
    if plan.may("tour", saved.tour.pk):
        _decide(saved, work, plan, touched=touched, now=now)
        return saved.changed
    other, name = UndoPlan(plan.run), str(saved.tour)
    _decide(saved, work, other, touched=touched, now=now)
    plan.left += other.left or ([f"{name}: {UNPLANNED}"] if saved.changed else [])
    return False


def _decide(saved: Saved, work: _Work, plan: UndoPlan, *, touched: bool, now: datetime | None = None) -> None:
    """Note in `plan` what becomes of one tour, and put the new values on the objects."""
    tour = saved.tour
    if work.created:
        if touched:
            plan.left.append(f"{tour}: someone changed it since; cancel and archive it yourself if it is not wanted.")
        elif tour.status != TourStatus.CANCELLED or tour.archived_at is None:
            _put(saved, {"status": TourStatus.CANCELLED, "archived_at": now or tour.created_at})
            plan.cancel.append(str(tour))
            plan.cancelled_ids.add(tour.pk)
            plan.acts["tour"].add(tour.pk)
        return
    left = _restore(saved, tour, work.tour_changes)
    for stop in saved.stored:
        if stop.pk in work.new_stops:
            if stop.appointment_status != AppointmentStatus.CANCELLED:
                change_stop(saved, stop, {"appointment_status": AppointmentStatus.CANCELLED})
        elif stop.pk in work.stop_changes:
            left += _restore(saved, stop, work.stop_changes[stop.pk])
    if saved.changed:
        plan.restore.append(str(tour))
        plan.acts["tour"].add(tour.pk)
    if left:
        plan.left.append(f"{tour}: changed since, left as it is: {', '.join(left)}.")


def _restore(saved: Saved, record: Tour | TourStop, changes: dict[str, list[Any]]) -> list[str]:
    """Put old values back where the import's still stand; the names of those that do not."""
    back: dict[str, Any] = {}
    left: list[str] = []
    for name, (old, new) in changes.items():
        current = getattr(record, name)
        if name == "further_buyers":
            left.append(name)
        elif audit.plain(current) == new:
            back[name] = _typed(record, name, old)
        elif audit.plain(current) != old:
            left.append(f"stop {record.sequence} {name}" if isinstance(record, TourStop) else name)
    if isinstance(record, TourStop):
        if back:
            change_stop(saved, record, back)
    else:
        _put(saved, back)
    return left


def _put(saved: Saved, values: dict[str, Any]) -> None:
    saved.changes |= changes_of(saved.tour, values)
    for name, (_, value) in saved.changes.items():
        setattr(saved.tour, name, value)


def _typed(record: models.Model, name: str, value: Any) -> Any:
    """A value as `audit.plain` wrote it, back as the field holds it."""
    stored = record._meta.get_field(name)
    if value is None:
        return None
    if isinstance(stored, models.ForeignKey):
        found = stored.related_model._default_manager.get(pk=value)
        return found.survivor if isinstance(found, Contact) else found
    if isinstance(stored, models.DateTimeField):
        return datetime.fromisoformat(value)
    if isinstance(stored, models.DecimalField):
        return Decimal(value)
    return value


def _plan_feedback(run: ImportRun, plan: UndoPlan, *, apply: bool, who: Who) -> None:
    """Created answers are deleted while no CRM was told of them, changed ones put back, those edited since left."""
    items = list(ImportItem.objects.filter(run=run, entity_type="feedback").order_by("pk"))
    for at in range(0, len(items), _ANSWERS):
        part = {item.entity_id: item for item in items[at : at + _ANSWERS]}
        with transaction.atomic() if apply else nullcontext():
            answers = Feedback.objects.filter(pk__in=part).select_related("stop__tour").order_by("pk")
            if apply:
                lock_tours(pk__in=set(answers.values_list("stop__tour", flat=True)))
            for answer in answers.select_for_update(of=("self",)) if apply else answers:
                if plan.may("feedback", answer.pk):
                    _decide_feedback(answer, part[answer.pk], plan, who if apply else None)
                else:
                    _leave_feedback(answer, part[answer.pk], plan)


def _leave_feedback(answer: Feedback, item: ImportItem, plan: UndoPlan) -> None:
    other = UndoPlan(plan.run)
    _decide_feedback(answer, item, other, None)
    plan.left += other.left or ([f"{answer}: {UNPLANNED}"] if not other.empty else [])


def _decide_feedback(answer: Feedback, item: ImportItem, plan: UndoPlan, who: Who | None) -> None:
    changes: dict[str, list[Any]] = item.before or {}
    if item.created and answer.version == 1:
        if not planning.forgettable(answer, forget=who is not None):
            plan.left.append(f"{answer}: its note is in a CRM or on its way there, so it is left as it is.")
            return
        plan.feedback_deleted += 1
        plan.acts["feedback"].add(answer.pk)
        if who:
            audit.record_all([audit.event("feedback.delete", answer, who)])
            answer.delete()
    elif not item.created and all(audit.plain(getattr(answer, name)) == new for name, (_, new) in changes.items()):
        plan.feedback_restored += 1
        plan.acts["feedback"].add(answer.pk)
        if who:
            _restore_feedback(answer, changes, who)
    elif item.created or any(audit.plain(getattr(answer, name)) != old for name, (old, _) in changes.items()):
        plan.left.append(f"{answer}: changed since, left as it is.")


def _restore_feedback(answer: Feedback, changes: dict[str, list[Any]], who: Who) -> None:
    back = changes_of(answer, {name: _typed(answer, name, old) for name, (old, _) in changes.items()})
    for name, (_, value) in back.items():
        setattr(answer, name, value)
    answer.version += 1
    answer.save(update_fields=[*back, "version", "updated_at"])
    audit.record_all([audit.event("feedback.update", answer, who, **audit.sides(back))])
    planning.plan_new_feedback([answer])


def _count_agents(plan: UndoPlan) -> None:
    plan.agents_kept = ImportItem.objects.filter(run=plan.run, created=True, entity_type="agent").count()
