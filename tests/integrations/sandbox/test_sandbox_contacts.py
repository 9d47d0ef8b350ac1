"""GoHighLevel's contacts as the sandbox plays them, over real HTTP and held to the vendor's contract."""

from __future__ import annotations

import pytest

from tests.crm_client import Crm
from tests.sandbox_server import SandboxServer

ANA = {"locationId": "loc_demo", "name": "Ana Ruiz Peña", "email": "Ana@Mail.example", "phone": "+1 (916) 555-0100"}


def test_create_answers_201_with_the_contact(crm: Crm, sandbox: SandboxServer) -> None:
    answer = crm.checked(
        "POST", "/contacts/", ANA | {"tags": ["tour"], "customFields": [{"id": "f1", "field_value": "x"}]}
    )
    contact = answer.json()["contact"]
    assert answer.status_code == 201
    assert (contact["firstName"], contact["lastName"], contact["name"]) == ("Ana", "Ruiz Peña", "Ana Ruiz Peña")
    assert (contact["email"], contact["emailLowerCase"], contact["phone"]) == (
        "Ana@Mail.example", "ana@mail.example", "+19165550100",
    )  # fmt: skip
    assert (contact["tags"], contact["customFields"]) == (["tour"], [{"id": "f1", "value": "x"}])
    assert answer.json()["traceId"]
    assert sandbox.effects() == [{"kind": "contact", "id": contact["id"], "op": "create"}]


@pytest.mark.parametrize(
    ("second", "field"),
    [({"email": "ANA@mail.example"}, "email"), ({"phone": "9165550100"}, "phone"), (ANA, "email")],
)
def test_duplicate_is_refused_with_the_id_that_is_there(
    crm: Crm, sandbox: SandboxServer, second: dict[str, str], field: str
) -> None:
    first = crm.checked("POST", "/contacts/", ANA).json()["contact"]["id"]
    answer = crm.checked("POST", "/contacts/", {"locationId": "loc_demo", **second})
    assert answer.status_code == 400
    assert answer.json()["message"] == "This location does not allow duplicated contacts."
    assert answer.json()["meta"] == {"contactId": first, "contactName": "Ana Ruiz Peña", "matchingField": field}
    assert len(sandbox.effects()) == 1


