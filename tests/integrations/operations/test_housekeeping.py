"""Purging: what goes, and what stays whatever its age."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from integrations.models import Attempt, Operation, OperationDependency
from integrations.operations import housekeeping, planning, tours
from integrations.operations.housekeeping import Purged, purge
from tests import factories as make

pytestmark = pytest.mark.django_db

NOW = make.START
OLD = int((NOW - timedelta(days=91)).timestamp() * 1000)
RECENT = int((NOW - timedelta(days=89)).timestamp() * 1000)


@pytest.fixture(autouse=True)
def _keeping_times(settings: Any) -> None:
    settings.REANNA_KEEP_OPERATIONS_DAYS = 90
    settings.REANNA_KEEP_ATTEMPTS_DAYS = 30


def _settled(state: str = "succeeded", at: int = OLD, newer: bool = True, **values: Any) -> Operation:
    """A settled operation; with a newer one of the same record, unless it is to be the newest."""
    operation: Operation = make.OperationFactory(state=state, settled_ms=at, **values)
    if newer:
        make.OperationFactory(
            connection=operation.connection, entity_id=operation.entity_id, version=operation.version + 1
        )
    return operation


def _kept(operation: Operation) -> bool:
    return Operation.objects.filter(pk=operation.pk).exists()


@pytest.mark.parametrize("state", ["succeeded", "ignored", "superseded", "cancelled"])
def test_old_settled_operations_go_with_their_attempts(state: str) -> None:
    operation = _settled(state)
    make.AttemptFactory(operation=operation, started_ms=OLD)

    assert purge(NOW) == Purged(operations=1, attempts=0)

    assert not _kept(operation)
    assert Attempt.objects.count() == 0


def test_recent_and_dead_ones_stay() -> None:
    recent, dead = _settled(at=RECENT), _settled("dead")
    make.AttemptFactory(operation=dead, started_ms=OLD)

    assert purge(NOW) == Purged(0, 0)

    assert _kept(recent)
    assert _kept(dead)
    assert Attempt.objects.count() == 1


def test_the_newest_of_a_record_stays_so_that_its_end_is_still_planned() -> None:
    make.ConnectionFactory()
    stop = make.TourStopFactory()
    planning.plan_tour(stop.tour)
    Operation.objects.update(state="succeeded", settled_ms=OLD)

    assert purge(NOW) == Purged(0, 0)
    tours.cancel_tour(stop.tour_id, actor="ann", via="admin")

    assert Operation.objects.filter(kind="appointment.sync", version=2, state="pending").count() == 1


def test_what_an_open_operation_hangs_on_stays() -> None:
    operation = _settled()
    make.OperationDependencyFactory(
        needs=operation, operation=make.OperationFactory(connection=operation.connection, entity_id=9)
    )

    assert purge(NOW).operations == 0
    assert _kept(operation)


def test_edges_of_settled_operations_go_with_them() -> None:
    operation = _settled()
    later = make.OperationFactory(connection=operation.connection, entity_id=9, state="succeeded", settled_ms=RECENT)
    make.OperationDependencyFactory(needs=operation, operation=later, settled=True)

    assert purge(NOW).operations == 1
    assert (OperationDependency.objects.count(), _kept(later)) == (0, True)


def test_what_a_redrive_points_to_stays() -> None:
    operation = _settled()
    make.OperationFactory(connection=operation.connection, entity_id=9, root=operation)

    assert purge(NOW).operations == 0


def test_old_attempts_of_settled_operations_go_before_them() -> None:
    settled = _settled(at=RECENT)
    open_one = make.OperationFactory(connection=settled.connection, entity_id=9)
    for operation in (settled, open_one):
        make.AttemptFactory(operation=operation, started_ms=OLD)
    make.AttemptFactory(operation=settled, started_ms=int(NOW.timestamp() * 1000))

    assert purge(NOW) == Purged(operations=0, attempts=1)
    assert purge(NOW) == Purged(0, 0)


def test_batches_go_on_until_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 2)
    connection = make.ConnectionFactory()
    for record in range(5):
        _settled(connection=connection, entity_id=record)

    assert purge(NOW).operations == 5
