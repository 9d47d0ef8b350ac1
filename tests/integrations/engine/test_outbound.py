"""What one operation does at the CRM and in the database, step by step, against the sandbox over real HTTP."""

from __future__ import annotations

from datetime import datetime

import pytest

from integrations.engine import claims, outbound
from integrations.engine.claims import LeaseLost
from integrations.models import (
    Attempt,
    AuditEvent,
    Connection,
    ConnectionState,
    Contact,
    ExternalRef,
    GateMode,
    Operation,
    State,
)
from integrations.operations import operations as verbs
from integrations.operations.audit import Who
from tests.crm import Crm, make_tour, move

POST_APPOINTMENT = {"method": "POST", "path": "/calendars/events/appointments"}
STAFF = Who("olga", "admin")


@pytest.fixture
def synced(crm: Crm, tomorrow: datetime) -> Crm:
    """A tour of one stop that stands in the CRM; the journal's earlier lines are of no interest."""
    crm.tour = make_tour(tomorrow)  # type: ignore[attr-defined]
    crm.stop = crm.tour.stops.get()  # type: ignore[attr-defined]
    crm.sync(crm.tour)  # type: ignore[attr-defined]
    crm.seen = len(crm.requests())  # type: ignore[attr-defined]
    return crm


# --- the plain way ------------------------------------------------------------------------------------------------


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
    assert len(synced.requests()) == synced.seen + 1


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


# --- lost answers -------------------------------------------------------------------------------------------------


