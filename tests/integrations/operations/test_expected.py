"""When held work will go: the calculation against a simulated window, and what is read for a page."""

from __future__ import annotations

import itertools
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.engine.clock import db_now
from integrations.models import Attempt, Connection, Operation
from integrations.operations.expected import COUNTED, Expected, Forecast, Looks, Queue, Use, foresee, send_ms
from tests.crm import Crm, make_rollout_connection
from tests.factories import AttemptFactory, ConnectionFactory, OperationFactory

ZONE = ZoneInfo("America/Los_Angeles")
NOW = 1_789_421_405_000  # 2026-09-14 14:30:05 PDT
BURST = Use(limit=100, span_ms=10_000)

uses = st.builds(
    lambda limit, span_ms, used: Use(limit, span_ms, min(used, limit)),
    st.integers(1, 12),
    st.integers(1, 40).map(lambda span: span * 100),
    st.integers(0, 12),
)


def simulated(requests: int, in_ms: int, use: Use) -> float:
    """A window that keeps every request: what was used left evenly spread over the last span."""
    counted = [step * use.span_ms / use.used - use.span_ms for step in range(1, use.used + 1)]
    at = float(in_ms)
    for _ in range(requests):
        if len(counted) >= use.limit:
            at = max(at, counted[-use.limit] + use.span_ms)
        counted.append(at)
    return at


# --- pure -----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(0, 5_000), uses)
def test_a_window_lets_go_when_a_simulated_one_does(requests: int, in_ms: int, use: Use) -> None:
    assert 0 <= send_ms(requests, in_ms, [use]) - simulated(requests, in_ms, use) < 1


@given(st.integers(1, 40), st.integers(0, 5_000), st.lists(uses, max_size=3))
def test_never_before_the_exact_time_and_never_sooner_for_more(requests: int, in_ms: int, windows: list[Use]) -> None:
    at = send_ms(requests, in_ms, windows)
    assert at >= in_ms
    assert send_ms(requests + 1, in_ms, windows) >= at
    assert all(send_ms(requests, in_ms, [one]) <= at for one in windows)


@pytest.mark.parametrize(
    ("requests", "in_ms", "use", "expected"),
    [
        (100, 0, BURST, 0),
        (101, 0, BURST, 10_000),
        (1, 0, Use(100, 10_000, 100), 100),
        (42, 3_000, Use(100, 10_000, 100), 4_200),
        (1, 10_000, Use(100, 10_000, 100), 10_000),
        (1, 0, Use(50, 10_000, 100), 5_100),  # lowered while more was used than it allows
    ],
)
def test_the_last_of_so_many_requests(requests: int, in_ms: int, use: Use, expected: int) -> None:
    assert send_ms(requests, in_ms, [use]) == expected


def test_without_limits_it_goes_when_it_may() -> None:
    assert send_ms(5_000, 700, []) == 700


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9), st.integers(1, 99)), max_size=30, unique=True),
    st.integers(0, 9),
)
def test_ahead_are_the_due_ones_that_a_claim_takes_first(places: list[tuple[int, int, int]], at_ms: int) -> None:
    queue = Queue(sorted(places))
    for place in places:
        first = [one for one in places if one < place and one[1] <= at_ms]
        assert queue.ahead(place, at_ms) == (len(first), False)


def test_a_thousand_are_counted_and_no_more() -> None:
    queue = Queue([(100, 0, number) for number in range(COUNTED + 1)], cut=True)
    assert queue.ahead((100, 0, COUNTED - 1), 0) == (999, False)
    assert queue.ahead((100, 0, 5_000), 0) == (COUNTED, True)


def test_the_work_before_it_costs_what_it_took_lately() -> None:
    queue = Queue([(100, 0, number) for number in range(41)])
    found = foresee(queue, (100, 0, 99), NOW + 2_000, NOW, [Use(10, 1_000)], cost=2.0)
    assert found == Expected(NOW + 2_000, NOW + 10_000, 41)  # the 83rd request: eight spans after the first ten


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Expected(NOW, NOW + 125_000, 41), "expected ~14:33 PDT, after about 41 others"),
        (Expected(NOW, NOW + 1_000, 1), "expected ~14:31 PDT, after about 1 other"),
        (Expected(NOW, NOW, 0), "expected ~14:31 PDT, first in line"),
        (
            Expected(NOW, NOW + 86_400_000, 1_000, more=True),
            "expected after 2026-09-15 14:31 PDT, behind more than 1,000 others",
        ),
    ],
)
def test_as_staff_read_it(found: Expected, words: str) -> None:
    assert found.words(ZONE, NOW) == words


# --- what is read -----------------------------------------------------------------------------------------------------


