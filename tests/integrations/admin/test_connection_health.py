"""What a connection's page says of limits, circuit, waiting work, last calls and changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.admin import connection_health
from integrations.admin.connection_health import circuit_words
from integrations.engine.clock import db_now
from integrations.gate import BreakerState
from integrations.models import AuditEvent, Connection, Operation
from integrations.operations import connections
from tests.crm import Crm, make_tour
from tests.factories import ConnectionFactory, OperationFactory
from tests.integrations.admin.browsing import and_the_clock, page

START = datetime(2027, 9, 14, 21, 0, tzinfo=UTC)


@pytest.mark.django_db(transaction=True)
def test_limits_are_those_the_gate_counted(crm: Crm) -> None:
    crm.sync(make_tour(START))

    health = connection_health.load(crm.connection, db_now(), "normal")

    # Two look-ups and a create for the buyer, a create for the stop; see the sandbox's journal.
    sent = len(crm.sandbox.journal())
    assert [(line.name, line.used, line.left, line.limit) for line in health.limits] == [
        ("burst", sent, 100 - sent, 100),
        ("daily", sent, 200_000 - sent, 200_000),
    ]
    assert health.circuit == "Closed: requests pass"
    assert health.gate_words == ""


@pytest.mark.django_db(transaction=True)
def test_a_lowered_limit_is_the_one_that_counts(crm: Crm) -> None:
    Connection.objects.filter(pk=crm.connection.pk).update(limit_overrides={"burst": 40})
    crm.connection.refresh_from_db()

    burst = connection_health.load(crm.connection, db_now(), "normal").limits[0]

    assert (burst.limit, burst.left) == (40, 40)


@pytest.mark.django_db(transaction=True)
def test_the_last_calls_are_told_newest_first(crm: Crm) -> None:
    crm.sync(make_tour(START))

    calls = connection_health.load(crm.connection, db_now(), "normal").calls

    assert [(call.kind, call.outcome, call.status) for call in calls] == [
        ("Appointment", "taken by the CRM", 200),
        ("Buyer", "taken by the CRM", 201),
    ]
    assert calls[0].url == reverse("admin:integrations_operation_change", args=[Operation.objects.latest("pk").pk])


@pytest.mark.django_db(transaction=True)
def test_the_next_showing_waits_first(crm: Crm) -> None:
    later, sooner = make_tour(START.replace(day=20)), make_tour(START)
    crm.plan(later, sooner)

    waiting = connection_health.load(crm.connection, db_now(), "normal").waiting

    assert [line.label.split(",")[0] for line in waiting] == [sooner.reference, later.reference]
    assert waiting[0].when == "Tue 14 Sep 2027, 14:00–14:30 PDT"


@pytest.mark.django_db
def test_without_redis_the_page_says_so_and_the_rest_stands(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    connection = ConnectionFactory()

    health = connection_health.load(connection, db_now(), "normal")

    assert health.gate_words == "Redis cannot be reached, so what is left of the limits is not known now."
    assert (health.limits, health.circuit, health.waiting, health.calls) == ([], "", [], [])


@pytest.mark.django_db
def test_who_paused_it_and_why_is_told() -> None:
    connection = ConnectionFactory()
    connections.pause(connection.pk, actor="ada", via=AuditEvent.Via.ADMIN, reason="moving house")

    (change,) = connection_health.load(connection, db_now(), "normal").changes

    assert (change.who, change.verb, change.reason) == ("ada", "pause", "moving house")


@pytest.mark.parametrize(
    ("state", "failures", "until_ms", "words"),
    [
        ("closed", 0, None, "Closed: requests pass"),
        ("closed", 2, None, "Closed: requests pass; 2 failures in a row"),
        ("half_open", 3, None, "Half open: single requests try whether the CRM has recovered"),
        ("open", 3, 30_000, "Open: nothing is sent, so that the CRM can recover; not before 00:00:30 UTC (in 30 s)"),
    ],
)
def test_the_circuit_in_words(state: Any, failures: int, until_ms: int | None, words: str) -> None:
    breaker = BreakerState(state=state, failures=failures, generation=1, opened_ms=None, until_ms=until_ms)

    assert circuit_words(breaker, 0) == words


@pytest.mark.django_db(transaction=True)
def test_what_waits_says_when_its_turn_is_expected(crm: Crm) -> None:
    for number in range(2):
        OperationFactory(connection=crm.connection, entity_id=9_000 + number)
    stop = make_tour(START).stops.get()
    OperationFactory(connection=crm.connection, entity_id=stop.pk, due_ms=1)

    (line,) = connection_health.load(crm.connection, db_now(), "normal").waiting

    assert line.next_time.startswith("now; expected ~")
    assert line.next_time.endswith("after about 2 others")


def test_the_page_costs_at_most_thirteen_queries_however_much_waits(
    staff: Client, crm: Crm, django_assert_max_num_queries: Any
) -> None:
    for stop in make_tour(START, stops=3).stops.all():
        OperationFactory(connection=crm.connection, entity_id=stop.pk, state="waiting", reason="agent_unmapped")
    for number in range(10):
        OperationFactory(connection=crm.connection, entity_type="contact", entity_id=number, kind="contact.link")
    with django_assert_max_num_queries(and_the_clock(13)):
        page(staff, "connection_change", crm.connection.pk)
