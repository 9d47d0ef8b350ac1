"""What waits and what a person may do about it, over the API."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.models import AuditEvent, Connection, ExternalRef, Operation, Tour
from tests.factories import AttemptFactory, OperationDependencyFactory, OperationFactory
from tests.integrations.api.asking import Asking, fields


@pytest.fixture
def dead(tour: Tour, connection: Connection) -> Operation:
    made: Operation = OperationFactory(
        connection=connection, entity_id=tour.stops.get().pk, state="dead", reason="rejected", due_ms=1_789_421_405_000
    )
    return made


def test_one_operation_tells_its_story(api: Asking, dead: Operation) -> None:
    AttemptFactory(operation=dead, outcome="rejected", status=422, started_ms=1_789_421_405_000)
    told = api.get(f"/api/operations/{dead.pk}").json()
    assert (told["state"], told["state_words"], told["reason_words"]) == ("dead", "Failed", "The CRM refused it")
    assert (told["due_at"], told["actions"]) == ("2026-09-14T21:30:05+00:00", ["retry"])
    assert [(one["status"], one["outcome"]) for one in told["tries"]] == [(422, "rejected")]


def test_a_retry_is_done_once_and_audited(api: Asking, dead: Operation) -> None:
    assert api.post(f"/api/operations/{dead.pk}/retry", {"reason": "mended"}).json()["state"] == "pending"
    again = api.post(f"/api/operations/{dead.pk}/retry")
    assert (again.status_code, again.json()["detail"]) == (
        409,
        "“Retry” does not apply: the operation is “waiting its turn” now.",
    )
    assert list(AuditEvent.objects.filter(verb="retry").values_list("reason", "via")) == [("mended", "api")]


def test_cancel_and_what_may_have_arrived(api: Asking, dead: Operation) -> None:
    Operation.objects.update(state="pending", reason="")
    assert api.post(f"/api/operations/{dead.pk}/cancel").json()["state"] == "cancelled"
    Operation.objects.update(state="unknown", in_doubt=True)
    assert api.post(f"/api/operations/{dead.pk}/cancel").status_code == 409
    assert Operation.objects.get().state == "unknown"


def test_it_arrived_needs_its_id(api: Asking, dead: Operation) -> None:
    Operation.objects.update(state="needs_person", reason="no_look_up")
    at = f"/api/operations/{dead.pk}/arrived"
    for body in ({}, {"external_id": " "}, {"external_id": 3}, {"external_id": "x" * 121}):
        answer = api.post(at, body)
        assert (answer.status_code, list(fields(answer))) == (400, ["external_id"])
    assert api.post(at, {"external_id": "appt_9"}).json()["state"] == "succeeded"
    assert ExternalRef.objects.get().external_id == "appt_9"


def test_it_did_not_arrive(api: Asking, dead: Operation) -> None:
    Operation.objects.update(state="needs_person", reason="no_look_up")
    assert api.post(f"/api/operations/{dead.pk}/not-arrived").json()["state"] == "pending"


def test_going_on_without_what_failed(api: Asking, dead: Operation, connection: Connection) -> None:
    waits = OperationFactory(connection=connection, entity_id=77, blockers=1)
    OperationDependencyFactory(operation=waits, needs=dead)
    told = api.get(f"/api/operations/{waits.pk}").json()
    assert (told["blocked_by"], told["actions"]) == ([str(dead.pk)], ["skip", "cancel"])
    assert api.post(f"/api/operations/{waits.pk}/skip").json()["blocked_by"] == []


def test_operations_are_filtered(api: Asking, dead: Operation, connection: Connection) -> None:
    waits = OperationFactory(connection=connection, entity_id=5, kind="contact.link", entity_type="contact")
    for query, wanted in (
        ("state=dead", dead), ("state=open", waits), ("kind=contact.link", waits), ("reason=rejected", dead),
        (f"entity_type=stop&entity_id={dead.entity_id}", dead),
    ):  # fmt: skip
        answer = api.get(f"/api/operations?{query}")
        assert [row["id"] for row in answer.json()["results"]] == [str(wanted.pk)], query
    assert len(api.get(f"/api/operations?connection={connection.pk}").json()["results"]) == 2


@pytest.mark.parametrize("rows", [2, 25])
def test_the_list_asks_a_fixed_number_of_questions(
    api: Asking, rows: int, connection: Connection, django_assert_max_num_queries: Any
) -> None:
    for number in range(rows):
        needs = OperationFactory(connection=connection, entity_id=1000 + number, state="dead")
        OperationDependencyFactory(
            operation=OperationFactory(connection=connection, entity_id=number, blockers=1), needs=needs
        )
    with django_assert_max_num_queries(7):
        assert len(api.get("/api/operations?limit=200").json()["results"]) == 2 * rows


def test_what_waits_says_when_its_turn_comes(api: Asking, connection: Connection) -> None:
    first, second = OperationFactory(connection=connection), OperationFactory(connection=connection, due_ms=1)
    told = api.get(f"/api/operations/{second.pk}").json()
    assert (told["not_before"], told["ahead"]) == ("1970-01-01T00:00:00.001000+00:00", 1)
    assert told["expected_at"] > told["created_at"]
    Operation.objects.filter(pk=first.pk).update(state="succeeded")
    done = api.get(f"/api/operations/{first.pk}").json()
    assert (done["not_before"], done["expected_at"], done["ahead"]) == (None, None, None)
