"""Counts that stop where nobody reads on, and say so."""

from __future__ import annotations

import pytest

from integrations.models import Operation
from integrations.operations import counting
from tests.factories import ConnectionFactory, OperationFactory

pytestmark = pytest.mark.django_db


def test_a_number_beyond_the_most_says_that_it_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST", 2)
    OperationFactory.create_batch(3)
    assert counting.count(Operation.objects.filter(pk__lt=0)) == 0
    assert str(counting.count(Operation.objects.all())) == "more than 2"
    assert str(counting.by_state(["pending"])["pending"]) == "more than 2"
    assert str(counting.total([1, counting.capped(3)])) == "more than 2"


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
