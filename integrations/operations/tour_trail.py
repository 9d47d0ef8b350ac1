"""The timeline of a tour, as its page tells it: what staff did, what was planned and sent, what the gate held back.

Everything in it is recorded elsewhere; this puts it in one order. Whether the newest change can be undone stands in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F, Q, QuerySet, Value

from integrations.models import Attempt, AuditEvent, ConnectionHold, Operation, State, Tour, TourStop

from . import change_words, moments, undo, wording

SHOWN, MOST_NAMES = 25, 4
READ = 40
"""Of each sort so many are read, the latest."""

MOST_OPERATIONS = 300
"""Of a tour with more, the latest are told of."""

_OF_CONNECTIONS = ("connection.pause", "connection.resume", "connection.disable", "auth_needed")


@dataclass(frozen=True, slots=True)
class Change:
    """One line. `where`: the CRM; `operation_id`: what it is about, where it is about one.

    `undo_id`: the event to undo; None: it cannot be, and `no_undo` says why where that is of use.
    """

    when: str
    who: str
    what: str
    undo_id: int | None = None
    no_undo: str = ""
    where: str = ""
    operation_id: int | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What the timeline is of. `operations`: all of the tour's; `labels`: of the connections, by id."""

    tour: Tour
    stops: Sequence[TourStop]
    operations: Sequence[Operation]
    labels: Mapping[int, str]


_ENDED_UNTOLD = (State.DEAD, State.CANCELLED, State.IGNORED)

_Timed = tuple[int, Change]


def latest(about: About, zone: ZoneInfo, now_ms: int) -> list[Change]:
    """Newest first. Three queries, however much happened; two more where other people were named than the tour has."""
    known = sorted(about.operations, key=lambda row: row.pk)[-MOST_OPERATIONS:]
    about = About(about.tour, about.stops, known, about.labels)
    found = [*_staff(about, zone), *_planned(about, zone)]
    if known:
        found += _sent_and_held(about, zone, now_ms)
    found.sort(key=lambda timed: timed[0], reverse=True)
    # What can be undone is always told, however much it led to since.
    return [change for place, (_, change) in enumerate(found) if place < SHOWN or change.undo_id or change.no_undo]


def _staff(about: About, zone: ZoneInfo) -> Iterable[_Timed]:
    since_ms = min((_ms(row) for row in about.operations), default=0)
    newest = True
    operations = {row.pk: row for row in about.operations}
    events = list(_events(about))
    names = change_words.names(about.tour, events, zone)
    for event in events:
        at_ms = int(event.at.timestamp() * 1000)
        if event.object_type == "connection" and at_ms < since_ms:
            continue
        meant = event.object_type == "tour" and newest and undo.can_be_meant(event)
        newest = newest and event.object_type != "tour"
        refused = undo.refusal(event, about.tour, list(about.stops)) if meant else ""
        row = operations.get(event.object_id or 0) if event.object_type == "operation" else None
        at = event.object_id if event.object_type == "connection" else row.connection_id if row else None
        what = change_words.words(event, names)
        yield (
            at_ms,
            Change(
                moments.clock(event.at, zone),
                f"{event.actor or 'the system'}, {event.get_via_display()}",
                f"{_name(row, about)}: {what}" if row else what,
                undo_id=event.pk if meant and not refused else None,
                no_undo=refused,
                where=about.labels.get(at, "") if at else "",
                operation_id=row.pk if row else None,
            ),
        )


def _events(about: About) -> Iterable[AuditEvent]:
    """Of the tour, its operations and the connections they are at; each sort is found by its index. One query."""
    sorts = [Q(object_type="tour", object_id=about.tour.pk)]
    if about.operations:
        ids = [row.pk for row in about.operations]
        at = {row.connection_id for row in about.operations}
        sorts += [
            Q(object_type="operation", object_id__in=ids),
            Q(object_type="connection", object_id__in=at, verb__in=_OF_CONNECTIONS),
        ]
    parts = [
        AuditEvent.objects.filter(pk__in=AuditEvent.objects.filter(sort).order_by("-id").values("pk")[:READ]).order_by()
        for sort in sorts
    ]
    found: list[AuditEvent] = list(parts[0].union(*parts[1:], all=True))
    return sorted(found, key=lambda event: event.pk, reverse=True)


