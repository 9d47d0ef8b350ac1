"""Ends of a try that today's providers seldom or never reach, with adapters made for the purpose."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import DatabaseError

from integrations import wiring
from integrations.engine import process
from integrations.engine import runner as runner_module
from integrations.engine.context import Engine
from integrations.gateway import Link
from integrations.models import Attempt, Connection, ExternalRef, Operation
from integrations.providers.base import Ignored
from integrations.providers.errors import NotReady
from integrations.providers.gohighlevel.outbound import AppointmentSync
from tests.crm import Crm, make_tour, move

POST_APPOINTMENT = {"method": "POST", "path": "/calendars/events/appointments"}


class Deaf(AppointmentSync):
    """A CRM that cannot be asked."""

    has_lookup = False


class Shrugging(AppointmentSync):
    """A CRM that answers 2xx and does nothing."""

    def write(self, exchange: Any, wanted: Any, ref: Any) -> Ignored:  # type: ignore[override]
        super().write(exchange, wanted, ref)
        return Ignored("lead flow archived", 204, "t-1")


class Preparing(AppointmentSync):
    """A CRM that is still reading the account in."""

    def write(self, exchange: Any, wanted: Any, ref: Any) -> Any:
        super().write(exchange, wanted, ref)
        raise NotReady("gohighlevel", "not ready yet", 409, retry_after_s=40.0)


def adapt(crm: Crm, kind: AppointmentSync) -> None:
    """The connection's appointments are spoken by `kind`; all else is the real link."""

    def link(connection: Connection) -> Link:
        found = wiring.link(connection)
        real: Callable[[str], Any] = Link.kind.__get__(found)
        found.kind = lambda name: kind if name == kind.name else real(name)  # type: ignore[method-assign]
        return found

    crm.engine.link = link


def test_a_lost_answer_of_a_crm_that_cannot_be_asked_is_a_persons_question(crm: Crm, tomorrow: datetime) -> None:
    adapt(crm, Deaf())
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    crm.settle_doubt()
    crm.drain()
    operation = crm.operation()
    assert (operation.state, operation.reason, operation.in_doubt) == ("needs_person", "no_look_up", True)
    assert [op for op, _ in crm.appointments()] == ["create"]


def test_a_2xx_that_did_nothing_is_shown_and_never_called_synced(crm: Crm, tomorrow: datetime) -> None:
    adapt(crm, Shrugging())
    tour = make_tour(tomorrow)
    crm.sync(tour)
    operation = crm.operation()
    assert (operation.state, operation.reason, operation.message) == (
        "ignored", "ignored_by_provider", "lead flow archived",
    )  # fmt: skip
    assert crm.ref(tour.stops.get()).external_id is None


def test_not_ready_waits_as_long_as_it_was_told_and_uses_no_attempt(crm: Crm, tomorrow: datetime) -> None:
    adapt(crm, Preparing())
    crm.sync(make_tour(tomorrow))
    operation = crm.operation()
    ended = Attempt.objects.get(operation=operation).ended_ms
    assert (operation.state, operation.reason, operation.attempts) == ("waiting", "not_ready", 0)
    assert ended is not None
    assert operation.due_ms - ended == 40_000


def test_a_stop_whose_buyer_lost_the_link_asks_a_person(synced: Crm) -> None:
    ExternalRef.objects.filter(resource="contact").update(external_id=None)
    move(synced.stop, 30)
    synced.sync(synced.tour)
    assert (synced.operation().state, synced.operation().reason) == ("needs_person", "needs_missing")
    assert len(synced.requests()) == synced.seen


def test_a_cancel_asked_before_the_row_was_claimed_sends_nothing(synced: Crm) -> None:
    move(synced.stop, 30)
    synced.plan(synced.tour)
    Operation.objects.filter(version=2).update(cancel_requested=True)
    synced.drain()
    assert synced.operation().state == "cancelled"
    assert len(synced.requests()) == synced.seen


def test_a_lost_create_of_a_stop_cancelled_meanwhile_and_never_arrived_needs_nothing(
    crm: Crm, tomorrow: datetime
) -> None:
    crm.sandbox.faults("drop_before_effect", match=POST_APPOINTMENT)
    tour = make_tour(tomorrow)
    crm.sync(tour)
    tour.stops.update(appointment_status="cancelled", version=2)
    crm.sync(tour)
    crm.settle_doubt()
    crm.drain()
    assert crm.appointments() == []
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}


def test_a_process_told_to_stop_while_the_gate_admitted_sends_nothing(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    real = crm.engine.link

    def stop_then_link(connection: Connection) -> Link:
        found = real(connection)
        kind = found.kind

        def stopping(name: str) -> Any:
            crm.engine.stop()
            return kind(name)

        found.kind = stopping  # type: ignore[method-assign]
        return found

    crm.engine.link = stop_then_link
    crm.drain_once()
    assert crm.writes() == 0
    assert set(Operation.objects.values_list("state", "attempts")) == {("pending", 0)}


def test_two_records_linked_to_one_in_the_same_moment_ask_a_person(crm: Crm, tomorrow: datetime) -> None:
    """The second commit meets the database's own rule."""
    crm.plan(make_tour(tomorrow))

    def link_another(point: str) -> None:
        created = crm.sandbox.effects("contact")
        if point == "after_answer" and created and not ExternalRef.objects.filter(entity_id=4711).exists():
            ExternalRef.objects.create(
                connection=crm.connection,
                entity_type="contact",
                entity_id=4711,
                resource="contact",
                external_id=created[0]["id"],
            )

    crm.engine.observe = link_another
    crm.drain()
    link = crm.operation("contact.link")
    assert (link.state, link.reason) == ("needs_person", "mapped_elsewhere")


def test_any_other_broken_rule_is_not_taken_for_that(
    crm: Crm, tomorrow: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import IntegrityError

    from integrations.engine import settling

    crm.plan(make_tour(tomorrow))

    def broken(*_: object) -> None:
        raise IntegrityError("another rule")

    monkeypatch.setattr(settling, "_told", broken)
    with pytest.raises(IntegrityError, match="another rule"):
        crm.drain()


@pytest.mark.django_db(transaction=True)
def test_the_process_has_one_runner_with_its_settings(crm: Crm, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REANNA_LEASE_S, settings.REANNA_SETTLE_S = 44.0, 7.0
    monkeypatch.setattr(process, "_runner", None)
    runner = process.runner()
    assert process.runner() is runner
    assert (runner.engine.lease_s, runner.engine.figures.settle_s) == (44.0, 7.0)


@pytest.mark.django_db(transaction=True)
def test_threads_outlive_whatever_a_drain_or_a_look_meets(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = runner_module.Runner(crm.engine, threads=1, sweep_s=10.0)
    met: list[str] = []
    again = threading.Event()

    def drain(_engine: Engine, connection_id: int) -> Any:
        met.append(f"drain {connection_id}")
        if len(met) > 1:
            again.set()
        raise ZeroDivisionError

    looks = iter([DatabaseError("away")])

    def schedule() -> dict[int, int]:
        for error in looks:
            raise error
        return {}

    monkeypatch.setattr(runner_module.outbound, "drain", drain)
    monkeypatch.setattr(runner_module.sweep, "schedule", schedule)
    runner.start()
    try:
        runner.dispatch(1)
        runner.dispatch(2)
        assert again.wait(10)
        assert met == ["drain 1", "drain 2"]
        assert not runner.busy() or again.is_set()
    finally:
        runner.stop(5)
