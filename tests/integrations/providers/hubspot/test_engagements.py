"""Meetings, notes and tasks of HubSpot, against the sandbox over real HTTP; the journal says what happened."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from integrations.providers.base import Ambiguous, ContactFacts, Found, NotFound, RefFacts
from integrations.providers.errors import Gone, Rejected, Uncertain
from tests.hubspot_client import HubSpotCrm
from tests.integrations.providers.gohighlevel.conftest import MARKER, SHOWING, Kind, linked
from tests.integrations.providers.hubspot.conftest import requests
from tests.integrations.providers.test_feedback_words import SAID
from tests.sandbox_server import SandboxServer

LATER = replace(SHOWING, starts_at=SHOWING.starts_at + timedelta(hours=1), ends_at=SHOWING.ends_at + timedelta(hours=1))
OFF = replace(SHOWING, live=False)
ASKED = replace(SAID, assignee="user_ann")


# --- meetings: write -----------------------------------------------------------------------------------------------


def test_a_stop_is_created_once_with_its_contact_in_one_request_and_nobody_is_invited(
    stops: Kind, sandbox: SandboxServer, ann: str
) -> None:
    done = stops.write(SHOWING, contact=ann)
    row = sandbox.journal()[-1]
    assert (row["method"], row["path"], stops.commits) == ("POST", "/crm/v3/objects/meetings", 1)
    assert row["body"] == {
        "properties": {
            "hs_timestamp": "2026-09-14T21:00:00.000Z",
            "hs_meeting_start_time": "2026-09-14T21:00:00.000Z",
            "hs_meeting_end_time": "2026-09-14T21:30:00.000Z",
            "hs_meeting_title": "Showing: 3526 High St · Lee — 4 homes [RR-ABCDEFGHJKMN]",
            "hs_meeting_location": "3526 High St, Sacramento, CA 95838",
            "hs_meeting_outcome": "SCHEDULED",
        },
        "associations": [
            {"to": {"id": ann}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 200}]}
        ],
    }
    assert row["effect"] == {"kind": "appointment", "id": done.external_id, "op": "create", "notified": False}


def test_a_moved_stop_is_one_update_of_the_same_meeting(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    first = stops.write(SHOWING, contact=ann)
    assert stops.write(LATER, linked(first.external_id), contact=ann).external_id == first.external_id
    row = sandbox.journal()[-1]
    assert (row["method"], row["path"]) == ("PATCH", f"/crm/v3/objects/meetings/{first.external_id}")
    times = [row["body"]["properties"][name] for name in ("hs_timestamp", "hs_meeting_start_time")]
    assert times == ["2026-09-14T22:00:00.000Z"] * 2
    assert "associations" not in row["body"]


def test_a_cancelled_stop_is_absent_and_its_meeting_stays_with_that_outcome(
    stops: Kind, sandbox: SandboxServer, staff: HubSpotCrm, ann: str
) -> None:
    first = stops.write(SHOWING, contact=ann)
    assert stops.wanted(OFF, contact=ann).absent is True
    stops.write(OFF, linked(first.external_id), contact=ann)
    shown = staff.shown("meetings", first.external_id, "hs_meeting_outcome")
    assert shown["hs_meeting_outcome"] == "CANCELED"
    assert [effect["op"] for effect in sandbox.effects("appointment")] == ["create", "update"]


def test_given_to_an_owner_and_given_to_nobody(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    given = replace(SHOWING, assignee="user_ann")
    first = stops.write(given, contact=ann)
    assert sandbox.journal()[-1]["body"]["properties"]["hubspot_owner_id"] == "user_ann"
    stops.write(SHOWING, linked(first.external_id), contact=ann)
    assert "hubspot_owner_id" not in sandbox.journal()[-1]["body"]["properties"]
    assert "hubspot_owner_id" not in stops.wanted(replace(given, live=False), contact=ann).body


def test_an_owner_who_left_is_a_definite_no(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    sandbox.hubspot(users=[{"id": "7", "name": "Ann Agent", "email": "ann@brokerage.example"}])
    with pytest.raises(Rejected, match='owner "8" does not exist'):
        stops.write(replace(SHOWING, assignee="8"), contact=ann)


def test_a_contact_that_was_deleted_there_is_a_definite_no(stops: Kind, sandbox: SandboxServer) -> None:
    with pytest.raises(Rejected) as caught:
        stops.write(SHOWING, contact="17")
    assert (caught.value.status, sandbox.effects()) == (400, [])


def test_an_update_of_a_meeting_that_was_deleted_there_is_gone(stops: Kind, ann: str) -> None:
    with pytest.raises(Gone):
        stops.write(SHOWING, linked("17"), contact=ann)


def test_an_update_answered_with_another_id_is_doubt(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    first = stops.write(SHOWING, contact=ann)
    sandbox.faults("status", provider="hubspot", status=200, body={"id": "17"}, match={"method": "PATCH"})
    with pytest.raises(Uncertain):
        stops.write(LATER, linked(first.external_id), contact=ann)


# --- meetings: look-up ---------------------------------------------------------------------------------------------


def test_before_anything_was_sent_nothing_is_found_and_nothing_searched(
    stops: Kind, sandbox: SandboxServer, ann: str
) -> None:
    assert stops.lookup(SHOWING, contact=ann) == NotFound()
    assert requests(sandbox)[-1] == f"GET /crm/objects/2026-03/contacts/{ann}/associations/meetings"


def test_a_lost_answer_is_found_by_its_marker_among_others_before_the_search_knows(
    stops: Kind, sandbox: SandboxServer, ann: str
) -> None:
    sandbox.hubspot(search_lag_s=3600)
    stops.write(SHOWING, RefFacts(None, "ZZZZZZZZZZZZ"), contact=ann)
    sandbox.faults("drop_after_effect", provider="hubspot", match={"method": "POST"})
    with pytest.raises(httpx.TransportError):
        stops.write(SHOWING, contact=ann)
    ours = sandbox.effects("appointment")[-1]["id"]
    assert stops.lookup(SHOWING, contact=ann) == Found(ours, same=True)
    assert stops.lookup(LATER, contact=ann) == Found(ours, same=False)
    assert not any(row["path"].endswith("/search") for row in sandbox.journal())


def test_a_linked_meeting_tells_whether_it_is_the_same(stops: Kind, ann: str) -> None:
    ref = linked(stops.write(SHOWING, contact=ann).external_id)
    assert stops.lookup(SHOWING, ref, contact=ann) == Found(ref.external_id or "", same=True)
    assert stops.lookup(LATER, ref, contact=ann) == Found(ref.external_id or "", same=False)
    assert stops.lookup(OFF, ref, contact=ann) == Found(ref.external_id or "", same=False)
    stops.write(OFF, ref, contact=ann)
    assert stops.lookup(OFF, ref, contact=ann) == Found(ref.external_id or "", same=True)


def test_a_marker_that_stands_twice_is_for_staff_to_judge(stops: Kind, staff: HubSpotCrm, ann: str) -> None:
    first = stops.write(SHOWING, contact=ann)
    copied = f"copied [RR-{MARKER}]"
    second = staff.made("meetings", ann, hs_meeting_title=copied, hs_meeting_start_time="2026-09-15T10:00:00Z")
    assert stops.lookup(SHOWING, contact=ann) == Ambiguous(sorted([first.external_id, second]))


def test_what_was_archived_is_not_found(stops: Kind, staff: HubSpotCrm, ann: str) -> None:
    first = stops.write(SHOWING, contact=ann)
    staff.call("DELETE", f"/crm/v3/objects/meetings/{first.external_id}").raise_for_status()
    assert stops.lookup(SHOWING, contact=ann) == NotFound()


def test_many_meetings_are_read_in_batches(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    ours = stops.write(SHOWING, contact=ann)
    ids = [*range(1, 101), int(ours.external_id)]
    rows = {"results": [{"toObjectId": one} for one in ids]}
    associations = {"method": "GET", "path": "/crm/objects/2026-03"}
    sandbox.faults("status", provider="hubspot", status=200, body=rows, match=associations)
    before = len(sandbox.journal())
    assert stops.lookup(SHOWING, contact=ann) == Found(ours.external_id, same=True)
    sizes = [len(row["body"]["inputs"]) for row in sandbox.journal()[before:] if row["method"] == "POST"]
    assert sizes == [100, 1]


def test_the_associations_are_read_to_their_last_page(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    ours = stops.write(SHOWING, contact=ann)
    first = {"results": [], "paging": {"next": {"after": "0"}}}
    associations = {"method": "GET", "path": "/crm/objects/2026-03"}
    sandbox.faults("status", provider="hubspot", status=200, body=first, match=associations)
    assert stops.lookup(SHOWING, contact=ann) == Found(ours.external_id, same=True)


def test_one_that_was_archived_between_the_two_reads_is_left_out(stops: Kind, sandbox: SandboxServer, ann: str) -> None:
    ours = stops.write(SHOWING, contact=ann)
    rows = {"results": [{"toObjectId": 17}, {"toObjectId": int(ours.external_id)}]}
    associations = {"method": "GET", "path": "/crm/objects/2026-03"}
    sandbox.faults("status", provider="hubspot", status=200, body=rows, match=associations)
    assert stops.lookup(SHOWING, contact=ann) == Found(ours.external_id, same=True)
    assert sandbox.journal()[-1]["status"] == 207


@pytest.mark.parametrize("body", [{}, {"results": [{}]}, {"results": "x"}, {"results": [{"toObjectId": True}]}])
def test_a_list_that_is_not_understood_never_means_nothing(
    stops: Kind, sandbox: SandboxServer, ann: str, body: object
) -> None:
    associations = {"method": "GET", "path": "/crm/objects/2026-03"}
    sandbox.faults("status", provider="hubspot", status=200, body=body, match=associations)
    with pytest.raises(Uncertain):
        stops.lookup(SHOWING, contact=ann)


def test_a_meeting_of_another_contact_is_never_taken_for_ours(stops: Kind, people: Kind, ann: str) -> None:
    first = stops.write(SHOWING, contact=ann)
    bob = people.write(ContactFacts(2, 1, "Bob", "Ray", "bob@mail.example", "")).external_id
    with pytest.raises(Rejected, match="belongs to another contact"):
        stops.lookup(SHOWING, linked(first.external_id), contact=bob)
    wanted = stops.wanted(SHOWING, contact=bob)
    with pytest.raises(Rejected, match="belongs to another contact"):
        stops.kind.current(stops.exchange(), wanted, linked(first.external_id))  # type: ignore[attr-defined]


# --- what people changed there -------------------------------------------------------------------------------------


def test_what_people_changed_of_a_meeting_is_told(stops: Kind, staff: HubSpotCrm, ann: str) -> None:
    first = stops.write(SHOWING, contact=ann)
    wanted = stops.wanted(SHOWING, contact=ann)
    staff.change("meetings", first.external_id, hs_meeting_location="", hs_meeting_start_time="1757883600000")
    record = stops.kind.current(stops.exchange(), wanted, linked(first.external_id))  # type: ignore[attr-defined]
    differs = stops.kind.differs(wanted.body, record)  # type: ignore[attr-defined]
    assert differs == ("hs_meeting_location", "hs_meeting_start_time")


# --- notes and tasks -----------------------------------------------------------------------------------------------


def test_a_note_is_rich_text_and_reads_as_it_was_written(
    notes: Kind, sandbox: SandboxServer, staff: HubSpotCrm, ann: str
) -> None:
    said = replace(SAID, comments="2 < 3 & <b>bold</b>")
    first = notes.write(said, contact=ann)
    row = sandbox.journal()[-1]
    assert row["body"]["properties"]["hs_timestamp"] == "2026-09-15T04:00:00.000Z"
    text = staff.shown("notes", first.external_id, "hs_note_body")["hs_note_body"]
    assert "<br>Comments: 2 &lt; 3 &amp; &lt;b&gt;bold&lt;/b&gt;<br>[RR-ABCDEFGHJKMN]" in text
    assert notes.lookup(said, contact=ann) == Found(first.external_id, same=True)


def test_an_editors_wrapping_is_no_difference_and_a_word_is(notes: Kind, staff: HubSpotCrm, ann: str) -> None:
    first = notes.write(SAID, contact=ann)
    text = str(staff.shown("notes", first.external_id, "hs_note_body")["hs_note_body"])
    lines = "".join(f"<p dir='auto'>{line}</p>" for line in text.split("<br>"))
    staff.change("notes", first.external_id, hs_note_body=f"<div style=''>{lines}</div>")
    assert notes.lookup(SAID, contact=ann) == Found(first.external_id, same=True)
    staff.change("notes", first.external_id, hs_note_body=lines.replace("Rating: 4", "Rating: 1"))
    assert notes.lookup(SAID, contact=ann) == Found(first.external_id, same=False)


def test_an_edited_note_keeps_its_place_on_the_timeline(notes: Kind, sandbox: SandboxServer, ann: str) -> None:
    first = notes.write(SAID, contact=ann)
    notes.write(replace(SAID, overall_rating=1), linked(first.external_id), contact=ann)
    assert list(sandbox.journal()[-1]["body"]["properties"]) == ["hs_note_body"]


def test_a_task_is_due_typed_and_given(tasks: Kind, sandbox: SandboxServer, ann: str) -> None:
    tasks.write(ASKED, contact=ann)
    row = sandbox.journal()[-1]
    assert row["path"] == "/crm/v3/objects/tasks"
    assert row["body"]["associations"][0]["types"][0]["associationTypeId"] == 204
    told = row["body"]["properties"]
    assert told.pop("hs_task_body").startswith("Showing feedback · 3526 High St · Sep 14, 2026<br>")
    assert told == {
        "hs_timestamp": "2026-09-15T16:00:00.000Z",
        "hs_task_subject": "Follow up: 3526 High St · second showing wanted, very interested [RR-ABCDEFGHJKMN]",
        "hs_task_status": "NOT_STARTED",
        "hs_task_type": "TODO",
        "hubspot_owner_id": "user_ann",
    }


def test_an_edited_task_stays_the_agents(tasks: Kind, sandbox: SandboxServer, ann: str) -> None:
    first = tasks.write(ASKED, contact=ann)
    tasks.write(replace(ASKED, offer_likelihood="likely"), linked(first.external_id), contact=ann)
    assert sorted(sandbox.journal()[-1]["body"]["properties"]) == ["hs_task_body", "hs_task_subject"]


@pytest.mark.parametrize("which", ["notes", "tasks"])
def test_what_is_not_wanted_any_more_is_confirmed_and_left(
    which: str, request: pytest.FixtureRequest, sandbox: SandboxServer, ann: str
) -> None:
    kind: Kind = request.getfixturevalue(which)
    first = kind.write(SAID, contact=ann)
    off = replace(SAID, included=False, calls_for_action=False)
    assert kind.wanted(off, contact=ann).absent
    assert kind.write(off, linked(first.external_id), contact=ann).external_id == first.external_id
    assert [effect["op"] for effect in sandbox.effects(which[:-1])] == ["create"]
    with pytest.raises(Gone):
        kind.write(off, linked("17"), contact=ann)


def test_a_long_note_keeps_its_marker_within_what_hubspot_takes(notes: Kind, ann: str) -> None:
    said = replace(SAID, comments="&" * 6000)
    first = notes.write(said, contact=ann)
    assert notes.lookup(said, contact=ann) == Found(first.external_id, same=True)
    assert len(notes.wanted(said, contact=ann).body["hs_note_body"]) < 65_536
