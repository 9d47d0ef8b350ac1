"""What an operation costs in statements and round trips; and that nothing is lost or doubled by saving some."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import pytest
import redis
from django.db import connection as database
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from integrations.engine import claims, sweep
from integrations.models import Attempt, ExternalRef, Operation, OperationDependency, State
from tests.crm import Crm, make_connection, make_tour
from tests.factories import OperationFactory

# The links and the time, about to be sent, done. SQLite has no round trips, and says the last two in its own steps.
STATEMENTS = {"postgresql": 3, "sqlite": 9}
NOT_COUNTED = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")


def statements_of_a_drain(crm: Crm, tomorrow: datetime, stops: int) -> int:
    """Of one that makes so many appointments. What is asked once a second is not counted."""
    crm.plan(make_tour(tomorrow, stops=stops))
    assert crm.drain_once() == 1  # the buyer's link, for which the stops wait
    with CaptureQueriesContext(database) as caught:
        assert crm.drain_once() == stops
    asked = [query["sql"] for query in caught.captured_queries if not query["sql"].startswith(NOT_COUNTED)]
    return sum("integrations_gatemode" not in sql or "integrations_operation" in sql for sql in asked)


def test_an_operation_more_costs_three_statements(crm: Crm, tomorrow: datetime) -> None:
    one, four = (statements_of_a_drain(crm, tomorrow, stops) for stops in (1, 4))
    assert four - one == 3 * STATEMENTS[database.vendor]


def test_an_operation_costs_two_round_trips_to_redis(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow, stops=3))
    crm.drain_once()
    with redis.Redis.from_url(crm.redis.url) as client:
        client.config_resetstat()
        assert crm.drain_once() == 3
        sent = client.info("commandstats")
    assert sum(told["calls"] for name, told in sent.items() if name in ("cmdstat_evalsha", "cmdstat_eval")) == 3 * 2


def test_when_to_look_next_is_one_query_however_many_connections(
    crm: Crm, django_assert_num_queries: Callable[..., object]
) -> None:
    for number in range(3):
        OperationFactory(connection=make_connection(account_key=f"loc_{number}"), due_ms=number, state="pending")
    with django_assert_num_queries(1):  # type: ignore[attr-defined]  # a context manager
        assert sorted(sweep.schedule().values()) == [0, 1, 2]


def meanwhile(work: Callable[[], object]) -> threading.Thread:
    """In another thread, with a connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_for_a_lock() -> None:
    """Until somebody waits for a row that we hold (PostgreSQL)."""
    blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    for _ in range(3_000):
        with database.cursor() as cursor:
            cursor.execute(blocked)
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("nobody waits")


@pytest.fixture
def rows_are_locked() -> None:
    if database.vendor != "postgresql":
        pytest.skip("SQLite locks the whole database: two never meet at a row")


@pytest.mark.django_db(transaction=True)
def test_who_begins_to_wait_while_it_settles_is_let_go(rows_are_locked: None, crm: Crm, tomorrow: datetime) -> None:
    """Planning holds the row it waits for: the edge is seen by whoever settles that row afterwards."""
    crm.plan(make_tour(tomorrow))
    link = crm.operation("contact.link")
    late = OperationFactory(connection=crm.connection, entity_id=77, kind="contact.link", blockers=1, state="pending")
    threads: list[threading.Thread] = []

    def plan(point: str) -> None:
        if point == "before_success_commit" and not threads:
            crm.engine.observe = lambda _point: None
            holds, go_on = threading.Event(), threading.Event()

            def hold() -> None:
                with transaction.atomic():
                    Operation.objects.select_for_update().get(pk=link.pk)
                    holds.set()
                    wait_for_a_lock()
                    OperationDependency.objects.create(operation=late, needs=link)
                go_on.set()

            threads.append(meanwhile(hold))
            assert holds.wait(30)

    crm.engine.observe = plan
    crm.drain_once()
    threads[0].join(30)
    link.refresh_from_db()
    late.refresh_from_db()
    assert link.state == "succeeded"
    assert late.blockers == 0
    assert OperationDependency.objects.get(operation=late).settled


@pytest.mark.django_db(transaction=True)
def test_a_cancel_that_commits_first_leaves_no_trace_of_a_send(rows_are_locked: None, crm: Crm) -> None:
    operation = OperationFactory(connection=crm.connection, kind="contact.link", state="pending", due_ms=0)
    (claimed,) = claims.claim(crm.connection.pk, "me", 1, 60_000, 0.0)
    ref = ExternalRef.objects.create(
        connection=crm.connection, entity_type="contact", entity_id=1, resource="contact", acked_digest="known"
    )
    met: list[type[Exception]] = []

    def send() -> None:
        try:
            claims.mark_sent(claimed, ref=ref, version=1, digest="d", started_ms=1)
        except (claims.CancelAsked, claims.LeaseLost) as error:
            met.append(type(error))

    with transaction.atomic():
        Operation.objects.select_for_update().filter(pk=operation.pk).get()
        Operation.objects.filter(pk=operation.pk).update(cancel_requested=True)
        sender = meanwhile(send)
        wait_for_a_lock()
    sender.join(30)
    ref.refresh_from_db()
    operation.refresh_from_db()
    assert met == [claims.CancelAsked]
    assert (operation.in_doubt, operation.sent_ms, ref.acked_digest) == (False, None, "known")
    assert not Attempt.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_who_claim_at_once_share_what_is_due(rows_are_locked: None, crm: Crm) -> None:
    for number in range(6):
        OperationFactory(connection=crm.connection, entity_id=number, state="pending", due_ms=number)
    with transaction.atomic():
        mine = claims.claim(crm.connection.pk, "me", 4, 60_000, 0.0)
        theirs: list[claims.Claim] = []
        meanwhile(lambda: theirs.extend(claims.claim(crm.connection.pk, "they", 4, 60_000, 0.0))).join(30)
    taken = [item.operation.entity_id for item in (*mine, *theirs)]
    assert taken == [0, 1, 2, 3, 4, 5]
    assert Operation.objects.filter(state=State.LEASED).count() == 6
