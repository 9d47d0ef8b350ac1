"""Notes and follow-ups at Lofty, against the sandbox over real HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from integrations.gateway import Link
from integrations.providers.base import Ambiguous, FeedbackFacts, Found, NotFound, RefFacts
from integrations.providers.errors import Gone, NotProcessed, Uncertain
from tests.integrations.providers.gohighlevel.conftest import ANN, MARKER
from tests.integrations.providers.lofty.conftest import NEW, Kind, linked, requests
from tests.integrations.providers.test_summary_words import TOUR
from tests.lofty_client import LoftyCrm
from tests.sandbox_server import SandboxServer

SAID = FeedbackFacts(
    id=1,
    version=1,
    included=True,
    calls_for_action=True,
    street="3526 High St",
    shown_at=datetime(2026, 9, 18, 21, 0, tzinfo=UTC),
    time_zone="America/Los_Angeles",
    author_role="buyer",
    submitted_at=datetime(2026, 9, 18, 23, 0, tzinfo=UTC),
    interest_level="very_interested",
    overall_rating=5,
    price_opinion="no_opinion",
    second_showing="yes",
    likes=(),
    dislikes=(),
    comments="nice yard",
    contact_id=1,
)
LATER = replace(SAID, comments="nice garden", interest_level="interested")
FACTS: dict[str, Any] = {"feedback.note": SAID, "feedback.task": SAID, "tour.summary": TOUR}
CHANGED: dict[str, Any] = {
    "feedback.note": LATER, "feedback.task": LATER, "tour.summary": replace(TOUR, seen=TOUR.seen[:2]),
}  # fmt: skip
each_kind = pytest.mark.parametrize("name", FACTS)


@pytest.fixture
def lead(people: Kind) -> str:
    return people.write(ANN)


def test_an_answer_is_a_note_of_the_lead(link: Link, sandbox: SandboxServer, lead: str) -> None:
    made = Kind(link, "feedback.note").write(SAID, contact=lead)
    row = sandbox.journal("lofty")[-1]
    assert (row["method"], row["path"], set(row["body"])) == ("POST", "/v1.0/notes", {"leadId", "content"})
    assert row["body"]["leadId"] == int(lead)
    assert row["body"]["content"].startswith("Showing feedback · 3526 High St · ")
    assert row["body"]["content"].endswith(f"Comments: nice yard\n[RR-{MARKER}]")
    assert row["effect"] == {"kind": "note", "id": made, "op": "create", "notified": False}


def test_a_note_stays_below_five_thousand_characters(link: Link, sandbox: SandboxServer, lead: str) -> None:
    Kind(link, "feedback.note").write(replace(SAID, comments="x" * 9000), contact=lead)
    content = sandbox.journal("lofty")[-1]["body"]["content"]
    assert (len(content) < 5000, content.endswith(f"[RR-{MARKER}]")) == (True, True)


def test_a_follow_up_is_due_at_nine_on_the_next_business_day_and_the_leads_own_agents(
    link: Link, sandbox: SandboxServer, lead: str
) -> None:
    Kind(link, "feedback.task").write(SAID, contact=lead)
    row = sandbox.journal("lofty")[-1]
    assert (row["method"], row["path"]) == ("POST", "/v2.0/tasks")
    assert row["body"] == {
        "type": "Other",
        "content": f"Follow up: 3526 High St · second showing wanted, very interested [RR-{MARKER}]",
        "leadId": int(lead),
        "assignedRole": "Agent",
        "endAt": "2026-09-21T09:00:00-07:00",
        "timeZoneCode": "America/Los_Angeles",
    }


def test_an_answer_that_calls_for_nothing_needs_no_task(link: Link) -> None:
    tasks = Kind(link, "feedback.task")
    assert tasks.wanted(replace(SAID, calls_for_action=False), contact="1").absent is True
    assert tasks.wanted(replace(SAID, included=False), contact="1").absent is True
    assert Kind(link, "feedback.note").wanted(replace(SAID, included=False), contact="1").absent is True


@each_kind
def test_it_is_found_by_its_marker_and_edited_by_its_text_alone(
    link: Link, sandbox: SandboxServer, lead: str, name: str
) -> None:
    kind = Kind(link, name)
    kind.write(FACTS[name], RefFacts(None, "ZZZZZZZZZZZZ"), contact=lead)
    assert kind.lookup(FACTS[name], contact=lead) == NotFound()
    made = kind.write(FACTS[name], contact=lead)
    for ref in (NEW, linked(made)):
        assert kind.lookup(FACTS[name], ref, contact=lead) == Found(made, same=True)
        assert kind.lookup(CHANGED[name], ref, contact=lead) == Found(made, same=False)
    assert kind.write(CHANGED[name], linked(made), contact=lead) == made
    row = sandbox.journal("lofty")[-1]
    assert (row["method"], set(row["body"]), row["effect"]["op"]) == ("PUT", {"content"}, "update")
    assert kind.lookup(CHANGED[name], linked(made), contact=lead) == Found(made, same=True)


@each_kind
def test_what_is_not_wanted_any_more_is_confirmed_and_left(
    link: Link, sandbox: SandboxServer, lead: str, name: str
) -> None:
    kind = Kind(link, name)
    made = kind.write(FACTS[name], contact=lead)
    off = replace(FACTS[name], included=False)
    assert kind.write(off, linked(made), contact=lead) == made
    assert requests(sandbox)[-1].startswith("GET")
    with pytest.raises(Gone):
        kind.write(off, linked("404"), contact=lead)


@each_kind
def test_a_lost_answer_is_found(link: Link, sandbox: SandboxServer, lead: str, name: str) -> None:
    kind = Kind(link, name)
    sandbox.faults("drop_after_effect", provider="lofty", match={"method": "POST"})
    with pytest.raises(httpx.TransportError):
        kind.write(FACTS[name], contact=lead)
    assert kind.lookup(FACTS[name], contact=lead) == Found(sandbox.effects()[-1]["id"], same=True)


@each_kind
def test_what_was_deleted_there_is_gone(link: Link, lead: str, name: str) -> None:
    for use in (Kind(link, name).lookup, Kind(link, name).write):
        with pytest.raises(Gone):
            use(FACTS[name], linked("404"), contact=lead)


@each_kind
def test_a_lead_that_is_not_there_yet_is_tried_again(
    link: Link, people: Kind, sandbox: SandboxServer, name: str
) -> None:
    sandbox.lofty(lag_s=3600, late_writes=True)
    lead = people.write(ANN)
    with pytest.raises(NotProcessed):
        Kind(link, name).write(FACTS[name], contact=lead)


@each_kind
def test_an_answer_that_says_nothing_is_doubt(link: Link, sandbox: SandboxServer, name: str) -> None:
    for body in ({}, [], {"noteId": "x", "taskId": None}, {"noteId": 0, "taskId": 0}):
        sandbox.faults("status", provider="lofty", status=200, body=body, times=2)
        for ref in (NEW, linked("7")):
            with pytest.raises(Uncertain):
                Kind(link, name).write(FACTS[name], ref, contact="1")


@each_kind
def test_a_marker_that_stands_twice_is_for_staff_to_judge(link: Link, staff: LoftyCrm, lead: str, name: str) -> None:
    kind = Kind(link, name)
    made = kind.write(FACTS[name], contact=lead)
    path, key = ("/v2.0/tasks", "taskId") if name == "feedback.task" else ("/v1.0/notes", "noteId")
    second = staff.done("POST", path, {**kind.wanted(FACTS[name], contact=lead).body, "leadId": int(lead)})[key]
    assert kind.lookup(FACTS[name], contact=lead) == Ambiguous(sorted([made, str(second)]))


@pytest.mark.parametrize("body", [{"noteId": 7}, {"id": 7}, {"note": {"noteId": 7, "id": 3}}])
def test_a_new_notes_id_is_found_wherever_it_stands(link: Link, sandbox: SandboxServer, body: object) -> None:
    sandbox.faults("status", provider="lofty", status=200, body=body)
    assert Kind(link, "feedback.note").write(SAID, contact="1") == "7"


@pytest.mark.parametrize("body", [{"noteId": 7}, {"message": "Operation successful"}])
def test_an_edit_of_a_note_is_understood_in_both_forms(link: Link, sandbox: SandboxServer, body: object) -> None:
    sandbox.faults("status", provider="lofty", status=200, body=body)
    assert Kind(link, "feedback.note").write(SAID, linked("7"), contact="1") == "7"


def test_a_listed_note_that_was_deleted_is_gone(link: Link, sandbox: SandboxServer) -> None:
    notes = [{"noteId": 7, "content": f"[RR-{MARKER}]", "deleteFlag": True}]
    sandbox.faults("status", provider="lofty", status=200, body={"notes": notes}, times=2)
    assert Kind(link, "feedback.note").lookup(SAID, contact="1") == NotFound()
    with pytest.raises(Gone):
        Kind(link, "feedback.note").lookup(SAID, linked("7"), contact="1")


def test_a_list_of_notes_that_is_none_is_not_understood(link: Link, sandbox: SandboxServer) -> None:
    for body in ({}, {"notes": {}}, {"notes": [{"content": "x"}]}):
        sandbox.faults("status", provider="lofty", status=200, body=body)
        with pytest.raises(Uncertain):
            Kind(link, "feedback.note").lookup(SAID, contact="1")
