"""What other apps are told of the engine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone

from integrations import public
from integrations.operations import counting
from tests.factories import ConnectionFactory, OperationFactory

pytestmark = pytest.mark.django_db


def test_operations_are_counted_by_state_and_connection_as_far_as_anybody_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "MOST", 2)
    one, other = ConnectionFactory(label="One"), ConnectionFactory(label="Other")
    OperationFactory.create_batch(3, connection=one, state="succeeded")
    OperationFactory(connection=other, state="dead")

    found = public.engine_status(timezone.now())

    assert {state: str(number) for state, number in found["operations"].items()} == {
        "dead": "1",
        "succeeded": "more than 2",
    }
    assert [(each["label"], list(each["operations"])) for each in found["connections"]] == [
        ("One", ["succeeded"]),
        ("Other", ["dead"]),
    ]


def test_the_oldest_due_is_the_first_of_all_connections() -> None:
    late, later = ConnectionFactory(), ConnectionFactory()
    OperationFactory(connection=late, due_ms=9_000)
    oldest = OperationFactory(connection=later, due_ms=4_000, state="waiting", reason="rate_limited")
    OperationFactory(connection=later, due_ms=1_000, blockers=1)
    OperationFactory(connection=late, due_ms=2_000, state="dead")

    due: Any = public.engine_status(datetime.fromtimestamp(10, UTC))["oldest_due"]

    assert (due["id"], due["connection_id"], due["reason"], due["late_s"]) == (oldest.pk, later.pk, "rate_limited", 6)


def test_nothing_is_due_without_connections_or_before_its_time() -> None:
    assert public.engine_status(timezone.now())["oldest_due"] is None
    OperationFactory(due_ms=20_000)
    assert public.engine_status(datetime.fromtimestamp(10, UTC))["oldest_due"] is None
