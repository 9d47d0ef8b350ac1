"""What a person may do to an operation, and that pressing twice does nothing twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from integrations.models import AuditEvent, Connection, ExternalRef, Operation, OperationDependency
from integrations.operations import operations as verbs
from integrations.operations.audit import Who
from tests.crm import Crm, make_connection, make_tour

OLGA = Who("olga", "admin", "because")


@pytest.fixture
def connection(db: None) -> Connection:
    return make_connection()


def add(connection: Connection, entity_id: int = 1, **values: Any) -> Operation:
    fields = {
        "op_key": f"{entity_id}:{Operation.objects.count()}",
        "connection": connection,
        "kind": "contact.link",
        "entity_type": "contact",
        "entity_id": entity_id,
        "version": 1,
        "due_ms": 0,
        **values,
    }
    return Operation.objects.create(**fields)


def verbs_of_audit() -> list[tuple[str, str, str]]:
    return list(AuditEvent.objects.order_by("id").values_list("verb", "actor", "reason"))


@pytest.mark.parametrize("state", ["dead", "cancelled", "needs_person"])
def test_retry_starts_anew(connection: Connection, state: str) -> None:
    operation = add(connection, state=state, attempts=5, reason="rejected")
    again = verbs.retry(operation.pk, who=OLGA)
    assert (again.state, again.attempts, again.reason, again.redrive_no) == ("pending", 0, "", 1)
    assert verbs_of_audit() == [("retry", "olga", "because")]


def test_retry_pressed_twice_is_once(connection: Connection) -> None:
    operation = add(connection, state="dead")
    verbs.retry(operation.pk, who=OLGA)
    verbs.retry(operation.pk, who=OLGA)
    assert Operation.objects.get().redrive_no == 1
    assert len(verbs_of_audit()) == 1


def test_retry_keeps_the_doubt(connection: Connection) -> None:
    operation = add(connection, state="needs_person", in_doubt=True, sent_ms=5)
    again = verbs.retry(operation.pk, who=OLGA)
    assert (again.in_doubt, again.sent_ms) == (True, 5)


def test_cancel_ends_what_was_not_sent(connection: Connection) -> None:
    operation = add(connection)
    assert verbs.cancel(operation.pk, who=OLGA).state == "cancelled"


def test_cancel_of_a_leased_one_is_a_request(connection: Connection) -> None:
    operation = add(connection, state="leased", lease_until_ms=10**14)
    after = verbs.cancel(operation.pk, who=OLGA)
    assert (after.state, after.cancel_requested) == ("leased", True)
    verbs.cancel(operation.pk, who=OLGA)
    assert len(verbs_of_audit()) == 1


def test_cancel_is_refused_for_what_may_have_arrived(connection: Connection) -> None:
    operation = add(connection, state="unknown", in_doubt=True)
    with pytest.raises(ValidationError, match="may have reached"):
        verbs.cancel(operation.pk, who=OLGA)
    assert verbs_of_audit() == []


def test_it_arrived_links_the_record(connection: Connection) -> None:
    operation = add(connection, state="needs_person", in_doubt=True)
    after = verbs.answer_arrived(operation.pk, " ext-7 ", who=OLGA)
    assert (after.state, after.in_doubt) == ("succeeded", False)
    assert ExternalRef.objects.get().external_id == "ext-7"
    assert verbs_of_audit() == [("answer_arrived", "olga", "ext-7")]


def test_it_arrived_needs_an_id(connection: Connection) -> None:
    operation = add(connection, state="needs_person")
    with pytest.raises(ValidationError) as caught:
        verbs.answer_arrived(operation.pk, " ", who=OLGA)
    assert list(caught.value.message_dict) == ["external_id"]


def test_it_arrived_refuses_a_record_that_is_anothers(connection: Connection) -> None:
    ExternalRef.objects.create(
        connection=connection, entity_type="contact", entity_id=99, resource="contact", external_id="ext-7"
    )
    operation = add(connection, state="needs_person")
    with pytest.raises(ValidationError, match="linked to another"):
        verbs.answer_arrived(operation.pk, "ext-7", who=OLGA)


def test_it_arrived_lets_the_waiting_go_on(connection: Connection) -> None:
    first = add(connection, state="needs_person")
    second = add(connection, 2, blockers=1)
    OperationDependency.objects.create(operation=second, needs=first)
    verbs.answer_arrived(first.pk, "ext-7", who=OLGA)
    second.refresh_from_db()
    assert second.blockers == 0


def test_it_did_not_arrive_clears_the_doubt(connection: Connection) -> None:
    operation = add(connection, state="needs_person", in_doubt=True)
    after = verbs.answer_not_arrived(operation.pk, who=OLGA)
    assert (after.state, after.in_doubt) == ("pending", False)


@pytest.mark.parametrize("state", ["pending", "succeeded", "leased"])
def test_answers_to_no_question_change_nothing(connection: Connection, state: str) -> None:
    lease = 10**14 if state == "leased" else None
    operation = add(connection, state=state, lease_until_ms=lease)
    verbs.answer_arrived(operation.pk, "x", who=OLGA)
    verbs.answer_not_arrived(operation.pk, who=OLGA)
    verbs.retry(operation.pk, who=OLGA)
    operation.refresh_from_db()
    assert operation.state == state
    assert verbs_of_audit() == []


def test_going_on_without_a_dead_predecessor(connection: Connection) -> None:
    dead, waiting = add(connection, state="dead"), add(connection, 2, blockers=1)
    OperationDependency.objects.create(operation=waiting, needs=dead)
    assert verbs.skip_predecessors(waiting.pk, who=OLGA).blockers == 0
    assert verbs.skip_predecessors(waiting.pk, who=OLGA).blockers == 0
    assert len(verbs_of_audit()) == 1


def test_a_predecessor_that_may_have_arrived_cannot_be_skipped(connection: Connection) -> None:
    dead, waiting = add(connection, state="dead", in_doubt=True), add(connection, 2, blockers=1)
    OperationDependency.objects.create(operation=waiting, needs=dead)
    with pytest.raises(ValidationError, match="look it up first"):
        verbs.skip_predecessors(waiting.pk, who=OLGA)


def test_skipping_does_not_touch_a_predecessor_still_at_work(connection: Connection) -> None:
    open_one, waiting = add(connection), add(connection, 2, blockers=1)
    OperationDependency.objects.create(operation=waiting, needs=open_one)
    assert verbs.skip_predecessors(waiting.pk, who=OLGA).blockers == 1


def test_a_person_answering_a_lost_create_ends_in_one_appointment(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match={"method": "POST", "path": "/calendars"})
    tour = make_tour(tomorrow)
    crm.sync(tour)
    Operation.objects.filter(kind="appointment.sync").update(state="needs_person")
    verbs.answer_arrived(crm.operation().pk, crm.appointments()[0][1], who=OLGA)
    crm.settle_doubt()
    crm.drain()
    assert [op for op, _ in crm.appointments()] == ["create"]
