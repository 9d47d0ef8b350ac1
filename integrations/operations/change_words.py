"""What a recorded change says to people: names for ids, clocks in the tour's zone, labels for stored words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from integrations.models import Agent, AppointmentStatus, AuditEvent, Contact, Outcome, Tour, TourStatus

from . import moments, wording

MOST_VALUES, LONGEST = 4, 60

_VERBS = {
    "auth_needed": "sign-in refused by the CRM",
    "connection.disable": "connection disabled",
    "connection.pause": "sending paused",
    "connection.resume": "sending resumed",
    "skip_predecessor": "went on without its predecessor",
    "stop.delete": "stop deleted",
    "stop.move": "stop moved",
    "stop.reorder": "stops changed places",
    "stop.update": "stop changed",
    "tour.archive": "tour archived",
    "tour.buyer_merged": "buyer merged",
    "tour.cancelled": "tour cancelled",
    "tour.completed": "tour completed",
    "tour.create": "tour added",
    "tour.scheduled": "tour reopened",
    "tour.unarchive": "tour brought back from the archive",
    "tour.undo": "change undone",
    "tour.undo_import": "import taken back",
    "tour.update": "tour changed",
}
_FIELDS = {
    "appointment_end": "end",
    "appointment_start": "start",
    "appointment_status": "status",
    "archived_at": "archived",
    "starts_at": "start",
}
_LABELS: dict[str, Mapping[str, str]] = {
    "appointment_status": dict(AppointmentStatus.choices),
    "outcome": dict(Outcome.choices),
    "reason": wording.REASONS,
    "state": wording.STATES,
    "status": dict(TourStatus.choices),
}
_PEOPLE = {"agent": "agent", "buyer": "buyer", "further_buyers": "buyer"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
_OF_STOP = re.compile(r"(stop \d+) (\w+)")


@dataclass(frozen=True, slots=True)
class Names:
    """Of the people that a tour's changes name by their ids."""

    zone: ZoneInfo
    people: Mapping[tuple[str, int], str] = field(default_factory=dict)


def names(tour: Tour, events: Iterable[AuditEvent], zone: ZoneInfo) -> Names:
    """No query as long as nobody but the tour's own agent and buyer is named, else two at most."""
    found = {("agent", tour.agent_id): str(tour.agent), ("buyer", tour.buyer_id): str(tour.buyer)}
    named = {
        (_PEOPLE[name], pk)
        for event in events
        if event.object_type == "tour"
        for side in (event.before or {}, event.after or {})
        for name in _PEOPLE.keys() & side.keys()
        for pk in (side[name] if isinstance(side[name], list) else [side[name]])
        if isinstance(pk, int)
    }
    for sort, model in (("agent", Agent), ("buyer", Contact)):
        ids = [pk for kind, pk in named - found.keys() if kind == sort]
        if ids:
            found |= {(sort, row.pk): str(row) for row in model.objects.filter(pk__in=ids)}
    return Names(zone, found)


def words(event: AuditEvent, known: Names) -> str:
    """The verb and what became of each value."""
    before, after = event.before or {}, event.after or {}
    changed = [name for name in after if not name.endswith("version")]
    told = [f"{_name(name)} {_change(before, after, name, known)}" for name in changed[:MOST_VALUES]]
    if len(changed) > MOST_VALUES:
        told.append(f"and {len(changed) - MOST_VALUES} more")
    verb = _VERBS.get(event.verb, event.verb.replace(".", " ").replace("_", " "))
    return ": ".join(part for part in (verb, ", ".join(told)) if part) + (f" ({event.reason})" if event.reason else "")


def _name(name: str) -> str:
    match = _OF_STOP.fullmatch(name)
    stop, own = (f"{match[1]} ", match[2]) if match else ("", name)
    return stop + _FIELDS.get(own, own.replace("_", " "))


def _change(before: dict[str, Any], after: dict[str, Any], name: str, known: Names) -> str:
    new = _value(name, after[name], known)
    return f"{_value(name, before[name], known)} → {new}" if before.get(name) not in (None, "") else new


def _value(name: str, value: Any, known: Names) -> str:
    match = _OF_STOP.fullmatch(name)
    own = match[2] if match else name
    if value is None or value == "" or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if own in _PEOPLE:
        ids = value if isinstance(value, list) else [value]
        told = ", ".join(known.people.get((_PEOPLE[own], pk), f"{_PEOPLE[own]} {pk}, deleted since") for pk in ids)
        return _short(told)
    if isinstance(value, str):
        if _TIME.match(value):
            return _moment(value, known.zone)
        return _short(_LABELS.get(own, {}).get(value, value))
    return _short(str(value))


def _moment(value: str, zone: ZoneInfo) -> str:
    instant = datetime.fromisoformat(value)
    return f"{moments.day(instant, zone)}, {instant.astimezone(zone):%H:%M %Z}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
