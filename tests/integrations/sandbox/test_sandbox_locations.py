"""GoHighLevel's custom fields and tags as the sandbox plays them."""

from __future__ import annotations

import pytest

from tests.crm_client import Crm
from tests.sandbox_server import SandboxServer

PATH = "/locations/loc_demo/customFields"


def test_a_custom_field_gets_a_key_of_its_name(crm: Crm, sandbox: SandboxServer) -> None:
    answer = crm.checked("POST", PATH, {"name": "Showing: Interest (last)", "dataType": "TEXT", "model": "contact"})
    field = answer.json()["customField"]
    assert answer.status_code == 201
    assert (field["fieldKey"], field["dataType"], field["locationId"]) == (
        "contact.showing_interest_last", "TEXT", "loc_demo",
    )  # fmt: skip
    assert crm.checked("GET", PATH).json()["customFields"] == [field]
    assert crm.checked("GET", f"{PATH}/{field['id']}").json()["customField"] == field
    assert sandbox.effects() == [{"kind": "custom_field", "id": field["id"], "op": "create"}]


def test_a_second_field_of_one_key_is_refused(crm: Crm, sandbox: SandboxServer) -> None:
    crm.checked("POST", PATH, {"name": "Interest", "dataType": "TEXT"})
    answer = crm.checked("POST", PATH, {"name": "interest!", "dataType": "NUMERICAL"})
    assert (answer.status_code, answer.json()["message"]) == (
        400, "A custom field with the key contact.interest exists already.",
    )  # fmt: skip
    assert len(sandbox.effects()) == 1


def test_fields_are_listed_by_model(crm: Crm) -> None:
    options = [{"label": "Hot", "prefillValue": ""}, {"label": "Cold"}]
    crm.checked("POST", PATH, {"name": "Interest", "dataType": "SINGLE_OPTIONS", "textBoxListOptions": options})
    crm.checked("POST", PATH, {"name": "Stage", "dataType": "TEXT", "model": "opportunity", "placeholder": "None"})

    def names(**query: str) -> list[str]:
        return [field["name"] for field in crm.checked("GET", PATH, query=query).json()["customFields"]]

    assert (names(), names(model="opportunity"), names(model="all")) == (["Interest"], ["Stage"], ["Interest", "Stage"])
    assert crm.checked("GET", PATH).json()["customFields"][0]["picklistOptions"] == ["Hot", "Cold"]
    assert crm.call("GET", PATH, query={"model": "lead"}).status_code == 422


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "x"}, "dataType should not be empty"),
        ({"name": "", "dataType": "TEXT"}, "name should not be empty"),
        ({"name": "x", "dataType": "COLOUR"}, "dataType must be one of the following values: TEXT, LARGE_TEXT,"),
        ({"name": "x", "dataType": "TEXT", "options": []}, "property options should not exist"),
        ({"name": "x", "dataType": "TEXT", "position": "1"}, "position must be a number conforming"),
        ({"name": "x", "dataType": "RADIO", "textBoxListOptions": ["a"]}, "each value in textBoxListOptions must have"),
        ({"name": "x", "dataType": "RADIO", "textBoxListOptions": "a"}, "textBoxListOptions must be an array"),
    ],
)
def test_what_is_wrong_with_a_field_is_422(crm: Crm, body: dict[str, object], message: str) -> None:
    answer = crm.call("POST", PATH, body)
    assert answer.status_code == 422
    assert answer.json()["message"][0].startswith(message)


def test_values_are_put_on_a_contact_by_the_fields_id(crm: Crm, sandbox: SandboxServer) -> None:
    field = crm.checked("POST", PATH, {"name": "Interest", "dataType": "TEXT"}).json()["customField"]["id"]
    buyer = crm.contact()
    crm.call("PUT", f"/contacts/{buyer}", {"customFields": [{"id": field, "field_value": "warm"}]})
    crm.call("PUT", f"/contacts/{buyer}", {"customFields": [{"id": field, "key": "interest", "field_value": "hot"}]})
    shown = crm.checked("GET", f"/contacts/{buyer}").json()["contact"]["customFields"]
    assert shown == [{"id": field, "value": "hot"}]
    assert [effect["op"] for effect in sandbox.effects("contact")] == ["create", "update", "update"]


@pytest.mark.parametrize("path", [PATH, f"{PATH}/x", "/locations/loc_demo/tags"])
def test_another_location_is_403(crm: Crm, sandbox: SandboxServer, path: str) -> None:
    sandbox.account("loc_other", token="other-token")
    assert Crm(sandbox.url, "other-token").call("GET", path).status_code == 403


def test_an_unknown_field_is_404(crm: Crm) -> None:
    assert crm.call("GET", f"{PATH}/x").status_code == 404


def test_tags_are_added_and_taken_away(crm: Crm, sandbox: SandboxServer) -> None:
    buyer = crm.contact(tags=["a"])
    path = f"/contacts/{buyer}/tags"
    assert crm.checked("POST", path, {"tags": ["a", "b"]}).json()["tags"] == ["a", "b"]
    answer = crm.http.request(
        "DELETE", path, json={"tags": ["a", "z"]},
        headers={"Authorization": f"Bearer {crm.token}", "Version": "2021-07-28"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["tags"]) == (200, ["b"])
    assert sandbox.effects("tag") == [
        {"kind": "tag", "id": buyer, "op": "create", "tags": ["b"]},
        {"kind": "tag", "id": buyer, "op": "delete", "tags": ["a"]},
    ]


def test_tags_that_change_nothing_have_no_effect(crm: Crm, sandbox: SandboxServer) -> None:
    buyer = crm.contact(tags=["a"])
    assert crm.checked("POST", f"/contacts/{buyer}/tags", {"tags": ["a"]}).json()["tags"] == ["a"]
    assert sandbox.effects("tag") == []


def test_a_location_lists_every_tag_that_was_used(crm: Crm) -> None:
    buyer = crm.contact(tags=["a"])
    crm.checked("POST", f"/contacts/{buyer}/tags", {"tags": ["b"]})
    crm.contact(email="bo@mail.example", tags=["a"])
    tags = crm.checked("GET", "/locations/loc_demo/tags").json()["tags"]
    assert [(tag["name"], tag["locationId"]) for tag in tags] == [("a", "loc_demo"), ("b", "loc_demo")]
