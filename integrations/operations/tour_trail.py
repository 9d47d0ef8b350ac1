"""The latest changes of a tour, as its page tells them, and whether the newest can be undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from integrations.models import AuditEvent, Tour, TourStop

from . import moments, undo

SHOWN, MOST_VALUES, LONGEST = 5, 4, 60


@dataclass(frozen=True, slots=True)
class Change:
    """One event. `undo_id`: the event to undo; None: it cannot be, and `no_undo` says why where that is of use."""

    when: str
    who: str
    what: str
    undo_id: int | None = None
    no_undo: str = ""


def latest(tour: Tour, stops: list[TourStop], zone: ZoneInfo) -> list[Change]:
    """Newest first. Two queries at most."""
    events = list(AuditEvent.objects.filter(object_type="tour", object_id=tour.pk).order_by("-id")[:SHOWN])
    found = []
    for place, event in enumerate(events):
        meant = place == 0 and undo.can_be_meant(event)
        refused = undo.refusal(event, tour, stops) if meant else ""
        undo_id = event.pk if meant and not refused else None
        who = f"{event.actor or 'the system'}, {event.get_via_display()}"
        found.append(Change(moments.clock(event.at, zone), who, words(event), undo_id, refused))
    return found


def words(event: AuditEvent) -> str:
    """The verb and what became of each value."""
    before, after = event.before or {}, event.after or {}
    names = [name for name in after if not name.endswith("version")]
    told = [f"{name.replace('_', ' ')} {_change(before, after, name)}" for name in names[:MOST_VALUES]]
    if len(names) > MOST_VALUES:
        told.append(f"and {len(names) - MOST_VALUES} more")
    verb = event.verb.replace(".", " ").replace("_", " ")
    return ": ".join(part for part in (verb, ", ".join(told)) if part) + (f" ({event.reason})" if event.reason else "")


def _change(before: dict[str, Any], after: dict[str, Any], name: str) -> str:
    new = str(after[name])[:LONGEST]
    return f"{str(before[name])[:LONGEST]} → {new}" if before.get(name) not in (None, "") else new
