"""GoHighLevel's adapter against the sandbox over real HTTP; the journal says what happened."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from integrations.gateway import Link, UnknownKindError
from integrations.providers.base import (
    Ambiguous,
    ContactFacts,
    Exchange,
    Found,
    NotFound,
    RefFacts,
    SecondWriteError,
    ShowingFacts,
    Understood,
    Wanted,
)
from integrations.providers.errors import (
    AuthError,
    Gone,
    NotProcessed,
    RateLimited,
    Rejected,
    Uncertain,
)
from tests.openapi import validate_request
from tests.sandbox_server import ACCOUNT, CALENDAR, TOKEN, SandboxServer

MARKER = "ABCDEFGHJKMN"
NEW = RefFacts(None, MARKER)
ANN = ContactFacts(1, 1, "Ann", "Lee", "ann@mail.example", "+19165550001")
SHOWING = ShowingFacts(
    id=1,
    version=1,
    live=True,
    tour_reference="SAC-0001",
    tour_title="Lee — 4 homes",
    sequence=1,
    street="3526 High St",
    city="Sacramento",
    state="CA",
    postal_code="95838",
    list_price=None,
    starts_at=datetime(2026, 9, 14, 21, 0, tzinfo=UTC),
    ends_at=datetime(2026, 9, 14, 21, 30, tzinfo=UTC),
    time_zone="America/Los_Angeles",
    appointment_status="confirmed",
    outcome="none",
    method="in_person",
    agent_name="Michael Hudson",
    contact_id=1,
)


class Kind:
    """One kind over a link, as the engine uses it: a fresh Exchange for each operation."""

    def __init__(self, link: Link, name: str) -> None:
        self.link, self.kind = link, link.kind(name)
        self.commits = 0

    def exchange(self) -> Exchange:
        def before_write() -> None:
            self.commits += 1

        return self.link.exchange(before_write)

    def wanted(self, facts: Any, ref: RefFacts = NEW, **needs: str) -> Wanted:
        return self.kind.wanted(facts, needs, ref, self.link.facts.config)

    def lookup(self, facts: Any, ref: RefFacts = NEW, **needs: str) -> Any:
        return self.kind.lookup(self.exchange(), facts, self.wanted(facts, ref, **needs), ref, needs)

    def write(self, facts: Any, ref: RefFacts = NEW, **needs: str) -> Understood:
        written = self.kind.write(self.exchange(), self.wanted(facts, ref, **needs), ref)
        assert isinstance(written, Understood)
        return written


@pytest.fixture
def people(link: Link) -> Kind:
    return Kind(link, "contact.link")


@pytest.fixture
def stops(link: Link) -> Kind:
    return Kind(link, "appointment.sync")


@pytest.fixture
def ann(people: Kind) -> str:
    return people.write(ANN).external_id


def post(sandbox: SandboxServer, path: str, version: str, body: dict[str, Any]) -> dict[str, Any]:
    """Someone else at work in the CRM."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Version": version}
    answer = httpx.post(sandbox.url + path, json=body, headers=headers)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def post_contact(sandbox: SandboxServer, **fields: Any) -> str:
    return str(post(sandbox, "/contacts/", "2021-07-28", {"locationId": ACCOUNT, **fields})["contact"]["id"])


def linked(external_id: str) -> RefFacts:
    return RefFacts(external_id, MARKER)


def requests(sandbox: SandboxServer) -> list[str]:
    return [f"{row['method']} {row['path']}" for row in sandbox.journal()]


# --- contact.link: look-up -----------------------------------------------------------------------------------------


def test_an_unknown_buyer_is_not_found_by_mail_or_phone(people: Kind, sandbox: SandboxServer) -> None:
    assert people.lookup(ANN) == NotFound()
    assert [row["query"] for row in sandbox.journal()] == [
        {"locationId": ACCOUNT, "email": "ann@mail.example"},
        {"locationId": ACCOUNT, "number": "+19165550001"},
    ]


