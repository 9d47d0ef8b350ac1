"""When held work will go: not before a time that is exact, expected about a time that the limits allow.

`send_ms` and `Queue.ahead` are pure. `Forecast` reads for a whole page at once, however many rows it shows: the head
of each queue as a claim would take it, how many requests an operation took lately, one look at the gate for each
limit. The gate tells how much of a window is used, not when which request leaves it: they are taken as evenly spread.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet, Value

from integrations import wiring
from integrations.gate import GateAway, Snapshot, Window
from integrations.models import CLAIMABLE, Attempt, Connection, ConnectionState, GateMode, Operation
from integrations.providers import registry

from . import moments

COUNTED = 1_000
"""So many operations ahead are counted; beyond that it is "more than 1,000"."""

RECENT = 50
"""Tries of a connection from which is taken how many requests an operation costs."""

MINUTE_MS = 60_000

Place = tuple[int, int, int]
"""Where an operation stands in the order of a claim: priority, due time in ms, id."""

FIELDS = ("label", "provider", "account_key", "config", "limit_overrides", "state", "hold_until_ms")
"""The columns of a connection that a forecast reads."""


# --- pure ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Use:
    """A window at the gate: `used` of `limit` requests in `span_ms`."""

    limit: int
    span_ms: int
    used: int = 0


def send_ms(requests: int, in_ms: int, uses: Iterable[Use]) -> int:
    """In how many milliseconds the last of so many requests may go, when the first may go in `in_ms`.

    Each window by itself: what is used leaves it evenly over its span, and whatever is sent leaves it a span later.
    The tightest window decides.
    """
    at = max(0, in_ms)
    latest = at
    for use in uses:
        rounds, place = divmod(max(1, requests) - 1, use.limit)
        waits_for = place + 1 - (use.limit - use.used)
        free_at = math.ceil(waits_for * use.span_ms / use.used) if waits_for > 0 else 0
        latest = max(latest, max(at, free_at) + rounds * use.span_ms)
    return latest


@dataclass(frozen=True, slots=True)
class Queue:
    """The head of what waits under one limit, in order. `cut`: there is more than stands here."""

    places: Sequence[Place] = ()
    cut: bool = False

    def ahead(self, place: Place, at_ms: int) -> tuple[int, bool]:
        """How many that are due by `at_ms` stand before `place`; True: that many at least."""
        end = bisect_left(self.places, place)
        number = sum(due_ms <= at_ms for _, due_ms, _ in self.places[:end])
        return min(number, COUNTED), number > COUNTED or (self.cut and end == len(self.places))


@dataclass(frozen=True, slots=True)
class Expected:
    """`not_before_ms` is exact; `at_ms` is about when, after `ahead` others; `more`: that many at least."""

    not_before_ms: int
    at_ms: int
    ahead: int
    more: bool = False

    def words(self, zone: ZoneInfo, now_ms: int) -> str:
        """`expected ~14:33 PDT, after about 41 others`."""
        when = about(self.at_ms, zone, now_ms)
        if self.more:
            return f"expected after {when}, behind more than {self.ahead:,} others"
        if not self.ahead:
            return f"expected ~{when}, first in line"
        return f"expected ~{when}, after about {self.ahead:,} other{'s' if self.ahead > 1 else ''}"


def about(ms: int, zone: ZoneInfo, now_ms: int) -> str:
    """The next full minute as `14:33 PDT`; with the date when that is another day."""
    local = moments.at_ms(-(-ms // MINUTE_MS) * MINUTE_MS).astimezone(zone)
    text = f"{local:%H:%M} {local.tzname()}"
    same = moments.at_ms(now_ms).astimezone(zone).date() == local.date()
    return text if same else f"{local:%Y-%m-%d} {text}"


def foresee(queue: Queue, place: Place, not_before_ms: int, now_ms: int, uses: Sequence[Use], cost: float) -> Expected:
    """When an operation at `place` goes; `cost`: requests that each of those before it takes."""
    first_ms = max(now_ms, not_before_ms)
    number, more = queue.ahead(place, first_ms)
    in_ms = send_ms(math.ceil(number * cost) + 1, first_ms - now_ms, uses)
    return Expected(not_before_ms, now_ms + in_ms, number, more)


# --- the gate ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """A limit as the gate counts it now. `why`: why that is not known; then `snapshot` is None."""

    key: str
    windows: tuple[Window, ...] = ()
    snapshot: Snapshot | None = None
    why: str = ""

    @property
    def uses(self) -> list[Use]:
        """The windows with what is used of them; nothing where that is not known."""
        used, limits = (self.snapshot.used, self.snapshot.limits) if self.snapshot else ({}, {})
        return [
            Use(limits.get(window.name, window.limit), window.seconds * 1000, used.get(window.name, 0))
            for window in self.windows
        ]


class Looks:
    """One look for each limit, and none any more once Redis did not answer: a page never waits for it twice."""

    def __init__(self) -> None:
        self._known: dict[str, Look] = {}
        self._away = ""

    def at(self, connection: Connection) -> Look:
        """The limit this connection's requests are counted under."""
        key = limit_key(connection)
        if key not in self._known:
            self._known[key] = self._look(connection, key)
        return self._known[key]

    def _look(self, connection: Connection, key: str) -> Look:
        if connection.provider not in registry.slugs():
            return Look(key, why="This installation does not know this provider.")
        try:
            scope = wiring.scope(connection)
        except ValueError as error:
            return Look(key, why=f"The limits cannot be read: {error}")
        if self._away:
            return Look(key, scope.windows, why=self._away)
        try:
            return Look(key, scope.windows, wiring.gate().look(scope))
        except GateAway:
            self._away = "Redis cannot be reached, so what is left of the limits is not known now."
            return Look(key, scope.windows, why=self._away)


