"""The look-up index over a list in memory: what it reads, what it trusts, where it stops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from integrations.providers.rollout.errors import RolloutNotReadyError, RolloutRequestError
from integrations.providers.rollout.index import Cursor, Listing, LookupIndex, Page, moment_ms
from tests.integrations.providers.rollout.conftest import MemoryLookups

LISTING = Listing("people", "/people", lambda record: (f"email:{record['email']}",))


@dataclass
class Crm:
    """A list in the vendor's order. `by_next`: its pages name where they go on; `hidden`: in the total, on no page."""

    newest_first: bool = True
    by_next: bool = True
    hidden: int = 0
    people: list[dict[str, Any]] = field(default_factory=list)
    reads: list[Mapping[str, str]] = field(default_factory=list)
    on_read: Callable[[], None] = lambda: None
    made: int = 0

    def add(self, number: int = 1) -> list[dict[str, Any]]:
        """New people, a second apart."""
        new = []
        for _ in range(number):
            self.made += 1
            stamp = f"2026-09-14T{self.made // 3600:02}:{self.made // 60 % 60:02}:{self.made % 60:02}Z"
            new.append({"id": f"p{self.made}", "email": f"{self.made}@m.example", "created": stamp, "updated": stamp})
        self.people = [*reversed(new), *self.people] if self.newest_first else [*self.people, *new]
        return new

    def remove(self, *ids: str) -> None:
        self.people = [one for one in self.people if one["id"] not in ids]

    def read(self, query: Mapping[str, str]) -> Page:
        self.reads.append(query)
        start = int(query.get("next", query.get("offset", "0")))
        end = start + int(query["limit"])
        page = self.people[start:end]
        following = str(end) if self.by_next and end < len(self.people) else ""
        total = len(self.people) + self.hidden
        self.on_read()
        return Page(page, total, following)


@dataclass
class Clock:
    now: float = 1_000.0

    def ms(self) -> int:
        return int(self.now * 1000)


@pytest.fixture
def crm() -> Crm:
    return Crm()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lookups() -> MemoryLookups:
    return MemoryLookups()


def index(crm: Crm, lookups: MemoryLookups, clock: Clock | None = None) -> LookupIndex:
    clock = clock or Clock()
    return LookupIndex(lookups, LISTING, crm.read, now_ms=clock.ms, monotonic=lambda: clock.now)


def cursor(lookups: MemoryLookups) -> Cursor:
    return Cursor.of(lookups.cursor("people")[1])


# --- building ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_next", [True, False])
@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 250])
def test_the_whole_list_is_read_once_and_all_is_found(
    lookups: MemoryLookups, size: int, newest_first: bool, by_next: bool
) -> None:
    crm = Crm(newest_first, by_next)
    crm.add(size)
    index(crm, lookups).refresh()
    assert lookups.count("people") == size
    assert all(index(crm, lookups).find(f"email:{number}@m.example") == [f"p{number}"] for number in range(1, size + 1))
    assert len(crm.reads) <= size // 100 + 1


def test_an_empty_list_is_one_page(crm: Crm, lookups: MemoryLookups) -> None:
    index(crm, lookups).refresh()
    assert crm.reads == [{"limit": "100"}]
    assert cursor(lookups).complete


def test_a_big_list_is_read_twenty_pages_at_a_time_and_goes_on_where_it_stopped(
    crm: Crm, lookups: MemoryLookups
) -> None:
    crm.add(4_500)
    with pytest.raises(RolloutNotReadyError, match="the list of people is being read: 2,000 of 4,500") as first:
        index(crm, lookups).refresh()
    assert (len(crm.reads), first.value.retry_after_s) == (20, 1.0)
    with pytest.raises(RolloutNotReadyError, match="4,000 of 4,500"):
        index(crm, lookups).refresh()
    index(crm, lookups).refresh()
    # The rest, and the newest end again: what came while it was read by earlier tries.
    assert (len(crm.reads), lookups.count("people")) == (46, 4_500)


def test_slow_pages_stop_it_after_eight_seconds(crm: Crm, lookups: MemoryLookups, clock: Clock) -> None:
    crm.add(4_500)

    def slow() -> None:
        clock.now += 3.0

    crm.on_read = slow
    with pytest.raises(RolloutNotReadyError, match="300 of 4,500"):
        index(crm, lookups, clock).refresh()


def test_one_worker_reads_and_the_others_wait(crm: Crm, lookups: MemoryLookups, clock: Clock) -> None:
    crm.add(250)
    others = []

    def another() -> None:
        crm.on_read = lambda: None
        with pytest.raises(RolloutNotReadyError) as caught:
            index(crm, lookups, clock).refresh()
        others.append(caught.value.retry_after_s)

    crm.on_read = another
    index(crm, lookups, clock).refresh()
    assert (others, len(crm.reads)) == ([1.0], 3)


