"""The verbs a person has for a stop or a tour at one press: which make sense now, and doing one.

What such a press plans waits REANNA_UNDO_S before a worker may take it, so that there is time to undo
(`undo.py`). Imports, the forms and what else the API can do wait for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from integrations.engine.clock import db_now
from integrations.models import (
    LIVE_STATUSES,
    AppointmentStatus,
    AuditEvent,
    ExternalRef,
    Operation,
    Outcome,
    State,
    Tour,
    TourStatus,
    TourStop,
)

from .audit import Who
from .refusals import ARCHIVED, NotPossible
from .tour_saving import Saved, change_stop
from .tours import change_tour, finish, locked

UNDO_REASON = "undo_time"
_STANDING = (TourStatus.SCHEDULED, TourStatus.IN_PROGRESS)
_SHOWN = (*_STANDING, TourStatus.COMPLETED)


@dataclass(frozen=True, slots=True)
class Verb:
    """`done`: what it did, in one word. `field`, `value`: what it sets. `ends`: it takes an appointment away."""

    slug: str
    label: str
    done: str
    field: str
    value: str
    ends: bool = False


CONFIRM = Verb("confirm", "Confirm", "Confirmed", "appointment_status", AppointmentStatus.CONFIRMED)
DENY = Verb("deny", "Deny", "Denied", "appointment_status", AppointmentStatus.DENIED, ends=True)
CANCEL = Verb("cancel", "Cancel", "Cancelled", "appointment_status", AppointmentStatus.CANCELLED, ends=True)
SHOWED = Verb("showed", "Showed", "Marked as showed", "outcome", Outcome.SHOWED)
NO_SHOW = Verb("no-show", "No-show", "Marked as no-show", "outcome", Outcome.NO_SHOW)
STOP_VERBS = {verb.slug: verb for verb in (CONFIRM, DENY, CANCEL, SHOWED, NO_SHOW)}

COMPLETE = Verb("complete", "Complete", "Completed", "status", TourStatus.COMPLETED)
REOPEN = Verb("reopen", "Reopen", "Reopened", "status", TourStatus.SCHEDULED)
CANCEL_TOUR = Verb("cancel", "Cancel tour", "Cancelled", "status", TourStatus.CANCELLED, ends=True)
TOUR_VERBS = {verb.slug: verb for verb in (COMPLETE, REOPEN, CANCEL_TOUR)}

ALL_CONFIRM = Verb("confirm", "Confirm all pending", "Confirmed", CONFIRM.field, CONFIRM.value)
ALL_SHOWED = Verb("showed", "Mark all past as showed", "Marked as showed", SHOWED.field, SHOWED.value)
BULK_VERBS = {verb.slug: verb for verb in (ALL_CONFIRM, ALL_SHOWED)}


@dataclass(frozen=True, slots=True)
class Pressed:
    """What a press did. `event_id`: the audit event, to undo it by; None when it was so already.

    `crms`: how many CRMs will be told. `until_ms`: nothing is sent before; 0: at once, or nothing to send.
    """

    verb: Verb
    event_id: int | None = None
    stops: tuple[TourStop, ...] = ()
    crms: int = 0
    until_ms: int = 0


def stop_verbs(stop: TourStop, now: datetime) -> list[Verb]:
    """What makes sense for a stop as it is; its tour is loaded."""
    return [verb for verb in STOP_VERBS.values() if not why_not(verb, stop, now)]


def why_not(verb: Verb, stop: TourStop, now: datetime) -> str:
    """Why a verb does not apply to a stop now; empty when it does."""
    tour = stop.tour
    if tour.archived_at is not None:
        return ARCHIVED
    if tour.status not in _SHOWN:
        return f"The tour is {tour.get_status_display().lower()}."
    if getattr(stop, verb.field) == verb.value:
        return f"It is {verb.value.replace('_', '-')} already."
    live = stop.appointment_status in LIVE_STATUSES
    if verb.field == "outcome":
        if not live:
            return f"The stop is {stop.appointment_status}."
        return "" if stop.appointment_start <= now else "It has not started yet."
    if stop.appointment_end <= now:
        return "It is over; say what came of it instead."
    if verb is CONFIRM:
        return "" if stop.appointment_status != AppointmentStatus.CANCELLED else "It is cancelled; edit the tour."
    if verb is DENY:
        return "" if stop.appointment_status == AppointmentStatus.PENDING else f"It is {stop.appointment_status}."
    return "" if live else f"It is {stop.appointment_status}."


def tour_verbs(tour: Tour, stops: Sequence[TourStop], now: datetime) -> list[Verb]:
    """What makes sense for the tour itself."""
    fits = [verb for verb in TOUR_VERBS.values() if not why_not_tour(verb, tour, stops, now)]
    return [verb for verb in fits if tour.status != verb.value]


def why_not_tour(verb: Verb, tour: Tour, stops: Sequence[TourStop], now: datetime) -> str:
    """Why a verb does not apply to a tour now; empty when it does."""
    if tour.archived_at is not None:
        return ARCHIVED
    if verb is COMPLETE:
        if tour.status not in _STANDING:
            return f"The tour is {tour.get_status_display().lower()}."
        return "" if tour.starts_at <= now else "It has not started yet."
    if verb is CANCEL_TOUR:
        return f"The tour is {tour.get_status_display().lower()}." if tour.status == TourStatus.COMPLETED else ""
    if tour.status not in (TourStatus.COMPLETED, TourStatus.CANCELLED):
        return f"The tour is {tour.get_status_display().lower()}."
    ends = [stop.appointment_end for stop in stops if stop.appointment_status in LIVE_STATUSES]
    if ends and max(ends) + timedelta(seconds=settings.REANNA_COMPLETE_TOURS_AFTER_S) <= now:
        return "Its last stop is long over, so it would be completed again at once. Move a stop first."
    return ""


def bulk(verb: Verb, stops: Sequence[TourStop], now: datetime) -> list[TourStop]:
    """The stops a verb for all of them would change: pending ones, or past ones of which nothing is said yet."""
    one = STOP_VERBS[verb.slug]
    fits = [stop for stop in stops if not why_not(one, stop, now)]
    if one is CONFIRM:
        return [stop for stop in fits if stop.appointment_status == AppointmentStatus.PENDING]
    return [stop for stop in fits if stop.outcome == Outcome.NONE and stop.appointment_end <= now]


def stands_at(stops: Sequence[TourStop]) -> list[tuple[TourStop, str, str]]:
    """(stop, connection, appointment id) wherever one of these stops stands in a CRM."""
    by_id = {stop.pk: stop for stop in stops}
    refs = ExternalRef.objects.filter(entity_type="stop", entity_id__in=by_id, external_id__isnull=False)
    rows = refs.order_by("entity_id", "connection__label")
    return [
        (by_id[pk], label, external_id or "")
        for pk, label, external_id in rows.values_list("entity_id", "connection__label", "external_id")
    ]


def press_stop(tour_id: int, stop_id: int, slug: str, who: Who, *, now: datetime) -> Pressed:
    """One verb on one stop. Raises NotPossible, Tour.DoesNotExist, TourStop.DoesNotExist."""
    verb = STOP_VERBS[slug]
    with transaction.atomic():
        saved = locked(tour_id)
        stop = next((stop for stop in saved.stored if stop.pk == stop_id), None)
        if stop is None:
            raise TourStop.DoesNotExist(f"Tour {tour_id} has no stop {stop_id}.")
        if getattr(stop, verb.field) == verb.value:
            return Pressed(verb, stops=(stop,))
        refused = why_not(verb, stop, now)
        if refused:
            raise NotPossible(f"{verb.label} does not apply to {stop.street}. {refused}")
        return _press(saved, verb, [stop], who)


def press_all(tour_id: int, slug: str, who: Who, *, now: datetime) -> Pressed:
    """One verb on every stop of the tour that it is meant for; none is no error. Raises Tour.DoesNotExist."""
    verb = BULK_VERBS[slug]
    with transaction.atomic():
        saved = locked(tour_id)
        return _press(saved, verb, bulk(verb, saved.stored, now), who)


def press_tour(tour_id: int, slug: str, who: Who, *, now: datetime) -> Pressed:
    """Complete, reopen or cancel. Raises NotPossible, Tour.DoesNotExist."""
    verb = TOUR_VERBS[slug]
    with transaction.atomic():
        saved = locked(tour_id)
        if saved.tour.status == verb.value:
            return Pressed(verb)
        refused = why_not_tour(verb, saved.tour, saved.stored, now)
        if refused:
            raise NotPossible(f"{verb.label} does not apply. {refused}")
        change_tour(saved, {"status": verb.value}, who, f"tour.{verb.value}")
        return _pressed(saved, verb, ())


def _press(saved: Saved, verb: Verb, stops: Sequence[TourStop], who: Who) -> Pressed:
    for stop in stops:
        change_stop(saved, stop, {verb.field: verb.value})
    if not finish(saved, who, "stop.status" if verb.field == "appointment_status" else "stop.outcome"):
        return Pressed(verb)
    return _pressed(saved, verb, stops)


def _pressed(saved: Saved, verb: Verb, stops: Sequence[TourStop]) -> Pressed:
    until_ms = give_time(saved.planned)
    event_id = AuditEvent.objects.filter(object_type="tour", object_id=saved.tour.pk).latest("id").pk
    crms = {made.connection_id for made in saved.planned}
    return Pressed(verb, event_id, tuple(stops), len(crms), until_ms)


def give_time(planned: Sequence[Any]) -> int:
    """Operations just planned, in the same transaction, wait until then (Unix milliseconds; 0: they do not)."""
    seconds = undo_seconds()
    if not planned or not seconds:
        return 0
    until_ms = db_now() + int(seconds * 1000)
    rows = Operation.objects.filter(pk__in=[made.pk for made in planned], state=State.PENDING, token=0)
    rows.update(due_ms=Greatest(F("due_ms"), until_ms), reason=UNDO_REASON)
    return until_ms


def undo_seconds() -> int:
    """How long what a press plans is kept back; 0: not at all."""
    return max(0, int(settings.REANNA_UNDO_S))
