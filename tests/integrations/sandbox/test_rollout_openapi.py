"""The judge on Rollout's contract: what it lets pass and what it does not."""

from __future__ import annotations

import pytest

from tests.openapi import ContractError, UndocumentedError, validate_request, validate_response

HEADERS = {"Authorization": "Bearer x", "X-Rollout-Credential-Id": "c", "Content-Type": "application/json"}
APPOINTMENT: dict[str, object] = {
    "personId": "p", "appointmentTypeId": "t", "title": "Showing", "location": "1 Elm St",
    "startsAt": "2026-09-14T10:00:00-07:00", "endsAt": 1789380000000,
}  # fmt: skip


def request(method: str, path: str, body: object = None, **changes: str) -> None:
    validate_request(method, path, {**HEADERS, **changes}, {}, body, provider="rollout")


@pytest.mark.parametrize("path", ["/appointments", "/api/appointments"])
def test_a_documented_request_passes_with_and_without_the_base(path: str) -> None:
    request("POST", path, APPOINTMENT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"location": None}, r"\$\.location: None is not of type 'string'"),
        ({"startsAt": True}, r"\$\.startsAt"),
        ({"invitees": []}, "property invitees is not documented"),
    ],
)
def test_an_undocumented_body_does_not(change: dict[str, object], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        request("POST", "/appointments", APPOINTMENT | change)


def test_missing_things_are_named() -> None:
    without = {name: value for name, value in APPOINTMENT.items() if name != "location"}
    with pytest.raises(ContractError, match="'location' is a required property"):
        request("POST", "/appointments", without)
    with pytest.raises(ContractError, match="header X-Rollout-Credential-Id is missing"):
        validate_request("GET", "/people", {"Authorization": "Bearer x"}, {}, None, provider="rollout")
    with pytest.raises(ContractError, match="bearer token"):
        request("GET", "/people", Authorization="x")


def test_only_json_bodies_pass() -> None:
    with pytest.raises(ContractError, match="the body is text/plain, documented: application/json"):
        request("POST", "/notes", {"personId": "p"}, **{"Content-Type": "text/plain"})


@pytest.mark.parametrize("query", [{"email": "a@b.example"}, {"sort": "created"}, {"ids": "1"}])
def test_no_search_passes(query: dict[str, str]) -> None:
    with pytest.raises(ContractError, match="is not documented"):
        validate_request("GET", "/people", HEADERS, query, None, provider="rollout")
    validate_request("GET", "/people", HEADERS, {"next": "x", "offset": "0", "limit": "5"}, None, provider="rollout")
    validate_request("PUT", "/people/p", HEADERS, {"mergeTags": "true"}, {"tags": []}, provider="rollout")


def test_custom_fields_are_one_of_several_shapes() -> None:
    request("POST", "/customFields", {"type": "text", "label": "a", "name": "a"})
    with pytest.raises(ContractError, match="property value is not documented"):
        request("POST", "/customFields", {"type": "text", "label": "a", "name": "a", "value": "x"})
    with pytest.raises(ContractError, match="not valid under any"):
        request("POST", "/customFields", {"type": "colour", "label": "a", "name": "a"})


def test_answers_are_held_to_the_contract() -> None:
    not_ready = "Data for this credential is not ready yet. Please try again."
    validate_response("GET", "/people", 409, {"errorMessage": not_ready}, provider="rollout")
    with pytest.raises(ContractError, match="is not one of"):
        validate_response("GET", "/people", 409, {"errorMessage": "Wait."}, provider="rollout")
    with pytest.raises(ContractError, match="'id' is a required property"):
        validate_response("POST", "/notes", 201, {}, provider="rollout")
    with pytest.raises(UndocumentedError, match="no answer 403"):
        validate_response("GET", "/people", 403, {}, provider="rollout")