def test_who_waits_for_a_long_list_waits_longer(crm: Crm, lookups: MemoryLookups, clock: Clock) -> None:
    crm.add(1_900)
    waits = []

    def another() -> None:
        with pytest.raises(RolloutNotReadyError) as caught:
            index(crm, lookups, clock).refresh()
        waits.append(caught.value.retry_after_s)

    crm.on_read = another
    index(crm, lookups, clock).refresh()
    assert (waits[0], waits[1], waits[-1]) == (1.0, 3.6, 1.0)


def test_a_worker_that_died_holds_the_list_for_half_a_minute(crm: Crm, lookups: MemoryLookups, clock: Clock) -> None:
    crm.add(5)

    def die() -> None:
        # The last note stands as the worker left it: held.
        lookups.on_move = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
        raise KeyboardInterrupt

    crm.on_read = die
    with pytest.raises(KeyboardInterrupt):
        index(crm, lookups, clock).refresh()
    lookups.on_move = crm.on_read = lambda: None
    with pytest.raises(RolloutNotReadyError):
        index(crm, lookups, clock).refresh()
    clock.now += 30.0
    index(crm, lookups, clock).refresh()
    assert lookups.count("people") == 5


def test_who_was_overtaken_stops_and_leaves_the_note_to_the_other(
    crm: Crm, lookups: MemoryLookups, clock: Clock
) -> None:
    crm.add(250)

    def overtake() -> None:
        crm.on_read = lambda: None
        clock.now += 31.0
        index(crm, lookups, clock).refresh()

    crm.on_read = overtake
    with pytest.raises(RolloutNotReadyError):
        index(crm, lookups, clock).refresh()
    assert (cursor(lookups).complete, lookups.count("people")) == (True, 250)


def test_a_page_that_fails_keeps_what_was_read(crm: Crm, lookups: MemoryLookups) -> None:
    crm.add(250)

    def fail_on_the_second() -> None:
        if len(crm.reads) == 2:
            raise ConnectionError

    crm.on_read = fail_on_the_second
    with pytest.raises(ConnectionError):
        index(crm, lookups).refresh()
    crm.on_read = lambda: None
    index(crm, lookups).refresh()
    assert [read.get("next") for read in crm.reads[:4]] == [None, "100", "100", "200"]
    assert lookups.count("people") == 250


def test_a_place_that_is_not_taken_any_more_is_gone_on_from_by_number(crm: Crm, lookups: MemoryLookups) -> None:
    crm.add(250)

    def refuse_next() -> None:
        if "next" in crm.reads[-1]:
            raise RolloutRequestError("rollout", "next is not a cursor", 400)

    crm.on_read = refuse_next
    index(crm, lookups).refresh()
    assert lookups.count("people") == 250
    assert crm.reads[2] == {"limit": "100", "offset": "100"}


def test_a_note_of_another_shape_is_read_anew(crm: Crm, lookups: MemoryLookups) -> None:
    crm.add(3)
    lookups.move("people", 0, {"from": "an older version"})
    index(crm, lookups).refresh()
    assert (cursor(lookups).complete, lookups.count("people")) == (True, 3)


# --- the newest end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newest_first", [True, False])
def test_what_is_new_is_found_by_reading_one_page_again(lookups: MemoryLookups, newest_first: bool) -> None:
    crm = Crm(newest_first)
    crm.add(450)
    index(crm, lookups).refresh()
    crm.reads.clear()
    (new,) = crm.add()
    index(crm, lookups).refresh()
    assert index(crm, lookups).find(f"email:{new['email']}") == [new["id"]]
    assert len(crm.reads) == 1


@pytest.mark.parametrize("newest_first", [True, False])
def test_more_than_a_page_of_new_ones_is_read_until_the_total_adds_up(
    lookups: MemoryLookups, newest_first: bool
) -> None:
    crm = Crm(newest_first)
    crm.add(450)
    index(crm, lookups).refresh()
    crm.reads.clear()
    crm.add(250)
    index(crm, lookups).refresh()
    assert (lookups.count("people"), len(crm.reads)) == (700, 3)


def test_our_own_writes_are_known_without_reading(crm: Crm, lookups: MemoryLookups) -> None:
    crm.add(450)
    index(crm, lookups).refresh()
    crm.reads.clear()
    (ours,) = crm.add()
    index(crm, lookups).keep(ours)
    assert index(crm, lookups).find(f"email:{ours['email']}") == [ours["id"]]
    assert crm.reads == []
    index(crm, lookups).refresh()
    assert len(crm.reads) == 1


