"""A person's hand on a circuit: in force at once, stored, audited; nothing sent while it is forced open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from integrations import reach, wiring
from integrations.engine import hands
from integrations.engine.clock import db_now
from integrations.gate import BreakerState, Outcome, Permit, Refusal
from integrations.models import AuditEvent, Connection, Operation
from integrations.operations import circuits
from integrations.operations.audit import Who
from integrations.operations.refusals import NotPossible
from integrations.trickle import FallbackGate
from tests.crm import Crm, make_tour
from tests.factories import ConnectionFactory

START = datetime(2027, 9, 14, 21, 0, tzinfo=UTC)
ADA = Who("ada", "admin", "their status page says so")

pytestmark = pytest.mark.django_db(transaction=True)


def _open_by_failures(crm: Crm) -> None:
    for _ in range(3):
        permit = wiring.gate().admit(wiring.scope(crm.connection))
        assert isinstance(permit, Permit), permit
        wiring.gate().report(permit, Outcome.FAILURE)


def test_forced_open_holds_the_connection_and_refunds_the_attempt(crm: Crm) -> None:
    state = circuits.set_circuit(crm.connection.pk, "forced_open", None, ADA)
    assert state is not None
    assert state.state == "forced_open"
    crm.sync(make_tour(START))
    assert crm.requests() == []
    crm.connection.refresh_from_db()
    assert crm.connection.hold_reason == "forced_open"
    link = Operation.objects.get(kind="contact.link")
    assert (link.state, link.reason, link.attempts) == ("pending", "forced_open", 0)


def test_taken_back_what_waited_is_sent(crm: Crm) -> None:
    circuits.set_circuit(crm.connection.pk, "forced_open", None, ADA)
    crm.sync(make_tour(START))
    circuits.set_circuit(crm.connection.pk, "automatic", None, ADA)
    crm.connection.refresh_from_db()
    assert (crm.connection.hold_until_ms, crm.connection.circuit_mode["mode"]) == (0, "automatic")
    crm.drain()
    assert [op for op, _ in crm.appointments()] == ["create"]


def test_it_is_stored_and_seeded_after_redis_forgot(crm: Crm) -> None:
    until = db_now() + 3_600_000
    circuits.set_circuit(crm.connection.pk, "forced_open", until, ADA)
    scope = wiring.scope(crm.connection)
    assert wiring.DatabaseSeeds().seed(scope).mode == ("forced_open", until)
    stored = Connection.objects.get()
    assert (stored.circuit_mode["by"], stored.circuit_mode["reason"]) == ("ada", ADA.reason)
    assert (stored.breaker["state"], stored.breaker["mode_until_ms"]) == ("forced_open", until)


def test_of_several_settings_the_last_is_seeded(crm: Crm) -> None:
    circuits.set_circuit(crm.connection.pk, "disabled", None, ADA)
    circuits.set_circuit(crm.connection.pk, "metrics_only", None, ADA)
    assert wiring.DatabaseSeeds().seed(wiring.scope(crm.connection)).mode == ("metrics_only", None)


def test_closing_by_hand_lets_requests_pass_again(crm: Crm) -> None:
    _open_by_failures(crm)
    Connection.objects.update(hold_reason="circuit_open", hold_until_ms=db_now() + 60_000)
    state = circuits.set_circuit(crm.connection.pk, "closed", None, ADA)
    assert state is not None
    assert (state.state, state.percent) == ("closed", 10)
    assert isinstance(wiring.gate().admit(wiring.scope(crm.connection)), Permit)
    assert Connection.objects.get().hold_until_ms == 0


def test_another_hold_stays(crm: Crm) -> None:
    Connection.objects.update(hold_reason="day_used", hold_until_ms=5)
    circuits.set_circuit(crm.connection.pk, "closed", None, ADA)
    assert Connection.objects.get().hold_until_ms == 5


def test_who_did_it_and_why_is_on_record(crm: Crm) -> None:
    circuits.set_circuit(crm.connection.pk, "disabled", None, ADA)
    event = AuditEvent.objects.get(verb="connection.circuit_disabled")
    assert (event.actor, event.reason, event.before, event.after) == (
        "ada",
        ADA.reason,
        {"circuit": "automatic"},
        {"circuit": "disabled", "until_ms": None},
    )


@pytest.mark.parametrize(
    ("reason", "after_ms", "field"), [("  ", None, "reason"), ("why", -1, "until"), ("why", 31 * 86_400_000, "until")]
)
def test_what_cannot_be_is_refused_by_name(crm: Crm, reason: str, after_ms: int | None, field: str) -> None:
    until = None if after_ms is None else db_now() + after_ms
    with pytest.raises(ValidationError) as caught:
        circuits.set_circuit(crm.connection.pk, "disabled", until, Who("ada", "admin", reason))
    assert list(caught.value.message_dict) == [field]
    assert Connection.objects.get().circuit_mode is None


# --- the database first, then Redis --------------------------------------------------------------------------------


class Died(BaseException):
    """The process is gone: nothing that stands after this line ran."""


@pytest.fixture(params=["before Redis was told", "after Redis was told"])
def dying(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Whoever tells Redis dies there."""
    control = FallbackGate.control

    def die(self: FallbackGate, *args: Any, **kwargs: Any) -> BreakerState:
        if request.param == "after Redis was told":
            control(self, *args, **kwargs)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(FallbackGate, "control", die)
        yield patch.undo


