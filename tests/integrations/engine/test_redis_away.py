"""Redis frozen while there is work: a trickle goes by the database, and Redis decides again after a cold start."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from integrations import wiring
from integrations.engine import gatemode
from integrations.models import Connection, GateMode, Operation
from tests.crm import Crm, make_tour


@pytest.fixture
def trickling(crm: Crm, tomorrow: datetime) -> Iterator[Crm]:
    """Redis stands still, and has for long enough; a tour of three stops is planned."""
    crm.redis.freeze()
    try:
        crm.sync(make_tour(tomorrow, stops=3))
        assert (crm.requests(), GateMode.objects.get().mode) == ([], "away")
        crm.pass_time(5)
        assert gatemode.tend() == "trickle"
        wiring.gate().obeyed.forget()
        yield crm
    finally:
        crm.redis.thaw()


def test_nothing_goes_until_what_redis_admitted_last_has_left_the_window(trickling: Crm) -> None:
    assert trickling.drain() == 1
    assert trickling.requests() == []
    connection, mode = Connection.objects.get(), GateMode.objects.get()
    assert (connection.hold_reason, connection.hold_until_ms) == ("gate_away", mode.sealed_ms + 13_500)
    assert set(Operation.objects.values_list("state", "attempts")) == {("pending", 0)}


def test_a_trickle_sends_each_operation_once_and_redis_takes_over_cold(trickling: Crm) -> None:
    trickling.pass_time(14)
    trickling.drain()
    assert [op for op, _ in trickling.appointments()] == ["create"] * 3
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}
    assert len(trickling.requests()) <= 10
    assert GateMode.objects.get().mode == "trickle"
    sent = len(trickling.requests())
    trickling.redis.thaw()
    assert gatemode.tend() == "cold"
    wiring.gate().obeyed.forget()
    trickling.sync(make_tour(trickling.connection.sync_from.replace(year=2030)))
    assert len(trickling.requests()) == sent
    assert Connection.objects.get().hold_reason == "gate_cold"


def test_what_waits_is_tried_at_once_when_redis_is_back(trickling: Crm) -> None:
    trickling.drain()
    trickling.redis.thaw()
    gatemode.tend()
    assert Connection.objects.get().hold_until_ms == 0
