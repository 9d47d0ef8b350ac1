"""A person's hand on a circuit: in force at once, stored, audited; nothing sent while it is forced open."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.exceptions import ValidationError

from integrations import wiring
from integrations.engine.clock import db_now
from integrations.gate import Outcome, Permit, Refusal
from integrations.models import AuditEvent, Connection, Operation
from integrations.operations import circuits
from integrations.operations.audit import Who
from integrations.operations.refusals import NotPossible
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
    assert (crm.connection.hold_until_ms, crm.connection.circuit_mode) == (0, None)
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


def test_without_redis_nothing_is_changed(settings: object) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # type: ignore[attr-defined]
    connection = ConnectionFactory()
    with pytest.raises(NotPossible, match="nothing was changed"):
        circuits.set_circuit(connection.pk, "forced_open", None, ADA)
    connection.refresh_from_db()
    assert connection.circuit_mode is None
    assert not AuditEvent.objects.exists()


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
