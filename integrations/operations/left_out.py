"""Keeping a record out of one CRM, and taking it back.

A tour or a buyer takes all that hangs on it along: the tours of a primary buyer, their stops, what was said after them.
A stop or an answer goes alone; the summary of its tour tells no more of it. Appointments that stand in the CRM are
cancelled there; other notes, tasks and people stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Q

from integrations.engine import settling, states
from integrations.engine.claims import row_of
from integrations.engine.clock import db_now
from integrations.models import (
    OPEN,
    Connection,
    ConnectionState,
    Contact,
    ExternalRef,
    Feedback,
    LeftOut,
    Operation,
    OperationDependency,
    State,
    Tour,
    TourStop,
)
from integrations.routing import connections_for
from integrations.tasks import ring_after_commit

from . import audit, planned, planning
from .audit import Who
from .tour_saving import lock_stops, lock_tours
from .values import clean_text

RECORDS: dict[str, type[models.Model]] = {"tour": Tour, "contact": Contact, "stop": TourStop, "feedback": Feedback}
"""What can be left out, by the name that operations use."""
MAX_REASON = 300
_NOT_SENT = (State.PENDING, State.WAITING, State.RETRYABLE, State.NEEDS_PERSON, State.DEAD)


@dataclass(frozen=True, slots=True)
class Reach:
    """What leaving out does: how many appointments are cancelled in the CRM, how many operations end unsent."""

    cancelled: int
    ended: int


@dataclass(frozen=True, slots=True)
class Choice:
    """One CRM and whether this record is left out there; `reason` is empty when it is not."""

    connection_id: int
    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Concerned:
    """The tours to plan anew, and the ids of all records that are left out, by type."""

    tours: list[Tour]
    records: dict[str, list[int]]

    def about(self) -> Q:
        """Operations and links of these records."""
        which = Q(pk__in=())
        for entity_type, ids in self.records.items():
            which |= Q(entity_type=entity_type, entity_id__in=ids)
        return which


def known(entity_type: str, entity_id: int) -> Any:
    """The record of that type. Raises ObjectDoesNotExist, KeyError for what cannot be left out."""
    return RECORDS[entity_type]._default_manager.get(pk=entity_id)


def choices(entity_type: str, entity_id: int) -> list[Choice]:
    """Every connection that is not disabled, and those of the others that leave it out. Two queries."""
    reasons = LeftOut.objects.reasons(**{entity_type: [entity_id]})
    rows = Connection.objects.order_by("label").values_list("pk", "label", "state")
    found = [(pk, label, state, reasons.get((pk, entity_type, entity_id), "")) for pk, label, state in rows]
    return [Choice(pk, label, why) for pk, label, state, why in found if why or state != ConnectionState.DISABLED]


def reach_of(entity_type: str, entity_id: int, connection_id: int) -> Reach:
    """What leaving it out would do now. Writes nothing. Raises as `known`."""
    concerned = _concerned(entity_type, entity_id, connection_id)
    if not concerned.tours:
        known(entity_type, entity_id)
    unsent = set(_unsent(concerned, connection_id).values_list("pk", flat=True))
    return Reach(len(_standing(concerned, connection_id)), len(unsent - _needed_elsewhere(unsent)))


def returning(entity_type: str, entity_id: int, connection_id: int) -> int:
    """How many appointments taking it back would bring to the CRM again. Writes nothing."""
    tours = _concerned(entity_type, entity_id, connection_id)
    ids = set(tours.records.get("stop", ()))
    reasons = LeftOut.objects.filter(connection=connection_id).exclude(entity_type=entity_type, entity_id=entity_id)
    left_out = reasons.reasons(
        tour=[tour.pk for tour in tours.tours], contact={tour.buyer_id for tour in tours.tours}, stop=ids
    )
    connection = Connection.objects.defer("secrets").get(pk=connection_id)
    included = [tour for tour in tours.tours if connections_for(tour, [connection], left_out)[0].included]
    live = TourStop.objects.live().filter(pk__in=ids, tour__in=included)
    return sum((connection_id, "stop", pk) not in left_out for pk in live.values_list("pk", flat=True))


@transaction.atomic
def leave_out(entity_type: str, entity_id: int, connection_id: int, reason: str, who: Who) -> Reach | None:
    """Keep the record out of that CRM from now on. None when it is left out already; then nothing is done.

    Raises ValidationError naming `reason`, ObjectDoesNotExist, KeyError for what cannot be left out.
    """
    why = _clean(reason)
    record = known(entity_type, entity_id)
    concerned = _locked(_concerned(entity_type, entity_id, connection_id))
    _, made = LeftOut.objects.get_or_create(
        connection_id=connection_id, entity_type=entity_type, entity_id=entity_id, defaults={"reason": why}
    )
    if not made:
        return None
    reach = _take_out(concerned, connection_id)
    after = {"connection": connection_id, "cancelled there": reach.cancelled, "operations ended": reach.ended}
    audit.record("leave_out", record, actor=who.actor, via=who.via, reason=why, after=after)
    return reach


def join(tours: list[Tour], connection_id: int) -> Reach:
    """These tours, locked with their stops, came to a buyer who is left out there: so are they now."""
    return _take_out(_Concerned(tours, _records_of([tour.pk for tour in tours])), connection_id)


def _take_out(concerned: _Concerned, connection_id: int) -> Reach:
    standing = _standing(concerned, connection_id)
    ended = _end(concerned, connection_id)
    # As when a connection ceases to serve a tour: a version rises, so that the end of what stands is planned.
    TourStop.objects.filter(pk__in=standing).update(version=F("version") + 1)
    planning.newly_told(concerned.tours)
    planning.plan_tours(concerned.tours, at=[connection_id])
    ring_after_commit(connection_id)
    return Reach(len(standing), ended)


@transaction.atomic
def take_back(entity_type: str, entity_id: int, connection_id: int, who: Who) -> bool:
    """The record goes to that CRM again, as it is now. False when it was not left out; then nothing is done.

    Raises ObjectDoesNotExist.
    """
    record = known(entity_type, entity_id)
    concerned = _locked(_concerned(entity_type, entity_id, connection_id))
    row = LeftOut.objects.select_for_update().filter(
        connection=connection_id, entity_type=entity_type, entity_id=entity_id
    ).first()  # fmt: skip
    if row is None:
        return False
    reason = row.reason
    row.delete()
    connection = Connection.objects.defer("secrets").get(pk=connection_id)
    # What ended unsent goes on by itself; what was ended there is planned anew.
    stops = planned.newest(connection, "appointment.sync", concerned.records.get("stop", ()))
    TourStop.objects.filter(pk__in=[pk for pk, last in stops.items() if not last.left_out]).update(
        version=F("version") + 1
    )
    planning.newly_told(concerned.tours)
    planning.plan_tours(concerned.tours, at=[connection_id])
    answers = Feedback.objects.filter(pk__in=concerned.records.get("feedback", ())).select_related("stop")
    planning.plan_feedback(list(answers.order_by("pk")), at=[connection_id])
    ring_after_commit(connection_id)
    before = {"connection": connection_id, "reason": reason}
    audit.record("take_back", record, actor=who.actor, via=who.via, reason=who.reason, before=before)
    return True


def _clean(reason: str) -> str:
    try:
        why = clean_text(reason, MAX_REASON)
    except ValidationError as error:
        raise ValidationError({"reason": error.messages}) from None
    if not why:
        raise ValidationError({"reason": ["Say why; whoever looks for it there later reads this."]})
    return why


def _concerned(entity_type: str, entity_id: int, connection_id: int) -> _Concerned:
    tours = Tour.objects.select_related("agent", "buyer").order_by("pk")
    if entity_type == "feedback":
        return _Concerned(list(tours.filter(stops__feedback=entity_id)), {"feedback": [entity_id]})
    if entity_type == "stop":
        return _Concerned(list(tours.filter(stops=entity_id)), {"stop": [entity_id]})
    mine = list(tours.filter(buyer=entity_id) if entity_type == "contact" else tours.filter(pk=entity_id))
    ids = [tour.pk for tour in mine]
    buyer = [entity_id] if entity_type == "contact" else [t.buyer_id for t in mine if _last_of(t, connection_id)]
    return _Concerned(mine, {**_records_of(ids), "contact": buyer})


def _records_of(tour_ids: list[int]) -> dict[str, list[int]]:
    """All that hangs on these tours."""
    pairs = list(TourStop.objects.filter(tour__in=tour_ids).order_by().values_list("pk", "feedback"))
    return {
        "tour": tour_ids,
        "stop": sorted({stop for stop, _ in pairs}),
        "feedback": sorted(answer for _, answer in pairs if answer is not None),
    }


def _last_of(tour: Tour, connection_id: int) -> bool:
    """Whether no other tour brings this one's buyer to the CRM."""
    others = Tour.objects.filter(buyer=tour.buyer_id).exclude(pk=tour.pk).exclude(status__in=("draft", "cancelled"))
    rows = list(others.select_related("agent"))
    if not rows:
        return True
    connection = Connection.objects.defer("secrets").get(pk=connection_id)
    left_out = LeftOut.objects.reasons(tour=[other.pk for other in rows], contact=[tour.buyer_id])
    return not any(connections_for(other, [connection], left_out)[0].included for other in rows)


