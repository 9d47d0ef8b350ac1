"""Tour stops at Rollout and the type they are put in under, against the sandbox over real HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from integrations.providers.base import AccountFacts, Ambiguous, Found, NotFound, RefFacts, Removed
from integrations.providers.rollout.errors import RolloutGoneError, RolloutRequestError, RolloutUncertainError
from tests.integrations.providers.gohighlevel.conftest import ANN, MARKER, SHOWING
from tests.integrations.providers.rollout.conftest import NEW, Kind, linked, requests
from tests.openapi import validate_request
from tests.rollout_client import RolloutCrm
from tests.sandbox_server import SandboxServer

ACCOUNT = AccountFacts(1)
OFF = replace(SHOWING, live=False)
LATER = replace(SHOWING, starts_at=SHOWING.starts_at + timedelta(hours=1), ends_at=SHOWING.ends_at + timedelta(hours=1))


@pytest.fixture
def needs(people: Kind, types: Kind) -> dict[str, str]:
    """Ann and the type, both in the CRM."""
    return {"contact": people.write(ANN), "appointment_type": types.write(ACCOUNT)}


# --- the type ------------------------------------------------------------------------------------------------------


def test_a_type_of_that_name_is_used(types: Kind, sandbox: SandboxServer) -> None:
    sandbox.rollout(appointment_types=["Closing", "showing"])
    found = types.lookup(ACCOUNT)
    assert isinstance(found, Found)
    assert sandbox.effects() == []


def test_without_one_it_is_created_once(types: Kind, sandbox: SandboxServer) -> None:
    sandbox.rollout(appointment_types=["Closing"])
    assert types.lookup(ACCOUNT) == NotFound()
    made = types.write(ACCOUNT)
    assert sandbox.journal("rollout")[-1]["body"] == {"name": "Showing", "orderWeight": 1000}
    assert types.lookup(ACCOUNT) == Found(made, same=True)


def test_of_two_of_that_name_the_first_is_used(types: Kind, staff: RolloutCrm) -> None:
    both = [staff.made("/appointment-types", name="Showing", orderWeight=weight) for weight in (1, 2)]
    assert types.lookup(ACCOUNT) == Found(min(both), same=True)


def test_a_type_beyond_the_first_page_is_found(types: Kind, sandbox: SandboxServer) -> None:
    sandbox.rollout(appointment_types=["Showing", *(f"Type {number}" for number in range(120))])
    assert isinstance(types.lookup(ACCOUNT), Found)


def test_a_linked_type_is_confirmed_and_never_written(types: Kind, sandbox: SandboxServer) -> None:
    made = types.write(ACCOUNT)
    assert types.lookup(ACCOUNT, linked(made)) == Found(made, same=True)
    assert types.write(ACCOUNT, linked(made)) == made
    assert len(sandbox.effects()) == 1
    with pytest.raises(RolloutGoneError):
        types.lookup(ACCOUNT, linked("deleted"))


# --- write ---------------------------------------------------------------------------------------------------------


def test_a_stop_is_created_once_with_place_and_type(stops: Kind, sandbox: SandboxServer, needs: dict[str, str]) -> None:
    made = stops.write(SHOWING, **needs)
    row = sandbox.journal("rollout")[-1]
    assert (row["method"], row["path"], stops.commits) == ("POST", "/api/appointments", 1)
    assert row["body"] == {
        "personId": needs["contact"],
        "appointmentTypeId": needs["appointment_type"],
        "title": "Showing: 3526 High St · Lee — 4 homes",
        "location": "3526 High St, Sacramento, CA 95838",
        "description": f"Tour SAC-0001, stop 1: confirmed.\nShown by Michael Hudson.\n[RR-{MARKER}]",
        "isAllDay": False,
        "startsAt": "2026-09-14T21:00:00Z",
        "endsAt": "2026-09-14T21:30:00Z",
    }
    assert row["effect"] == {"kind": "appointment", "id": made, "op": "create", "notified": False}


def test_a_moved_stop_is_one_update_of_the_same_appointment(
    stops: Kind, sandbox: SandboxServer, needs: dict[str, str]
) -> None:
    first = stops.write(SHOWING, **needs)
    assert stops.write(LATER, linked(first), **needs) == first
    row = sandbox.journal("rollout")[-1]
    assert (row["method"], row["path"]) == ("PUT", f"/api/appointments/{first}")
    assert row["body"]["startsAt"] == "2026-09-14T22:00:00Z"


def test_a_stop_of_another_buyer_moves_to_that_person(stops: Kind, staff: RolloutCrm, needs: dict[str, str]) -> None:
    first = stops.write(SHOWING, **needs)
    bob = staff.person(firstName="Bob")
    stops.write(SHOWING, linked(first), **{**needs, "contact": bob})
    assert staff.call("GET", f"/appointments/{first}").json()["personId"] == bob


def test_a_stop_is_given_to_a_user_and_handed_to_another(
    stops: Kind, sandbox: SandboxServer, needs: dict[str, str]
) -> None:
    dana, lee = replace(SHOWING, assignee="user_dana"), replace(SHOWING, assignee="user_lee")
    made = stops.write(dana, **needs)
    assert stops.lookup(dana, linked(made), **needs) == Found(made, same=True)
    assert stops.lookup(lee, linked(made), **needs) == Found(made, same=False)
    stops.write(lee, linked(made), **needs)
    rows = [row for row in sandbox.journal("rollout") if row["method"] in ("POST", "PUT")][-2:]
    assert [row["body"]["userId"] for row in rows] == ["user_dana", "user_lee"]
    for row in rows:
        headers = {**row["headers"], "authorization": "Bearer x.y.z"}
        validate_request(row["method"], row["path"], headers, row["query"], row["body"], provider="rollout")


def test_a_cancelled_stop_is_deleted(stops: Kind, sandbox: SandboxServer, needs: dict[str, str]) -> None:
    first = stops.write(SHOWING, **needs)
    assert stops.wanted(OFF, **needs).absent is True
    assert stops.written(OFF, linked(first), **needs) == Removed(200)
    assert [effect["op"] for effect in sandbox.effects("appointment")] == ["create", "delete"]


def test_a_cancelled_stop_that_staff_deleted_is_as_wanted(stops: Kind, needs: dict[str, str]) -> None:
    assert stops.written(OFF, linked("deleted"), **needs) == Removed(404)


def test_an_answer_to_a_delete_that_is_not_understood_is_doubt(
    stops: Kind, sandbox: SandboxServer, needs: dict[str, str]
) -> None:
    first = stops.write(SHOWING, **needs)
    sandbox.faults("garbled", provider="rollout", match={"method": "DELETE"})
    with pytest.raises(RolloutUncertainError):
        stops.written(OFF, linked(first), **needs)


def test_what_came_of_it_is_told_by_the_accounts_own_outcome(
    stops: Kind, sandbox: SandboxServer, needs: dict[str, str]
) -> None:
    sandbox.rollout(appointment_outcomes=["No Show", "Completed"])
    first = stops.write(SHOWING, **needs)
    stops.write(replace(SHOWING, outcome="no_show"), linked(first), **needs)
    row = sandbox.journal("rollout")[-1]
    outcomes = sandbox.journal("rollout")[-2]
    assert (outcomes["method"], outcomes["path"]) == ("GET", "/api/appointment-outcomes")
    assert row["body"]["appointmentOutcomeId"]
    assert "no-show" in row["body"]["description"]


def test_an_account_without_outcomes_gets_none(stops: Kind, sandbox: SandboxServer, needs: dict[str, str]) -> None:
    stops.write(replace(SHOWING, outcome="showed"), **needs)
    assert "appointmentOutcomeId" not in sandbox.journal("rollout")[-1]["body"]
    assert sandbox.effects("appointment_outcome") == []


def test_an_update_of_an_appointment_that_was_deleted_there_is_gone(stops: Kind, needs: dict[str, str]) -> None:
    with pytest.raises(RolloutGoneError):
        stops.write(SHOWING, linked("deleted"), **needs)


def test_a_person_who_was_deleted_there_is_a_definite_no(
    stops: Kind, sandbox: SandboxServer, needs: dict[str, str]
) -> None:
    with pytest.raises(RolloutRequestError, match="personId does not exist"):
        stops.write(SHOWING, **{**needs, "contact": "deleted"})
    assert sandbox.effects("appointment") == []


def test_a_type_that_was_deleted_there_is_named(stops: Kind, staff: RolloutCrm, needs: dict[str, str]) -> None:
    first = stops.write(SHOWING, **needs)
    staff.call("DELETE", f"/appointment-types/{needs['appointment_type']}")
    for ref in (NEW, linked(first)):
        with pytest.raises(RolloutRequestError, match="appointment type “Showing” was deleted"):
            stops.write(SHOWING, ref, **needs)


# --- look-up -------------------------------------------------------------------------------------------------------


def test_before_anything_was_sent_nothing_is_found(stops: Kind, needs: dict[str, str]) -> None:
    assert stops.lookup(SHOWING, **needs) == NotFound()


def test_a_lost_answer_is_found_by_its_marker_among_others(
    stops: Kind, sandbox: SandboxServer, needs: dict[str, str]
) -> None:
    stops.write(SHOWING, RefFacts(None, "ZZZZZZZZZZZZ"), **needs)
    sandbox.faults("drop_after_effect", provider="rollout", match={"method": "POST"})
    with pytest.raises(httpx.TransportError):
        stops.write(SHOWING, **needs)
    assert stops.lookup(SHOWING, **needs) == Found(sandbox.effects("appointment")[-1]["id"], same=True)


def test_a_write_that_never_arrived_is_not_found(stops: Kind, sandbox: SandboxServer, needs: dict[str, str]) -> None:
    sandbox.faults("drop_before_effect", provider="rollout", match={"method": "POST"})
    with pytest.raises(httpx.TransportError):
        stops.write(SHOWING, **needs)
    assert stops.lookup(SHOWING, **needs) == NotFound()


def test_an_appointment_tells_whether_it_is_the_same(stops: Kind, needs: dict[str, str]) -> None:
    first = stops.write(SHOWING, **needs)
    for ref in (linked(first), RefFacts(None, MARKER)):
        assert stops.lookup(SHOWING, ref, **needs) == Found(first, same=True)
        assert stops.lookup(LATER, ref, **needs) == Found(first, same=False)


def test_a_linked_appointment_that_was_deleted_is_gone(stops: Kind, needs: dict[str, str]) -> None:
    with pytest.raises(RolloutGoneError):
        stops.lookup(SHOWING, linked("deleted"), **needs)


def test_a_lost_answer_to_a_delete_is_looked_up(stops: Kind, sandbox: SandboxServer, needs: dict[str, str]) -> None:
    first = stops.write(SHOWING, **needs)
    assert stops.lookup(OFF, linked(first), **needs) == Found(first, same=False)
    sandbox.faults("drop_after_effect", provider="rollout", match={"method": "DELETE"})
    with pytest.raises(httpx.TransportError):
        stops.written(OFF, linked(first), **needs)
    assert stops.lookup(OFF, linked(first), **needs) == NotFound()


def test_a_marker_that_stands_twice_is_for_staff_to_judge(
    stops: Kind, staff: RolloutCrm, needs: dict[str, str]
) -> None:
    first = stops.write(SHOWING, **needs)
    copy = {name: value for name, value in stops.wanted(SHOWING, **needs).body.items() if name != "outcome"}
    second = staff.made("/appointments", **copy)
    assert stops.lookup(SHOWING, **needs) == Ambiguous(sorted([first, second]))


def test_a_second_look_reads_one_page(stops: Kind, sandbox: SandboxServer, needs: dict[str, str]) -> None:
    stops.lookup(SHOWING, **needs)
    before = len(requests(sandbox))
    stops.lookup(SHOWING, **needs)
    assert requests(sandbox)[before:] == ["GET /appointments"]
