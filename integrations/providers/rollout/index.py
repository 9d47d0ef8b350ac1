"""The look-up index: what Rollout's lists hold, for they can only be paged (docs/adr/0007-a-vendor-without-search.md).

Pure but for the pages it reads and the `LookupStore` it files them in; both are given. A record is filed with its keys
(e-mail, phone, marker). "Not found" is trusted only after `refresh`, which knows the whole list as it is now, or raises
RolloutNotReadyError while it is still reading.

The contract names no order. While the whole list is read, the index sees whether `created` or `updated` rises or falls
all the way, and so at which end new records appear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from integrations.providers.base import LookupStore

from .errors import SLUG, RolloutNotReadyError, RolloutRequestError

PAGE = 100
PAGES_AT_ONCE = 20
READ_FOR_S = 8.0
# Longer than the total deadline of one request: who reads a page still holds the list when it arrives.
HELD_MS = 30_000
SOON_S = 1.0
LONGEST_WAIT_S = 30.0
PAGE_S = 0.2
# How far back of the newest known time the newest end is read when the total does not add up. Rollout copies records
# from the CRM behind it, so one may appear somewhat late.
SLACK_MS = 15 * 60_000
DEEPEST = 10
OVERLAP = 20
# A list whose total does not add up after so many complete readings counts otherwise than we do.
READINGS = 2
TIMES = ("created", "updated")

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """One list: what its records are called, where it is, and the keys of a record."""

    resource: str
    path: str
    keys: Callable[[Record], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `next`: where it goes on, if the vendor says so; `offset`: how many stand before it."""

    records: Sequence[Record]
    total: int
    next: str = ""
    offset: int = 0

    @property
    def more(self) -> bool:
        """Whether the list goes on."""
        return bool(self.records) and (bool(self.next) or self.offset + len(self.records) < self.total)