def test_a_person_with_our_mail_is_ours_whatever_the_name(people: Kind, sandbox: SandboxServer) -> None:
    there = post_contact(sandbox, firstName="Anna", email="Ann@Mail.example")
    assert people.lookup(ANN) == Found(there, same=True)


def test_a_person_with_our_phone_and_name_and_no_mail_is_ours(people: Kind, sandbox: SandboxServer) -> None:
    there = post_contact(sandbox, firstName="ANN", lastName="lee", phone="+19165550001")
    assert people.lookup(ANN) == Found(there, same=True)


def test_a_partner_who_shares_the_phone_is_not_ours(people: Kind, sandbox: SandboxServer) -> None:
    post_contact(sandbox, firstName="Bob", lastName="Lee", phone="+19165550001", email="bob@mail.example")
    assert people.lookup(ANN) == NotFound()


def test_a_nameless_person_with_our_phone_is_for_staff_to_judge(people: Kind, sandbox: SandboxServer) -> None:
    there = post_contact(sandbox, phone="+19165550001")
    assert people.lookup(ANN) == Ambiguous((there,))


def test_a_buyer_without_a_mail_is_looked_for_by_phone_alone(people: Kind, sandbox: SandboxServer) -> None:
    assert people.lookup(replace(ANN, email="")) == NotFound()
    assert len(sandbox.journal()) == 1


def test_a_plus_in_a_mail_address_is_escaped(people: Kind, sandbox: SandboxServer) -> None:
    there = post_contact(sandbox, email="ann+tour@mail.example")
    assert people.lookup(replace(ANN, email="ann+tour@mail.example")) == Found(there, same=True)


def test_a_linked_person_is_asked_for_by_id_and_left_as_it_is(people: Kind, sandbox: SandboxServer, ann: str) -> None:
    renamed = replace(ANN, first_name="Annabel", phone="+19165559999")
    assert people.lookup(renamed, linked(ann)) == Found(ann, same=True)
    assert people.write(renamed, linked(ann)).external_id == ann
    assert [effect["op"] for effect in sandbox.effects("contact")] == ["create"]


def test_a_linked_person_who_was_deleted_is_gone(people: Kind) -> None:
    with pytest.raises(Gone):
        people.lookup(ANN, linked("deleted"))


# --- contact.link: write -------------------------------------------------------------------------------------------


def test_a_buyer_is_created_once_with_what_we_know(people: Kind, sandbox: SandboxServer) -> None:
    done = people.write(ANN)
    (row,) = sandbox.journal()
    assert (row["method"], row["path"], row["headers"]["version"]) == ("POST", "/contacts/", "2021-07-28")
    assert row["body"] == {
        "locationId": ACCOUNT,
        "firstName": "Ann",
        "lastName": "Lee",
        "email": "ann@mail.example",
        "phone": "+19165550001",
        "source": "REanna Router",
    }
    assert row["effect"] == {"kind": "contact", "id": done.external_id, "op": "create"}
    assert (done.status, len(done.request_id), people.commits) == (201, 36, 1)


def test_a_buyer_who_appeared_meanwhile_is_not_created_and_found_the_next_time(
    people: Kind, sandbox: SandboxServer, ann: str
) -> None:
    with pytest.raises(NotProcessed):
        people.write(ANN)
    assert people.lookup(ANN) == Found(ann, same=True)
    assert len(sandbox.effects("contact")) == 1


def test_a_partner_who_shares_the_phone_is_never_overwritten_and_staff_are_told_who(
    people: Kind, sandbox: SandboxServer
) -> None:
    bob = post_contact(sandbox, firstName="Bob", phone="+19165550001", email="bob@mail.example")
    with pytest.raises(Rejected, match=f"contact {bob} with the same phone is another person"):
        people.write(ANN)
    assert [effect["op"] for effect in sandbox.effects("contact")] == ["create"]


