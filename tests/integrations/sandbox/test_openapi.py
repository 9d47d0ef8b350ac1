"""The judge itself: what it lets pass and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crm_client import appointment_body
from tests.openapi import ContractError, UndocumentedError, validate_request, validate_response

PATH = "/calendars/events/appointments"
HEADERS = {"authorization": "Bearer x", "Version": "2021-04-15", "Content-Type": "application/json; charset=utf-8"}
EVENT = {
    "id": "e",
    "title": "t",
    "calendarId": "c",
    "locationId": "l",
    "contactId": "b",
    "groupId": "",
    "appointmentStatus": "new",
    "assignedUserId": "",
    "users": [],
    "startTime": "2026-09-14T10:00:00-07:00",
    "endTime": "2026-09-14T10:30:00-07:00",
    "dateAdded": "x",
    "dateUpdated": "x",
}


def test_a_documented_request_passes() -> None:
    validate_request("POST", PATH, HEADERS, {}, appointment_body("b"))


@pytest.mark.parametrize(
    ("headers", "body", "message"),
    [
        ({"Version": "2021-07-28"}, {}, "header Version"),
        ({"authorization": "x"}, {}, "bearer token"),
        ({"Content-Type": "text/plain"}, {}, "the body is text/plain"),
        ({}, {"contactId": None}, r"\$\.contactId: None is not of type 'string'"),
        ({}, {"appointmentStatus": "completed"}, "'completed' is not one of"),
        ({}, {"notes": "x"}, "property notes is not documented"),
    ],
)
def test_an_undocumented_request_does_not(headers: dict[str, str], body: dict[str, object], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        validate_request("POST", PATH, HEADERS | headers, {}, appointment_body("b") | body)


def test_missing_things_are_named() -> None:
    body = appointment_body("b")
    del body["contactId"]
    with pytest.raises(ContractError, match=r"header Version is missing.*'contactId' is a required property"):
        validate_request("POST", PATH, {**HEADERS, "Version": None}, {}, body)  # type: ignore[dict-item]
    with pytest.raises(ContractError, match="the body is missing"):
        validate_request("POST", PATH, HEADERS, {}, None)
    with pytest.raises(ContractError, match="no such operation"):
        validate_request("PATCH", PATH, HEADERS, {}, {})


def test_query_parameters_are_held_too() -> None:
    headers = {"authorization": "Bearer x", "version": "2021-07-28"}
    validate_request("GET", "/contacts/search/duplicate", headers, {"locationId": "l", "number": "+1916"}, None)
    with pytest.raises(ContractError, match=r"query locationId is missing; query phone is not documented"):
        validate_request("GET", "/contacts/search/duplicate", headers, {"phone": "+1916"}, None)


def test_null_passes_only_where_the_contract_says_nullable() -> None:
    headers = {**HEADERS, "Version": "2021-07-28"}
    validate_request("POST", "/contacts/", headers, {}, {"locationId": "l", "email": None, "dateOfBirth": "1990-09-25"})
    with pytest.raises(ContractError, match=r"\$\.postalCode"):
        validate_request("POST", "/contacts/", headers, {}, {"locationId": "l", "postalCode": None})


def test_answers_are_held_to_the_contract_through_references() -> None:
    validate_response("GET", f"{PATH}/e", 200, {"event": EVENT})
    with pytest.raises(ContractError, match="'title' is a required property"):
        validate_response("GET", f"{PATH}/e", 200, {"event": {name: EVENT[name] for name in EVENT if name != "title"}})
    with pytest.raises(ContractError, match=r"\$\.statusCode"):
        validate_response("POST", "/contacts/", 422, {"statusCode": "422"})
    with pytest.raises(UndocumentedError, match="no answer 404"):
        validate_response("GET", f"{PATH}/e", 404, {})


def test_without_the_contracts_the_skip_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REANNA_SPECS", str(tmp_path / "absent"))
    with pytest.raises(pytest.skip.Exception, match=f"no folder {tmp_path}/absent"):
        validate_request("POST", PATH, HEADERS, {}, {})
