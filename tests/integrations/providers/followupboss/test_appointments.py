"""Showings at Follow Up Boss: invitees without messages, outcomes of the account's own, and lists that show little."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from integrations.providers.base import Found, NotFound, RefFacts, Removed
from integrations.providers.errors import Rejected
from tests.followupboss_client import FollowUpBossCrm
from tests.integrations.providers.gohighlevel.conftest import SHOWING
from tests.sandbox_server import FUB_USERS, SandboxServer

from .conftest import DANA, MARKER, Kind, linked, sent

OLGA = FUB_USERS[0]["id"]
GIVEN = replace(SHOWING, assignee=DANA)


def shown(staff: FollowUpBossCrm, external_id: str) -> dict[str, Any]:
    found: dict[str, Any] = staff.call("GET", f"/appointments/{external_id}").json()
    return found


def test_what_is_sent(stops: Kind, ann: str, sandbox: SandboxServer) -> None:
    stops.write(GIVEN, contact=ann)
    row = sent(sandbox)[-1]
    assert (row["method"], row["path"], row["query"]) == ("POST", "/v1/appointments", {})
    assert row["body"] == {
        "title": "Showing: 3526 High St · Lee — 4 homes",
        "location": "3526 High St, Sacramento, CA 95838",
        "description": f"Tour SAC-0001, stop 1: confirmed.\nShown by Michael Hudson.\n[RR-{MARKER}]",
        "allDay": False,
        "start": "2026-09-14T21:00:00Z",
        "end": "2026-09-14T21:30:00Z",
        "invitees": [{"personId": int(ann)}, {"userId": int(DANA)}],
    }
    assert row["effect"]["notified"] is False


def test_a_move_of_what_is_given_to_nobody_leaves_who_was_invited(
    stops: Kind, ann: str, staff: FollowUpBossCrm
) -> None:
    first = stops.write(SHOWING, contact=ann)
    both = [{"personId": int(ann)}, {"userId": int(DANA)}]
    staff.call("PUT", f"/appointments/{first}", {"invitees": both})
    stops.write(replace(SHOWING, street="1 Elm St"), linked(first), contact=ann)
    assert [one.get("userId") for one in shown(staff, first)["invitees"]] == [None, int(DANA)]


def test_another_agent_is_invited_in_place_of_the_first(stops: Kind, ann: str, staff: FollowUpBossCrm) -> None:
    first = stops.write(GIVEN, contact=ann)
    stops.write(replace(GIVEN, assignee=OLGA), linked(first), contact=ann)
    assert [one.get("userId") for one in shown(staff, first)["invitees"]] == [None, int(OLGA)]


def test_who_was_invited_there_is_a_difference_only_where_we_say_who(
    stops: Kind, ann: str, staff: FollowUpBossCrm
) -> None:
    first = stops.write(GIVEN, contact=ann)
    more = [{"personId": int(ann)}, {"userId": int(DANA)}, {"userId": int(OLGA)}]
    staff.call("PUT", f"/appointments/{first}", {"invitees": more})
    for showing, differs in ((GIVEN, ("invitees",)), (SHOWING, ())):
        wanted = stops.wanted(showing, linked(first), contact=ann)
        record = stops.kind.current(stops.exchange(), wanted, linked(first))  # type: ignore[attr-defined]
        assert stops.kind.differs(wanted.body, record) == differs  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["Completed", "MET", "Showed"])
def test_what_came_of_it_is_told_by_the_accounts_own_outcome(
    stops: Kind, ann: str, staff: FollowUpBossCrm, sandbox: SandboxServer, name: str
) -> None:
    sandbox.followupboss(appointment_outcomes=["Rescheduled", name])
    first = stops.write(SHOWING, contact=ann)
    showed = replace(SHOWING, outcome="showed")
    stops.write(showed, linked(first), contact=ann)
    assert shown(staff, first)["outcome"] == name
    assert stops.lookup(showed, linked(first), contact=ann) == Found(first, same=True)


def test_an_account_without_such_an_outcome_gets_none(stops: Kind, ann: str, staff: FollowUpBossCrm) -> None:
    first = stops.write(replace(SHOWING, outcome="no_show"), contact=ann)
    assert shown(staff, first)["outcome"] is None
    assert "no-show" in shown(staff, first)["description"]


def test_an_outcome_that_people_chose_there_is_no_difference_until_we_say_another(
    stops: Kind, ann: str, staff: FollowUpBossCrm, sandbox: SandboxServer
) -> None:
    sandbox.followupboss(appointment_outcomes=["No Show", "Completed"])
    first = stops.write(SHOWING, contact=ann)
    outcomes = staff.call("GET", "/appointmentOutcomes").json()["appointmentoutcomes"]
    chosen = next(one["id"] for one in outcomes if one["name"] == "No Show")
    staff.call("PUT", f"/appointments/{first}", {"outcomeId": chosen})
    for outcome, differs in (("none", ()), ("no_show", ()), ("showed", ("outcome",))):
        wanted = stops.wanted(replace(SHOWING, outcome=outcome), linked(first), contact=ann)
        record = stops.kind.current(stops.exchange(), wanted, linked(first))  # type: ignore[attr-defined]
        # The description says it in words as well.
        told = [name for name in stops.kind.differs(wanted.body, record) if name != "description"]  # type: ignore[attr-defined]
        assert tuple(told) == differs


def test_cancelling_deletes_and_what_is_gone_already_is_as_good(stops: Kind, ann: str) -> None:
    off = replace(SHOWING, live=False)
    first = stops.write(SHOWING, contact=ann)
    assert stops.written(off, linked(first), contact=ann) == Removed(200)
    assert stops.written(off, linked(first), contact=ann) == Removed(404)
    assert stops.lookup(off, linked(first), contact=ann) == NotFound()


def test_an_empty_list_is_not_believed_while_it_shows_nothing_of_the_keys_user(
    stops: Kind, ann: str, sandbox: SandboxServer
) -> None:
    """It is always empty where the user does not share a calendar: believing it would double the showing."""
    first = stops.write(SHOWING, contact=ann)
    assert stops.lookup(SHOWING, contact=ann) == Found(first, same=True)
    sandbox.followupboss(shares_calendar=False)
    with pytest.raises(Rejected, match="cannot be asked whether one arrived"):
        stops.lookup(SHOWING, contact=ann)


def test_an_empty_list_of_the_buyer_is_believed_where_others_show(
    stops: Kind, ann: str, staff: FollowUpBossCrm
) -> None:
    other = staff.person()
    stops.write(SHOWING, RefFacts(None, "ZZZZZZZZZZZZ"), contact=str(other))
    assert stops.lookup(SHOWING, contact=ann) == NotFound()


def test_the_marker_is_found_behind_a_hundred_appointments(stops: Kind, ann: str, staff: FollowUpBossCrm) -> None:
    first = stops.write(SHOWING, contact=ann)
    body = {"start": "2026-09-14T21:00:00Z", "end": "2026-09-14T21:30:00Z", "invitees": [{"personId": int(ann)}]}
    for number in range(100):
        staff.made("/appointments", title=f"Call {number}", **body)
    assert stops.lookup(SHOWING, contact=ann) == Found(first, same=True)


def test_a_user_that_is_no_number_is_named_and_nothing_is_sent(stops: Kind, ann: str, sandbox: SandboxServer) -> None:
    before = len(sent(sandbox))
    with pytest.raises(Rejected, match="the agent's user must be a number in Follow Up Boss, not “user_ann”"):
        stops.write(replace(SHOWING, assignee="user_ann"), contact=ann)
    assert len(sent(sandbox)) == before
