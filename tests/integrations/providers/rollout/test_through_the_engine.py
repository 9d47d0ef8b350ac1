"""Tours to Rollout through the whole engine: real rows, real gate, real HTTP; the sandbox's journal is the judge."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations import gateway, wiring
from integrations.engine.clock import db_now
from integrations.models import Attempt, Connection, ExternalRef, LookupCursor, LookupEntry, Operation, Tour, TourStop
from integrations.operations import tours
from integrations.operations.audit import Who
from integrations.operations.feedback import save_feedback
from integrations.operations.operations import retry
from integrations.operations.validation import FeedbackInput
from integrations.providers.rollout import index
from tests.crm import Crm, make_connection, make_rollout_connection, make_tour, move
from tests.rollout_client import RolloutCrm
from tests.sandbox_server import ROLLOUT_CREDENTIAL, ROLLOUT_SECRET

SETTLE_S = 60
SAID_AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)


@pytest.fixture
def crm(rollout_crm: Crm) -> Crm:
    """A connected, empty CRM behind Rollout."""
    return rollout_crm


def fault(crm: Crm, kind: str, method: str, path: str, **options: Any) -> None:
    crm.sandbox.faults(kind, provider="rollout", match={"method": method, "path": f"/api{path}"}, **options)


def effects(crm: Crm) -> list[tuple[str, str]]:
    return [(row["kind"], row["op"]) for row in crm.sandbox.effects()]


def states() -> Counter[tuple[str, str]]:
    return Counter(Operation.objects.values_list("kind", "state"))


def settle(crm: Crm) -> None:
    """A lost answer must have shown by now."""
    crm.pass_time(SETTLE_S)
    crm.drain()


def cancel(stop: TourStop, status: str = "cancelled") -> None:
    stop.appointment_status = status
    stop.version += 1
    stop.save()


# --- the plain way -------------------------------------------------------------------------------------------------


def test_a_tour_of_two_stops_arrives_once(crm: Crm, tomorrow: datetime) -> None:
    crm.sync(make_tour(tomorrow, stops=2))
    assert states() == {
        ("contact.link", "succeeded"): 1,
        ("appointment_type.link", "succeeded"): 1,
        ("appointment.sync", "succeeded"): 2,
    }
    assert Counter(effects(crm)) == {
        ("contact", "create"): 1,
        ("appointment_type", "create"): 1,
        ("appointment", "create"): 2,
    }
    assert Operation.objects.filter(attempts__gt=1).count() == 0


def test_nothing_is_sent_for_what_stands_already(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=2)
    crm.sync(tour)
    seen = len(crm.requests())
    crm.sync(tour)
    assert len(crm.requests()) == seen


def test_the_next_buyer_costs_one_page_and_one_write(crm: Crm, tomorrow: datetime) -> None:
    crm.sync(make_tour(tomorrow))
    seen = len(crm.requests())
    crm.sync(make_tour(tomorrow))
    assert [(row["method"], row["path"]) for row in crm.requests()[seen:]] == [
        ("GET", "/api/people"),
        ("POST", "/api/people"),
        ("POST", "/api/appointments"),
    ]


def test_the_type_is_planned_once_however_many_tours(crm: Crm, tomorrow: datetime) -> None:
    first, second = make_tour(tomorrow), make_tour(tomorrow)
    crm.plan(first)
    crm.plan(second)
    kinds = Counter(Operation.objects.values_list("kind", flat=True))
    assert kinds == {"contact.link": 2, "appointment_type.link": 1, "appointment.sync": 2}
    assert set(Operation.objects.filter(kind="appointment.sync").values_list("blockers", flat=True)) == {2}


def test_a_crm_that_can_be_searched_gets_no_type(crm: Crm, tomorrow: datetime) -> None:
    make_connection(account_key="loc_other")
    crm.plan(make_tour(tomorrow))
    assert Operation.objects.get(connection__provider="gohighlevel", kind="appointment.sync").blockers == 1
    assert not Operation.objects.filter(connection__provider="gohighlevel", kind="appointment_type.link").exists()


def test_a_moved_stop_is_one_update(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    move(tour.stops.get(), 30)
    crm.sync(tour)
    assert [op for kind, op in effects(crm) if kind == "appointment"] == ["create", "update"]


def test_no_buyer_is_written_to(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=2)
    crm.sync(tour)
    move(tour.stops.earliest("sequence"), 30)
    crm.sync(tour)
    assert {effect.get("notified", False) for effect in crm.sandbox.effects()} == {False}


# --- cancelling is deleting ----------------------------------------------------------------------------------------


@pytest.fixture
def synced(crm: Crm, tomorrow: datetime) -> Tour:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    return tour


def test_a_cancelled_stop_is_deleted_and_its_link_ends(crm: Crm, synced: Tour) -> None:
    cancel(synced.stops.get())
    crm.sync(synced)
    assert [op for kind, op in effects(crm) if kind == "appointment"] == ["create", "delete"]
    ref = crm.ref(synced.stops.get())
    assert (ref.external_id, ref.acked_version, ref.acked_digest is None) == (None, 2, False)
    assert crm.operation().state == "succeeded"


def test_a_stop_taken_up_again_is_created_again(crm: Crm, synced: Tour) -> None:
    cancel(synced.stops.get())
    crm.sync(synced)
    cancel(synced.stops.get(), "confirmed")
    crm.sync(synced)
    assert [op for kind, op in effects(crm) if kind == "appointment"] == ["create", "delete", "create"]
    assert crm.ref(synced.stops.get()).external_id == crm.sandbox.effects("appointment")[-1]["id"]


def test_a_lost_answer_to_a_delete_is_looked_up_and_not_sent_again(crm: Crm, synced: Tour) -> None:
    fault(crm, "drop_after_effect", "DELETE", f"/appointments/{crm.ref(synced.stops.get()).external_id}")
    cancel(synced.stops.get())
    crm.sync(synced)
    assert (crm.operation().state, crm.operation().in_doubt) == ("unknown", True)
    settle(crm)
    assert [op for kind, op in effects(crm) if kind == "appointment"] == ["create", "delete"]
    assert (crm.operation().state, crm.operation().reason) == ("succeeded", "nothing_to_do")
    assert crm.ref(synced.stops.get()).external_id is None
    cancel(synced.stops.get(), "confirmed")
    crm.sync(synced)
    assert [op for kind, op in effects(crm) if kind == "appointment"] == ["create", "delete", "create"]


def test_a_stop_that_never_stood_and_was_cancelled_sends_nothing(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    cancel(tour.stops.get())
    crm.sync(tour)
    assert crm.sandbox.effects("appointment") == []


def test_a_creation_in_doubt_that_is_cancelled_meanwhile_is_found_and_deleted(crm: Crm, tomorrow: datetime) -> None:
    fault(crm, "drop_after_effect", "POST", "/appointments")
    tour = make_tour(tomorrow)
    crm.sync(tour)
    cancel(tour.stops.get())
    crm.plan(tour)
    settle(crm)
    assert [op for kind, op in effects(crm) if kind == "appointment"] == ["create", "delete"]
    assert crm.ref(tour.stops.get()).external_id is None


# --- doubt ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["drop_after_effect", "drop_before_effect", "garbled"])
def test_a_lost_request_or_answer_for_the_type_ends_in_one_effect(crm: Crm, tomorrow: datetime, lost: str) -> None:
    fault(crm, lost, "POST", "/appointment-types")
    crm.sync(make_tour(tomorrow))
    assert Operation.objects.filter(state="unknown", in_doubt=True).count() == 1
    settle(crm)
    assert Counter(effects(crm))["appointment_type", "create"] == 1
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}


def test_a_lost_answer_is_found_by_the_index_without_a_second_create(crm: Crm, tomorrow: datetime) -> None:
    fault(crm, "drop_after_effect", "POST", "/appointments")
    tour = make_tour(tomorrow)
    crm.sync(tour)
    seen = len(crm.requests())
    settle(crm)
    found = crm.ref(tour.stops.get()).external_id
    assert [(row["method"], row["path"]) for row in crm.requests()[seen:]] == [
        ("GET", "/api/appointments"),
        ("GET", f"/api/appointments/{found}"),
    ]
    assert crm.operation().reason == "already_there"
    assert found == crm.sandbox.effects("appointment")[0]["id"]


def test_every_read_of_a_look_up_is_counted(crm: Crm, tomorrow: datetime) -> None:
    crm.sync(make_tour(tomorrow))
    assert sum(Attempt.objects.values_list("calls", flat=True)) == len(crm.requests())


# --- being told to wait --------------------------------------------------------------------------------------------


def test_data_that_is_not_ready_is_waited_for_without_using_an_attempt(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.rollout(not_ready=2)
    crm.sync(make_tour(tomorrow))
    waiting = Operation.objects.filter(state="waiting", reason="not_ready")
    assert sorted(waiting.values_list("kind", "attempts")) == [("appointment_type.link", 0), ("contact.link", 0)]
    for due in waiting.values_list("due_ms", flat=True):
        assert 28_000 < due - db_now() <= 60_000
    crm.pass_time(61)
    crm.drain()
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}
    assert Connection.objects.get(pk=crm.connection.pk).hold_reason == ""


def test_a_big_list_is_read_over_several_tries_that_cost_no_attempt(
    crm: Crm, tomorrow: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "PAGES_AT_ONCE", 2)
    crm.sandbox.rollout(limits={"burst": {"limit": 1000}})
    staff = RolloutCrm(crm.sandbox.url)
    for number in range(350):
        staff.call("POST", "/people", {"firstName": "A", "lastName": "B", "emails": [{"value": f"{number}@m.example"}]})
    staff.http.close()
    crm.sync(make_tour(tomorrow))
    link = crm.operation("contact.link")
    assert (link.state, link.reason, link.attempts) == ("waiting", "not_ready", 0)
    assert link.message == "the list of people is being read: 200 of 350"
    for _ in range(3):
        crm.pass_time(31)
        crm.drain()
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}
    # Who stands there: 350 strangers and the buyer, each under the empty key.
    assert LookupEntry.objects.filter(resource="people", key="").count() == 351


def test_a_refused_sign_in_asks_for_a_person(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.rollout(client_secret="replaced")
    crm.sync(make_tour(tomorrow))
    assert Connection.objects.get(pk=crm.connection.pk).state == "auth_needed"
    assert set(Operation.objects.values_list("attempts", flat=True)) == {0}
    assert crm.sandbox.effects() == []


def test_a_deleted_appointment_is_gone_and_a_person_chooses(crm: Crm, synced: Tour) -> None:
    stop = synced.stops.get()
    staff = RolloutCrm(crm.sandbox.url)
    staff.call("DELETE", f"/appointments/{crm.ref(stop).external_id}")
    staff.http.close()
    move(stop, 30)
    crm.sync(synced)
    operation = crm.operation()
    assert (operation.state, operation.reason, crm.ref(stop).external_id) == ("dead", "gone_at_provider", None)
    retry(operation.pk, Who("olga", "admin"))
    crm.drain()
    assert crm.operation().state == "succeeded"
    assert crm.ref(stop).external_id == crm.sandbox.effects("appointment")[-1]["id"]


# --- who shares what -----------------------------------------------------------------------------------------------


def test_two_credentials_of_one_consumer_share_the_limit_and_not_the_index(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.rollout("cred_second")
    second = make_rollout_connection(credential_id="cred_second")
    ours, theirs = wiring.link(crm.connection).scope, wiring.link(second).scope
    assert replace(ours, account="") == replace(theirs, account="")
    assert (ours.account, theirs.account) == (ROLLOUT_CREDENTIAL, "cred_second"), "a 429 stops one of them"
    tour = make_tour(tomorrow)
    crm.plan(tour)
    crm.drain()
    crm.connection = second
    crm.drain()
    assert Counter(row["account"] for row in crm.sandbox.journal() if row["effect"]) == {
        ROLLOUT_CREDENTIAL: 3,
        "cred_second": 3,
    }
    assert LookupCursor.objects.filter(resource="people").count() == 2


def test_what_redis_forgot_of_a_429_is_told_from_the_account_that_got_it(crm: Crm) -> None:
    Connection.objects.filter(pk=crm.connection.pk).update(not_before_ms=5)
    second = make_rollout_connection(credential_id="cred_second")
    Connection.objects.filter(pk=second.pk).update(not_before_ms=7)
    other = make_rollout_connection(credential_id="cred_third", consumer="another")
    Connection.objects.filter(pk=other.pk).update(not_before_ms=9)
    told = [wiring.DatabaseSeeds().seed(wiring.link(each).scope).not_before_ms for each in (crm.connection, second)]
    assert told == [5, 7]


def test_the_limit_is_never_exceeded(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(*[make_tour(tomorrow, stops=3) for _ in range(20)])
    for _ in range(200):
        crm.drain()
        if not Operation.objects.exclude(state="succeeded").exists():
            break
        crm.pass_time(0.05)
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}
    assert Counter(effects(crm))["appointment", "create"] == 60
    assert {row["status"] for row in crm.requests()} == {200, 201}


# --- what is kept --------------------------------------------------------------------------------------------------


def test_no_address_of_anybody_is_in_the_index(crm: Crm, synced: Tour) -> None:
    keys = set(LookupEntry.objects.filter(resource="people").values_list("key", flat=True))
    assert {len(key) for key in keys} == {0, 32}
    assert set("".join(keys)) <= set("0123456789abcdef")
    assert ExternalRef.objects.filter(resource="contact").exists()


def test_no_secret_is_in_what_people_read(crm: Crm, tomorrow: datetime) -> None:
    fault(crm, "status", "POST", "/people", status=400, body={"errorMessage": f"bad {ROLLOUT_SECRET}"})
    crm.sync(make_tour(tomorrow))
    assert crm.operation("contact.link").message == "bad •••"


def test_links_are_closed_with_the_process(crm: Crm) -> None:
    wiring.link(crm.connection)
    gateway.close_all()
    assert wiring.link(crm.connection).exchange(lambda: None).read("GET", "/people").status_code == 200


# --- what a buyer said last ----------------------------------------------------------------------------------------


def tagged(crm: Crm) -> list[list[str]]:
    return [row["body"]["tags"] for row in crm.requests("POST") if row["path"].endswith("/tags/apply")]


def say(stop: TourStop, **values: object) -> None:
    data = FeedbackInput("buyer", SAID_AT, {"interest_level": "interested", **values})
    save_feedback(stop.pk, data, actor="ann", via="api")


def test_what_was_said_last_becomes_tags_that_are_only_added(crm: Crm, synced: Tour) -> None:
    say(synced.stops.get(), overall_rating=4, offer_likelihood="likely")
    crm.drain()
    say(synced.stops.get(), overall_rating=4, offer_likelihood="likely", comments="more words")
    crm.drain()
    assert tagged(crm) == [["showing:interested", "rating:4", "offer:likely"]]
    assert (crm.operation("contact.fields").state, crm.operation("contact.fields").reason) == ("succeeded", "no_change")
    assert [row["op"] for row in crm.sandbox.effects("tag")] == ["create"]


def test_nothing_known_is_no_tag(crm: Crm, synced: Tour) -> None:
    say(synced.stops.get(), interest_level="unknown")
    crm.drain()
    assert (tagged(crm), crm.operation("contact.fields").reason) == ([], "nothing_to_do")


@pytest.mark.parametrize("lost", ["drop_after_effect", "drop_before_effect"])
def test_tags_whose_answer_was_lost_are_looked_for_at_the_person(crm: Crm, synced: Tour, lost: str) -> None:
    where = {"method": "POST", "path": "^/api/people/[^/]+/tags/apply$"}
    crm.sandbox.faults(lost, provider="rollout", match=where)
    say(synced.stops.get(), interest_level="very_interested")
    crm.drain()
    assert crm.operation("contact.fields").in_doubt
    settle(crm)
    assert crm.operation("contact.fields").state == "succeeded"
    assert [row["op"] for row in crm.sandbox.effects("tag")] == ["create"]


def test_a_tour_that_is_over_is_one_note_and_each_correction_one_edit(crm: Crm, synced: Tour) -> None:
    stop = synced.stops.get()
    say(stop)
    crm.drain()
    fault(crm, "drop_after_effect", "POST", "/notes")
    tours.set_tour_status(synced.pk, "completed", actor="ann", via="api")
    crm.drain()
    assert crm.operation("tour.summary").in_doubt
    settle(crm)
    tours.set_stop_outcome(stop.pk, "showed", actor="ann", via="api")
    crm.drain()
    ref = ExternalRef.objects.get(resource="summary")
    assert [row["op"] for row in crm.sandbox.effects("note") if row["id"] == ref.external_id] == ["create", "update"]
    assert [row["op"] for row in crm.sandbox.effects("note")] == ["create", "create", "update"]
    assert crm.requests("PUT")[-1]["body"]["subject"].startswith(f"Tour summary · {synced.reference} · ")
