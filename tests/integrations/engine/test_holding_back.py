"""When nothing may be sent: the gate, the lease, a person, a defect of ours."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.db import connection as database

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


def test_a_key_given_while_the_old_one_was_refused_is_tried(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.account(token="pit-new-token")
    crm.plan(make_tour(tomorrow))

    def sign_in(point: str) -> None:
        if point == "before_success_commit" and Connection.objects.get().secrets_version == 1:
            Connection.objects.update(secrets={"token": "pit-new-token"}, secrets_version=2)

    crm.engine.observe = sign_in
    crm.drain()
    crm.connection.refresh_from_db()
    assert crm.connection.state == ConnectionState.ACTIVE
    assert [op for op, _ in crm.appointments()] == ["create"]


def test_credentials_that_cannot_be_decrypted_ask_for_a_person(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    with database.cursor() as cursor:
        cursor.execute("UPDATE integrations_connection SET secrets = %s", [b"not a token"])
    assert crm.drain() == 0
    row = Connection.objects.defer("secrets").get()
    assert (row.state, "FERNET_KEYS" in row.state_reason) == (ConnectionState.AUTH_NEEDED, True)
    assert crm.requests() == []


@pytest.mark.parametrize(
    "broken", [{"provider": "nobody"}, {"limit_overrides": {"nothing": 5}}, {"limit_overrides": {"burst": "many"}}]
)
def test_a_connection_that_cannot_be_opened_asks_for_a_person_and_claims_nothing(
    crm: Crm, tomorrow: datetime, broken: dict[str, object]
) -> None:
    crm.plan(make_tour(tomorrow))
    Connection.objects.update(**broken)
    assert crm.drain() == 0
    row = Connection.objects.get()
    assert row.state == ConnectionState.AUTH_NEEDED
    assert row.state_reason.startswith("This connection cannot be used: ")
    assert set(Operation.objects.values_list("state", "attempts")) == {("pending", 0)}
