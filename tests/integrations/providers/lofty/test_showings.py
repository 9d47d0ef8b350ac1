"""Tour stops at Lofty, as appointments and as tasks, against the sandbox over real HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from integrations.gateway import Link
from integrations.providers.base import Ambiguous, Found, NotFound, RefFacts, Removed
from integrations.providers.errors import Gone, NotProcessed, Rejected, Uncertain
from integrations.providers.lofty import mapping
from tests.integrations.providers.gohighlevel.conftest import ANN, MARKER, SHOWING
from tests.integrations.providers.lofty.conftest import NEW, Kind, linked, requests
from tests.lofty_client import LoftyCrm
from tests.sandbox_server import SandboxServer

OFF = replace(SHOWING, live=False)
LATER = replace(SHOWING, starts_at=SHOWING.starts_at + timedelta(hours=1), ends_at=SHOWING.ends_at + timedelta(hours=1))


@pytest.fixture
def lead(people: Kind) -> str:
    """Ann, in the CRM."""
    return people.write(ANN)


@pytest.fixture
def as_tasks(open_link: Callable[..., Link]) -> Kind:
    """Where showings are put in as tasks."""
    return Kind(open_link(showing_as="task"), "appointment.sync")


# --- write ---------------------------------------------------------------------------------------------------------


def test_a_stop_is_one_appointment_with_its_place_and_the_tours_clocks(
    stops: Kind, sandbox: SandboxServer, lead: str
) -> None:
    made = stops.write(SHOWING, contact=lead)
    row = sandbox.journal("lofty")[-1]
    assert (row["method"], row["path"], stops.commits) == ("POST", "/v2.0/calendar", 1)
    assert row["body"] == {
        "type": "APPOINTMENT",
        "content": "Showing: 3526 High St · Lee — 4 homes\nTour SAC-0001, stop 1: confirmed.\n"
        f"Shown by Michael Hudson.\n[RR-{MARKER}]",
        "leadId": int(lead),
        "timeZoneCode": "America/Los_Angeles",
        "startAt": "2026-09-14T14:00:00-07:00",
        "endAt": "2026-09-14T14:30:00-07:00",
        "address": "3526 High St, Sacramento, CA 95838",
    }
    assert row["effect"] == {"kind": "appointment", "id": made, "op": "create", "notified": False}


def test_a_connection_may_want_tasks_with_the_place_in_their_text(
    as_tasks: Kind, sandbox: SandboxServer, lead: str
) -> None:
    made = as_tasks.write(SHOWING, contact=lead)
    row = sandbox.journal("lofty")[-1]
    assert {name: row["body"][name] for name in ("type", "taskWay", "assignedRole")} == {
        "type": "TASK", "taskWay": "Other", "assignedRole": "Agent",
    }  # fmt: skip
    assert "address" not in row["body"]
    assert row["body"]["content"].splitlines()[1] == "3526 High St, Sacramento, CA 95838"
    assert (row["effect"]["kind"], made[-5:]) == ("task", "-task")
    assert as_tasks.lookup(SHOWING, contact=lead) == Found(made, same=True)
    assert as_tasks.write(LATER, linked(made), contact=lead) == made
    assert as_tasks.written(OFF, linked(made), contact=lead) == Removed(200)
    assert [effect["op"] for effect in sandbox.effects("task")] == ["create", "update", "delete"]


def test_what_was_put_in_as_an_appointment_stays_one_when_the_connection_turns_to_tasks(
    stops: Kind, as_tasks: Kind, sandbox: SandboxServer, lead: str
) -> None:
    made = stops.write(SHOWING, contact=lead)
    assert as_tasks.write(LATER, linked(made), contact=lead) == made
    assert requests(sandbox)[-1] == f"PUT /v2.0/calendar/{made}"
    assert "taskWay" not in sandbox.journal("lofty")[-1]["body"]


def test_a_moved_stop_is_one_update_of_the_same_appointment(stops: Kind, sandbox: SandboxServer, lead: str) -> None:
    made = stops.write(SHOWING, contact=lead)
    assert stops.write(LATER, linked(made), contact=lead) == made
    row = sandbox.journal("lofty")[-1]
    assert (row["method"], row["path"], row["body"]["startAt"]) == (
        "PUT", f"/v2.0/calendar/{made}", "2026-09-14T15:00:00-07:00",
    )  # fmt: skip
    assert "type" not in row["body"]


def test_a_stop_of_another_buyer_moves_to_that_lead(stops: Kind, staff: LoftyCrm, lead: str) -> None:
    made = stops.write(SHOWING, contact=lead)
    bob = staff.lead(firstName="Bob")
    stops.write(SHOWING, linked(made), contact=bob)
    shown = staff.done("GET", f"/v2.0/tasks/{made.partition('-')[0]}")["task"]
    assert shown["leadId"] == int(bob)  # type: ignore[index]


def test_a_cancelled_stop_is_deleted_once(stops: Kind, sandbox: SandboxServer, lead: str) -> None:
    made = stops.write(SHOWING, contact=lead)
    assert stops.wanted(OFF, contact=lead).absent is True
    assert stops.written(OFF, linked(made), contact=lead) == Removed(200)
    assert stops.written(OFF, linked(made), contact=lead) == Removed(404)
    assert [effect["op"] for effect in sandbox.effects("appointment")] == ["create", "delete"]
    assert sandbox.journal("lofty")[-1]["headers"]["content-type"] == "application/json"


@pytest.mark.parametrize(("method", "facts"), [("PUT", LATER), ("DELETE", OFF)])
@pytest.mark.parametrize("body", [{}, [], {"message": None}, {"ok": True}])
def test_an_answer_to_a_change_that_says_nothing_is_doubt(
    stops: Kind, sandbox: SandboxServer, method: str, facts: object, body: object
) -> None:
    sandbox.faults("status", provider="lofty", status=200, body=body, match={"method": method})
    with pytest.raises(Uncertain):
        stops.written(facts, linked("7-appointment"), contact="1")


@pytest.mark.parametrize("made", [None, "", "7", 7, "7-lead", "x-task", "-task"])
def test_an_answer_to_a_create_without_a_calendar_id_is_doubt(
    stops: Kind, sandbox: SandboxServer, made: object
) -> None:
    sandbox.faults("status", provider="lofty", status=200, body={"data": {"id": made}})
    with pytest.raises(Uncertain):
        stops.write(SHOWING, contact="1")


def test_an_update_of_what_was_deleted_there_is_gone(stops: Kind, lead: str) -> None:
    with pytest.raises(Gone):
        stops.write(SHOWING, linked("7-appointment"), contact=lead)


def test_a_lead_that_is_not_there_yet_is_tried_again(stops: Kind, people: Kind, sandbox: SandboxServer) -> None:
    """The documentation names the writes that a new lead takes at once, and these are not among them."""
    sandbox.lofty(lag_s=3600, late_writes=True)
    lead = people.write(ANN)
    with pytest.raises(NotProcessed, match="does not exist"):
        stops.write(SHOWING, contact=lead)
    sandbox.lofty(lag_s=0)
    assert stops.write(SHOWING, contact=lead)


def test_a_buyer_linked_to_what_is_no_lead_is_named(stops: Kind, sandbox: SandboxServer) -> None:
    """Staff may type an id."""
    with pytest.raises(Rejected, match="leadId “Ann” is no number"):
        stops.write(SHOWING, contact="Ann")
    assert sandbox.journal("lofty") == []


def test_a_stop_given_to_a_user_is_the_leads_own_agents_all_the_same(stops: Kind) -> None:
    given = stops.wanted(replace(SHOWING, assignee="844510972070138"), contact="1")
    assert given == stops.wanted(SHOWING, contact="1")


# --- look-up -------------------------------------------------------------------------------------------------------


def test_before_anything_was_sent_nothing_is_found(stops: Kind, sandbox: SandboxServer, lead: str) -> None:
    assert stops.lookup(SHOWING, contact=lead) == NotFound()
    row = sandbox.journal("lofty")[-1]
    assert (row["path"], row["query"]) == ("/v2.0/tasks", {"leadId": lead})


def test_a_lost_answer_is_found_by_its_marker_among_others(stops: Kind, sandbox: SandboxServer, lead: str) -> None:
    stops.write(SHOWING, RefFacts(None, "ZZZZZZZZZZZZ"), contact=lead)
    sandbox.faults("drop_after_effect", provider="lofty", match={"method": "POST"})
    with pytest.raises(httpx.TransportError):
        stops.write(SHOWING, contact=lead)
    assert stops.lookup(SHOWING, contact=lead) == Found(sandbox.effects("appointment")[-1]["id"], same=True)


def test_an_appointment_tells_whether_it_is_the_same(stops: Kind, lead: str) -> None:
    made = stops.write(SHOWING, contact=lead)
    for ref in (linked(made), NEW):
        assert stops.lookup(SHOWING, ref, contact=lead) == Found(made, same=True)
        assert stops.lookup(LATER, ref, contact=lead) == Found(made, same=False)
        assert stops.lookup(replace(SHOWING, city="Davis"), ref, contact=lead) == Found(made, same=False)
        assert stops.lookup(OFF, ref, contact=lead) == Found(made, same=False)


def test_a_linked_appointment_that_was_deleted_is_gone_and_a_cancelled_one_as_wanted(stops: Kind, lead: str) -> None:
    with pytest.raises(Gone):
        stops.lookup(SHOWING, linked("7-appointment"), contact=lead)
    assert stops.lookup(OFF, linked("7-appointment"), contact=lead) == NotFound()


def test_one_that_is_shown_as_deleted_is_gone_too(stops: Kind, sandbox: SandboxServer) -> None:
    body = {"task": {"id": 7, "leadId": 1, "content": "x", "deleteFlag": True}}
    sandbox.faults("status", provider="lofty", status=200, body=body, times=2)
    with pytest.raises(Gone):
        stops.lookup(SHOWING, linked("7-appointment"), contact="1")
    assert stops.lookup(OFF, linked("7-appointment"), contact="1") == NotFound()


def test_a_marker_that_stands_twice_is_for_staff_to_judge(stops: Kind, staff: LoftyCrm, lead: str) -> None:
    made = stops.write(SHOWING, contact=lead)
    copy = {**stops.wanted(SHOWING, contact=lead).body, "leadId": int(lead)}
    second = staff.done("POST", "/v2.0/calendar", copy)["data"]["id"]  # type: ignore[index]
    assert stops.lookup(SHOWING, contact=lead) == Ambiguous(sorted([made, second]))


def test_what_a_read_does_not_tell_is_not_known_to_be_the_same(stops: Kind, sandbox: SandboxServer) -> None:
    task = {"id": 7, "leadId": 1, "content": stops.wanted(SHOWING, contact="1").body["content"], "address": None}
    sandbox.faults("status", provider="lofty", status=200, body={"task": task})
    assert stops.lookup(SHOWING, linked("7-appointment"), contact="1") == Found("7-appointment", same=None)


def test_another_record_than_the_one_asked_for_is_not_understood(stops: Kind, sandbox: SandboxServer) -> None:
    for body in ({"task": {"id": 8}}, {"id": 7}, {"task": []}, {}):
        sandbox.faults("status", provider="lofty", status=200, body=body)
        with pytest.raises(Uncertain):
            stops.lookup(SHOWING, linked("7-task"), contact="1")
    for body in ({}, {"tasks": {}}, {"tasks": [{"content": "x"}]}):
        sandbox.faults("status", provider="lofty", status=200, body=body)
        with pytest.raises(Uncertain):
            stops.lookup(SHOWING, contact="1")


# --- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"appointment_status": "pending"}, "not confirmed yet"),
        ({"outcome": "showed"}, "showed"),
        ({"outcome": "no_show"}, "no-show"),
        ({"appointment_status": "cancelled"}, "cancelled"),
    ],
)
def test_status_and_outcome_are_told_in_words(changes: dict[str, str], words: str) -> None:
    text = mapping.content(replace(SHOWING, **changes), MARKER, "")  # type: ignore[arg-type]
    assert f"Tour SAC-0001, stop 1: {words}." in text


def test_however_long_it_stays_short_and_the_marker_whole_and_alone() -> None:
    long = replace(SHOWING, street="[RR-AAAAAAAAAAAA] " + "x" * 400, agent_name="y" * 200, tour_reference="z" * 64)
    text = mapping.content(long, MARKER, "")
    assert len(text) < 500
    assert text.endswith(f"\n[RR-{MARKER}]")
    assert text.count("[RR-") == 1


def test_a_stop_without_a_known_place_has_no_address() -> None:
    nowhere = replace(SHOWING, street="", city="", state="", postal_code="")
    assert "address" not in mapping.showing_body(nowhere, marker=MARKER, lead="1", kind="appointment")


def test_times_are_compared_as_moments_and_texts_without_their_blanks() -> None:
    body = mapping.showing_body(SHOWING, marker=MARKER, lead="1", kind="appointment")
    same = {**body, "startAt": "2026-09-14T21:00:00+00:00", "content": body["content"].replace("\n", " \n")}
    assert mapping.showing_differs(body, same) == ()
    assert mapping.same_showing(body, same) is True
    assert mapping.showing_differs(body, {**body, "endAt": "2026-09-14T23:00:00Z", "leadId": "2"}) == (
        "leadId", "endAt",
    )  # fmt: skip
    assert mapping.same_showing(body, {**body, "startAt": "2026-09-14T14:00:00"}) is None
    assert mapping.same_showing(body, {**body, "startAt": "soon"}) is None