def _planned(about: About, zone: ZoneInfo) -> Iterable[_Timed]:
    """What a change planned at a CRM is one line; what ended without being sent is one each (a try tells the rest)."""
    together: dict[tuple[int, int], list[Operation]] = {}
    for row in about.operations:
        together.setdefault((row.connection_id, _ms(row) // 1000), []).append(row)
        if row.settled_ms and row.state in _ENDED_UNTOLD:
            why = wording.reason(row.reason)
            ended = f"{_name(row, about)}: {wording.state(row.state).lower()}{f' ({why})' if why else ''}"
            where = about.labels.get(row.connection_id, "")
            yield row.settled_ms, Change(_clock(row.settled_ms, zone), "", ended, where=where, operation_id=row.pk)
    for (connection_id, _), rows in together.items():
        names = [_name(row, about) for row in rows]
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        planned = f"planned: {', '.join(names[:MOST_NAMES])}{more}"
        where, alone = about.labels.get(connection_id, ""), rows[0].pk if len(rows) == 1 else None
        yield _ms(rows[0]), Change(_clock(_ms(rows[0]), zone), "", planned, where=where, operation_id=alone)


def _sent_and_held(about: About, zone: ZoneInfo, now_ms: int) -> Iterable[_Timed]:
    """Tries, and spells in which the gate held a connection while something of this tour waited there. One query."""
    ids = {row.pk: row for row in about.operations}
    at = {row.connection_id for row in about.operations}
    tries = Attempt.objects.filter(operation__in=ids).order_by("-id").values("pk")[:READ]
    spells = ConnectionHold.objects.filter(connection__in=at).order_by("-id").values("pk")[:READ]
    rows = _columns(Attempt.objects.filter(pk__in=tries), "outcome", "started_ms", F("operation_id"), F("calls")).union(
        _columns(ConnectionHold.objects.filter(pk__in=spells), "reason", "began_ms", Value(0), F("until_ms")), all=True
    )
    for connection_id, operation_id, at_ms, what, number in rows:
        where, when = about.labels.get(connection_id, ""), _clock(at_ms, zone)
        row = ids.get(operation_id)
        if row is not None:
            told = f"{wording.outcome(what)}, {number} request{'' if number == 1 else 's'}"
            yield at_ms, Change(when, "", f"{_name(row, about)} tried: {told}", where=where, operation_id=row.pk)
        elif not operation_id and _waited(about.operations, connection_id, at_ms, number, now_ms):
            held = f"held back: {wording.reason(what)}, until about {_clock(number, zone, now_ms)}"
            yield at_ms, Change(when, "", held, where=where)


def _columns(rows: QuerySet[Any], what: str, at: str, about: Any, number: Any) -> QuerySet[Any, Any]:
    given = rows.order_by().annotate(about=about, number=number)
    columns: QuerySet[Any, Any] = given.values_list("connection_id", "about", at, what, "number")
    return columns


def _waited(rows: Iterable[Operation], connection_id: int, began_ms: int, until_ms: int, now_ms: int) -> bool:
    mine = (row for row in rows if row.connection_id == connection_id)
    return any(_ms(row) <= until_ms and began_ms <= (row.settled_ms or now_ms) for row in mine)


def _name(row: Operation, about: About) -> str:
    mine = (stop.sequence for stop in about.stops if row.entity_type == "stop" and stop.pk == row.entity_id)
    sequence = next(mine, 0)
    return wording.kind(row.kind) + (f" of stop {sequence}" if sequence else "")


def _ms(row: Operation) -> int:
    return int(row.created_at.timestamp() * 1000)


def _clock(ms: int, zone: ZoneInfo, now_ms: int | None = None) -> str:
    now = None if now_ms is None else moments.at_ms(now_ms)
    return moments.clock(moments.at_ms(ms), zone, now=now)
