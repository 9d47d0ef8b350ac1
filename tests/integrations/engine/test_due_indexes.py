"""Claims and the search for due work read no more rows than they take: each follows an index, on both databases."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.test.utils import CaptureQueriesContext

from integrations.engine import claims, sweep
from integrations.models import Connection, Operation
from tests.factories import ConnectionFactory, OperationFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def crm(db: None) -> Connection:
    """A connection with enough waiting that an index pays, most of it due far away."""
    made: Connection = ConnectionFactory()
    rows = OperationFactory.build_batch(600, connection=made)
    for place, row in enumerate(rows):
        row.entity_id, row.due_ms, row.priority = place, place if place < 300 else 10**15, 100 - place % 2 * 90
    Operation.objects.bulk_create(rows)
    if database.vendor == "postgresql":  # a database as small as this one is read whole by SQLite that knows its size
        with database.cursor() as cursor:
            cursor.execute("ANALYZE")
    return made


def plans(caught: CaptureQueriesContext, beginning: str) -> list[str]:
    """How the database goes about each of the SELECTs that read operations in order."""
    read = [query["sql"] for query in caught.captured_queries if query["sql"].startswith(beginning)]
    explain = "EXPLAIN QUERY PLAN " if database.vendor == "sqlite" else "EXPLAIN "
    found = []
    with database.cursor() as cursor:
        cursor.execute("SELECT 1") if database.vendor == "sqlite" else cursor.execute("SET LOCAL enable_seqscan = off")
        for sql in read:
            cursor.execute(explain + sql.replace("%", "%%"))
            found.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
    return found


def select(column: str) -> str:
    return f'SELECT "integrations_operation"."{column}" AS'


def test_a_claim_follows_the_order_of_its_index(crm: Connection) -> None:
    with transaction.atomic():
        with CaptureQueriesContext(database) as caught:
            found = claims.claim(crm.pk, "worker", 10, 60_000, 0.0)
        if database.vendor == "postgresql":
            (whole,) = plans(caught, "\nWITH RECURSIVE clock")
            # What is locked comes straight from the index, a priority at a time; only what was taken is put in order.
            read = [whole[whole.index("LockRows") :].partition("operation_claim")[0] + "operation_claim"]
        else:
            read = plans(caught, select("id")) + plans(caught, "SELECT (SELECT")
            assert len(read) == 2  # the most urgent priority, and what is due of it

    assert len(found) == 10
    for plan in read:
        assert "operation_claim" in plan
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan


@pytest.mark.skipif("sqlite" in settings.DATABASES["default"]["ENGINE"], reason="its planner keeps no shares")
@pytest.mark.parametrize("held", [0, 250])
def test_whether_a_sibling_is_held_is_one_look_up_however_many_are_held(crm: Connection, held: int) -> None:
    """And however many of them the planner knows of: here none, as there were none when it last looked."""
    claims.claim(crm.pk, "other", held, 60_000, 0.0)
    with transaction.atomic():
        with CaptureQueriesContext(database) as caught:
            assert len(claims.claim(crm.pk, "worker", 10, 60_000, 0.0)) == 10
        (whole,) = plans(caught, "\nWITH RECURSIVE clock")
    assert re.findall(r"using (\w+) on integrations_operation (sibling|held)", whole) == [
        ("operation_entity", "sibling"),
        ("integrations_operation_pkey", "held"),
    ]


def test_the_next_due_time_is_the_first_entry_of_its_index(crm: Connection) -> None:
    with transaction.atomic():
        with CaptureQueriesContext(database) as caught:
            when = sweep.schedule()
        (plan,) = plans(caught, "SELECT ")

    assert when == {crm.pk: 0}
    assert "operation_due" in plan
    look_up = plan[plan.index("Limit") :] if database.vendor == "postgresql" else plan[plan.index("operation_due") :]
    assert "TEMP B-TREE" not in look_up
    assert "Sort" not in look_up


def test_a_claim_takes_the_more_urgent_first_and_then_the_next(crm: Connection) -> None:
    taken: list[Any] = [one.operation.pk for one in claims.claim(crm.pk, "worker", 200, 60_000, 0.0)]

    rows = Operation.objects.in_bulk(taken)
    order = [(rows[pk].priority, rows[pk].due_ms, pk) for pk in taken]
    assert order == sorted(order)
    assert [priority for priority, _, _ in order].count(10) == 150
    assert len(order) == 200


def test_what_is_due_later_is_not_taken(crm: Connection) -> None:
    assert len(claims.claim(crm.pk, "worker", 1_000, 60_000, 0.0)) == 300