def test_a_lost_answer_is_unknown_and_in_doubt(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    operation = crm.operation()
    assert (operation.state, operation.reason, operation.in_doubt, operation.attempts) == (
        "unknown", "answer_lost", True, 1,
    )  # fmt: skip


def test_a_lost_answer_is_looked_up_and_not_sent_again(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    tour = make_tour(tomorrow)
    crm.sync(tour)
    crm.settle_doubt()
    crm.drain()
    assert [op for op, _ in crm.appointments()] == ["create"]
    assert crm.ref(tour.stops.get()).external_id == crm.appointments()[0][1]
    assert crm.operation().state == "succeeded"


def test_nothing_is_asked_before_the_answer_must_have_settled(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    seen = len(crm.requests())
    crm.pass_time(10)
    crm.drain()
    assert len(crm.requests()) == seen


def test_a_request_lost_on_its_way_is_sent_again_after_a_look(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_before_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    assert crm.operation().state == "unknown"
    crm.settle_doubt()
    crm.drain()
    paths = [(row["method"], row["path"].rsplit("/", 1)[-1]) for row in crm.requests()][-3:]
    assert paths == [("POST", "appointments"), ("GET", "appointments"), ("POST", "appointments")]
    assert [op for op, _ in crm.appointments()] == ["create"]


@pytest.mark.parametrize("status", [500, 502, 504])
def test_an_answer_that_says_nothing_is_doubt(crm: Crm, tomorrow: datetime, status: int) -> None:
    crm.sandbox.faults("status", status=status, match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    assert (crm.operation().state, crm.operation().in_doubt) == ("unknown", True)


def test_a_garbled_answer_is_doubt_and_one_effect(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("garbled", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    assert (crm.operation().state, crm.operation().in_doubt) == ("unknown", True)
    crm.settle_doubt()
    crm.drain()
    assert [op for op, _ in crm.appointments()] == ["create"]
    assert crm.operation().state == "succeeded"


def test_a_to_b_to_a_while_the_answer_to_b_is_lost_ends_at_a(synced: Crm) -> None:
    start = synced.stop.appointment_start
    synced.sandbox.faults("drop_after_effect", match={"method": "PUT"})
    move(synced.stop, 30)
    synced.sync(synced.tour)
    move(synced.stop, -30)
    synced.sync(synced.tour)
    assert synced.operation().blockers == 1, "A waits for what became of B"
    synced.settle_doubt()
    synced.drain()
    last = [row["body"]["startTime"] for row in synced.requests("PUT")][-1]
    assert datetime.fromisoformat(last) == start
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}
    assert len(synced.appointments()) == 3


def test_a_failed_look_keeps_the_doubt(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    crm.settle_doubt()
    crm.sandbox.faults("status", status=503, match={"method": "GET"})
    crm.drain()
    operation = crm.operation()
    assert (operation.state, operation.in_doubt, operation.attempts) == ("unknown", True, 2)


def test_two_matches_ask_a_person(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    tour = make_tour(tomorrow)
    crm.sync(tour)
    sent = next(row["body"] for row in crm.requests("POST") if row["path"].endswith("/appointments"))
    crm.post_appointment(sent)
    crm.settle_doubt()
    crm.drain()
    assert (crm.operation().state, crm.operation().reason) == ("needs_person", "two_matches")


def test_attempts_used_up_in_doubt_ask_a_person_and_never_send_again(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    Operation.objects.filter(kind="appointment.sync").update(attempts=4)
    crm.settle_doubt()
    crm.sandbox.faults("status", status=500, match={"method": "GET"})
    crm.drain()
    assert (crm.operation().state, crm.operation().reason) == ("needs_person", "attempts_used_up")


# --- definite answers ---------------------------------------------------------------------------------------------


def test_503_is_tried_again_with_backoff(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("status", status=503, match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    operation = crm.operation()
    assert (operation.state, operation.in_doubt, operation.attempts) == ("retryable", False, 1)
    crm.pass_time(60)
    crm.drain()
    assert [op for op, _ in crm.appointments()] == ["create"]


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


def test_a_record_gone_there_clears_the_link_and_waits_for_a_person(synced: Crm) -> None:
    synced.sandbox.faults("status", status=404, match={"method": "PUT"})
    move(synced.stop, 30)
    synced.sync(synced.tour)
    ref = synced.ref(synced.stop)
    assert (synced.operation().state, synced.operation().reason) == ("dead", "gone_at_provider")
    assert (ref.external_id, ref.acked_digest) == (None, None)
    assert ref.gone_at is not None


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


# --- the gate -----------------------------------------------------------------------------------------------------


def test_a_used_up_limit_makes_the_rest_wait_without_asking(crm: Crm, tomorrow: datetime) -> None:
    Connection.objects.update(limit_overrides={"burst": 3})
    crm.connection.refresh_from_db()
    crm.sync(make_tour(tomorrow, stops=3))
    assert len(crm.requests()) == 3  # two searches and the contact
    crm.connection.refresh_from_db()
    assert crm.connection.hold_reason == "rate_limited"
    assert set(Operation.objects.filter(kind="appointment.sync").values_list("attempts", flat=True)) == {0}


def test_three_failures_open_the_circuit_and_refund_the_attempt(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("status", status=503, times=None)
    tours = [make_tour(tomorrow) for _ in range(3)]
    crm.sync(*tours)
    links = Operation.objects.filter(kind="contact.link")
    assert len(crm.requests()) == 3
    assert sorted(links.values_list("attempts", flat=True)) == [0, 1, 1]
    crm.connection.refresh_from_db()
    assert (crm.connection.hold_reason, crm.connection.breaker["state"]) == ("circuit_open", "open")


def test_without_redis_nothing_is_sent_and_operations_stay(crm: Crm, tomorrow: datetime) -> None:
    crm.redis.freeze()
    try:
        crm.sync(make_tour(tomorrow))
    finally:
        crm.redis.thaw()
    assert crm.requests() == []
    assert set(Operation.objects.values_list("state", "attempts", "in_doubt")) == {("pending", 0, False)}
    assert GateMode.objects.get().mode == "away"
    crm.pass_time(5)
    crm.drain()
    assert [op for op, _ in crm.appointments()] == ["create"]
    assert GateMode.objects.get().mode == "normal"


def test_after_redis_forgot_nothing_is_sent_until_the_window_has_passed(crm: Crm, tomorrow: datetime) -> None:
    crm.redis.wipe()
    crm.sync(make_tour(tomorrow))
    assert crm.requests() == []
    crm.connection.refresh_from_db()
    assert crm.connection.hold_reason == "gate_cold"


# --- leases and people --------------------------------------------------------------------------------------------


def test_a_worker_that_lost_its_lease_does_not_send(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))

    def steal(point: str) -> None:
        if point == "after_claim":
            Operation.objects.filter(state=State.LEASED).update(token=99)

    crm.engine.observe = steal
    crm.drain()
    assert crm.writes() == 0
    assert crm.operation("contact.link").state == "leased"


def test_too_little_lease_left_sends_nothing_and_hands_back(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    crm.engine.lease_s = 24.0
    outbound.drain(crm.engine, crm.connection.pk)
    operation = crm.operation("contact.link")
    assert crm.writes() == 0
    assert (operation.state, operation.in_doubt, operation.attempts) == ("pending", False, 0)


def test_a_cancel_asked_while_leased_is_honoured_before_the_write(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    link = crm.operation("contact.link")

    def press(point: str) -> None:
        if point == "after_claim":
            verbs.cancel(link.pk, who=STAFF)

    crm.engine.observe = press
    crm.drain()
    link.refresh_from_db()
    assert (link.state, link.reason) == ("cancelled", "by_person")
    assert crm.writes() == 0


def test_a_late_answer_only_adds_to_the_attempt(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))

    def take_over(point: str) -> None:
        if point == "after_answer":
            Operation.objects.filter(state=State.LEASED).update(token=99)
            Attempt.objects.update(outcome="worker_lost", ended_ms=1)

    crm.engine.observe = take_over
    outbound.drain(crm.engine, crm.connection.pk)
    attempt = Attempt.objects.get()
    assert attempt.message.startswith("late answer: understood")
    assert ExternalRef.objects.get(entity_type="contact").external_id is None


def test_a_defect_of_ours_keeps_the_others_going(crm: Crm, tomorrow: datetime) -> None:
    first, second = make_tour(tomorrow), make_tour(tomorrow)
    crm.plan(first, second)
    Contact.objects.filter(pk=first.buyer_id).update(email="", phone="+19165559999")
    bad = Operation.objects.get(kind="contact.link", entity_id=first.buyer_id)
    Operation.objects.filter(pk=bad.pk).update(entity_id=987_654)
    crm.drain()
    bad.refresh_from_db()
    assert (bad.state, bad.reason, bad.message) == ("retryable", "defect", "DoesNotExist in our own code")
    assert [op for op, _ in crm.appointments()] == ["create"]


def test_a_second_local_contact_of_the_same_person_asks_a_person(synced: Crm, tomorrow: datetime) -> None:
    old = synced.tour.buyer
    twin = Contact.objects.create(first_name=old.first_name, last_name=old.last_name, email=old.email, phone=old.phone)
    synced.sync(make_tour(tomorrow, buyer=twin))
    link = Operation.objects.get(kind="contact.link", entity_id=twin.pk)
    assert (link.state, link.reason) == ("needs_person", "mapped_elsewhere")
    assert [row["op"] for row in synced.sandbox.effects("contact")] == ["create"]


def test_an_existing_person_is_linked_and_not_overwritten(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    known = crm.post_contact(firstName="bea", lastName=tour.buyer.last_name, email=tour.buyer.email)
    crm.sync(tour)
    assert ExternalRef.objects.get(entity_type="contact").external_id == known
    assert [row["op"] for row in crm.sandbox.effects("contact")] == ["create"]
    assert crm.operation("contact.link").reason == "already_there"


def test_a_dead_version_is_superseded_by_a_newer_one(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("status", status=422, body={"message": "no"}, match=POST_APPOINTMENT)
    tour = make_tour(tomorrow)
    crm.sync(tour)
    assert crm.operation().state == "dead"
    move(tour.stops.get(), 30)
    crm.sync(tour)
    assert list(Operation.objects.filter(kind="appointment.sync").order_by("pk").values_list("state", flat=True)) == [
        "superseded",
        "succeeded",
    ]


def test_a_version_that_dies_while_a_newer_one_waits_gives_way(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    crm.sandbox.faults("status", status=422, body={"message": "no"}, match={"method": "PUT"})
    move(tour.stops.get(), 30)
    crm.plan(tour)

    def change_again(point: str) -> None:
        if point == "after_claim" and crm.operation().version == 2:
            move(tour.stops.get(), 30)
            crm.plan(tour)

    crm.engine.observe = change_again
    crm.drain()
    assert list(Operation.objects.filter(kind="appointment.sync").order_by("pk").values_list("state", flat=True)) == [
        "succeeded",
        "superseded",
        "succeeded",
    ]


def test_a_dead_link_blocks_visibly_until_a_person_retries(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("status", status=422, body={"message": "no"}, match={"method": "POST", "path": "/contacts/"})
    crm.sync(make_tour(tomorrow))
    assert (crm.operation("contact.link").state, crm.operation().blockers) == ("dead", 1)
    verbs.retry(crm.operation("contact.link").pk, who=STAFF)
    crm.drain()
    assert crm.operation().state == "succeeded"


def test_claims_of_a_paused_connection_are_empty(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    Connection.objects.update(state=ConnectionState.PAUSED)
    assert claims.claim(crm.connection.pk, "me", 20, 60_000, 0.0) == []


def test_marking_sent_without_the_row_raises_and_writes_nothing(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    (claimed,) = claims.claim(crm.connection.pk, "me", 20, 60_000, 0.0)
    Operation.objects.filter(pk=claimed.operation.pk).update(token=5)
    ref = ExternalRef.objects.create(
        connection=crm.connection, entity_type="contact", entity_id=claimed.operation.entity_id, resource="contact"
    )
    with pytest.raises(LeaseLost):
        claims.mark_sent(claimed, ref=ref, version=1, digest="d", started_ms=1)
    assert Attempt.objects.count() == 0


def test_a_secret_the_provider_echoes_is_not_kept(crm: Crm, tomorrow: datetime) -> None:
    body = {"message": "key pit-demo-token is not for this, Authorization: Bearer abc.def"}
    crm.sandbox.faults("status", status=422, body=body, match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    assert crm.operation().message == "key ••• is not for this, Authorization: Bearer •••"
    assert Attempt.objects.get(operation=crm.operation()).message == crm.operation().message


def test_a_refused_key_is_on_record(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.account(token="pit-another")
    crm.sync(make_tour(tomorrow))
    event = AuditEvent.objects.get(verb="auth_needed")
    assert (event.via, event.object_id) == ("system", crm.connection.pk)