def limit_key(connection: Connection) -> str:
    """What the provider counts this connection's requests by."""
    known = connection.provider in registry.slugs()
    wider = registry.manifest(connection.provider).limit_key if known else None
    shared = wider(connection.config) if wider else connection.account_key
    return f"{connection.provider}:{shared}"


# --- reading -------------------------------------------------------------------------------------------------------


class Forecast:
    """Of some operations at once. Two queries at most, none when nothing waits."""

    def __init__(self, now_ms: int, looks: Looks | None = None) -> None:
        self.now_ms = now_ms
        self._looks = looks or Looks()
        self._connections: dict[int, Connection] = {}
        self._queues: dict[str, Queue] = {}
        self._costs: dict[str, float] = {}

    @classmethod
    def of(
        cls,
        rows: Iterable[Operation],
        now_ms: int,
        mode: str,
        *,
        connections: Iterable[Connection] | None = None,
        looks: Looks | None = None,
    ) -> Forecast:
        """`mode`: the gate's. `connections`: all there are with `FIELDS`, where the caller has them."""
        made = cls(now_ms, looks)
        waiting = [row for row in rows if row.state in CLAIMABLE and not row.blockers]
        if not waiting or mode != GateMode.Mode.NORMAL:
            return made
        known = Connection.objects.only(*FIELDS) if connections is None else connections
        made._connections = {one.pk: one for one in known if one.state == ConnectionState.ACTIVE}
        waiting = [row for row in waiting if row.connection_id in made._connections]
        made._read(waiting)
        return made

    def at(self, row: Operation) -> Expected | None:
        """None for what does not wait for its turn: at an end, blocked, in hand, or at a connection that is stopped."""
        connection = self._connections.get(row.connection_id)
        if connection is None or row.state not in CLAIMABLE or row.blockers:
            return None
        key = limit_key(connection)
        queue = self._queues.get(key)
        if queue is None:
            return None
        place = (row.priority, row.due_ms, row.pk)
        not_before_ms = max(row.due_ms, connection.hold_until_ms)
        uses = self._looks.at(connection).uses
        return foresee(queue, place, not_before_ms, self.now_ms, uses, self._costs[key])

    def _read(self, waiting: list[Operation]) -> None:
        horizons: dict[str, int] = {}
        for row in waiting:
            connection = self._connections[row.connection_id]
            key, until = limit_key(connection), max(row.due_ms, connection.hold_until_ms, self.now_ms)
            horizons[key] = max(until, horizons.get(key, 0))
        sharing: dict[str, list[int]] = {key: [] for key in horizons}
        for connection in self._connections.values():
            if limit_key(connection) in sharing:
                sharing[limit_key(connection)].append(connection.pk)
        places, calls = _read(sharing, horizons)
        for key, ids in sharing.items():
            heads = [places.get(pk, []) for pk in ids]
            cut = any(len(head) > COUNTED for head in heads)
            self._queues[key] = Queue(sorted(place for head in heads for place in head), cut)
            made = [number for pk in ids for number in calls.get(pk, ())]
            self._costs[key] = sum(made) / len(made) if made else 1.0


