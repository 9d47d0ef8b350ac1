"""What can be done to a tour and its stops, one verb each.

Every verb is one transaction: it locks, checks, writes what differs, audits, and plans what the CRMs must be told.
Doing what is done already changes nothing. Each returns whether anything changed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, Q

from integrations.models import (
    LIVE_STATUSES,
    AppointmentStatus,
    AuditEvent,
    Outcome,
    Tour,
    TourStatus,
    TourStop,
)

from . import audit, planning
from .audit import Who
from .people import changes_of
from .refusals import ARCHIVED, NotPossible
from .tour_saving import Saved, change_stop, lock_stops, lock_tours, save_tour, save_tours, settle, store

__all__ = [
    "archive_tour",
    "cancel_tour",
    "change_stop_values",
    "change_tour",
    "complete_tours",
    "finish",
    "locked",
    "move_stop",
    "overlapping",
    "save_tour",
    "save_tours",
    "set_stop_outcome",
    "set_stop_status",
    "set_tour_status",
    "shift_stop",
    "unarchive_tour",
]

_UNFINISHED = (TourStatus.SCHEDULED, TourStatus.IN_PROGRESS)
# A transaction holds SQLite's write lock: planning for several CRMs must stay well below 250 ms.
_BATCH = 25
_ASIDE = 32_000


def move_stop(stop_id: int, *, start: datetime, end: datetime, actor: str, via: str, reason: str = "") -> bool:
    """Another time for one stop (aware datetimes). Raises ValidationError when it would not end after it starts."""
    values = {"appointment_start": start, "appointment_end": end}
    return change_stop_values(stop_id, values, actor=actor, via=via, reason=reason, verb="stop.move")


def set_stop_status(stop_id: int, status: str, *, actor: str, via: str, reason: str = "") -> bool:
    """pending, confirmed, denied or cancelled. Raises ValidationError for anything else."""
    _known("appointment_status", status, AppointmentStatus.values)
    return change_stop_values(
        stop_id, {"appointment_status": status}, actor=actor, via=via, reason=reason, verb="stop.status"
    )


def set_stop_outcome(stop_id: int, outcome: str, *, actor: str, via: str, reason: str = "") -> bool:
    """none, showed or no_show. Raises ValidationError for anything else."""
    _known("outcome", outcome, Outcome.values)
    return change_stop_values(stop_id, {"outcome": outcome}, actor=actor, via=via, reason=reason, verb="stop.outcome")


def change_stop_values(
    stop_id: int, values: dict[str, Any], *, actor: str, via: str, reason: str = "", verb: str = "stop.update"
) -> bool:
    """Cleaned values (`clean_stop(partial=True)`) onto one stop.

    Raises TourStop.DoesNotExist, ValidationError, NotPossible when its tour is archived.
    """
    with transaction.atomic():
        tour_id = TourStop.objects.values_list("tour_id", flat=True).get(pk=stop_id)
        saved = locked(tour_id)
        stop = next(stop for stop in saved.stored if stop.pk == stop_id)
        change_stop(saved, stop, values)
        if saved.changed and saved.tour.archived_at is not None:
            raise NotPossible(ARCHIVED)
        return finish(saved, Who(actor, via, reason), verb)


def shift_stop(stop_id: int, *, earlier: bool, actor: str, via: str, reason: str = "") -> bool:
    """Change places with the stop before (or after) it; False at the end. Times stay as they are.

    Raises TourStop.DoesNotExist, NotPossible when the tour is archived.
    """
    with transaction.atomic():
        saved = locked(TourStop.objects.values_list("tour_id", flat=True).get(pk=stop_id))
        if saved.tour.archived_at is not None:
            raise NotPossible(ARCHIVED)
        order = sorted(saved.stored, key=lambda stop: stop.sequence)
        place = next(place for place, stop in enumerate(order) if stop.pk == stop_id)
        other = place - 1 if earlier else place + 1
        if not 0 <= other < len(order):
            return False
        first, second = order[place], order[other]
        swapped = ((first, second.sequence), (second, first.sequence))
        for aside, (stop, sequence) in enumerate(swapped, start=_ASIDE):
            TourStop.objects.filter(pk=stop.pk).update(sequence=aside)  # a place is never taken twice
            change_stop(saved, stop, {"sequence": sequence})
        return finish(saved, Who(actor, via, reason), "stop.reorder")


def set_tour_status(tour_id: int, status: str, *, actor: str, via: str, reason: str = "") -> bool:
    """draft, scheduled, in_progress, completed or cancelled. Raises ValidationError, Tour.DoesNotExist, NotPossible."""
    _known("status", status, TourStatus.values)
    with transaction.atomic():
        saved = locked(tour_id)
        if saved.tour.archived_at is not None and saved.tour.status != status:
            raise NotPossible(ARCHIVED)
        return change_tour(saved, {"status": status}, Who(actor, via, reason), f"tour.{status}")


def cancel_tour(tour_id: int, *, actor: str, via: str, reason: str = "") -> bool:
    """Cancel the whole tour: each standing appointment is cancelled at the CRMs; its stops keep their own status.

    Raises Tour.DoesNotExist.
    """
    return set_tour_status(tour_id, TourStatus.CANCELLED, actor=actor, via=via, reason=reason)


def archive_tour(tour_id: int, *, now: datetime, actor: str, via: str, reason: str = "") -> bool:
    """Put a finished or cancelled tour away; nothing is sent. Raises NotPossible while it still stands."""
    with transaction.atomic():
        saved = locked(tour_id)
        if saved.tour.archived_at is not None:
            return False
        if saved.tour.status in _UNFINISHED:
            raise NotPossible("This tour still stands: cancel it, or wait until it is completed, then archive it.")
        return change_tour(saved, {"archived_at": now}, Who(actor, via, reason), "tour.archive")


def unarchive_tour(tour_id: int, *, actor: str, via: str, reason: str = "") -> bool:
    """Bring a tour back from the archive, as it was. Raises Tour.DoesNotExist."""
    with transaction.atomic():
        return change_tour(locked(tour_id), {"archived_at": None}, Who(actor, via, reason), "tour.unarchive")


def complete_tours(now: datetime) -> int:
    """Complete each unfinished tour whose last live stop ended REANNA_COMPLETE_TOURS_AFTER_S before `now`.

    Safe to run twice at once: rows are locked and asked again. A tour without a live stop is left to people. The
    appointments stand as they did; those tours that something was said on are summed up. Returns how many were
    completed.
    """
    before = now - timedelta(seconds=settings.REANNA_COMPLETE_TOURS_AFTER_S)
    done = 0
    while True:
        ids = list(_over(before).order_by("pk").values_list("pk", flat=True)[:_BATCH])
        if not ids:
            return done
        with transaction.atomic():
            held = lock_tours(pk__in=ids)
            still = set(_over(before).filter(pk__in=[tour.pk for tour in held]).values_list("pk", flat=True))
            over = [tour for tour in held if tour.pk in still]
            events: list[AuditEvent] = []
            for tour in over:
                changes = {"status": (tour.status, TourStatus.COMPLETED)}
                events.append(audit.event("tour.completed", tour, Who("", "system"), **audit.sides(changes)))
                tour.status = TourStatus.COMPLETED
            done += Tour.objects.filter(pk__in=still).update(status=TourStatus.COMPLETED, updated_at=now)
            audit.record_all(events)
            planning.plan_summaries(planning.newly_told(over))


def _over(before: datetime) -> Any:
    """Unfinished tours whose last live stop ended at or before `before`."""
    live = Q(stops__appointment_status__in=LIVE_STATUSES)
    started = Tour.objects.filter(status__in=_UNFINISHED, archived_at__isnull=True)
    return started.annotate(over_at=Max("stops__appointment_end", filter=live)).filter(over_at__lte=before)


def overlapping(agent_id: int, start: datetime, end: datetime, *, except_tour: int | None = None) -> list[TourStop]:
    """Live stops of that agent's other tours at the same time: something to warn of, never an error."""
    rows = TourStop.objects.live().filter(
        tour__agent_id=agent_id, appointment_start__lt=end, appointment_end__gt=start, tour__archived_at__isnull=True
    )
    if except_tour is not None:
        rows = rows.exclude(tour_id=except_tour)
    return list(rows.select_related("tour").order_by("appointment_start")[:20])


def _known(name: str, value: str, values: list[str]) -> None:
    if value not in values:
        raise ValidationError({name: [f"“{value}” is not one of {', '.join(values)}."]})


def locked(tour_id: int) -> Saved:
    """The tour with its stops, locked until the transaction ends. Raises Tour.DoesNotExist."""
    found = lock_tours(pk=tour_id)
    if not found:
        raise Tour.DoesNotExist(f"There is no tour {tour_id}.")
    return Saved(found[0], created=False, stored=list(lock_stops(found).get(tour_id, {}).values()))


def change_tour(saved: Saved, values: dict[str, Any], who: Who, verb: str) -> bool:
    """Put new values on a locked tour, and finish. Whether anything differed."""
    saved.changes = changes_of(saved.tour, values)
    for name, (_, value) in saved.changes.items():
        setattr(saved.tour, name, value)
    return finish(saved, who, verb)


def finish(saved: Saved, who: Who, verb: str) -> bool:
    """Store, audit and plan what `saved` notes as changed; `saved.planned` are the operations made for it."""
    if saved.changed:
        store(saved)
        saved.planned = settle([saved], who, verb=verb)
    return saved.changed
