"""Leave by the database: who may send while Redis is away, and that two processes never get it together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from integrations import wiring
from integrations.gate import BreakerState, Gate, GateAway, Outcome, Permit, Refusal, Scope, Window, connect
from integrations.models import Connection, GateMode, TrickleScope
from integrations.reach import Reach
from integrations.transport import counting
from integrations.trickle import FallbackGate
from integrations.trickle.gate import guard_of, key_of, quiet_ms
from tests.crm import make_connection

pytestmark = pytest.mark.django_db

SCOPE = Scope("gohighlevel:loc_1", (Window("burst", 100, 10), Window("daily", 200_000, 86_400)))
SEALED = 1_000_000_000
OPEN_AT = SEALED + 1_000 + 2_500 + 10_000


class Fleet:
    """Processes of one product whose Redis nobody can reach; they share the database and its clock."""

    def __init__(self) -> None:
        self.now_ms = OPEN_AT
        self.slept: list[float] = []
        self.hand: Any = None

    def process(self) -> FallbackGate:
        redis = Gate(connect("unix:///nowhere.sock", 0.1), seeds=wiring.DatabaseSeeds(), random=lambda: 0.5)
        return FallbackGate(
            redis,
            seeds=wiring.DatabaseSeeds(),
            reach=Reach(),
            lease_s=lambda: 30.0,
            random=lambda: 0.5,
            save=wiring.save_scope_facts,
            hand=lambda _scope: self.hand,
            now=lambda: self.now_ms,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ms += int(seconds * 1000)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    wiring.forget_saved()
    make_connection(account_key="loc_1")
    GateMode.objects.update_or_create(pk=1, defaults={"mode": "trickle", "sealed_ms": SEALED, "since_ms": SEALED})
    yield Fleet()
    wiring.forget_saved()


def permit(got: Permit | Refusal) -> Permit:
    assert isinstance(got, Permit), got
    return got


def refused(got: Permit | Refusal) -> tuple[str, int]:
    assert isinstance(got, Refusal), got
    return got.reason.value, got.until_ms


def test_nothing_goes_before_what_redis_admitted_has_left_its_window(fleet: Fleet) -> None:
    gate = fleet.process()
    assert (guard_of(SCOPE), quiet_ms(SCOPE)) == (2_500, 13_500)
    fleet.now_ms = OPEN_AT - 1
    assert refused(gate.admit(SCOPE)) == ("gate_away", OPEN_AT)
    fleet.now_ms = OPEN_AT
    assert permit(gate.admit(SCOPE)).admitted_ms == OPEN_AT


def test_one_call_is_in_flight_whoever_asks(fleet: Fleet) -> None:
    one, other = fleet.process(), fleet.process()
    first = permit(one.admit(SCOPE))
    assert refused(other.admit(SCOPE)) == ("gate_away", fleet.now_ms + 500)
    assert refused(one.admit(SCOPE)) == ("gate_away", fleet.now_ms + 500)
    one.report(first, Outcome.OK)
    permit(other.admit(SCOPE))


def test_two_processes_together_use_a_tenth_of_the_limit(fleet: Fleet) -> None:
    gates = [fleet.process(), fleet.process()]
    for call in range(10):
        gate = gates[call % 2]
        gate.report(permit(gate.admit(SCOPE)), Outcome.OK)
    reasons = {refused(gate.admit(SCOPE)) for gate in gates}
    # The tenth leaves the window a sub-bucket and the guard after its ten seconds.
    bucket = SCOPE.windows[0].bucket_ms
    free = (fleet.now_ms // bucket + 1) * bucket + 12_500
    assert reasons == {("gate_away", free)}
    fleet.now_ms = free
    permit(gates[0].admit(SCOPE))


def test_a_permit_whose_holder_died_is_given_to_the_next(fleet: Fleet) -> None:
    dead, living = fleet.process(), fleet.process()
    lost = permit(dead.admit(SCOPE))
    fleet.now_ms += 30_000
    mine = permit(living.admit(SCOPE))
    dead.report(lost, Outcome.FAILURE)
    assert TrickleScope.objects.get().owner in mine.id
    assert refused(dead.admit(SCOPE))[0] == "gate_away"


def test_what_was_not_sent_takes_no_slot(fleet: Fleet) -> None:
    gate = fleet.process()
    for _ in range(25):
        gate.report(permit(gate.admit(SCOPE)), Outcome.NOT_SENT)


def test_the_last_stored_circuit_and_not_before_are_obeyed(fleet: Fleet) -> None:
    wiring.save_gate_facts(
        Connection.objects.get().pk, BreakerState("open", 3, 4, OPEN_AT - 5, OPEN_AT + 9_000), OPEN_AT + 20_000
    )
    gate = fleet.process()
    assert refused(gate.admit(SCOPE)) == ("circuit_open", OPEN_AT + 9_000)
    fleet.now_ms += 9_000
    assert refused(gate.admit(SCOPE)) == ("not_before", OPEN_AT + 20_000)
    fleet.now_ms = OPEN_AT + 20_000
    probe = permit(gate.admit(SCOPE))
    assert gate.report(probe, Outcome.FAILURE).state == "open"
    assert refused(gate.admit(SCOPE))[0] == "circuit_open"
    assert Connection.objects.get().breaker["generation"] == 5


def test_a_persons_hand_on_the_circuit_is_obeyed_at_once(fleet: Fleet) -> None:
    breaker = BreakerState("open", 3, 4, OPEN_AT - 5, OPEN_AT + 9_000)
    wiring.save_gate_facts(Connection.objects.get().pk, breaker, None)
    gate = fleet.process()
    fleet.hand = ("forced_open", None)
    assert refused(gate.admit(SCOPE)) == ("forced_open", OPEN_AT + 30_000)
    fleet.hand = ("forced_open", OPEN_AT - 1)
    assert refused(gate.admit(SCOPE)) == ("circuit_open", OPEN_AT + 9_000)
    fleet.hand = ("disabled", None)
    permit(gate.admit(SCOPE))


def test_a_429_is_kept_for_redis(fleet: Fleet) -> None:
    gate = fleet.process()
    gate.report(permit(gate.admit(SCOPE)), Outcome.RATE_LIMITED, retry_after_s=40)
    assert refused(fleet.process().admit(SCOPE)) == ("not_before", OPEN_AT + 40_000)
    assert Connection.objects.get().not_before_ms == OPEN_AT + 40_000


def test_an_operation_under_way_waits_for_its_next_call(fleet: Fleet) -> None:
    gate, small = fleet.process(), Scope("gohighlevel:loc_1", (Window("burst", 20, 1),))
    with counting() as tally:
        for _ in range(2):
            gate.report(permit(gate.admit(small)), Outcome.OK)
            tally.calls += 1
        later = permit(gate.admit(small))
    assert len(fleet.slept) == 1
    assert later.admitted_ms - OPEN_AT >= 1_250


def test_on_the_way_back_nobody_sends(fleet: Fleet) -> None:
    gate = fleet.process()
    GateMode.objects.update(mode="back")
    assert refused(gate.admit(SCOPE)) == ("gate_away", fleet.now_ms + 500)


def test_a_process_that_read_the_row_before_the_trickle_ended_sends_nothing(fleet: Fleet) -> None:
    gate = fleet.process()
    gate.report(permit(gate.admit(SCOPE)), Outcome.OK)
    GateMode.objects.update(mode="cold", sealed_ms=0)
    assert refused(gate.admit(SCOPE))[0] == "gate_away"
    with pytest.raises(GateAway):
        gate.admit(SCOPE)


def test_outside_a_trickle_redis_is_asked_and_its_silence_is_paid_for_once(fleet: Fleet) -> None:
    GateMode.objects.update(mode="away", sealed_ms=0)
    gate = fleet.process()
    with pytest.raises(GateAway, match="gave no answer \\("):
        gate.admit(SCOPE)
    for ask in (gate.admit, gate.look):
        with pytest.raises(GateAway, match="a moment ago"):
            ask(SCOPE)


def test_a_very_long_scope_has_a_row_too(fleet: Fleet) -> None:
    long = Scope("rollout:" + "x" * 400, (Window("burst", 50, 1),))
    assert len(key_of(long)) == 64
    permit(fleet.process().admit(long))


def test_a_new_outage_has_a_new_book(fleet: Fleet, django_assert_num_queries: Any) -> None:
    gate = fleet.process()
    for _ in range(10):
        gate.report(permit(gate.admit(SCOPE)), Outcome.OK)
    fleet.now_ms += 1
    GateMode.objects.update(sealed_ms=SEALED + 1)
    gate.obeyed.forget()
    gate.report(permit(gate.admit(SCOPE)), Outcome.OK)
    calls = TrickleScope.objects.get().book["calls"]["burst"]
    assert sum(calls.values()) == 1
