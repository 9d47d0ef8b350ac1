"""Lofty's leads, notes, tasks and appointments as its documentation has them."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.lofty_client import LoftyCrm
from tests.sandbox_server import SandboxServer

TIMES = {
    "startAt": "2026-09-14T10:00:00-07:00", "endAt": "2026-09-14T10:30:00-07:00",
    "timeZoneCode": "America/Los_Angeles",
}  # fmt: skip
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def lead(lofty: LoftyCrm) -> str:
    return lofty.lead(tags=["VIP"])


def event(lofty: LoftyCrm, lead: str, **changes: object) -> str:
    body = {"type": "APPOINTMENT", "content": "Showing: 1 Elm St", "leadId": int(lead), **TIMES, **changes}
    answer: Any = lofty.done("POST", "/v2.0/calendar", body)
    return str(answer["data"]["id"])


def shown(lofty: LoftyCrm, event_id: str) -> dict[str, Any]:
    answer: Any = lofty.done("GET", f"/v2.0/tasks/{event_id.partition('-')[0]}")
    return dict(answer["task"])


# --- leads ---------------------------------------------------------------------------------------------------------


def test_a_lead_is_shown_with_objects_for_tags_and_texts_for_addresses(lofty: LoftyCrm, lead: str) -> None:
    answer: Any = lofty.done("GET", f"/v1.0/leads/{lead}")
    found = answer["lead"]
    assert (found["leadId"], found["firstName"], found["emails"]) == (int(lead), "Ana", ["ana@mail.example"])
    assert found["tags"] == [{"leadId": int(lead), "tagId": 1, "tagName": "VIP"}]
    assert int(lead) > 2**53


def test_the_same_person_posted_twice_is_two_leads(lofty: LoftyCrm, lead: str) -> None:
    assert lofty.lead() != lead


def test_without_welcome_email_false_the_lead_gets_a_message(lofty: LoftyCrm, sandbox: SandboxServer) -> None:
    lofty.lead()
    lofty.done("POST", "/v1.0/leads", {"firstName": "Bob"})
    assert [effect["notified"] for effect in sandbox.effects("contact")] == [False, True]


def test_reads_show_a_new_lead_later_and_changes_of_it_are_taken_at_once(
    lofty: LoftyCrm, sandbox: SandboxServer
) -> None:
    sandbox.lofty(lag_s=3600)
    lead = lofty.lead()
    assert lofty.refused("GET", f"/v1.0/leads/{lead}") == (404, "LEAD_NOT_EXIST")
    assert lofty.refused("GET", "/v1.0/notes", query={"leadId": lead}) == (404, "LEAD_NOT_EXIST")
    assert lofty.done("GET", "/v1.0/leads")["leads"] == []
    assert lofty.done("PUT", f"/v1.0/leads/{lead}", {"tagsAdd": ["x"]}) == {"leadId": int(lead)}
    assert event(lofty, lead)
    sandbox.lofty(late_writes=True, lag_s=3600)
    note = {"leadId": int(lead), "content": "x"}
    assert lofty.refused("POST", "/v1.0/notes", note) == (404, "LEAD_NOT_EXIST")
    sandbox.lofty(lag_s=0)
    assert lofty.done("POST", "/v1.0/notes", note)


def test_a_search_is_exact_when_it_is_asked_to_be_and_ignores_what_it_does_not_know(lofty: LoftyCrm) -> None:
    ana = lofty.lead(phones=["+1 (916) 555-0001"])
    other = lofty.lead(emails=["ana@mail.example.org"], phones=[])

    def found(**query: str) -> list[str]:
        leads: Any = lofty.done("GET", "/v1.0/leads", query=query)["leads"]
        return [str(one["leadId"]) for one in leads]

    assert found(email="ANA@mail.example", preciseSearchFlag="true") == [ana]
    assert found(email="ana@mail.example") == [other, ana]
    assert found(phone="9165550001", preciseSearchFlag="true") == [ana]
    assert found(phone="+19165550001", preciseSearchFlag="true") == []
    assert found(keyword="nobody", page="7") == [other, ana]


def test_a_page_has_25_leads_at_most_and_names_the_next(lofty: LoftyCrm) -> None:
    for _ in range(27):
        lofty.lead()
    first: Any = lofty.done("GET", "/v1.0/leads", query={"limit": "100"})
    assert (len(first["leads"]), first["_metadata"]["total"]) == (25, 27)
    rest: Any = lofty.done("GET", "/v1.0/leads", query={"limit": "100", "scrollId": first["_metadata"]["scrollId"]})
    assert len(rest["leads"]) == 2
    assert "scrollId" not in rest["_metadata"]
    for limit in ("0", "101", "x"):
        assert lofty.refused("GET", "/v1.0/leads", query={"limit": limit}) == (400, "LIMIT_NOT_VALID")


def test_tags_are_replaced_and_tags_add_only_adds(lofty: LoftyCrm, sandbox: SandboxServer, lead: str) -> None:
    lofty.done("PUT", f"/v1.0/leads/{lead}", {"tagsAdd": ["VIP", "showing:interested"]})
    assert sandbox.effects()[-1] == {"kind": "tag", "id": lead, "op": "create", "tags": ["showing:interested"]}
    lofty.done("PUT", f"/v1.0/leads/{lead}", {"tagsAdd": ["VIP"]})
    assert sandbox.journal()[-1]["effect"] is None
    lofty.done("PUT", f"/v1.0/leads/{lead}", {"tags": ["cold"], "firstName": "Anna"})
    answer: Any = lofty.done("GET", f"/v1.0/leads/{lead}")
    assert ([tag["tagName"] for tag in answer["lead"]["tags"]], answer["lead"]["firstName"]) == (["cold"], "Anna")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"firstName": "x" * 31}, "PARAMETER_TOO_LONG"),
        ({"emails": [{"value": "a@mail.example"}]}, "INVALID_PARAMETER"),
        ({"leadTypes": ["2"]}, "INVALID_PARAMETER"),
        ({"assignedUserId": "844510972070138"}, "INVALID_PARAMETER"),
        ({"assignedUserId": 7}, "INVALID_PARAMETER"),
        ({"welcomeEmail": "no"}, "INVALID_PARAMETER"),
        ({"name": "Ana"}, "INVALID_PARAMETER"),
    ],
)
def test_a_lead_that_is_not_as_documented_is_refused(
    lofty: LoftyCrm, sandbox: SandboxServer, body: dict[str, object], code: str
) -> None:
    assert lofty.refused("POST", "/v1.0/leads", body) == (400, code)
    assert sandbox.effects() == []


def test_a_lead_is_deleted_with_a_reason(lofty: LoftyCrm, lead: str) -> None:
    assert lofty.refused("DELETE", f"/v1.0/leads/{lead}") == (400, "MISSING_PARAMETER")
    lofty.done("DELETE", f"/v1.0/leads/{lead}", query={"reason": "moved"})
    assert lofty.refused("PUT", f"/v1.0/leads/{lead}", {}) == (404, "LEAD_NOT_EXIST")


# --- the calendar --------------------------------------------------------------------------------------------------


def test_an_appointment_has_one_number_in_both_places(lofty: LoftyCrm, sandbox: SandboxServer, lead: str) -> None:
    made = event(lofty, lead, address="1 Elm St, Galt")
    assert re.fullmatch(r"[0-9]+-appointment", made)
    found = shown(lofty, made)
    assert (found["type"], found["address"], found["leadId"]) == ("Appointment", "1 Elm St, Galt", int(lead))
    assert {name: found[name] for name in TIMES} == TIMES
    listed: Any = lofty.done("GET", "/v2.0/tasks", query={"leadId": lead})
    assert listed["tasks"] == [found]
    lofty.done("PUT", f"/v2.0/calendar/{made}", {"content": "Coffee"})
    assert shown(lofty, made)["content"] == "Coffee"
    lofty.done("DELETE", f"/v2.0/calendar/{made}")
    assert lofty.refused("GET", f"/v2.0/tasks/{found['id']}") == (404, "NOT_FOUND")
    assert [(one["op"], one["id"]) for one in sandbox.effects("appointment")] == [
        ("create", made), ("update", made), ("delete", made),
    ]  # fmt: skip


def test_a_task_of_the_calendar_has_no_address_and_is_found_under_its_own_kind(lofty: LoftyCrm, lead: str) -> None:
    made = event(lofty, lead, type="TASK", taskWay="Call", assignedRole="Agent", address="1 Elm St")
    assert made.endswith("-task")
    assert "address" not in shown(lofty, made)
    assert lofty.refused("DELETE", f"/v2.0/calendar/{made.replace('task', 'appointment')}") == (404, "NOT_FOUND")


def test_milliseconds_are_taken_where_no_iso_time_is_given(lofty: LoftyCrm, lead: str) -> None:
    body = {"type": "TASK", "content": "x", "leadId": int(lead), "timeZoneCode": "UTC", "startAtMs": 1_000_000}
    answer: Any = lofty.done("POST", "/v2.0/calendar", {**body, "endAtMs": 2_000_000})
    assert shown(lofty, answer["data"]["id"])["startAt"] == "1970-01-01T00:16:40+00:00"
    answer = lofty.done("POST", "/v2.0/calendar", {**body, "startAt": "1970-01-01T00:00:00Z"})
    assert shown(lofty, answer["data"]["id"])["startAt"] == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "MEETING"}, "INVALID_PARAMETER"),
        ({"content": " "}, "INVALID_PARAMETER"),
        ({"leadId": "7"}, "INVALID_PARAMETER"),
        ({"startAt": "2026-09-14T10:00:00"}, "INVALID_PARAMETER"),
        ({"startAt": "soon"}, "INVALID_PARAMETER"),
        ({"endAt": "2026-09-14T09:00:00-07:00"}, "INVALID_PARAMETER"),
        ({"timeZoneCode": "Mars"}, "INVALID_PARAMETER"),
        ({"way": "Call"}, "INVALID_PARAMETER"),
        ({"assignedRole": "ASSIGNED"}, "INVALID_PARAMETER"),
    ],
)
def test_an_event_that_is_not_as_documented_is_refused(
    lofty: LoftyCrm, sandbox: SandboxServer, lead: str, changes: dict[str, object], code: str
) -> None:
    body = {"type": "APPOINTMENT", "content": "x", "leadId": int(lead), **TIMES, **changes}
    assert lofty.refused("POST", "/v2.0/calendar", body) == (400, code)
    for name in ("type", "content", "leadId", "timeZoneCode"):
        missing = {key: value for key, value in body.items() if key != name}
        assert lofty.refused("POST", "/v2.0/calendar", missing) == (400, "MISSING_PARAMETER")
    assert sandbox.effects("appointment") == []


def test_an_event_of_a_lead_that_is_none_is_refused(lofty: LoftyCrm) -> None:
    body = {"type": "TASK", "content": "x", "leadId": 7, **TIMES}
    assert lofty.refused("POST", "/v2.0/calendar", body) == (404, "LEAD_NOT_EXIST")


def test_tasks_are_created_changed_and_finished_by_their_number(
    lofty: LoftyCrm, sandbox: SandboxServer, lead: str
) -> None:
    body = {"type": "Call", "content": "Call Ana", "leadId": int(lead), "assignedRole": "Agent", **TIMES}
    number = lofty.done("POST", "/v2.0/tasks", body)["taskId"]
    assert lofty.done("PUT", f"/v2.0/tasks/{number}", {"content": "Call her"}) == {"message": "Operation successful"}
    lofty.done("POST", f"/v2.0/tasks/{number}/finish")
    found = shown(lofty, str(number))
    assert (found["content"], found["type"], found["finishFlag"]) == ("Call her", "Call", True)
    lofty.done("DELETE", f"/v2.0/tasks/{number}")
    assert {one["id"] for one in sandbox.effects("task")} == {str(number)}
    made = lofty.done("POST", "/v2.0/tasks", {**body, "type": "Appointment"})["taskId"]
    assert shown(lofty, str(made))["type"] == "Appointment"
    lofty.done("POST", f"/v2.0/calendar/{made}-appointment/finish")
    assert lofty.refused("POST", "/v2.0/tasks", {"type": "Call"}) == (400, "MISSING_PARAMETER")
    assert lofty.refused("GET", "/v2.0/tasks") == (400, "MISSING_PARAMETER")


# --- notes ---------------------------------------------------------------------------------------------------------


def test_notes_are_listed_by_lead_with_two_numbers(lofty: LoftyCrm, lead: str) -> None:
    number = lofty.done("POST", "/v1.0/notes", {"leadId": int(lead), "content": "first"})["noteId"]
    lofty.done("PUT", f"/v1.0/notes/{number}", {"content": "second"})
    listed: Any = lofty.done("GET", "/v1.0/notes", query={"leadId": lead})
    (note,) = listed["notes"]
    assert (note["noteId"], note["content"], note["leadId"], note["id"] == number) == (
        number, "second", int(lead), False,
    )  # fmt: skip
    lofty.done("DELETE", f"/v1.0/notes/{number}")
    assert lofty.refused("PUT", f"/v1.0/notes/{number}", {"content": "x"}) == (404, "NOT_FOUND")


def test_a_note_is_no_text_id_and_not_longer_than_5000(lofty: LoftyCrm, lead: str) -> None:
    assert lofty.refused("POST", "/v1.0/notes", {"leadId": lead, "content": "x"}) == (400, "INVALID_PARAMETER")
    long = {"leadId": int(lead), "content": "x" * 5001}
    assert lofty.refused("POST", "/v1.0/notes", long) == (400, "PARAMETER_TOO_LONG")


# --- accounts, and the page ----------------------------------------------------------------------------------------


def test_one_user_sees_nothing_of_anothers(lofty: LoftyCrm, sandbox: SandboxServer, lead: str) -> None:
    sandbox.lofty("bob@brokerage.example", token="bobs-key", lag_s=0)
    made = event(lofty, lead)
    bob = LoftyCrm(sandbox.url, authorization="token bobs-key")
    assert bob.refused("GET", f"/v1.0/leads/{lead}") == (404, "LEAD_NOT_EXIST")
    assert bob.refused("GET", f"/v2.0/tasks/{made.partition('-')[0]}") == (404, "NOT_FOUND")
    assert bob.done("GET", "/v1.0/leads")["leads"] == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("appointment", ["Showing: 1 Elm St", "Mon 14 Sep 2026, 17:00 to 17:30 UTC", "Ana Ruiz", "1 Elm St, Galt"]),
        ("contact", ["Ana Ruiz", "ana@mail.example", "VIP", "Ann Agent"]),
        ("note", ["Ana Ruiz", "First line"]),
        ("task", ["Ana Ruiz", "Call Ana", "Call", ">no<"]),
        ("tag", ["VIP"]),
        ("user", ["Bob Broker", "bob@brokerage.example"]),
    ],
)
def test_the_page_shows_what_the_account_holds_and_escapes_it(
    lofty: LoftyCrm, sandbox: SandboxServer, kind: str, words: list[str]
) -> None:
    lead = lofty.lead(tags=["VIP"], assignedUserId=844510972070138, phones=[EVIL])
    event(lofty, lead, address="1 Elm St, Galt")
    lofty.done("POST", "/v1.0/notes", {"leadId": int(lead), "content": f"First line\n{EVIL}"})
    lofty.done("POST", "/v2.0/tasks", {"type": "Call", "content": "Call Ana", "leadId": int(lead)})
    page = httpx.get(sandbox.url, params={"account": "lofty:ann@brokerage.example", "kind": kind}).text
    assert [word for word in words if word not in page] == []
    assert EVIL not in page
