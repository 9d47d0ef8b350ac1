"""What one operation does at the CRM and in the database, against the sandbox over real HTTP."""

from __future__ import annotations

import time
from datetime import datetime

from integrations.models import (
    Attempt,
    ConnectionState,
    Operation,
)
from integrations.operations.audit import Who
from tests.crm import Crm, make_tour, move

POST_APPOINTMENT = {"method": "POST", "path": "/calendars/events/appointments"}
STAFF = Who("olga", "admin")


def test_a_new_stop_becomes_one_contact_and_one_appointment(crm: Crm, tomorrow: datetime) -> None:
    crm.sync(make_tour(tomorrow))
    assert [(row["kind"], row["op"]) for row in crm.sandbox.effects()] == [
        ("contact", "create"),
        ("appointment", "create"),
    ]
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}


def test_the_appointment_waits_for_its_contact(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    assert crm.operation().blockers == 1
    crm.drain()
    assert crm.operation().blockers == 0


def test_the_ref_holds_what_was_acknowledged(synced: Crm) -> None:
    ref = synced.ref(synced.stop)
    attempt = Attempt.objects.get(operation=synced.operation())
    assert (ref.external_id, ref.acked_version, ref.acked_digest) == (
        synced.appointments()[0][1],
        1,
        attempt.digest,
    )


def test_nobody_is_notified(synced: Crm) -> None:
    bodies = [row["body"] for row in synced.requests("POST") if row["path"].endswith("/appointments")]
    assert [body["toNotify"] for body in bodies] == [False]


def test_planning_again_writes_nothing(synced: Crm) -> None:
    assert synced.plan(synced.tour) == []
    assert len(synced.requests()) == synced.seen


def test_a_moved_stop_is_one_update(synced: Crm) -> None:
    move(synced.stop, 30)
    synced.sync(synced.tour)
    assert [op for op, _ in synced.appointments()] == ["create", "update"]
    # What stands there is read once, so that nobody's change is written over.
    assert [row["method"] for row in synced.requests()[synced.seen :]] == ["GET", "PUT"]


def test_a_version_that_changes_nothing_there_sends_nothing(synced: Crm) -> None:
    synced.stop.version += 1
    synced.stop.access_instructions = "key under the mat"
    synced.stop.save()
    synced.sync(synced.tour)
    assert (synced.operation().state, synced.operation().reason) == ("succeeded", "no_change")
    assert len(synced.requests()) == synced.seen


def test_a_cancelled_stop_is_cancelled_there_once(synced: Crm) -> None:
    synced.stop.appointment_status, synced.stop.version = "cancelled", 2
    synced.stop.save()
    synced.sync(synced.tour)
    synced.sync(synced.tour)
    bodies = [row["body"]["appointmentStatus"] for row in synced.requests("PUT")]
    assert bodies == ["cancelled"]


def test_a_stop_cancelled_before_it_was_sent_makes_no_request(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.plan(tour)
    stop = tour.stops.get()
    stop.appointment_status, stop.version = "cancelled", 2
    stop.save()
    crm.sync(tour)
    assert crm.appointments() == []
    stops = Operation.objects.filter(kind="appointment.sync").order_by("pk")
    assert list(stops.values_list("version", "state", "reason")) == [
        (1, "superseded", "newer_version"),
        (2, "succeeded", "nothing_to_do"),
    ]  # fmt: skip


def test_what_is_sent_is_what_is_true_at_claim_time(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.plan(tour)
    move(tour.stops.get(), 15)
    crm.drain()
    assert crm.ref(tour.stops.get()).acked_version == 2
    crm.sync(tour)
    assert [op for op, _ in crm.appointments()] == ["create"]
    assert crm.operation().reason == "no_change"


def test_a_drain_whose_claim_took_longer_than_its_quantum_works_one_all_the_same(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=3)
    crm.plan(tour)
    assert crm.drain_once() == 1, "the buyer is linked"
    late = [0.0]
    crm.engine.monotonic = lambda: time.monotonic() + late[0]

    def claim_slowly(point: str) -> None:
        late[0] += 3.0 if point == "after_claim" else 0.0

    crm.engine.observe = claim_slowly
    assert [crm.drain_once() for _ in range(4)] == [1, 1, 1, 0]


def test_a_refused_request_is_dead_with_the_providers_words(crm: Crm, tomorrow: datetime) -> None:
    body = {"statusCode": 422, "message": ["startTime must be a date"], "error": "Unprocessable Entity"}
    crm.sandbox.faults("status", status=422, body=body, match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    operation = crm.operation()
    assert (operation.state, operation.reason, operation.message) == ("dead", "rejected", "startTime must be a date")


def test_five_definite_failures_are_the_end(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("status", status=408, times=None, match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    for _ in range(10):
        crm.pass_time(700)
        crm.drain()
    operation = crm.operation()
    assert (operation.state, operation.reason, operation.attempts) == ("dead", "attempts_used_up", 5)


def test_429_holds_the_connection_and_uses_no_attempt(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("rate_limited", retry_after=30, match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow, stops=2))
    assert sorted(Operation.objects.filter(kind="appointment.sync").values_list("state", "attempts")) == [
        ("pending", 0),
        ("waiting", 0),
    ]
    crm.connection.refresh_from_db()
    assert crm.connection.hold_reason == "rate_limited"
    assert crm.drain() == 0


def test_a_refused_key_stops_the_connection_and_asks_for_a_person(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.account(token="pit-another")
    crm.sync(make_tour(tomorrow))
    crm.connection.refresh_from_db()
    assert crm.connection.state == ConnectionState.AUTH_NEEDED
    assert (crm.operation("contact.link").state, crm.operation("contact.link").attempts) == ("pending", 0)
    seen = len(crm.requests())
    assert crm.drain() == 0
    assert len(crm.requests()) == seen


def test_no_secret_reaches_an_attempt_or_an_operation(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("status", status=400, body={"message": "bad"}, match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    stories = [*Attempt.objects.values_list("message", flat=True), *Operation.objects.values_list("message", flat=True)]
    assert not any("pit-demo-token" in story for story in stories)