def test_where_the_location_allows_it_partners_share_a_phone(people: Kind, sandbox: SandboxServer) -> None:
    sandbox.account(duplicates=True)
    post_contact(sandbox, firstName="Bob", phone="+19165550001", email="bob@mail.example")
    assert people.lookup(ANN) == NotFound()
    people.write(ANN)
    assert [effect["op"] for effect in sandbox.effects("contact")] == ["create", "create"]


# --- appointment.sync: write ---------------------------------------------------------------------------------------


def test_a_stop_is_created_once_and_nobody_is_notified(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    done = stops.write(SHOWING, contact=ann)
    row = sandbox.journal()[-1]
    assert (row["method"], row["headers"]["version"], stops.commits) == ("POST", "2021-04-15", 1)
    assert row["body"]["toNotify"] is False
    assert row["body"]["title"] == "Showing: 3526 High St · Lee — 4 homes [RR-ABCDEFGHJKMN]"
    assert row["effect"] == {"kind": "appointment", "id": done.external_id, "op": "create", "notified": False}


def test_a_moved_stop_is_one_update_of_the_same_appointment(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    first = stops.write(SHOWING, contact=ann)
    later = replace(
        SHOWING, starts_at=SHOWING.starts_at + timedelta(hours=1), ends_at=SHOWING.ends_at + timedelta(hours=1)
    )
    second = stops.write(later, linked(first.external_id), contact=ann)
    assert second.external_id == first.external_id
    assert [(effect["op"], effect["notified"]) for effect in sandbox.effects("appointment")] == [
        ("create", False),
        ("update", False),
    ]
    assert sandbox.journal()[-1]["body"]["startTime"] == "2026-09-14T15:00:00-07:00"


def test_a_cancelled_stop_is_absent_and_cancelled_by_an_update(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    first = stops.write(SHOWING, contact=ann)
    off = replace(SHOWING, live=False)
    assert stops.wanted(off, contact=ann).absent is True
    stops.write(off, linked(first.external_id), contact=ann)
    row = sandbox.journal()[-1]
    assert (row["method"], row["body"]["appointmentStatus"], row["body"]["toNotify"]) == ("PUT", "cancelled", False)


def test_an_appointment_of_another_contact_is_not_taken_for_done(
    stops: Kind, people: Kind, sandbox: SandboxServer, ann: str
) -> None:
    first = stops.write(SHOWING, contact=ann)
    bob = people.write(ContactFacts(2, 1, "Bob", "Ray", "bob@mail.example", "")).external_id
    with pytest.raises(Rejected, match="belongs to another contact"):
        stops.write(SHOWING, linked(first.external_id), contact=bob)


def test_a_contact_that_was_deleted_there_is_a_definite_no(stops: Kind, sandbox: SandboxServer) -> None:
    with pytest.raises(Rejected) as caught:
        stops.write(SHOWING, contact="deleted")
    assert (caught.value.status, sandbox.effects()) == (400, [])


def test_an_update_of_an_appointment_that_was_deleted_there_is_gone(stops: Kind, ann: str) -> None:
    with pytest.raises(Gone):
        stops.write(SHOWING, linked("deleted"), contact=ann)


# --- appointment.sync: look-up -------------------------------------------------------------------------------------


def test_before_anything_was_sent_nothing_is_found(stops: Kind, ann: str) -> None:
    assert stops.lookup(SHOWING, contact=ann) == NotFound()


def test_a_lost_answer_is_found_by_its_marker_among_others(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    stops.write(SHOWING, RefFacts(None, "ZZZZZZZZZZZZ"), contact=ann)
    sandbox.faults("drop_after_effect", match={"method": "POST"})
    with pytest.raises(httpx.TransportError):
        stops.write(SHOWING, contact=ann)
    ours = sandbox.effects("appointment")[-1]["id"]
    # The list tells times without a zone, so whether it is the same is not known.
    assert stops.lookup(SHOWING, contact=ann) == Found(ours, same=None)


def test_a_difference_shows_in_the_list_all_the_same(stops: Kind, ann: str) -> None:
    done = stops.write(SHOWING, contact=ann)
    renamed = replace(SHOWING, street="1 Other St")
    assert stops.lookup(renamed, contact=ann) == Found(done.external_id, same=False)


def test_a_write_that_never_arrived_is_not_found(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    sandbox.faults("drop_before_effect", match={"method": "POST"})
    with pytest.raises(httpx.TransportError):
        stops.write(SHOWING, contact=ann)
    assert stops.lookup(SHOWING, contact=ann) == NotFound()


def test_a_linked_appointment_tells_whether_it_is_the_same(stops: Kind, ann: str) -> None:
    done = stops.write(SHOWING, contact=ann)
    ref = linked(done.external_id)
    later = replace(SHOWING, ends_at=SHOWING.ends_at + timedelta(minutes=5))
    assert stops.lookup(SHOWING, ref, contact=ann) == Found(done.external_id, same=True)
    assert stops.lookup(later, ref, contact=ann) == Found(done.external_id, same=False)


def test_a_linked_appointment_that_was_deleted_is_gone(stops: Kind, ann: str) -> None:
    with pytest.raises(Gone):
        stops.lookup(SHOWING, linked("deleted"), contact=ann)


def test_a_marker_that_stands_twice_is_for_staff_to_judge(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    first = stops.write(SHOWING, contact=ann)
    body = {**stops.wanted(SHOWING, contact=ann).body, "title": f"copied [RR-{MARKER}]"}
    second = post(sandbox, "/calendars/events/appointments", "2021-04-15", body)
    assert stops.lookup(SHOWING, contact=ann) == Ambiguous(sorted([first.external_id, second["id"]]))


# --- answers -------------------------------------------------------------------------------------------------------

STATUSES = [
    (400, Rejected),
    (401, AuthError),
    (403, AuthError),
    (422, Rejected),
    (429, RateLimited),
    (500, Uncertain),
    (502, Uncertain),
    (503, NotProcessed),
    (504, Uncertain),
    (302, Uncertain),
]


@pytest.mark.parametrize(("status", "error"), STATUSES)
def test_a_write_answered_otherwise_is_an_error_of_that_meaning_and_not_repeated(
    stops: Kind, sandbox: SandboxServer, ann: str, status: int, error: type[Exception]
) -> None:
    before = len(sandbox.journal())
    sandbox.faults("status", status=status, body={"message": "no", "traceId": "t-1"}, match={"method": "POST"})
    with pytest.raises(error) as caught:
        stops.write(SHOWING, contact=ann)
    assert (caught.value.status, caught.value.request_id) == (status, "t-1")  # type: ignore[attr-defined]
    assert len(sandbox.journal()) == before + 1


@pytest.mark.parametrize(
    "body", [{}, {"id": ""}, {"id": 5}, {"id": None}, {"appointment": {"id": "a"}}, [], ["id"], "id", None]
)
def test_a_2xx_without_an_id_is_doubt(stops: Kind, sandbox: SandboxServer, ann: str, body: object) -> None:
    sandbox.faults("status", status=200, body=body, match={"method": "POST"})
    with pytest.raises(Uncertain):
        stops.write(SHOWING, contact=ann)


def test_a_garbled_2xx_is_doubt_and_counts_for_the_circuit(
    stops: Kind, sandbox: SandboxServer, ann: str, link: Link
) -> None:
    sandbox.faults("garbled", match={"method": "POST"})
    with link.use() as tally, pytest.raises(Uncertain):
        stops.write(SHOWING, contact=ann)
    assert tally.breaker is not None
    assert tally.breaker.failures == 1


def test_an_update_answered_with_another_id_is_doubt(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    done = stops.write(SHOWING, contact=ann)
    sandbox.faults("status", status=200, body={"id": "other"}, match={"method": "PUT"})
    with pytest.raises(Uncertain):
        stops.write(SHOWING, linked(done.external_id), contact=ann)


def test_a_contact_answer_without_a_contact_is_doubt(people: Kind, sandbox: SandboxServer) -> None:
    sandbox.faults("status", status=201, body={"id": "a"}, match={"method": "POST"})
    with pytest.raises(Uncertain):
        people.write(ANN)


@pytest.mark.parametrize("body", [[], "none", {"contact": {}}, {"contact": "a"}, {"contact": {"id": 5}}])
def test_a_search_that_is_not_understood_finds_nobody_and_says_so(
    people: Kind, sandbox: SandboxServer, body: object
) -> None:
    sandbox.faults("status", status=200, body=body, match={"path": "/contacts/search/duplicate"})
    with pytest.raises(Uncertain):
        people.lookup(ANN)


@pytest.mark.parametrize("body", [{}, [], {"events": None}, {"events": ["a"]}, {"events": {"id": "a"}}])
def test_a_list_that_is_not_understood_is_not_an_empty_one(
    stops: Kind, sandbox: SandboxServer, ann: str, body: object
) -> None:
    sandbox.faults("status", status=200, body=body, match={"path": f"/contacts/{ann}/appointments"})
    with pytest.raises(Uncertain):
        stops.lookup(SHOWING, contact=ann)


def test_an_event_of_ours_without_an_id_is_not_understood(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    body = {"events": [{"title": f"x [RR-{MARKER}]"}]}
    sandbox.faults("status", status=200, body=body, match={"path": f"/contacts/{ann}/appointments"})
    with pytest.raises(Uncertain):
        stops.lookup(SHOWING, contact=ann)


@pytest.mark.parametrize("body", [{}, {"event": None}, {"event": {"id": "other"}}])
def test_a_linked_record_that_is_not_shown_is_not_understood(
    stops: Kind, people: Kind, sandbox: SandboxServer, ann: str, body: object
) -> None:
    sandbox.faults("status", status=200, body=body, match={"method": "GET"}, times=2)
    with pytest.raises(Uncertain):
        stops.lookup(SHOWING, linked("appointment"), contact=ann)
    with pytest.raises(Uncertain):
        people.lookup(ANN, linked(ann))


def test_an_id_that_is_no_path_segment_stays_one(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    with pytest.raises(Gone):
        stops.lookup(SHOWING, linked("../../../contacts"), contact=ann)
    assert "/contacts/search" not in requests(sandbox)[-1]


def test_an_adapter_cannot_write_twice_in_one_operation(people: Kind) -> None:
    exchange = people.exchange()
    people.kind.write(exchange, people.wanted(ANN), NEW)
    with pytest.raises(SecondWriteError):
        people.kind.write(exchange, people.wanted(ANN), NEW)


def test_a_kind_that_does_not_exist_is_named(link: Link) -> None:
    with pytest.raises(UnknownKindError, match=r"GoHighLevel has no 'feedback\.note'"):
        link.kind("feedback.note")


# --- the vendor's own contract -------------------------------------------------------------------------------------


def test_every_request_is_one_the_vendor_documents(people: Kind, stops: Kind, sandbox: SandboxServer) -> None:
    def work() -> None:
        people.lookup(ANN)
        contact = people.write(ANN).external_id
        people.lookup(ANN, linked(contact))
        stops.lookup(SHOWING, contact=contact)
        first = stops.write(SHOWING, contact=contact)
        ref = linked(first.external_id)
        stops.lookup(SHOWING, ref, contact=contact)
        stops.write(replace(SHOWING, outcome="no_show"), ref, contact=contact)
        stops.write(replace(SHOWING, live=False), ref, contact=contact)
        bare = replace(ANN, first_name="", last_name="", email="", phone="+19165550777")
        people.write(bare)
        with pytest.raises(NotProcessed):
            people.write(bare)

    work()
    rows = sandbox.journal()
    assert len(rows) == 12
    for row in rows:
        headers = {**row["headers"], "authorization": f"Bearer {TOKEN}"}
        validate_request(row["method"], row["path"], headers, row["query"], row["body"])
    assert {row["body"]["calendarId"] for row in rows if "/events/" in row["path"] and row["body"]} == {CALENDAR}
