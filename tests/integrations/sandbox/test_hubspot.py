"""The sandbox's HubSpot: what the vendor documents, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from integrations.sandbox.hubspot import objects, shapes
from integrations.sandbox.hubspot.front import HubSpot
from integrations.sandbox.hubspot.objects import Call
from integrations.sandbox.hubspot.search import Search
from integrations.sandbox.store import Account, Store
from tests.hubspot_client import HubSpotCrm
from tests.sandbox_server import HUBSPOT_PORTAL, HUBSPOT_TOKEN, SandboxServer

ANA = {"firstname": "Ana", "lastname": "Ruiz", "email": "Ana@Mail.example", "phone": "(916) 555-0100"}
MEETING = {"hs_meeting_title": "Showing", "hs_meeting_start_time": "2026-09-14T10:00:00-07:00"}
CONTACTS, MEETINGS = "/crm/v3/objects/contacts", "/crm/v3/objects/meetings"
OWNER = {"id": "7", "name": "Dana van Dam", "email": "dana@brokerage.example"}


@pytest.fixture
def hubspot(sandbox: SandboxServer) -> Iterator[HubSpotCrm]:
    sandbox.hubspot(search_lag_s=0, users=[OWNER])
    client = HubSpotCrm(sandbox.url)
    yield client
    client.http.close()


def search(name: str, value: str, operator: str = "EQ") -> dict[str, Any]:
    one = {"propertyName": name, "operator": operator, "value": value}
    return {"filterGroups": [{"filters": [one]}], "properties": ["email"], "sorts": [], "limit": 10, "after": "0"}


def found(answer: httpx.Response) -> list[str]:
    return [row["id"] for row in answer.json()["results"]]


# --- records -------------------------------------------------------------------------------------------------------


def test_a_contact_is_created_read_changed_and_archived_as_documented(
    hubspot: HubSpotCrm, sandbox: SandboxServer
) -> None:
    made = hubspot.call("POST", CONTACTS, {"properties": ANA, "associations": []})
    contact = made.json()["id"]
    assert (made.status_code, made.json()["properties"]["email"]) == (201, "ana@mail.example")
    assert int(contact) > 2**53
    path = f"{CONTACTS}/{contact}"
    by_mail = hubspot.call("GET", f"{CONTACTS}/ANA%40mail.example", idProperty="email", properties="city,phone")
    assert by_mail.json()["id"] == contact
    assert by_mail.json()["properties"]["city"] is None
    assert by_mail.json()["properties"]["phone"] == "(916) 555-0100"
    hubspot.call("PATCH", path, {"properties": {"city": "Galt", "phone": ""}})
    assert hubspot.shown("contacts", contact, "city", "phone", "firstname") == {
        **hubspot.shown("contacts", contact), "city": "Galt", "phone": None, "firstname": "Ana",
    }  # fmt: skip
    assert hubspot.call("DELETE", path).status_code == 204
    assert hubspot.call("GET", path).json()["category"] == "OBJECT_NOT_FOUND"
    assert [effect["op"] for effect in sandbox.effects("contact")] == ["create", "update", "delete"]


@pytest.mark.parametrize("address", ["ana@mail.example", "ANA@Other.example"])
def test_a_second_contact_with_an_address_is_refused_and_the_first_named(hubspot: HubSpotCrm, address: str) -> None:
    first = hubspot.made("contacts", **ANA, hs_additional_emails="x@x.example;ana@other.example")
    answer = hubspot.call("POST", CONTACTS, {"properties": {"email": address}})
    assert (answer.status_code, answer.json()["category"]) == (409, "CONFLICT")
    assert answer.json()["message"] == f"Contact already exists. Existing ID: {first}"
    assert hubspot.made("contacts", phone=ANA["phone"]) != first  # a number may stand twice


def test_who_has_an_address_beside_their_own_is_not_read_by_it(hubspot: HubSpotCrm) -> None:
    hubspot.made("contacts", **ANA, hs_additional_emails="ana@other.example")
    assert hubspot.call("GET", f"{CONTACTS}/ana%40other.example", idProperty="email").status_code == 404


def test_a_meeting_belongs_to_its_contact_and_nobody_hears_of_it(hubspot: HubSpotCrm, sandbox: SandboxServer) -> None:
    ana = hubspot.made("contacts", **ANA)
    meeting = hubspot.made("meetings", ana, **MEETING, hs_meeting_outcome="SCHEDULED", hubspot_owner_id="7")
    answer = hubspot.call("GET", f"{MEETINGS}/{meeting}", properties="hs_timestamp", associations="contacts")
    assert answer.json()["properties"]["hs_timestamp"] == "2026-09-14T17:00:00.000Z"
    assert answer.json()["associations"]["contacts"]["results"][0]["id"] == ana
    listed = hubspot.call("GET", f"/crm/objects/2026-03/contacts/{ana}/associations/meetings").json()
    assert [row["toObjectId"] for row in listed["results"]] == [meeting]
    assert "paging" not in listed
    assert sandbox.effects("appointment")[0]["notified"] is False


def test_associations_are_listed_page_by_page(hubspot: HubSpotCrm) -> None:
    ana = hubspot.made("contacts", **ANA)
    meetings = [hubspot.made("meetings", ana, **MEETING) for _ in range(3)]
    path = f"/crm/objects/2026-03/contacts/{ana}/associations/meetings"
    first = hubspot.call("GET", path, limit="2").json()
    last = hubspot.call("GET", path, limit="2", after=first["paging"]["next"]["after"]).json()
    assert [row["toObjectId"] for row in first["results"] + last["results"]] == meetings
    assert "paging" not in last


def test_a_batch_tells_what_is_there_and_what_is_not(hubspot: HubSpotCrm) -> None:
    meeting = hubspot.made("meetings", **MEETING)
    body = {"inputs": [{"id": meeting}], "properties": ["hs_meeting_title"], "propertiesWithHistory": []}
    whole = hubspot.call("POST", f"{MEETINGS}/batch/read", body)
    assert (whole.status_code, whole.json()["results"][0]["properties"]["hs_meeting_title"]) == (200, "Showing")
    some = hubspot.call("POST", f"{MEETINGS}/batch/read", {**body, "inputs": [{"id": meeting}, {"id": "17"}]})
    assert (some.status_code, found(some), some.json()["errors"][0]["context"]) == (207, [meeting], {"ids": ["17"]})
    many = [{"id": str(number)} for number in range(101)]
    assert hubspot.call("POST", f"{MEETINGS}/batch/read", {**body, "inputs": many}).status_code == 400


def test_the_id_of_a_merged_contact_leads_to_the_other(hubspot: HubSpotCrm) -> None:
    first, second = hubspot.made("contacts", **ANA), hubspot.made("contacts", email="bob@mail.example")
    meeting = hubspot.made("meetings", second, **MEETING)
    body = {"primaryObjectId": first, "objectIdToMerge": second}
    hubspot.call("POST", f"{CONTACTS}/merge", body)
    assert hubspot.call("GET", f"{CONTACTS}/{second}").json()["id"] == first
    listed = hubspot.call("GET", f"/crm/objects/2026-03/contacts/{first}/associations/meetings").json()
    assert [row["toObjectId"] for row in listed["results"]] == [meeting]


@pytest.mark.parametrize(
    ("of", "properties", "word"),
    [
        ("contacts", {"nickname": "A"}, "PROPERTY_DOESNT_EXIST"),
        ("contacts", {"email": "nobody"}, "INVALID_EMAIL"),
        ("contacts", {"email": 5}, "object of strings"),
        ("meetings", {"hs_meeting_outcome": "showed"}, "INVALID_OPTION"),
        ("meetings", {"hs_timestamp": "tomorrow"}, "INVALID_DATE"),
        ("meetings", {"hs_timestamp": "2026-09-14T10:00:00"}, "INVALID_DATE"),
        ("meetings", {"hubspot_owner_id": "8"}, "does not exist"),
        ("notes", {"hs_note_body": "no moment"}, "hs_timestamp"),
        ("notes", {"hs_timestamp": "1757883600000", "hs_note_body": "x" * 65_537}, "INVALID_STRING_LENGTH"),
        ("tasks", {"hs_timestamp": "1757883600000", "hs_task_type": "SHOWING"}, "INVALID_OPTION"),
        ("deals", {}, "deals"),
    ],
)
def test_what_is_not_documented_is_refused(
    hubspot: HubSpotCrm, sandbox: SandboxServer, of: str, properties: dict[str, object], word: str
) -> None:
    answer = hubspot.call("POST", f"/crm/v3/objects/{of}", {"properties": properties, "associations": []})
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")
    assert word in answer.json()["message"]
    assert sandbox.effects() == []


@pytest.mark.parametrize("type_id", [199, 202])
def test_an_association_of_another_type_is_refused(hubspot: HubSpotCrm, type_id: int) -> None:
    kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}
    of = [{"to": {"id": hubspot.made("contacts", **ANA)}, "types": [kind]}]
    assert hubspot.call("POST", MEETINGS, {"properties": MEETING, "associations": of}).status_code == 400


def test_requests_and_answers_are_as_the_vendors_contract_has_them(hubspot: HubSpotCrm) -> None:
    ana = hubspot.documented("POST", CONTACTS, {"properties": ANA, "associations": []}).json()["id"]
    kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 200}
    of = [{"to": {"id": ana}, "types": [kind]}]
    meeting = hubspot.documented("POST", MEETINGS, {"properties": MEETING, "associations": of}).json()["id"]
    hubspot.documented("PATCH", f"{CONTACTS}/{ana}", {"properties": {"city": "Galt"}})
    hubspot.documented("GET", f"{MEETINGS}/{meeting}", properties="hs_timestamp", associations="contacts")
    batch = {"inputs": [{"id": meeting}], "properties": ["hs_meeting_title"], "propertiesWithHistory": []}
    for inputs in ([{"id": meeting}], [{"id": "17"}]):
        hubspot.documented("POST", f"{MEETINGS}/batch/read", {**batch, "inputs": inputs})
    hubspot.documented("POST", f"{CONTACTS}/search", search("city", "galt"))
    for path in ("/crm/v3/owners", "/account-info/v3/details", "/crm/v3/properties/contacts/city"):
        hubspot.documented("GET", path)
    hubspot.documented("GET", f"/crm/objects/2026-03/contacts/{ana}/associations/meetings", limit="1")
    hubspot.documented("DELETE", f"{MEETINGS}/{meeting}")


# --- search --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mobile", [False, True])
def test_numbers_are_searched_by_area_code_and_local_number(hubspot: HubSpotCrm, mobile: bool) -> None:
    properties = {"mobilephone" if mobile else "phone": "+1 (916) 555-0100"}
    ana = hubspot.made("contacts", **properties)
    name = f"hs_searchable_calculated_{'mobile' if mobile else 'phone'}_number"
    answer = hubspot.call("POST", f"{CONTACTS}/search", search(name, "9165550100"))
    assert (found(answer), answer.json()["total"]) == ([ana], 1)
    assert found(hubspot.call("POST", f"{CONTACTS}/search", search("phone", "9165550100"))) == []


def test_a_page_ends_and_the_next_goes_on(hubspot: HubSpotCrm) -> None:
    all_three = [hubspot.made("contacts", city="Galt") for _ in range(3)]
    body = {**search("city", "galt"), "limit": 2}
    first = hubspot.call("POST", f"{CONTACTS}/search", body)
    last = hubspot.call("POST", f"{CONTACTS}/search", {**body, "after": first.json()["paging"]["next"]["after"]})
    assert found(first) + found(last) == all_three
    assert "paging" not in last.json()


@pytest.mark.parametrize(
    "change",
    [
        {"filterGroups": [{"filters": []}]},
        {"filterGroups": [search("city", "x")["filterGroups"][0]] * 6},
        {"filterGroups": search("city", "x", "LIKE")["filterGroups"]},
        {"limit": 201},
        {"after": 5},
        {"properties": "email"},
    ],
)
def test_a_search_beyond_its_bounds_is_refused(hubspot: HubSpotCrm, change: dict[str, object]) -> None:
    assert hubspot.call("POST", f"{CONTACTS}/search", {**search("city", "x"), **change}).status_code == 400


@pytest.fixture
def portal(tmp_path: Any) -> Iterator[Store]:
    """An account whose clock the test turns."""
    store = Store(tmp_path / "sandbox.sqlite3", "boot")
    with store.write() as data:
        HubSpot().configure(data, "42", {"search_lag_s": 10, "search_per_s": 2}, now=0.0)
    yield store
    store.close()


def call(data: Any, now: float, body: dict[str, Any]) -> Call:
    return Call(data, data.account("hubspot", "42") or Account("hubspot", "42", {}), body, {}, now)


def test_the_index_lags_behind_what_was_written_and_knows_what_was_before(portal: Store) -> None:
    with portal.write() as data:
        made = objects.create(call(data, 100, {"properties": {"city": "Galt"}}), "contacts")
        contact = str(made.document["id"])  # type: ignore[index]

        def totals(now: float) -> list[Any]:
            return [
                Search().run(call(data, now, search("city", city)), "contacts").document["total"]  # type: ignore[index]
                for city in ("galt", "lodi")
            ]

        assert (totals(109), totals(110)) == ([0, 0], [1, 0])
        objects.update(call(data, 200, {"properties": {"city": "Lodi"}}), "contacts", contact)
        assert objects.fetch(call(data, 200, {}), "contacts", contact).status == 200
        assert (totals(209), totals(210)) == ([1, 0], [0, 1])


def test_the_search_has_a_limit_of_its_own_that_slides(portal: Store) -> None:
    search_of = Search()
    with portal.write() as data:
        for now in (1.0, 1.5):
            search_of.run(call(data, now, search("city", "x")), "contacts")
        with pytest.raises(shapes.VendorError) as caught:
            search_of.run(call(data, 1.9, search("city", "x")), "contacts")
        document = caught.value.document()
        assert (caught.value.status, document["policyName"], document["errorType"]) == (429, "SECONDLY", "RATE_LIMIT")
        assert search_of.run(call(data, 2.1, search("city", "x")), "contacts").status == 200


# --- the account ---------------------------------------------------------------------------------------------------


def test_the_account_tells_who_it_is_and_who_can_own_its_records(hubspot: HubSpotCrm) -> None:
    details = hubspot.call("GET", "/account-info/v3/details").json()
    assert (details["portalId"], details["timeZone"]) == (4711, "America/Los_Angeles")
    (owner,) = hubspot.call("GET", "/crm/v3/owners").json()["results"]
    assert (owner["id"], owner["firstName"], owner["lastName"], owner["type"]) == ("7", "Dana", "van Dam", "PERSON")


def test_properties_of_its_own_survive_a_reset(hubspot: HubSpotCrm, sandbox: SandboxServer) -> None:
    path = "/crm/v3/properties/contacts"
    body = {"name": "own_one", "label": "Own", "type": "string", "fieldType": "text", "groupName": "contactinformation"}
    assert hubspot.call("POST", path, body).status_code == 201
    assert hubspot.call("POST", path, body).status_code == 409
    assert hubspot.call("GET", f"{path}/own_one").json()["hubspotDefined"] is False
    sandbox.reset()
    assert hubspot.call("GET", f"{path}/own_one").status_code == 404
    assert hubspot.call("GET", f"{path}/showing_interest").status_code == 200
    assert "showing_interest" in [row["name"] for row in hubspot.call("GET", path).json()["results"]]


@pytest.mark.parametrize(("account", "field"), [("one", "account"), ("1" * 16, "account")])
def test_an_account_is_a_number(sandbox: SandboxServer, account: str, field: str) -> None:
    body = {"provider": "hubspot", "account": account}
    answer = httpx.post(f"{sandbox.url}/_sandbox/accounts", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


# --- tokens and limits ---------------------------------------------------------------------------------------------


def test_without_a_good_token_nothing_is_told(sandbox: SandboxServer, hubspot: HubSpotCrm) -> None:
    for token in ("", "wrong"):
        answer = HubSpotCrm(sandbox.url, token or "x").call("GET", "/crm/v3/owners")
        assert (answer.status_code, answer.json()["category"]) == (401, "INVALID_AUTHENTICATION")
    assert HUBSPOT_TOKEN not in str(sandbox.journal())


APP = {"client_id": "app-1", "client_secret": "app-secret", "refresh_token": "refresh-1"}


def test_an_access_token_runs_out_and_the_refresh_token_does_not(sandbox: SandboxServer) -> None:
    sandbox.hubspot(oauth={**APP, "access_token": "access-1", "expires_in": 0.001})
    expired = HubSpotCrm(sandbox.url, "access-1").call("GET", "/crm/v3/owners")
    assert (expired.status_code, expired.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")
    sandbox.hubspot(oauth={**APP, "expires_in": 1800})
    form = {**APP, "grant_type": "refresh_token"}
    for _ in range(2):
        answer = httpx.post(f"{sandbox.url}/hubspot/oauth/v3/token", data=form).json()
        assert (answer["refresh_token"], answer["expires_in"], answer["hub_id"]) == ("refresh-1", 1800, 4711)
        assert HubSpotCrm(sandbox.url, answer["access_token"]).call("GET", "/crm/v3/owners").status_code == 200
    assert "refresh-1" not in str(sandbox.journal())
    assert "app-secret" not in str(sandbox.journal())


@pytest.mark.parametrize("change", [{"refresh_token": "no"}, {"client_secret": "no"}, {"grant_type": "password"}])
def test_a_wrong_grant_is_refused(sandbox: SandboxServer, change: dict[str, str]) -> None:
    sandbox.hubspot(oauth=APP)
    form = {**APP, "grant_type": "refresh_token", **change}
    assert httpx.post(f"{sandbox.url}/hubspot/oauth/v3/token", data=form).status_code == 400
    assert httpx.post(f"{sandbox.url}/hubspot/oauth/v3/token", json=form).status_code == 400


def test_the_limits_are_told_and_the_one_beyond_is_refused_with_its_policy(
    sandbox: SandboxServer, hubspot: HubSpotCrm
) -> None:
    sandbox.hubspot(limits={"burst": 2})
    answers = [hubspot.call("GET", "/crm/v3/owners") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    told = {name: value for name, value in answers[1].headers.items() if name.startswith("x-hubspot-ratelimit")}
    assert told == {
        "x-hubspot-ratelimit-daily": "250000",
        "x-hubspot-ratelimit-daily-remaining": "249998",
        "x-hubspot-ratelimit-interval-milliseconds": "10000",
        "x-hubspot-ratelimit-max": "2",
        "x-hubspot-ratelimit-remaining": "0",
    }
    assert (answers[2].json()["policyName"], answers[2].json()["errorType"]) == ("TEN_SECONDLY_ROLLING", "RATE_LIMIT")


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b'"x"', b"\xff", b'{"inputs": 5, "properties": 5}', b"[" * 9999],
)
@pytest.mark.parametrize("path", [CONTACTS, f"{CONTACTS}/search", f"{MEETINGS}/batch/read", "/oauth/v3/token"])
def test_whatever_is_sent_the_answer_is_a_4xx(
    sandbox: SandboxServer, hubspot: HubSpotCrm, path: str, body: bytes
) -> None:
    headers = {"Authorization": f"Bearer {HUBSPOT_TOKEN}", "Content-Type": "application/json"}
    answer = httpx.post(f"{sandbox.url}/hubspot{path}", content=body, headers=headers)
    assert answer.status_code == 400
    assert "Traceback" not in sandbox.log()


# --- the page ------------------------------------------------------------------------------------------------------


def test_people_see_on_the_page_what_the_account_holds(sandbox: SandboxServer, hubspot: HubSpotCrm) -> None:
    ana = hubspot.made("contacts", **ANA, showing_interest="Interested")
    hubspot.made("meetings", ana, **MEETING, hs_meeting_outcome="NO_SHOW", hubspot_owner_id="7")
    hubspot.made("notes", ana, hs_timestamp="1757883600000", hs_note_body="one &lt;b&gt;<br>two")
    hubspot.made("tasks", ana, hs_timestamp="1757883600000", hs_task_subject="Call", hs_task_status="NOT_STARTED")
    shown = {
        "appointment": ["Showing", "no_show", "Mon 14 Sep 2026, 10:00", "Ana Ruiz", "Dana van Dam"],
        "contact": ["Ana Ruiz", "ana@mail.example", "(916) 555-0100", "showing_interest: Interested"],
        "note": ["Ana Ruiz", "one &lt;b&gt;\ntwo", "14 Sep 2025, 21:00:00 UTC"],
        "task": ["Ana Ruiz", "Call", "Not started"],
        "property": ["showing_interest"],
        "user": ["Dana van Dam", "dana@brokerage.example"],
    }
    for kind, words in shown.items():
        page = httpx.get(sandbox.url, params={"account": f"hubspot:{HUBSPOT_PORTAL}", "kind": kind}).text
        assert [word for word in words if word not in page] == []