@dataclass(frozen=True, slots=True)
class Trend:
    """How one time field runs down the list as far as it was read; `last` and `newest` in ms, 0 before the first."""

    rises: bool = True
    falls: bool = True
    last: int = 0
    newest: int = 0

    def after(self, record: Record, name: str) -> Trend:
        """With one record more; one without the time says that the list is not kept by it."""
        moment = moment_ms(record.get(name))
        if moment is None:
            return replace(self, rises=False, falls=False)
        if not self.last:
            return replace(self, last=moment, newest=moment)
        rises, falls = self.rises and moment >= self.last, self.falls and moment <= self.last
        return Trend(rises, falls, moment, max(self.newest, moment))


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the list is known. Everything a worker must know to go on where another stopped.

    `generation`: the reading of the whole list that is under way, or was the last when `complete`. `next`, `offset`:
    where it goes on. `surplus`: how many more records are filed than the list's total said when they were last known
    to agree (those deleted there since). `readings`: in a row that did not add up. `end`: where new records appear,
    "first", "last" or empty when no order is to be seen; `newest_ms`: the newest time known by `by`.
    """

    generation: int = 0
    complete: bool = False
    next: str = ""
    offset: int = 0
    total: int = 0
    surplus: int = 0
    readings: int = 0
    created: Trend = field(default_factory=Trend)
    updated: Trend = field(default_factory=Trend)
    end: str = ""
    by: str = ""
    newest_ms: int = 0
    held_until_ms: int = 0

    @classmethod
    def of(cls, noted: Mapping[str, Any]) -> Cursor:
        """From what `note` made; a note of another shape is no note."""
        try:
            trends = {name: Trend(**noted[name]) for name in TIMES}
            return cls(**{**noted, **trends})
        except (KeyError, TypeError):
            return cls()

    def note(self) -> dict[str, Any]:
        """As the store keeps it."""
        return asdict(self)

    def begun(self) -> Cursor:
        """A new reading of the whole list."""
        return Cursor(self.generation + 1, total=self.total, readings=self.readings, surplus=self.surplus)

    def read(self, page: Page) -> Cursor:
        """One page further."""
        created, updated = self.created, self.updated
        for record in page.records:
            created, updated = created.after(record, "created"), updated.after(record, "updated")
        return replace(
            self,
            next=page.next,
            offset=self.offset + len(page.records),
            total=page.total,
            created=created,
            updated=updated,
        )

    def ended(self, surplus: int) -> Cursor:
        """The list was read to its end."""
        for by, trend in (("created", self.created), ("updated", self.updated)):
            if trend.rises != trend.falls:
                end = "first" if trend.falls else "last"
                return replace(self, complete=True, surplus=surplus, end=end, by=by, newest_ms=trend.newest)
        return replace(self, complete=True, surplus=surplus, end="", by="")


class LookupIndex:
    """One list of one connection. `read` fetches a page by its query; `now_ms` and `monotonic` are clocks."""

    def __init__(
        self,
        store: LookupStore,
        listing: Listing,
        read: Callable[[Mapping[str, str]], Page],
        *,
        now_ms: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._listing = listing
        self._read = read
        self._now_ms = now_ms
        self._monotonic = monotonic

    def find(self, key: str) -> Sequence[str]:
        """External ids of the records filed under a key; each may have changed or gone since."""
        return self._store.find(self._listing.resource, key)

    def keep(self, record: Record) -> None:
        """File a record that an answer showed."""
        _, cursor = self._load()
        self._file([record], cursor.generation)

    def forget(self, external_id: str) -> None:
        """Take out a record that is gone."""
        self._store.forget(self._listing.resource, external_id)

    def build(self) -> None:
        """Know the whole list, as it was at some time. Raises RolloutNotReadyError."""
        version, cursor = self._load()
        if not cursor.complete:
            self._build(version, cursor, self._budget())

    def refresh(self) -> None:
        """Know the whole list as it is now. Raises RolloutNotReadyError when that takes more than one try may."""
        budget = self._budget()
        version, cursor = self._load()
        if cursor.complete:
            if self._caught_up(version, cursor, budget):
                return
            version, cursor = self._move(version, cursor.begun())
        read_from_here = not cursor.offset
        version, cursor = self._build(version, cursor, budget)
        if read_from_here and cursor.surplus >= 0:
            return
        if not self._caught_up(version, cursor, budget):
            _, cursor = self._move(version, cursor.begun())
            raise self._not_ready(cursor)

    # --- the whole list ---------------------------------------------------------------------------------------

    def _build(self, version: int, cursor: Cursor, budget: Callable[[], bool]) -> tuple[int, Cursor]:
        """Read on to the end of the list, by one worker at a time; version and cursor afterwards."""
        if cursor.held_until_ms > self._now_ms():
            # Another is at it; its pages take about so long.
            pages = max(0, cursor.total - cursor.offset) / PAGE
            raise self._not_ready(cursor, wait_s=min(LONGEST_WAIT_S, max(SOON_S, pages * PAGE_S)))
        if not cursor.generation:
            cursor = cursor.begun()
        try:
            while not cursor.complete:
                version, _ = self._move(version, replace(cursor, held_until_ms=self._now_ms() + HELD_MS))
                try:
                    page = self._page(cursor, budget, offset=cursor.offset, after=cursor.next)
                except RolloutRequestError:
                    if not cursor.next:
                        raise
                    # Where it went on is not taken any more (a note may be days old): by number instead.
                    cursor = replace(cursor, next="")
                    continue
                cursor = cursor.read(page)
                if not page.more:
                    cursor = self._end(cursor, budget)
            return self._move(version, replace(cursor, held_until_ms=0))
        except BaseException:
            # Whatever stops us, the next worker need not wait; a note that another moved on is theirs.
            self._store.move(self._listing.resource, version, replace(cursor, held_until_ms=0).note())
            raise

    def _end(self, cursor: Cursor, budget: Callable[[], bool]) -> Cursor:
        """The last page was read: complete, or from the start once more when records are missing."""
        self._store.prune(self._listing.resource, cursor.generation)
        ended = cursor.ended(self._surplus(cursor.total))
        if ended.surplus < 0 and ended.end == "first":
            # What appeared while we read stands before where we began.
            page = self._page(ended, budget)
            ended = replace(ended, total=page.total, surplus=self._surplus(page.total))
        if ended.surplus < 0 and ended.readings + 1 < READINGS:
            return replace(ended.begun(), readings=ended.readings + 1)
        return replace(ended, readings=0)

    # --- what is new ------------------------------------------------------------------------------------------

    def _caught_up(self, version: int, cursor: Cursor, budget: Callable[[], bool]) -> bool:
        """Read the newest end again; whether all is known now.

        That the total adds up says nothing alone: while we read, others file what they make, and people delete. So it
        must be read back to what was known before.
        """
        steps = self._backwards(cursor, budget) if cursor.end == "last" else self._forwards(cursor, budget)
        newest_ms = oldest_ms = cursor.newest_ms
        for page, whole in steps:
            times = [moment_ms(record.get(cursor.by)) for record in page.records] if cursor.by else []
            known = [moment for moment in times if moment is not None]
            surplus = self._surplus(page.total)
            newest_ms, oldest_ms = max([newest_ms, *known]), min([oldest_ms, *known])
            reached, deep = oldest_ms < cursor.newest_ms, oldest_ms < cursor.newest_ms - SLACK_MS
            if whole or (reached and surplus == cursor.surplus) or (deep and surplus >= 0):
                noted = replace(cursor, total=page.total, surplus=surplus, newest_ms=newest_ms)
                if noted != cursor:
                    # For the next look to compare with; when another noted something meanwhile, theirs is as good.
                    self._store.move(self._listing.resource, version, noted.note())
                return True
        return False

    def _forwards(self, cursor: Cursor, budget: Callable[[], bool]) -> Iterator[tuple[Page, bool]]:
        """Pages from the first on, and whether the list is this one page; without an order no other says more."""
        page = self._page(cursor, budget)
        yield page, not page.more
        offset = len(page.records)
        for _ in range(DEEPEST - 1 if cursor.end else 0):
            if not page.more:
                return
            page = self._page(cursor, budget, offset=offset, after=page.next)
            offset += len(page.records)
            yield page, False

    def _backwards(self, cursor: Cursor, budget: Callable[[], bool]) -> Iterator[tuple[Page, bool]]:
        """What came to the end of the list, then page by page towards its beginning."""
        start = offset = max(0, cursor.total - OVERLAP)
        page = self._page(cursor, budget, offset=offset)
        whole, records = not start and not page.more, list(page.records)
        while page.more:
            offset += len(page.records)
            page = self._page(cursor, budget, offset=offset, after=page.next)
            records += page.records
        yield replace(page, records=records), whole
        for _ in range(DEEPEST - 1):
            if not start:
                return
            start = max(0, start - PAGE)
            yield self._page(cursor, budget, offset=start), False

    # --- small things -----------------------------------------------------------------------------------------

    def _load(self) -> tuple[int, Cursor]:
        version, noted = self._store.cursor(self._listing.resource)
        return version, Cursor.of(noted) if noted else Cursor()

    def _move(self, version: int, cursor: Cursor) -> tuple[int, Cursor]:
        if not self._store.move(self._listing.resource, version, cursor.note()):
            raise self._not_ready(cursor)
        return version + 1, cursor

    def _page(self, cursor: Cursor, budget: Callable[[], bool], *, offset: int = 0, after: str = "") -> Page:
        """One page, filed."""
        if not budget():
            raise self._not_ready(cursor)
        place = {"next": after} if after else {"offset": str(offset)} if offset else {}
        page = replace(self._read({"limit": str(PAGE), **place}), offset=offset)
        self._file(page.records, cursor.generation)
        return page

    def _surplus(self, total: int) -> int:
        return self._store.count(self._listing.resource) - total

    def _file(self, records: Sequence[Record], generation: int) -> None:
        known = {str(record["id"]): self._listing.keys(record) for record in records}
        if known:
            self._store.put(self._listing.resource, known, generation)

    def _budget(self) -> Callable[[], bool]:
        """Whether one page more may be read in this try."""
        until, left = self._monotonic() + READ_FOR_S, PAGES_AT_ONCE

        def more() -> bool:
            nonlocal left
            left -= 1
            return left >= 0 and self._monotonic() < until

        return more

    def _not_ready(self, cursor: Cursor, *, wait_s: float = SOON_S) -> RolloutNotReadyError:
        words = f"the list of {self._listing.resource} is being read: {cursor.offset:,} of {cursor.total:,}"
        return RolloutNotReadyError(SLUG, words, retry_after_s=wait_s)


def moment_ms(value: object) -> int | None:
    """A time of theirs, RFC 3339; one without an offset is read as UTC. None: there is none."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
