"""The row that says who decides what is sent: each step, and that nobody skips one."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.models import Connection, GateMode
from integrations.models.clock import db_now
from integrations.trickle import mode
from tests.crm import make_connection

pytestmark = pytest.mark.django_db

LONG_AGO = 60_000


class Redis:
    """Whether it answers, and how often the gate began anew."""

    def __init__(self, *, answers: bool, begins: bool = True) -> None:
        self.does, self.begins, self.epochs = answers, begins, 0

    def tend(self) -> str:
        return mode.tend(lambda: self.does, self._begin)

    def _begin(self) -> bool:
        self.epochs += self.begins
        return self.begins


def given(value: str, **more: Any) -> None:
    GateMode.objects.update_or_create(pk=1, defaults={"mode": value, "since_ms": db_now() - LONG_AGO, **more})


def row() -> GateMode:
    return GateMode.objects.get()


def test_a_normal_mode_costs_one_query(django_assert_num_queries: Any) -> None:
    given("normal")
    with django_assert_num_queries(1):
        assert Redis(answers=True).tend() == "normal"


@pytest.mark.parametrize("on_record", [True, False])
def test_a_redis_that_is_silent_is_told_of_while_nothing_is_to_be_sent(on_record: bool) -> None:
    if on_record:
        given("normal")
    before = db_now()
    assert Redis(answers=False).tend() == "away"
    assert row().since_ms >= before


def test_silence_for_four_seconds_begins_a_trickle_that_is_sealed_after_it_was_in_force() -> None:
    given("away")
    since, before = row().since_ms, db_now()
    assert Redis(answers=False).tend() == "trickle"
    assert (row().since_ms, row().sealed_ms >= before) == (since, True)


@pytest.mark.parametrize("recent", ["since_ms", "answered_ms"])
def test_a_short_silence_or_one_of_this_process_alone_does_not(recent: str) -> None:
    given("away")
    GateMode.objects.update(**{recent: db_now() - 2_000})
    assert Redis(answers=False).tend() == "away"


def test_an_answer_ends_a_short_silence_without_counting_anew() -> None:
    given("away")
    redis = Redis(answers=True)
    assert (redis.tend(), redis.epochs) == ("normal", 0)


def test_out_of_a_trickle_leads_only_a_new_epoch() -> None:
    given("trickle", sealed_ms=5)
    held = make_connection(hold_reason="gate_away", hold_until_ms=2**50)
    other = make_connection(account_key="b", hold_reason="circuit_open", hold_until_ms=2**50)
    redis = Redis(answers=True)
    assert (redis.tend(), redis.epochs, row().sealed_ms) == ("cold", 1, 0)
    until = dict(Connection.objects.values_list("pk", "hold_until_ms"))
    assert (until[held.pk], until[other.pk]) == (0, 2**50)


def test_a_redis_that_cannot_begin_anew_leaves_the_trickle_as_it_was() -> None:
    given("trickle", sealed_ms=5)
    assert Redis(answers=True, begins=False).tend() == "trickle"
    assert row().sealed_ms == 5


def test_one_that_died_on_the_way_back_is_followed_by_another() -> None:
    given("back", sealed_ms=5)
    redis = Redis(answers=True)
    assert (redis.tend(), redis.epochs) == ("cold", 1)
    given("back", sealed_ms=5)
    assert Redis(answers=False).tend() == "trickle"
    assert row().sealed_ms == 5


def test_a_trickle_nobody_sealed_is_sealed_by_the_next() -> None:
    given("trickle", sealed_ms=0)
    before = db_now()
    Redis(answers=False).tend()
    assert row().sealed_ms >= before


def test_a_cold_start_is_over_without_anything_to_send() -> None:
    given("cold")
    assert Redis(answers=True).tend() == "cold"
    GateMode.objects.update(since_ms=db_now() - mode.COLD_MS)
    assert Redis(answers=True).tend() == "normal"


@pytest.mark.parametrize("met", ["normal", "cold", "away"])
def test_what_a_call_met_says_nothing_against_a_trickle(met: str) -> None:
    for obeyed in ("trickle", "back"):
        given(obeyed, sealed_ms=5)
        mode.note(met)
        assert (row().mode, row().sealed_ms) == (obeyed, 5)


def test_what_a_call_met_is_written_once(django_assert_num_queries: Any) -> None:
    given("normal")
    mode.note("away", "Redis cannot be reached")
    since = row().since_ms
    mode.note("away", "Redis cannot be reached")
    assert (row().mode, row().detail, row().since_ms) == ("away", "Redis cannot be reached", since)
    mode.note("normal")
    assert (row().mode, row().detail) == ("normal", "")


def test_a_process_acts_on_what_it_read_for_a_second_at_most() -> None:
    clock = [100.0]
    obeyed = mode.Obeyed(lambda: clock[0])
    given("normal")
    assert obeyed.now().mode == "normal"
    given("trickle", sealed_ms=5)
    clock[0] += 0.99
    assert obeyed.now().mode == "normal"
    clock[0] += 0.01
    assert obeyed.now() == mode.Now("trickle", 5)