def how_long(numbers: Mapping[int, int], now_ms: int) -> tuple[int, int]:
    """(requests, ms) of so many more operations, by connection id, behind what is due there. Two queries at most."""
    if not numbers:
        return 0, 0
    known = list(Connection.objects.only(*FIELDS))
    more: dict[str, int] = {}
    sharing: dict[str, list[int]] = {}
    for one in known:
        sharing.setdefault(limit_key(one), []).append(one.pk)
        more[limit_key(one)] = more.get(limit_key(one), 0) + numbers.get(one.pk, 0)
    sharing = {key: ids for key, ids in sharing.items() if more[key]}
    places, calls = _read(sharing, dict.fromkeys(sharing, now_ms))
    looks, requests, lasts_ms = Looks(), 0, 0
    for key, ids in sharing.items():
        made = [number for pk in ids for number in calls.get(pk, ())]
        cost = sum(made) / len(made) if made else 1.0
        waiting = sum(len(places.get(pk, ())) for pk in ids)
        own = math.ceil(more[key] * cost)
        one = next(one for one in known if one.pk == ids[0])
        in_ms = max(0, one.hold_until_ms - now_ms)
        requests += own
        lasts_ms = max(lasts_ms, send_ms(math.ceil(waiting * cost) + own, in_ms, looks.at(one).uses))
    return requests, lasts_ms


def _read(
    sharing: Mapping[str, Sequence[int]], horizons: Mapping[str, int]
) -> tuple[dict[int, list[Place]], dict[int, list[int]]]:
    """Of each connection: what a claim would take first, and the requests of its latest tries. One query."""
    pairs = [(key, pk) for key, ids in sharing.items() for pk in ids]
    parts = [_head(pk, horizons[key]) for key, pk in pairs] + [_latest(pk) for _, pk in pairs]
    places: dict[int, list[Place]] = {}
    calls: dict[int, list[int]] = {}
    for queued, pk, first, due_ms, row in parts[0].union(*parts[1:], all=True) if parts else ():
        if queued:
            places.setdefault(pk, []).append((first, due_ms, row))
        else:
            calls.setdefault(pk, []).append(first)
    return places, calls


# Each part is found by an index of its own; SQLite takes a limit only one level below a union.


def _head(connection_id: int, horizon_ms: int) -> QuerySet[Any, Any]:
    rows = Operation.objects.claimable().filter(connection=connection_id, due_ms__lte=horizon_ms)
    first = rows.order_by("priority", "due_ms", "id").values("pk")[: COUNTED + 1]
    waiting = Operation.objects.filter(pk__in=first).order_by().annotate(queued=Value(1))
    return waiting.values_list("queued", "connection_id", "priority", "due_ms", "pk")


def _latest(connection_id: int) -> QuerySet[Any, Any]:
    tries = Attempt.objects.filter(connection=connection_id, calls__gt=0).order_by("-started_ms").values("pk")[:RECENT]
    made = Attempt.objects.filter(pk__in=tries).order_by().annotate(queued=Value(0))
    return made.values_list("queued", "connection_id", "calls", "started_ms", "pk")