def test_a_stranger_between_many_of_our_own_is_found(crm: Crm, lookups: MemoryLookups) -> None:
    crm.add(450)
    index(crm, lookups).refresh()
    (stranger,) = crm.add()
    for ours in crm.add(150):
        index(crm, lookups).keep(ours)
    index(crm, lookups).refresh()
    assert index(crm, lookups).find(f"email:{stranger['email']}") == [stranger["id"]]


@pytest.mark.parametrize("newest_first", [True, False])
def test_deletions_are_noticed_once_and_then_known(lookups: MemoryLookups, newest_first: bool) -> None:
    crm = Crm(newest_first)
    crm.add(2_000)
    index(crm, lookups).refresh()
    crm.remove("p700", "p701")
    index(crm, lookups).refresh()
    assert cursor(lookups).surplus == 2
    crm.reads.clear()
    (new,) = crm.add()
    index(crm, lookups).refresh()
    assert (len(crm.reads), index(crm, lookups).find(f"email:{new['email']}")) == (1, [new["id"]])


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_deletion_does_not_hide_a_new_one(lookups: MemoryLookups, newest_first: bool) -> None:
    crm = Crm(newest_first)
    crm.add(2_000)
    index(crm, lookups).refresh()
    crm.remove("p700")
    (new,) = crm.add()
    index(crm, lookups).refresh()
    assert index(crm, lookups).find(f"email:{new['email']}") == [new["id"]]


# --- a list without an order ---------------------------------------------------------------------------------------


def shuffled(size: int) -> Crm:
    crm = Crm()
    crm.add(size)
    crm.people.sort(key=lambda person: person["created"][::-1])
    return crm


def test_without_an_order_a_total_that_adds_up_is_no_proof(lookups: MemoryLookups) -> None:
    crm = shuffled(450)
    index(crm, lookups).refresh()
    assert cursor(lookups).end == ""
    (new,) = crm.add()
    crm.people.remove(new)
    crm.people.insert(333, new)
    crm.remove("p7")  # so the total is as it was
    index(crm, lookups).refresh()
    assert index(crm, lookups).find(f"email:{new['email']}") == [new["id"]]


@pytest.mark.parametrize("newest_first", [True, False])
def test_what_others_file_meanwhile_makes_up_for_nothing(lookups: MemoryLookups, newest_first: bool) -> None:
    crm = Crm(newest_first)
    crm.add(150)
    index(crm, lookups).refresh()
    (lost,) = crm.add()  # its answer never came
    for known in crm.add(250):
        index(crm, lookups).keep(known)

    def meanwhile() -> None:
        crm.on_read = lambda: None
        index(crm, lookups).keep(crm.add()[0])

    crm.on_read = meanwhile
    index(crm, lookups).refresh()
    assert index(crm, lookups).find(f"email:{lost['email']}") == [lost["id"]]


def test_without_an_order_one_more_means_reading_everything(lookups: MemoryLookups) -> None:
    crm = shuffled(450)
    index(crm, lookups).refresh()
    crm.reads.clear()
    (new,) = crm.add()
    crm.people.remove(new)
    crm.people.insert(333, new)
    index(crm, lookups).refresh()
    assert index(crm, lookups).find(f"email:{new['email']}") == [new["id"]]
    assert len(crm.reads) == 6


def test_reading_everything_forgets_who_is_gone(lookups: MemoryLookups) -> None:
    crm = shuffled(450)
    index(crm, lookups).refresh()
    crm.remove("p7")
    index(crm, lookups).refresh()
    assert (lookups.count("people"), index(crm, lookups).find("email:7@m.example")) == (449, [])


def test_times_that_are_not_told_are_no_order(lookups: MemoryLookups) -> None:
    crm = Crm()
    crm.add(150)
    for person in crm.people:
        person["created"] = person["updated"] = None
    index(crm, lookups).refresh()
    assert cursor(lookups).end == ""


def test_a_total_that_counts_more_than_is_shown_is_believed_the_second_time(lookups: MemoryLookups) -> None:
    crm = Crm(hidden=10)
    crm.add(250)
    index(crm, lookups).refresh()
    assert (cursor(lookups).complete, cursor(lookups).surplus) == (True, -10)
    crm.reads.clear()
    index(crm, lookups).refresh()
    assert len(crm.reads) == 1


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:01", 1000),
        ("soon", None),
        (None, None),
        (7, None),
    ],
)
def test_a_time_of_theirs_is_read_or_is_none(value: object, found: int | None) -> None:
    assert moment_ms(value) == found
