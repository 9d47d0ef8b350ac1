"""A provider is down for a day: the real engine, gate and sandbox, by a clock that the test moves from event to event.

Redis's clock is moved too: the scripts read a key where they would ask for its time. `-s` shows the figures.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import pytest

from integrations import wiring
from integrations.engine import outbound, sweep
from integrations.gate import calls, connect, plan
from integrations.models import Connection, Operation
from tests.crm import Crm, make_connection, make_tour
from tests.database_clock import database_says
from tests.sandbox_server import ACCOUNT

DAY_MS, LIMIT, TOURS = 86_400_000, 100, 10
ASKED = "local t = ask('TIME')\n  return t[1] * 1000 + math.floor(t[2] / 1000)"
OTHER = {"account_key": "loc_two", "config": {"location_id": "loc_two", "calendar_id": "cal_two"}}


class Clock:
    """Milliseconds since 1970 for the database, the engine and Redis; it stands still until it is moved."""

    def __init__(self, redis_url: str) -> None:
        self.now = 0
        self._redis = connect(redis_url, timeout_s=2)
        self.move(int(time.time() * 1000))

    def __call__(self) -> int:
        return self.now

    def move(self, to_ms: int) -> None:
        self.now = max(self.now, to_ms)
        self._redis.set("simulated:now", self.now)

    def monotonic(self) -> float:
        return self.now / 1000


@pytest.fixture
def clock(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    read = calls._source.__wrapped__

    def simulated(name: str) -> str:
        text = str(read(name))
        assert ("ask('TIME')" in text) is (ASKED in text) is (name == "shared")
        return text.replace(ASKED, "return tonumber(ask('GET', 'simulated:now'))")

    monkeypatch.setattr(calls, "_source", simulated)
    made = (calls.script, plan.plan_for)
    for one in made:
        one.cache_clear()
    clock = Clock(crm.redis.url)
    crm.engine.monotonic = clock.monotonic
    with database_says(clock):
        yield clock
    for one in made:
        one.cache_clear()


class Day:
    """Drives what is due, as the timer of a process does, and writes down who sent how much when."""

    def __init__(self, crm: Crm, clock: Clock) -> None:
        self.crm, self.clock = crm, clock
        self.sent: list[tuple[int, int, int]] = []  # when, connection, requests
        self.periods: Counter[tuple[int, int | None, int | None, int | None]] = Counter()
        self.seen = crm.sandbox.last_seq()

    def run(self, until_ms: int) -> None:
        """Everything that becomes due until then."""
        for _ in range(2_000):
            when = sweep.schedule()
            if not when or min(when.values()) > until_ms:
                return self.clock.move(until_ms)
            self.clock.move(min(when.values()))
            for pk in sorted(pk for pk, at in when.items() if at <= self.clock.now):
                self.drain(pk)
        raise AssertionError("it goes round in circles")

    def drain(self, pk: int) -> None:
        circuit = wiring.gate().look(wiring.scope(Connection.objects.get(pk=pk))).breaker
        outbound.drain(self.crm.engine, pk)
        seen = self.crm.sandbox.last_seq()
        if circuit.stops:
            self.periods[pk, circuit.opened_ms, circuit.until_ms, circuit.host_until_ms] += seen - self.seen
        self.sent.append((self.clock.now, pk, seen - self.seen))
        self.seen = seen

    def requests(self, pk: int, from_ms: int, to_ms: int) -> int:
        return sum(sent for at, who, sent in self.sent if who == pk and from_ms <= at < to_ms)


def _attempts() -> dict[int, int]:
    return dict(Operation.objects.values_list("pk", "attempts"))


def test_a_day_down_costs_no_operation_and_no_attempt_and_ends_gently(
    crm: Crm, clock: Clock, tomorrow: datetime
) -> None:
    crm.sandbox.account("loc_two", token="two", calendar="cal_two")
    other = make_connection(**OTHER, secrets={"token": "two"})
    both = (crm.connection.pk, other.pk)
    # The sandbox counts by its own clock, which this day passes in a moment.
    for account in (ACCOUNT, "loc_two"):
        crm.sandbox.account(account, limits={"burst": {"limit": 100_000}})
    crm.plan(*[make_tour(tomorrow) for _ in range(TOURS)])
    planned = Operation.objects.count()
    crm.sandbox.faults("status", account=ACCOUNT, status=503, times=None)
    crm.sandbox.faults("drop_before_effect", account="loc_two", times=None)

    day, began = Day(crm, clock), clock.now
    day.run(began + 600_000)
    first = _attempts()
    day.run(began + DAY_MS)

    probes = {pk: day.requests(pk, began, clock.now + 1) for pk in both}
    assert Operation.objects.filter(state="dead").count() == 0
    assert _attempts() == first, "a probe used up an attempt"
    assert max(first.values()) <= 2
    assert max(day.periods.values()) == 1, "more than one probe of a connection in one open period"
    asked = sum(day.periods.values())

    crm.sandbox.clear_faults()
    up, waiting = clock.now, Operation.objects.exclude(state="succeeded").count()
    day.run(up + 3_600_000)
    assert waiting == planned
    assert Operation.objects.filter(state="succeeded").count() == planned
    gentle = {}
    for pk in both:
        back = min(at for at, who, sent in day.sent if who == pk and at >= up and sent)
        gentle[pk] = day.requests(pk, back, back + 10_000)
        assert 0 < gentle[pk] <= LIMIT // 2
        assert day.requests(pk, back, clock.now + 1) > gentle[pk], "more was waiting than went out"
    print(  # for who runs it to see
        f"\n24 h down, {planned} operations: 0 dead, attempts of one {max(first.values())} at most, by probes 0; "
        f"requests {sum(probes.values())}, probes {asked}, of a connection in one open period 1 at most; "
        f"first 10 s after {sorted(gentle.values())} of {LIMIT}"
    )
