"""Taking back the newest change of a tour's or a stop's status, as long as no CRM was told of it.

The former values come back through the same verbs, so routing, planning and the audit trail follow. The newer
version that makes replaces what was planned; where the CRM shows the former values already, it is sent as no request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q

from integrations.engine import states
from integrations.engine.claims import columns_of, row_of
from integrations.models import Attempt, AuditEvent, Operation, State, Tour, TourStop

from .audit import Who
from .refusals import ARCHIVED, NotPossible
from .tour_saving import Saved, change_stop
from .tours import finish, locked

VERB = "tour.undo"
_STATUS_VERBS = frozenset(
    {"stop.status", "stop.outcome", "tour.scheduled", "tour.in_progress", "tour.completed", "tour.cancelled"}
)
_VALUE = re.compile(r"stop (\d+) (appointment_status|outcome)")
_VERSION = re.compile(r"stop (\d+) version")
INSTEAD = "Change it back by hand: the CRMs are told that too."


@dataclass(frozen=True, slots=True)
class Undone:
    """`changed`: False when it had been undone already."""

    tour: Tour
    changed: bool


def can_be_meant(event: AuditEvent) -> bool:
    """Whether an event is of the sort that can be undone at all."""
    return event.object_type == "tour" and event.verb in _STATUS_VERBS and event.via != AuditEvent.Via.SYSTEM


def refusal(event: AuditEvent, tour: Tour, stops: list[TourStop]) -> str:
    """Why the tour's newest event cannot be undone; empty when it can. One query at most, no lock: for pages."""
    if not can_be_meant(event):
        return "This change has no undo."
    if tour.archived_at is not None:
        return ARCHIVED
    sent = _sent(event, tour, stops)
    return f"{sent} was told already. {INSTEAD}" if sent else ""


def undo(event_id: int, who: Who) -> Undone:
    """Put back what the event changed. Safe under double clicks and while workers claim.

    Raises NotPossible with what to do instead, AuditEvent.DoesNotExist, Tour.DoesNotExist.
    """
    event = AuditEvent.objects.get(pk=event_id)
    if not can_be_meant(event):
        raise NotPossible(f"This change has no undo. {INSTEAD}")
    mark = f"Undo of change {event.pk}"
    with transaction.atomic():
        saved = locked(event.object_id or 0)
        newest = AuditEvent.objects.filter(object_type="tour", object_id=saved.tour.pk).latest("id")
        if (newest.verb, newest.reason) == (VERB, mark):
            return Undone(saved.tour, changed=False)
        if newest.pk != event.pk:
            by = f" by {newest.actor}" if newest.actor else ""
            raise NotPossible(f"This tour was changed again since{by}. {INSTEAD}")
        _stop_sending(event, saved)
        _put_back(event, saved)
        finish(saved, Who(who.actor, who.via, mark), VERB)
        return Undone(saved.tour, changed=True)


def _versions(event: AuditEvent) -> dict[int, int]:
    """Place of each stop whose version the change raised → its version before."""
    found = ((_VERSION.fullmatch(name), value) for name, value in (event.before or {}).items())
    return {int(match[1]): int(value) for match, value in found if match}


def _sent(event: AuditEvent, tour: Tour, stops: list[TourStop]) -> str:
    """The CRMs that a request with these or later values went to, by label; empty for none."""
    before, old = _versions(event), event.before or {}
    sent = Q(pk__in=[])
    if "version" in old:
        sent |= Q(operation__entity_type="tour", operation__entity_id=tour.pk, version__gt=old["version"])
    for stop in stops:
        if stop.sequence in before:
            about = Q(operation__entity_type="stop", operation__entity_id=stop.pk)
            sent |= about & Q(version__gt=before[stop.sequence])
    labels = Attempt.objects.filter(sent, sent_ms__isnull=False).values_list("connection__label", flat=True)
    return ", ".join(sorted(set(labels)))


def _stop_sending(event: AuditEvent, saved: Saved) -> None:
    """Locks what was planned and stops what a worker has in hand unsent. Raises NotPossible when it is too late.

    A worker commits that it is about to send on the same row, so it either did so before this, or finds that it must
    not.
    """
    before = _versions(event)
    ids = [stop.pk for stop in saved.stored if stop.sequence in before]
    mine = Q(entity_type="stop", entity_id__in=ids) | Q(entity_type="tour", entity_id=saved.tour.pk)
    # The buyer's link too, and all in the order they were made: so settles lock them.
    links = Q(entity_type="contact", entity_id=saved.tour.buyer_id, kind="contact.link")
    rows = list(Operation.objects.select_for_update(of=("self",)).filter(mine | links).order_by("pk"))
    refused = refusal(event, saved.tour, saved.stored)
    if refused:
        raise NotPossible(refused)
    for row in rows:
        if row.state != State.LEASED or row.entity_type == "contact":
            continue
        if Attempt.objects.filter(operation=row, token=row.token).exists():
            continue  # on its way with values from before the change
        if row.in_doubt:
            raise NotPossible("A CRM is being asked about it this very moment. Try again in a few seconds.")
        Operation.objects.filter(pk=row.pk).update(**columns_of(states.cancel(row_of(row))))


def _put_back(event: AuditEvent, saved: Saved) -> None:
    after: dict[str, Any] = event.after or {}
    by_place = {stop.sequence: stop for stop in saved.stored}
    for name, value in (event.before or {}).items():
        match = _VALUE.fullmatch(name)
        record: Any = saved.tour if name == "status" else by_place.get(int(match[1])) if match else None
        if record is None:
            if name.endswith("version"):
                continue
            raise NotPossible(f"This change has no undo. {INSTEAD}")
        field = match[2] if match else name
        if getattr(record, field) != after.get(name):
            raise NotPossible(f"This tour was changed again since. {INSTEAD}")
        if match:
            change_stop(saved, record, {field: value})
        else:
            saved.changes[field] = (saved.tour.status, value)
            saved.tour.status = value
