"""Two people press the same button at the same moment, in two transactions: it happens once."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from integrations.engine import settling
from integrations.engine.claims import row_of
from integrations.models import AuditEvent, Connection, Operation, OperationDependency
from integrations.operations import operations as verbs
from integrations.operations.audit import Who
from tests.at_once import at_once
from tests.crm import make_connection

pytestmark = pytest.mark.django_db(transaction=True)

OLGA = Who("olga", "admin")
FOUR = 4


@pytest.fixture
def connection() -> Connection:
    return make_connection()


def add(connection: Connection, entity_id: int = 1, **values: Any) -> Operation:
    fields = {
        "op_key": f"{entity_id}:{Operation.objects.count()}", "connection": connection, "kind": "contact.link",
        "entity_type": "contact", "entity_id": entity_id, "version": 1, "due_ms": 0, **values,
    }  # fmt: skip
    return Operation.objects.create(**fields)


@pytest.mark.parametrize(
    ("verb", "before", "after", "redriven"),
    [
        (verbs.retry, {"state": "dead", "reason": "rejected"}, ("pending", ""), 1),
        (verbs.retry, {"state": "needs_person", "in_doubt": True, "sent_ms": 1}, ("pending", ""), 1),
        (verbs.recreate, {"state": "dead", "reason": "gone_at_provider"}, ("pending", ""), 1),
        (verbs.cancel, {"state": "pending"}, ("cancelled", "by_person"), 0),
        (verbs.cancel, {"state": "leased", "lease_until_ms": 2**50}, ("leased", ""), 0),
        (verbs.answer_not_arrived, {"state": "needs_person", "in_doubt": True}, ("pending", ""), 0),
        (verbs.send_ours, {"state": "needs_person", "reason": "changed_at_provider"}, ("pending", ""), 0),
        (
            verbs.keep_theirs, {"state": "needs_person", "reason": "changed_at_provider"},
            ("cancelled", "kept_theirs"), 0,
        ),
    ],
)  # fmt: skip
def test_a_button_pressed_four_times_at_once_works_once(
    connection: Connection, verb: Any, before: dict[str, Any], after: tuple[str, str], redriven: int
) -> None:
    operation = add(connection, **before)
    assert at_once(*[lambda: verb(operation.pk, OLGA)] * FOUR) == []
    operation.refresh_from_db()
    assert (operation.state, operation.reason, operation.redrive_no) == (*after, redriven)
    assert AuditEvent.objects.count() == 1


def test_a_retry_and_a_cancel_at_once_leave_one_of_both(connection: Connection) -> None:
    operation = add(connection, state="dead", reason="rejected")
    assert at_once(lambda: verbs.retry(operation.pk, OLGA), lambda: verbs.cancel(operation.pk, OLGA)) == []
    operation.refresh_from_db()
    # A dead one cannot be cancelled: the cancel came first and found nothing to do, or it ended the retried one.
    assert operation.state in ("pending", "cancelled")
    assert operation.redrive_no == 1


def waiting_for(connection: Connection, *states: str) -> tuple[Operation, list[Operation]]:
    """An operation, and what it waits for."""
    needs = [add(connection, place, state=state) for place, state in enumerate(states, start=2)]
    waits = add(connection, 1, blockers=len(needs))
    OperationDependency.objects.bulk_create(OperationDependency(operation=waits, needs=each) for each in needs)
    return waits, needs


def test_a_predecessor_skipped_by_four_at_once_is_skipped_once(connection: Connection) -> None:
    waits, _ = waiting_for(connection, "dead", "pending")
    assert at_once(*[lambda: verbs.skip_predecessors(waits.pk, OLGA)] * FOUR) == []
    waits.refresh_from_db()
    assert waits.blockers == 1
    assert AuditEvent.objects.count() == 1


@pytest.mark.parametrize("turn", range(6))
def test_one_that_ends_while_it_is_skipped_counts_once(connection: Connection, turn: int) -> None:
    """What still blocks is counted down once for each predecessor, whoever comes first."""
    waits, (ending, _) = waiting_for(connection, "dead", "pending")

    @transaction.atomic
    def end() -> None:
        row = row_of(Operation.objects.select_for_update().get(pk=ending.pk))
        Operation.objects.filter(pk=ending.pk).update(state="succeeded")
        settling.release(ending, type(row)(state="succeeded"))

    assert at_once(end, lambda: verbs.skip_predecessors(waits.pk, OLGA)) == []
    waits.refresh_from_db()
    assert waits.blockers == 1
    assert list(OperationDependency.objects.order_by("pk").values_list("settled", flat=True)) == [True, False]
