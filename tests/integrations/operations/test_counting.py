"""Counts that stop where nobody reads on, and say so."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from integrations.models import Operation
from integrations.operations import counting
from tests.factories import ConnectionFactory, OperationFactory

pytestmark = pytest.mark.django_db


def test_a_number_beyond_the_most_says_that_it_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST", 2)
    monkeypatch.setattr(counting, "MOST_OF_ONE", 1)
    crm = ConnectionFactory()
    OperationFactory.create_batch(3, connection=crm)
    assert counting.count(Operation.objects.filter(pk__lt=0)) == 0
    assert str(counting.count(Operation.objects.all())) == "more than 2"
    assert str(counting.by_state(["pending"])["pending"]) == "more than 2"
    of_one = counting.by_connection([crm.pk], ["pending"])[crm.pk]["pending"]
    assert str(of_one) == "more than 1"
    assert str(counting.total([2, of_one])) == "more than 3"
    assert str(counting.total([2, 1])) == "more than 2"
    assert str(counting.total([1, 1])) == "2"


def test_each_connection_and_state_is_counted_in_one_query(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    one, other = ConnectionFactory(), ConnectionFactory()
    OperationFactory.create_batch(2, connection=one)
    OperationFactory(connection=one, state="dead")
    OperationFactory(connection=other, state="succeeded")

    with django_assert_num_queries(1):
        found = counting.by_connection([one.pk, other.pk], ["pending", "dead"])
    assert found == {one.pk: {"pending": 2, "dead": 1}}
    assert counting.by_state(["pending", "succeeded", "unknown"]) == {"pending": 2, "succeeded": 1}


def test_nothing_is_counted_without_a_question(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    with django_assert_num_queries(0):
        assert counting.by_connection([], ["pending"]) == {}


@pytest.mark.parametrize("accounts", [1, 4])
@pytest.mark.skipif("sqlite" in settings.DATABASES["default"]["ENGINE"], reason="its planner keeps no shares")
def test_what_is_rare_is_not_looked_for_in_the_whole_table(accounts: int) -> None:
    """By the planner's shares, which know one state only, a few of any state are met with wherever one reads."""
    ids = [ConnectionFactory().pk for _ in range(accounts)]
    rows = OperationFactory.build_batch(1_000, connection_id=ids[0])
    for place, row in enumerate(rows):
        row.entity_id, row.connection_id = place, ids[place % accounts]
    Operation.objects.bulk_create(rows)
    with database.cursor() as cursor:
        cursor.execute("ANALYZE integrations_operation")
        with CaptureQueriesContext(database) as caught:
            assert counting.by_state(["dead", "pending"]) == {"pending": 1_000}
            found = counting.by_connection(ids, ["dead", "pending"])
            assert found == {pk: {"pending": 1_000 // accounts} for pk in ids}
        indexes: list[str] = []
        for query in caught.captured_queries:
            cursor.execute(query["sql"].replace("SELECT", "EXPLAIN SELECT", 1))
            while cursor.description is None:
                cursor.nextset()
            plan = str(cursor.fetchall())
            indexes += re.findall(r"Index Only Scan using (\w+) on integrations_operation", plan)
        assert indexes == ["operation_state_newest", "operation_connection"]
        cursor.execute("SHOW enable_seqscan")
        assert cursor.fetchone() == ("on",)
