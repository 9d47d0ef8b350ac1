"""Follow Up Boss in the sandbox: people, notes, tasks, appointments, as its pages describe them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.followupboss_client import FollowUpBossCrm
from tests.sandbox_server import FUB_USERS, SandboxServer

DANA = int(FUB_USERS[1]["id"])
TIMES = {"start": "2026-09-14T17:00:00Z", "end": "2026-09-14T10:30:00-07:00"}
NOBODY = 2**60


def rows(fub: FollowUpBossCrm, path: str, **query: object) -> list[dict[str, Any]]:
    answer = fub.call("GET", path, query=query).json()
    found: list[dict[str, Any]] = answer[answer["_metadata"]["collection"]]
    return found


# --- people -----------------------------------------------------------------------------------------------------------


def test_people_are_searched_by_any_address_and_any_number(fub: FollowUpBossCrm) -> None:
    ana = fub.person(
        emails=[{"value": "ana@mail.example"}, {"value": "ana@work.example"}], phones=[{"value": "(916) 555-0001"}]
    )
    fub.person(firstName="Bo", emails=[{"value": "bo@mail.example"}])
    for query in ({"email": "ANA@work.example"}, {"phone": "+19165550001"}, {"name": "ana"}):
        assert [one["id"] for one in rows(fub, "/people", **query)] == [ana]


def test_deduplicate_changes_who_is_there_and_without_it_there_are_two(fub: FollowUpBossCrm) -> None:
    ana = fub.person(phones=[{"value": "9165550001"}])
    twin = {"firstName": "Anna", "phones": [{"value": "1-916-555-0001"}]}
    answer = fub.call("POST", "/people", twin, query={"deduplicate": "true"})
    assert (answer.status_code, answer.json()["id"], answer.json()["firstName"]) == (200, ana, "Anna")
    assert fub.call("POST", "/people", twin).status_code == 201


def test_the_check_for_duplicates_knows_whom_the_key_may_not_see(fub: FollowUpBossCrm, sandbox: SandboxServer) -> None:
    fub.person(assignedUserId=DANA)
    sandbox.followupboss(sees="assigned")
    assert rows(fub, "/people", email="ana@mail.example") == []
    found = fub.call("GET", "/people/checkDuplicate", query={"email": "ana@mail.example"}).json()
    assert found == {"found": True, "matchedBy": "email", "assignedTo": "Dana Okafor"}
    assert fub.call("GET", "/people/checkDuplicate", query={"phone": "1"}).json()["found"] is False
    assert fub.refused("GET", "/people/checkDuplicate")[0] == 400


def test_tags_are_replaced_unless_they_are_to_be_merged(fub: FollowUpBossCrm) -> None:
    ana = fub.person(tags=["vip"])
    assert fub.call("PUT", f"/people/{ana}", {"tags": ["hot"]}, query={"mergeTags": "true"}).json()["tags"] == [
        "vip",
        "hot",
    ]
    assert fub.call("PUT", f"/people/{ana}", {"tags": ["cold"]}).json()["tags"] == ["cold"]
    assert fub.call("PUT", f"/people/{ana}", {"lastName": "Reyes"}).json()["tags"] == ["cold"]


def test_custom_fields_are_those_of_the_account_and_shown_when_asked_for(
    fub: FollowUpBossCrm, sandbox: SandboxServer
) -> None:
    sandbox.followupboss(custom_fields=["customMood"])
    ana = fub.person(customMood="keen")
    assert "customMood" not in fub.call("GET", f"/people/{ana}").json()
    assert fub.call("GET", f"/people/{ana}", query={"fields": "allFields"}).json()["customMood"] == "keen"
    assert fub.refused("PUT", f"/people/{ana}", {"customOther": "x"})[0] == 400
    assert [field["name"] for field in rows(fub, "/customFields")] == ["customMood"]


def test_where_someone_came_from_cannot_be_changed(fub: FollowUpBossCrm) -> None:
    assert fub.refused("PUT", f"/people/{fub.person(source='Zillow')}", {"source": "Other"})[0] == 400


@pytest.mark.parametrize(("kind", "notified"), [("Property Inquiry", True), ("Viewed Property", False)])
def test_an_event_may_start_plans_that_write_to_people(
    fub: FollowUpBossCrm, sandbox: SandboxServer, kind: str, notified: bool
) -> None:
    ana = fub.person()
    event = {"type": kind, "person": {"emails": [{"value": "ana@mail.example"}]}}
    assert fub.call("POST", "/events", event).json()["id"] == ana
    assert sandbox.effects("event") == [{"kind": "event", "id": str(ana), "op": "create", "notified": notified}]
    assert fub.refused("POST", "/events", {"person": {"id": NOBODY}})[0] == 404


# --- lists ------------------------------------------------------------------------------------------------------------


def test_a_list_is_paged_by_offset_or_by_what_the_page_before_says(fub: FollowUpBossCrm) -> None:
    made = [fub.person(firstName=f"P{n}") for n in range(12)][::-1]
    first = fub.call("GET", "/people").json()
    assert [one["id"] for one in first["people"]] == made[:10]
    assert {name: first["_metadata"][name] for name in ("collection", "offset", "limit", "total")} == {
        "collection": "people", "offset": 0, "limit": 10, "total": 12,
    }  # fmt: skip
    assert [one["id"] for one in rows(fub, "/people", next=first["_metadata"]["next"])] == made[10:]
    assert [one["id"] for one in rows(fub, "/people", offset=11, limit=1000)] == made[11:]
    assert fub.call("GET", "/people", query={"offset": "2"}).json()["_metadata"]["next"] is None


@pytest.mark.parametrize("query", [{"limit": "0"}, {"offset": "-1"}, {"next": "x"}, {"colour": "blue"}])
def test_a_parameter_that_is_none_is_400(fub: FollowUpBossCrm, query: dict[str, str]) -> None:
    assert fub.refused("GET", "/people", query=query)[0] == 400


# --- notes, tasks, appointments ---------------------------------------------------------------------------------------


def test_a_note_belongs_to_a_person_and_is_changed_in_part(fub: FollowUpBossCrm, sandbox: SandboxServer) -> None:
    ana = fub.person()
    note = fub.made("/notes", personId=ana, subject="Hi", body="Nice")
    assert fub.call("PUT", f"/notes/{note}", {"body": "Nicer"}).json()["subject"] == "Hi"
    assert fub.call("DELETE", f"/notes/{note}").status_code == 200
    assert fub.refused("GET", f"/notes/{note}")[0] == 404
    assert [effect["op"] for effect in sandbox.effects("note")] == ["create", "update", "delete"]
    assert fub.refused("POST", "/notes", {"personId": NOBODY, "body": "x"})[0] == 400
    assert fub.refused("POST", "/notes", {"personId": ana}) == (400, "body is required")


def test_tasks_are_listed_by_person_name_and_whether_they_are_done(fub: FollowUpBossCrm) -> None:
    ana, bo = fub.person(), fub.person()
    call = fub.made("/tasks", personId=ana, name="Call Ana", type="Call", dueDateTime="2026-09-14T09:00:00-07:00")
    fub.made("/tasks", personId=bo, name="Call Bo", isCompleted=True)
    assert [one["id"] for one in rows(fub, "/tasks", personId=ana)] == [call]
    assert [one["id"] for one in rows(fub, "/tasks", name="call", isCompleted="false")] == [call]
    (shown,) = rows(fub, "/tasks", type="Call,Text")
    assert (shown["dueDateTime"], shown["dueDate"], shown["isCompleted"]) == ("2026-09-14T16:00:00Z", "2026-09-14", 0)
    assert fub.refused("POST", "/tasks", {"personId": ana, "name": "x", "type": "Tour"})[0] == 400
    assert fub.refused("POST", "/tasks", {"personId": ana, "name": "x", "assignedUserId": NOBODY})[0] == 400


def test_an_appointment_is_changed_in_part_and_shows_type_and_outcome_by_name(
    fub: FollowUpBossCrm, sandbox: SandboxServer
) -> None:
    sandbox.followupboss(appointment_types=["Showing"], appointment_outcomes=["Met"])
    kind, outcome = (rows(fub, path)[0]["id"] for path in ("/appointmentTypes", "/appointmentOutcomes"))
    ana = fub.person()
    made = fub.made("/appointments", title="Showing", **TIMES, invitees=[{"personId": ana}], typeId=kind)
    changed = fub.call("PUT", f"/appointments/{made}", {"outcomeId": outcome, "location": "1 Elm St"}).json()
    assert (changed["type"], changed["outcome"], changed["end"]) == ("Showing", "Met", "2026-09-14T17:30:00Z")
    assert [one.get("personId") for one in changed["invitees"]] == [ana]
    assert [one["id"] for one in rows(fub, "/appointments", personId=f"1,{ana}")] == [made]
    assert rows(fub, "/appointments", userId=DANA) == []


@pytest.mark.parametrize(
    ("asked", "notified"), [({}, False), ({"sendInvitation": False}, False), ({"sendInvitation": True}, True)]
)
def test_who_is_invited_hears_of_it_only_when_that_is_asked_for(
    fub: FollowUpBossCrm, sandbox: SandboxServer, asked: dict[str, bool], notified: bool
) -> None:
    fub.made("/appointments", title="Showing", **TIMES, invitees=[{"personId": fub.person()}], **asked)
    assert [effect["notified"] for effect in sandbox.effects("appointment")] == [notified]


def test_a_list_shows_what_the_keys_user_created_while_a_calendar_is_shared(
    fub: FollowUpBossCrm, sandbox: SandboxServer
) -> None:
    fub.made("/appointments", title="Dana's", **TIMES, createdById=DANA)
    mine = fub.made("/appointments", title="Mine", **TIMES)
    assert [one["id"] for one in rows(fub, "/appointments")] == [mine]
    sandbox.followupboss(shares_calendar=False)
    assert rows(fub, "/appointments") == []
    assert fub.call("GET", f"/appointments/{mine}").status_code == 200


@pytest.mark.parametrize(
    "change",
    [{"title": ""}, {"start": "tomorrow"}, {"end": "2026-09-14T16:00:00Z"}, {"invitees": [{"personId": NOBODY}]},
     {"outcomeId": NOBODY}, {"colour": "blue"}],
)  # fmt: skip
def test_an_appointment_that_is_none_is_400_without_effect(
    fub: FollowUpBossCrm, sandbox: SandboxServer, change: dict[str, object]
) -> None:
    assert fub.refused("POST", "/appointments", {"title": "Showing", **TIMES, **change})[0] == 400
    assert sandbox.effects() == []
