"""What one is told stops all: a 429 until its not-before, a limit that staff lowered, a circuit forced open."""

from __future__ import annotations

from datetime import datetime

import pytest

from integrations import wiring
from integrations.engine import outbound, process
from integrations.gate import Permit, Refusal, Scope
from integrations.models import Connection, Operation
from integrations.operations import circuits
from integrations.operations.audit import Who
from integrations.trickle import FallbackGate
from tests.crm import Crm, make_rollout_connection, make_tour


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch, crm: Crm) -> FallbackGate:
    """A gate with a connection to Redis of its own, used from here on: a second worker, who knows nothing."""
    return wiring._gate.__wrapped__(crm.redis.url, -1)  # made as every process makes its own


def _worked_by(other: FallbackGate, crm: Crm, monkeypatch: pytest.MonkeyPatch) -> int:
    """Requests that a second worker makes, whom the database does not hold."""
    Connection.objects.update(hold_until_ms=0)
    Operation.objects.filter(state="waiting").update(due_ms=0)
    before = crm.sandbox.last_seq()
    with monkeypatch.context() as patch:
        patch.setattr(wiring, "gate", lambda: other)
        outbound.drain(process.make_engine(), crm.connection.pk)
    return crm.sandbox.last_seq() - before


def test_a_429_of_one_worker_stops_every_other_until_then(
    crm: Crm, another_process: FallbackGate, monkeypatch: pytest.MonkeyPatch, tomorrow: datetime
) -> None:
    crm.sandbox.faults("rate_limited", retry_after=120)
    crm.sync(make_tour(tomorrow), make_tour(tomorrow))
    assert [row["status"] for row in crm.requests()] == [429]
    for _ in range(3):
        assert _worked_by(another_process, crm, monkeypatch) == 0
    stopped = another_process.look(wiring.scope(crm.connection))
    assert stopped.not_before_ms is not None
    assert 100_000 < stopped.not_before_ms - stopped.now_ms <= 120_000
    assert Connection.objects.get().hold_until_ms == stopped.not_before_ms
    assert set(Operation.objects.exclude(blockers=1).values_list("attempts", flat=True)) == {0}
    crm.redis.later(wiring.scope(crm.connection).key, 120_000)
    assert _worked_by(another_process, crm, monkeypatch) > 0


def test_a_429_from_behind_rollout_stops_that_crm_alone(rollout_crm: Crm) -> None:
    mine, shared = wiring.scope(rollout_crm.connection), make_rollout_connection(credential_id="cred_two")
    other = wiring.scope(shared)
    assert mine.key == other.key, "they share Rollout's limit"
    rollout_crm.sandbox.faults("rate_limited", provider="rollout", retry_after=120)
    rollout_crm.sync(make_tour(rollout_crm.connection.sync_from.replace(year=2030)))
    assert [row["status"] for row in rollout_crm.requests()] == [429]
    gate = wiring.gate()
    refused = gate.admit(mine)
    assert isinstance(refused, Refusal)
    assert refused.reason == "not_before"
    assert isinstance(gate.admit(other), Permit)
    assert gate.look(other).used["burst"] >= 1
    stored = dict(Connection.objects.values_list("account_key", "not_before_ms"))
    assert (stored.pop(mine.account) > 0, stored) == (True, {other.account: 0})
    assert [wiring.DatabaseSeeds().seed(scope).not_before_ms is None for scope in (mine, other)] == [False, True]


def test_a_limit_that_staff_lower_is_in_force_within_five_seconds(
    crm: Crm, monkeypatch: pytest.MonkeyPatch, tomorrow: datetime
) -> None:
    now, changed = [1_000.0], [0.0]
    asked: list[tuple[float, int]] = []
    admit = FallbackGate.admit

    def noting(self: FallbackGate, scope: Scope, cost: int = 1) -> Permit | Refusal:
        asked.append((now[0], scope.windows[0].limit))
        return admit(self, scope, cost)

    def half_a_second_an_operation(point: str) -> None:
        if point == "before_success_commit":
            now[0] += 0.5
            if not changed[0]:
                changed[0] = now[0]
                Connection.objects.update(limit_overrides={"burst": 12})

    monkeypatch.setattr(FallbackGate, "admit", noting)
    crm.engine.monotonic, crm.engine.observe = lambda: now[0], half_a_second_an_operation
    crm.plan(*[make_tour(tomorrow) for _ in range(12)])
    for _ in range(4):
        outbound.drain(crm.engine, crm.connection.pk)
    old, new = ({at for at, limit in asked if limit == one} for one in (100, 12))
    assert max(old) < min(new) <= changed[0] + 2.5, "a drain ends after two seconds, the next reads the row"
    assert len(crm.requests()) == len([limit for _, limit in asked if limit == 100]) > 12, "none under the new one"
    assert Connection.objects.get().hold_reason == "rate_limited"


def test_what_a_person_does_to_a_circuit_binds_the_next_request_of_every_process(
    crm: Crm, another_process: FallbackGate, monkeypatch: pytest.MonkeyPatch, tomorrow: datetime
) -> None:
    """In the middle of another worker's batch: it sends not one request more, and again as soon as it may."""
    crm.sync(make_tour(tomorrow, stops=1))
    mine, who, forced = wiring.gate(), Who("ada", "admin", "their status page says so"), list[int]()

    def by_hand(setting: circuits.Setting) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(wiring, "gate", lambda: mine)
            circuits.set_circuit(crm.connection.pk, setting, None, who)

    def after_the_first(point: str) -> None:
        if point == "before_success_commit" and not forced:
            forced.append(crm.sandbox.last_seq())
            by_hand("forced_open")

    crm.plan(*[make_tour(tomorrow) for _ in range(4)])
    worker = process.make_engine()
    worker.observe = after_the_first
    with monkeypatch.context() as patch:
        patch.setattr(wiring, "gate", lambda: another_process)
        outbound.drain(worker, crm.connection.pk)
    assert forced == [crm.sandbox.last_seq()], "nothing after it, though three more were in hand"
    assert Connection.objects.get().hold_reason == "forced_open"
    assert _worked_by(another_process, crm, monkeypatch) == 0
    by_hand("disabled")
    assert _worked_by(another_process, crm, monkeypatch) > 0
    assert not Operation.objects.filter(kind="contact.link").exclude(state="succeeded").exists()