def rows_at(connection: Connection, number: int, **values: Any) -> list[Operation]:
    keys = itertools.count(Operation.objects.count() + 1)
    made = [
        OperationFactory.build(connection=connection, op_key=f"held {key}", entity_id=key, due_ms=5, **values)
        for key in itertools.islice(keys, number)
    ]
    return Operation.objects.bulk_create(made)


@pytest.mark.django_db
def test_what_goes_first_is_counted_under_the_same_limit_only(crm: Crm) -> None:
    rows_at(crm.connection, 3, priority=10)
    rows_at(crm.connection, 4, priority=200)
    rows_at(ConnectionFactory(), 5, priority=1)
    rows_at(crm.connection, 6, priority=1, blockers=1)
    rows_at(crm.connection, 7, priority=1, state="dead")
    (mine,) = rows_at(crm.connection, 1)
    found = Forecast.of([mine], db_now(), "normal").at(mine)
    assert found is not None
    assert (found.ahead, found.more) == (3, False)


@pytest.mark.django_db
def test_connections_that_share_a_limit_stand_in_one_line(rollout_crm: Crm) -> None:
    other = make_rollout_connection(credential_id="cred_other")
    rows_at(other, 4)
    (mine,) = rows_at(rollout_crm.connection, 1)
    found = Forecast.of([mine], db_now(), "normal").at(mine)
    assert found is not None
    assert found.ahead == 4
    Connection.objects.filter(pk=other.pk).update(state="paused")
    found = Forecast.of([mine], db_now(), "normal").at(mine)
    assert found is not None
    assert found.ahead == 0


@pytest.mark.django_db(transaction=True)
def test_the_gates_windows_say_when(crm: Crm) -> None:
    Connection.objects.update(limit_overrides={"burst": 2})
    rows_at(crm.connection, 5)
    (mine,) = rows_at(crm.connection, 1)
    AttemptFactory(operation=mine, connection=crm.connection, calls=2)
    now_ms = db_now()
    found = Forecast.of([mine], now_ms, "normal").at(mine)
    assert found == Expected(5, now_ms + 50_000, 5)  # the 11th request, two in ten seconds


@pytest.mark.django_db
def test_a_held_connection_holds_its_rows(crm: Crm) -> None:
    now_ms = db_now()
    Connection.objects.update(hold_until_ms=now_ms + 9_000, hold_reason="rate_limited")
    (mine,) = rows_at(crm.connection, 1)
    assert Forecast.of([mine], now_ms, "normal").at(mine) == Expected(now_ms + 9_000, now_ms + 9_000, 0)


@pytest.mark.django_db
def test_without_redis_the_vendors_limits_are_taken_as_unused(settings: Any) -> None:
    settings.REDIS_URL = "unix:///tmp/nobody-listens-here.sock"
    one, other = ConnectionFactory(), ConnectionFactory()
    looks = Looks()
    assert [use.used for use in looks.at(one).uses] == [0, 0]
    assert looks.at(one).why == looks.at(other).why != ""
    (mine,) = rows_at(one, 1)
    found = Forecast.of([mine], db_now(), "normal", looks=looks).at(mine)
    assert found is not None
    assert found.ahead == 0


@pytest.mark.django_db
@pytest.mark.parametrize("held", ["blocked", "done", "paused", "away"])
def test_nothing_is_expected_of_what_waits_for_something_else(held: str) -> None:
    connection = ConnectionFactory(state="paused" if held == "paused" else "active")
    values = {"blocked": {"blockers": 1}, "done": {"state": "succeeded"}}.get(held, {})
    (mine,) = rows_at(connection, 1, **values)
    assert Forecast.of([mine], db_now(), "away" if held == "away" else "normal").at(mine) is None


@pytest.mark.django_db
def test_two_queries_however_much_waits(crm: Crm, django_assert_num_queries: Any) -> None:
    other = ConnectionFactory()
    mine = [*rows_at(crm.connection, 1_200), *rows_at(other, 30)]
    Attempt.objects.bulk_create(AttemptFactory.build_batch(80, operation=mine[0], connection=other, calls=3))
    shown = [*mine[:5], *mine[-5:], mine[1_199]]
    now_ms = db_now()
    with django_assert_num_queries(2):
        forecast = Forecast.of(shown, now_ms, "normal")
        found = [forecast.at(row) for row in shown]
    assert [one.ahead for one in found if one] == [0, 1, 2, 3, 4, 25, 26, 27, 28, 29, COUNTED]
    assert [one.more for one in found if one] == [False] * 10 + [True]


@pytest.mark.django_db
def test_nothing_is_asked_when_nothing_waits(django_assert_num_queries: Any) -> None:
    done = OperationFactory(state="succeeded")
    with django_assert_num_queries(0):
        assert Forecast.of([done], NOW, "normal").at(done) is None
