"""What a trickle may send, as pure arithmetic."""

from __future__ import annotations

import pytest

from integrations.engine.verdict import Fact, decide
from integrations.gate import BreakerPolicy, BreakerState, Outcome, Reason, Seed, Window
from integrations.trickle.book import Book, Wait

BURST, DAY = Window("burst", 100, 10), Window("daily", 200, 86_400)
GUARD_MS = 2_500
RULE = BreakerPolicy(failures=3, open_s=30, max_open_s=100)


def sent(book: Book, window: Window, from_ms: int, to_ms: int) -> list[int]:
    """When calls go that are asked for every millisecond that could change the answer."""
    times, now = [], from_ms
    while now < to_ms:
        wait = book.ask((window,), 1, now, GUARD_MS)
        if wait is None:
            book.count((window,), 1, now, GUARD_MS)
            times.append(now)
        else:
            assert wait.until_ms > now
            now = wait.until_ms
    return times


@pytest.mark.parametrize(
    ("window", "most", "span_s"), [(BURST, 10, 10), (Window("s", 50, 1), 5, 1), (Window("low", 4, 10), 1, 30)]
)
def test_a_tenth_of_the_limit_goes_in_any_window(window: Window, most: int, span_s: int) -> None:
    times = sent(Book(), window, 1_000_123, 1_000_123 + 600_000)
    # As they arrive at the provider: the first of a window as late, the others as early as may be.
    over = [
        first for first in times if sum(first <= other < first + span_s * 1000 + GUARD_MS for other in times) > most
    ]
    assert over == []
    assert len(times) >= 0.7 * most * 600 / (span_s + GUARD_MS / 1000 + window.bucket_ms / 1000)


def test_what_went_before_counts_against_a_long_limit() -> None:
    now = 400 * 86_400_000
    book = Book.begin(1, Seed({"daily": [(now - 3_600_000, 198)]}), (BURST, DAY))
    for _ in range(2):
        assert book.ask((DAY,), 1, now, GUARD_MS) is None
        book.count((DAY,), 1, now, GUARD_MS)
    full = book.ask((DAY,), 1, now, GUARD_MS)
    assert full is not None
    assert (full.reason, full.until_ms > now + 82_000_000) == (Reason.DAY_USED, True)


def test_what_was_not_sent_is_given_back() -> None:
    window = Window("one", 10, 10)
    book = Book()
    book.count((window,), 1, 5_000, GUARD_MS)
    assert book.ask((window,), 1, 5_100, GUARD_MS) is not None
    book.give_back((window,), 1, 5_000)
    assert book.ask((window,), 1, 5_100, GUARD_MS) is None


def test_an_open_circuit_and_not_before_are_obeyed() -> None:
    book = Book.begin(1, Seed({}, BreakerState("open", 3, 4, 1_000, 31_000), 40_000), (BURST,))
    assert book.ask((BURST,), 1, 30_999, GUARD_MS) == Wait(Reason.CIRCUIT_OPEN, 31_000)
    assert book.ask((BURST,), 1, 31_000, GUARD_MS) == Wait(Reason.NOT_BEFORE, 40_000)
    assert book.ask((BURST,), 1, 40_000, GUARD_MS) is None


def test_the_circuit_opens_for_longer_after_each_probe_that_fails_and_closes_after_one_that_does_not() -> None:
    book, seen = Book(), []
    for now in (1_000, 2_000, 3_000, 40_000, 110_000):
        book.learn(Outcome.FAILURE, RULE, now, 0.5)
        seen.append((book.circuit.state, book.circuit.generation, book.circuit.until_ms))
    assert seen == [
        ("closed", 0, None),
        ("closed", 0, None),
        ("open", 1, 33_000),
        ("open", 2, 100_000),
        ("open", 3, 210_000),
    ]
    book.learn(Outcome.NOT_SENT, RULE, 220_000, 0.5)
    assert book.circuit.state == "open"
    book.learn(Outcome.OK, RULE, 230_000, 0.5)
    assert book.circuit == BreakerState("closed", 0, 4, None, None, "probe")


def test_a_success_forgets_failures() -> None:
    book = Book()
    book.learn(Outcome.FAILURE, RULE, 1_000, 0.5)
    book.learn(Outcome.OK, RULE, 2_000, 0.5)
    assert book.circuit == BreakerState("closed", 0, 0, None, None)


def test_it_reads_what_it_stored() -> None:
    book = Book.begin(7, Seed({"daily": [(0, 3)]}, BreakerState("open", 3, 4, 1_000, 31_000), 5), (BURST, DAY))
    book.count((BURST, DAY), 1, 9_000, GUARD_MS)
    assert Book.read(book.stored()) == book
    assert Book.read({}) == Book()


def test_a_day_without_the_crm_costs_one_probe_an_open_period_and_no_attempt() -> None:
    book, now, day = Book(), 1_000_000, 86_400_000
    end, admitted, periods, used_up = now + day, [], set(), 0
    while now < end:
        wait = book.ask((BURST,), 1, now, GUARD_MS)
        if wait is not None:
            now = wait.until_ms
            continue
        book.count((BURST,), 1, now, GUARD_MS)
        admitted.append(now)
        book.learn(Outcome.FAILURE, RULE, now, 0.5)
        opened = book.circuit.state == "open"
        periods |= {book.circuit.generation} if opened else set()
        fact = Fact.NOT_PROCESSED
        ended = decide(fact, in_doubt=False, sent=True, attempts=1, max_attempts=5, circuit_open=opened)
        used_up += not ended.refund
        now += 1
    # Two failures before it opens; from then on each call ends one open period and begins the next.
    assert (len(admitted), used_up) == (2 + len(periods), 2)
    assert len(periods) == 1 + len(admitted[3:])