@pytest.mark.parametrize(
    ("setting", "passes"), [("forced_open", False), ("disabled", True), ("closed", True), ("automatic", True)]
)
def test_a_death_between_database_and_redis_mends_itself(
    crm: Crm, dying: Callable[[], None], setting: circuits.Setting, passes: bool
) -> None:
    _open_by_failures(crm) if setting == "closed" else None
    Connection.objects.update(hold_reason="circuit_open", hold_until_ms=db_now() + 60_000)
    with pytest.raises(Died):
        circuits.set_circuit(crm.connection.pk, setting, None, ADA)
    stored = Connection.objects.get()
    assert (stored.circuit_mode["mode"], stored.circuit_mode["told"]) == (setting, False)
    assert AuditEvent.objects.filter(verb=f"connection.circuit_{setting}").count() == 1
    dying()
    assert (hands.tend(), hands.tend()) == (1, 0)
    stored.refresh_from_db()
    assert stored.circuit_mode["told"] is True
    assert isinstance(wiring.gate().admit(wiring.scope(crm.connection)), Permit) is passes
    assert (stored.hold_until_ms == 0) is passes


def test_of_two_settings_the_later_stands_whichever_is_told_first(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    control, told = FallbackGate.control, []

    def late(self: FallbackGate, *args: Any, **kwargs: Any) -> BreakerState:
        told.append(kwargs["since_ms"])
        if len(told) == 1:  # while the first is on its way, somebody sets the second
            circuits.set_circuit(crm.connection.pk, "forced_open", None, ADA)
        return control(self, *args, **kwargs)

    monkeypatch.setattr(FallbackGate, "control", late)
    state = circuits.set_circuit(crm.connection.pk, "disabled", None, ADA)
    assert state is not None
    assert (state.state, told[0] < told[1]) == ("forced_open", True)
    assert Connection.objects.get().circuit_mode == {
        **Connection.objects.get().circuit_mode, "mode": "forced_open", "told": True, "since_ms": told[1],
    }  # fmt: skip
    assert hands.tend() == 0


def test_a_clock_that_went_back_makes_no_setting_an_old_one(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    circuits.set_circuit(crm.connection.pk, "disabled", None, ADA)
    monkeypatch.setattr("integrations.operations.circuits.time.time_ns", lambda: 1_000_000_000)
    state = circuits.set_circuit(crm.connection.pk, "forced_open", None, ADA)
    assert state is not None
    assert state.state == "forced_open"


def test_without_redis_it_is_stored_and_told_later(crm: Crm, settings: Any) -> None:
    assert isinstance(wiring.gate().admit(wiring.scope(crm.connection)), Permit)
    there = settings.REDIS_URL
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert circuits.set_circuit(crm.connection.pk, "forced_open", None, ADA) is None
    assert hands.tend() == 0
    assert AuditEvent.objects.filter(verb="connection.circuit_forced_open").exists()
    settings.REDIS_URL = there
    reach.redis.answered()
    assert isinstance(wiring.gate().admit(wiring.scope(crm.connection)), Permit)
    assert hands.tend() == 1
    assert isinstance(wiring.gate().admit(wiring.scope(crm.connection)), Refusal)


def test_a_connection_that_cannot_be_used_says_so(crm: Crm) -> None:
    Connection.objects.update(limit_overrides={"nonsense": 1})
    with pytest.raises(NotPossible, match="cannot be used"):
        circuits.set_circuit(crm.connection.pk, "forced_open", None, ADA)
    crm.connection.refresh_from_db()
    assert circuits.concerned(crm.connection) == []


def test_connections_that_share_a_limit_share_its_circuit(crm: Crm) -> None:
    config = {"client_id": "c", "consumer": "u"}
    one, two = (
        ConnectionFactory(provider="rollout", label=name, account_key=name, config={**config, "credential_id": name})
        for name in ("One", "Two")
    )
    assert circuits.concerned(one) == ["Two shares this circuit"]
    circuits.set_circuit(one.pk, "forced_open", None, ADA)
    two.refresh_from_db()
    assert two.circuit_mode["mode"] == "forced_open"
    assert isinstance(wiring.gate().admit(wiring.scope(two)), Refusal)
    assert AuditEvent.objects.filter(verb="connection.circuit_forced_open").count() == 2