def test_a_location_that_allows_duplicates_takes_a_second(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.account(duplicates=True)
    ids = {crm.checked("POST", "/contacts/", ANA).json()["contact"]["id"] for _ in range(2)}
    assert len(ids) == 2


def test_upsert_creates_then_changes_and_replaces_tags(crm: Crm, sandbox: SandboxServer) -> None:
    first = crm.checked("POST", "/contacts/upsert", ANA | {"tags": ["a", "b"]}).json()
    second = crm.checked(
        "POST",
        "/contacts/upsert",
        {"locationId": "loc_demo", "email": "ana@mail.example", "tags": ["c"], "city": "Galt"},
    ).json()
    assert (first["new"], second["new"]) == (True, False)
    assert second["contact"]["id"] == first["contact"]["id"]
    assert (second["contact"]["tags"], second["contact"]["city"], second["contact"]["firstName"]) == (
        ["c"],
        "Galt",
        "Ana",
    )
    assert [effect["op"] for effect in sandbox.effects()] == ["create", "update"]


@pytest.mark.parametrize(("allowed", "new"), [(True, True), (False, False)])
def test_create_new_if_duplicate_allowed_obeys_the_location(
    crm: Crm, sandbox: SandboxServer, allowed: bool, new: bool
) -> None:
    sandbox.account(duplicates=allowed)
    crm.contact(email="ana@mail.example")
    body = {"locationId": "loc_demo", "email": "ana@mail.example", "createNewIfDuplicateAllowed": True}
    assert crm.checked("POST", "/contacts/upsert", body).json()["new"] is new


def test_search_looks_by_email_first_then_number(crm: Crm) -> None:
    by_mail = crm.contact(email="ana@mail.example")
    by_phone = crm.contact(email="bo@mail.example", phone="+19165550102")

    def found(**query: str) -> object:
        answer = crm.checked("GET", "/contacts/search/duplicate", query={"locationId": "loc_demo", **query})
        return answer.json()["contact"] and answer.json()["contact"]["id"]

    assert found(email="ANA@mail.example", number="+19165550102") == by_mail
    assert found(email="nobody@mail.example", number="+19165550102") == by_phone
    assert found(email="nobody@mail.example") is None


def test_search_with_an_unescaped_plus_finds_nobody(crm: Crm) -> None:
    crm.contact(phone="+19165550102")
    answer = crm.call("GET", "/contacts/search/duplicate?locationId=loc_demo&number=+19165550102")
    assert answer.json()["contact"] is None


def test_update_changes_only_what_is_named_and_null_clears(crm: Crm) -> None:
    contact_id = crm.contact(city="Galt", address1="1 Elm St")
    answer = crm.checked("PUT", f"/contacts/{contact_id}", {"city": None, "state": "CA"})
    contact = answer.json()["contact"]
    assert answer.json()["succeded"] is True
    assert "city" not in contact
    assert (contact["state"], contact["address1"], contact["firstName"]) == ("CA", "1 Elm St", "Ana")
    assert crm.checked("GET", f"/contacts/{contact_id}").json()["contact"] == contact


def test_update_to_the_email_of_another_is_refused(crm: Crm) -> None:
    other = crm.contact(email="bo@mail.example")
    contact_id = crm.contact()
    answer = crm.checked("PUT", f"/contacts/{contact_id}", {"email": "bo@mail.example"})
    assert (answer.status_code, answer.json()["meta"]["contactId"]) == (400, other)


def test_tags_are_added_to_those_there(crm: Crm) -> None:
    contact_id = crm.contact(tags=["a", "b"])
    answer = crm.checked("POST", f"/contacts/{contact_id}/tags", {"tags": ["b", "c"]})
    assert (answer.status_code, answer.json()["tags"]) == (201, ["a", "b", "c"])


@pytest.mark.parametrize("path", ["/contacts/nobody", "/contacts/nobody/appointments"])
def test_unknown_contact_is_404(crm: Crm, path: str) -> None:
    answer = crm.call("GET", path)
    assert (answer.status_code, answer.json()["message"]) == (404, "Contact with id nobody not found")


def test_contact_of_another_location_is_404(crm: Crm, sandbox: SandboxServer) -> None:
    contact_id = crm.contact()
    sandbox.account("loc_other", token="other-token")
    assert Crm(sandbox.url, "other-token").call("GET", f"/contacts/{contact_id}").status_code == 404


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({}, ["locationId should not be empty", "locationId must be a string"]),
        ({"locationId": "loc_demo", "id": "x"}, ["property id should not exist"]),
        ({"locationId": "loc_demo", "email": "nonsense"}, ["email must be an email"]),
        ({"locationId": "loc_demo", "tags": "a"}, ["tags must be an array"]),
        ({"locationId": "loc_demo", "tags": [1]}, ["each value in tags must be a string"]),
        ({"locationId": "loc_demo", "dnd": "no", "city": 1}, ["city must be a string", "dnd must be a boolean value"]),
    ],
)
def test_what_is_wrong_with_a_body_is_listed(
    crm: Crm, sandbox: SandboxServer, body: dict[str, object], messages: list[str]
) -> None:
    answer = crm.call("POST", "/contacts/", body)
    assert (answer.status_code, answer.json()["message"]) == (422, messages)
    assert answer.json()["error"] == "Unprocessable Entity"
    assert sandbox.effects() == []


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic pit-demo-token", None])
def test_wrong_token_is_401_in_the_vendors_words(crm: Crm, header: str | None) -> None:
    answer = crm.call("POST", "/contacts/", ANA, headers={"Authorization": header})
    body = answer.json()
    assert body.pop("traceId")
    assert (answer.status_code, body) == (
        401, {"statusCode": 401, "message": "Invalid token: access token is invalid", "error": "Unauthorized"},
    )  # fmt: skip


def test_another_location_is_403(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.account("loc_other", token="other-token")
    answer = crm.call("POST", "/contacts/", ANA | {"locationId": "loc_other"})
    assert (answer.status_code, answer.json()["message"]) == (403, "The token does not have access to this location.")
    assert crm.call("GET", "/locations/loc_other").status_code == 403


@pytest.mark.parametrize(
    ("path", "version", "status"),
    [
        ("/contacts/x", None, 422),
        ("/contacts/x", "2021-04-15", 422),
        ("/locations/loc_demo", None, 422),
        ("/calendars/cal_demo", None, 400),
        ("/calendars/cal_demo", "2021-07-28", 400),
    ],
)
def test_version_header_is_that_of_the_product(crm: Crm, path: str, version: str | None, status: int) -> None:
    answer = crm.call("GET", path, headers={"Version": version})
    assert answer.status_code == status
    assert "version header" in str(answer.json()["message"])


def test_location_tells_its_duplicate_rule(crm: Crm) -> None:
    location = crm.checked("GET", "/locations/loc_demo").json()["location"]
    assert (location["id"], location["settings"]) == ("loc_demo", {"allowDuplicateContact": False})


def test_unknown_path_is_404_and_journaled(crm: Crm, sandbox: SandboxServer) -> None:
    answer = crm.call("DELETE", "/nothing/here")
    assert (answer.status_code, answer.json()["message"]) == (404, "Cannot DELETE /nothing/here")
    assert [(row["path"], row["status"]) for row in sandbox.journal()] == [("/nothing/here", 404)]


def test_the_vendors_name_may_stand_before_its_paths(crm: Crm, sandbox: SandboxServer) -> None:
    assert crm.call("GET", "/gohighlevel/locations/loc_demo").status_code == 200
    assert sandbox.journal()[-1]["path"] == "/locations/loc_demo"
