"""GoHighLevel's calendars and appointments as the sandbox plays them."""

from __future__ import annotations

import pytest

from tests.crm_client import Crm, appointment_body
from tests.sandbox_server import SandboxServer

PATH = "/calendars/events/appointments"


@pytest.fixture
def buyer(crm: Crm) -> str:
    return crm.contact()


def test_create_answers_as_documented(crm: Crm, sandbox: SandboxServer, buyer: str) -> None:
    answer = crm.checked("POST", PATH, appointment_body(buyer))
    body = answer.json()
    assert answer.status_code == 200
    assert (body["contactId"], body["calendarId"], body["locationId"]) == (buyer, "cal_demo", "loc_demo")
    assert (body["startTime"], body["endTime"]) == ("2026-09-14T10:00:00-07:00", "2026-09-14T10:30:00-07:00")
    assert (body["appointmentStatus"], body["meetingLocationType"]) == ("confirmed", "custom")
    assert sandbox.effects("appointment") == [
        {"kind": "appointment", "id": body["id"], "op": "create", "notified": False}
    ]


@pytest.mark.parametrize(("given", "notified"), [({}, True), ({"toNotify": True}, True), ({"toNotify": False}, False)])
def test_a_message_to_the_buyer_is_recorded(
    crm: Crm, sandbox: SandboxServer, buyer: str, given: dict[str, bool], notified: bool
) -> None:
    body = appointment_body(buyer)
    del body["toNotify"]
    made = crm.checked("POST", PATH, body | given).json()["id"]
    crm.checked("PUT", f"{PATH}/{made}", {"title": "Moved"} | given)
    assert [effect["notified"] for effect in sandbox.effects("appointment")] == [notified, notified]


@pytest.mark.parametrize("missing", ["calendarId", "locationId", "contactId", "startTime"])
def test_missing_field_is_400_naming_it(crm: Crm, sandbox: SandboxServer, buyer: str, missing: str) -> None:
    body = appointment_body(buyer)
    del body[missing]
    answer = crm.call("POST", PATH, body)
    assert answer.status_code == 400
    assert answer.json()["message"] == f"{missing} should not be empty; {missing} must be a string"
    assert sandbox.effects("appointment") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"appointmentStatus": "completed"}, "appointmentStatus must be one of the following values: new, confirmed, "),
        ({"notes": "x"}, "property notes should not exist"),
        ({"calendarId": "cal_other"}, "The calendar is not found in this location."),
        ({"contactId": "nobody"}, "The contact is not found in this location."),
        ({"startTime": "tomorrow"}, "startTime must be a valid ISO 8601 date string"),
        ({"startTime": "9999-12-31T23:59:59-23:00", "endTime": "9999-12-31T23:59:59-23:30"}, "startTime must be"),
        ({"endTime": "2026-09-14T09:00:00-07:00"}, "endTime must be after startTime"),
    ],
)
def test_what_is_wrong_is_said(
    crm: Crm, sandbox: SandboxServer, buyer: str, change: dict[str, str], message: str
) -> None:
    answer = crm.call("POST", PATH, appointment_body(buyer) | change)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)
    assert sandbox.effects("appointment") == []


def test_edit_changes_only_what_is_named_and_keeps_the_length(crm: Crm, sandbox: SandboxServer, buyer: str) -> None:
    made = crm.appointment(buyer).json()["id"]
    body = {"startTime": "2026-09-14T21:00:00Z", "toNotify": False, "ignoreFreeSlotValidation": True}
    answer = crm.checked("PUT", f"{PATH}/{made}", body).json()
    assert (answer["startTime"], answer["endTime"]) == ("2026-09-14T14:00:00-07:00", "2026-09-14T14:30:00-07:00")
    assert answer["title"] == "Showing: 1 Elm St"
    assert sandbox.effects("appointment")[-1] == {"kind": "appointment", "id": made, "op": "update", "notified": False}


def test_cancelling_is_an_update_that_reads_back(crm: Crm, buyer: str) -> None:
    made = crm.appointment(buyer).json()["id"]
    crm.checked("PUT", f"{PATH}/{made}", {"appointmentStatus": "cancelled", "toNotify": False})
    event = crm.checked("GET", f"{PATH}/{made}").json()["event"]
    assert (event["appointmentStatus"], event["description"]) == ("cancelled", "Two bedrooms")


def test_list_of_a_contact_has_title_and_address_but_no_description(crm: Crm, buyer: str) -> None:
    first = crm.appointment(buyer).json()["id"]
    second = crm.appointment(buyer, startTime="2026-09-13T17:00:00Z", endTime="2026-09-13T17:15:00Z").json()["id"]
    events = crm.checked("GET", f"/contacts/{buyer}/appointments").json()["events"]
    assert [event["id"] for event in events] == [second, first]
    assert (events[0]["startTime"], events[0]["endTime"]) == ("2026-09-13 10:00:00", "2026-09-13 10:15:00")
    assert (events[0]["title"], events[0]["address"], events[0]["notes"]) == (
        "Showing: 1 Elm St", "1 Elm St, Sacramento, CA", "",
    )  # fmt: skip
    assert "description" not in events[0]


def test_times_are_told_in_the_locations_zone(crm: Crm, sandbox: SandboxServer, buyer: str) -> None:
    sandbox.account(timezone="America/New_York")
    assert crm.appointment(buyer).json()["startTime"] == "2026-09-14T13:00:00-04:00"


def test_taken_slot_is_refused_unless_the_check_is_waived(crm: Crm, sandbox: SandboxServer, buyer: str) -> None:
    future = {"startTime": "2099-09-14T10:00:00-07:00", "endTime": "2099-09-14T10:30:00-07:00"}
    assert crm.appointment(buyer, **future, ignoreFreeSlotValidation=False).status_code == 200
    refused = crm.appointment(buyer, **future, ignoreFreeSlotValidation=False)
    assert (refused.status_code, refused.json()["message"]) == (
        400,
        "The slot you have selected is no longer available.",
    )
    assert crm.appointment(buyer, **future).status_code == 200
    assert len(sandbox.effects("appointment")) == 2


def test_a_start_in_the_past_needs_a_waiver(crm: Crm, buyer: str) -> None:
    past = {"startTime": "2020-09-14T10:00:00-07:00", "endTime": "2020-09-14T10:30:00-07:00"}
    statuses = [
        crm.appointment(buyer, **past, ignoreFreeSlotValidation=False).status_code,
        crm.appointment(buyer, **past, ignoreFreeSlotValidation=False, ignoreDateRange=True).status_code,
    ]
    assert statuses == [400, 200]


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_unknown_appointment_is_404(crm: Crm, method: str) -> None:
    answer = crm.call(method, f"{PATH}/nothing", {"toNotify": False} if method == "PUT" else None)
    assert (answer.status_code, answer.json()["message"]) == (404, "Appointment with id nothing not found")


def test_calendars_are_those_of_the_location(crm: Crm) -> None:
    found = crm.checked("GET", "/calendars/", query={"locationId": "loc_demo"}).json()["calendars"]
    assert [(calendar["id"], calendar["locationId"]) for calendar in found] == [("cal_demo", "loc_demo")]
    assert crm.checked("GET", "/calendars/cal_demo").json()["calendar"] == found[0]
    assert crm.call("GET", "/calendars/cal_other").status_code == 404
    assert crm.call("GET", "/calendars/").status_code == 400
