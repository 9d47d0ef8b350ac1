"""What waits and what a person may do about it, over the API."""

from __future__ import annotations

from datetime import UTC, datetime
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


def test_a_verb_is_done_only_on_what_the_caller_saw(api: Asking, dead: Operation) -> None:
    at = f"/api/operations/{dead.pk}"
    tag = api.get(at)["ETag"]
    done = api.post(f"{at}/retry", If_Match=tag)
    assert (done.status_code, api.post(f"{at}/cancel", If_Match=tag).status_code) == (200, 412)
    assert Operation.objects.get().state == "pending"
    assert api.post(f"{at}/cancel", If_Match=done["ETag"]).json()["state"] == "cancelled"


def test_ours_is_sent_over_theirs_or_theirs_is_kept(api: Asking, dead: Operation) -> None:
    Operation.objects.update(state="needs_person", reason="changed_at_provider")
    at = f"/api/operations/{dead.pk}"
    told = api.get(at).json()
    assert (told["actions"], [one["danger"] for one in told["choices"]]) == (
        ["send-ours", "keep-theirs"], [True, False],
    )  # fmt: skip
    assert api.post(f"{at}/retry").status_code == 409
    kept = api.post(f"{at}/keep-theirs", {"reason": "they are right"}).json()
    assert (kept["state"], kept["reason"]) == ("cancelled", "kept_theirs")
    Operation.objects.update(state="needs_person", reason="changed_at_provider")
    assert api.post(f"{at}/send-ours").json()["state"] == "pending"
    trail = AuditEvent.objects.filter(object_type="operation").order_by("id").values_list("verb", "reason")
    assert list(trail) == [("keep_theirs", "they are right"), ("send_ours", "")]


def test_it_says_what_waits_for_it(api: Asking, dead: Operation, connection: Connection) -> None:
    waits = OperationFactory(connection=connection, entity_id=77, blockers=1)
    OperationDependencyFactory(operation=waits, needs=dead)
    assert api.get(f"/api/operations/{dead.pk}").json()["holds_up"] == [str(waits.pk)]


def test_operations_of_a_tour_due_or_changed_in_a_span(api: Asking, dead: Operation, tour: Tour) -> None:
    other = OperationFactory(connection=dead.connection, entity_id=999, due_ms=1_789_421_500_000)
    buyers = OperationFactory(
        connection=dead.connection, entity_type="contact", entity_id=tour.buyer_id, kind="contact.link", due_ms=5_000
    )
    Operation.objects.filter(pk=other.pk).update(updated_at=datetime(2090, 1, 1, tzinfo=UTC))
    for query, wanted in (
        (f"tour={tour.pk}", [buyers, dead]),
        ("due_after=2026-09-14T21:30:05Z", [other, dead]),
        ("due_after=2026-09-14T21:30:06Z", [other]),
        ("due_before=2026-09-14T21:30:05Z", [buyers]),
        ("updated_since=2089-01-01T00:00Z", [other]),
    ):
        rows = api.get(f"/api/operations?{query}").json()["results"]
        assert [row["id"] for row in rows] == [str(one.pk) for one in wanted], query


def test_what_the_engine_does_to_a_row_shows_when(dead: Operation) -> None:
    old = datetime(2026, 1, 1, tzinfo=UTC)
    Operation.objects.filter(pk=dead.pk).update(updated_at=old)
    Operation.objects.filter(pk=dead.pk).update(state="pending")
    assert Operation.objects.get().updated_at > old