def _locked(concerned: _Concerned) -> _Concerned:
    """The same under the locks of its tours and stops, in the order that every verb takes them."""
    tours = lock_tours(pk__in=[tour.pk for tour in concerned.tours])
    lock_stops(tours)
    return _Concerned(tours, concerned.records)


def _unsent(concerned: _Concerned, connection_id: int) -> models.QuerySet[Operation]:
    """Operations that end by the decision: not in hand, not in doubt, not at an end but a failed one."""
    mine = Operation.objects.filter(concerned.about(), connection=connection_id)
    return mine.filter(state__in=_NOT_SENT, in_doubt=False).order_by("pk")


def _standing(concerned: _Concerned, connection_id: int) -> list[int]:
    """Stops whose appointment stands in the CRM, or may be on its way there."""
    ids = concerned.records.get("stop", [])
    mine = {"connection": connection_id, "entity_type": "stop", "entity_id__in": ids}
    waiting = list(Operation.objects.unsettled().filter(**mine).values_list("entity_id", "in_doubt", "state"))
    linked = set(
        ExternalRef.objects.filter(**mine, external_id__isnull=False).values_list("entity_id", flat=True)
    )  # fmt: skip
    at_work = {stop for stop, in_doubt, state in waiting if in_doubt or state == State.LEASED}
    # A linked one that is not live is cancelled there already, unless that is still to be told.
    live = TourStop.objects.live().filter(pk__in=linked).values_list("pk", flat=True)
    untold = linked & {stop for stop, _, _ in waiting}
    return sorted(set(live) | untold | at_work)


def _end(concerned: _Concerned, connection_id: int) -> int:
    """Ends what was not sent. How many operations that were."""
    rows = list(_unsent(concerned, connection_id).select_for_update())
    ending = {row.pk for row in rows} - _needed_elsewhere(row.pk for row in rows)
    now = db_now()
    for row in rows:
        if row.pk in ending:
            new = states.leave_out(row_of(row))
            # Not all columns: the end of one lets others of them go on, which counts their blockers down.
            Operation.objects.filter(pk=row.pk).update(state=new.state, reason=new.reason, settled_ms=now)
            settling.release(row, new)
    return len(ending)


def _needed_elsewhere(ending: Iterable[int]) -> set[int]:
    """Links of a buyer that something else waits for: a tour that was planned in this very moment."""
    ids = set(ending)
    edges = OperationDependency.objects.filter(needs__in=ids, needs__kind="contact.link", settled=False)
    others = edges.exclude(operation__in=ids).filter(operation__state__in=OPEN)
    return set(others.values_list("needs_id", flat=True))
