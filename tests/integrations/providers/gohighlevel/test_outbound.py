"""GoHighLevel's adapter against the sandbox over real HTTP; the journal says what happened."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from integrations.providers.base import (
    Ambiguous,
    ContactFacts,
    Found,
    NotFound,
    RefFacts,
)
from integrations.providers.errors import (
    Gone,
    NotProcessed,
    Rejected,
)
from tests.integrations.providers.gohighlevel.conftest import (
    ANN,
    MARKER,
    SHOWING,
    Kind,
    linked,
    post,
    post_contact,
)
from tests.sandbox_server import ACCOUNT, SandboxServer

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
