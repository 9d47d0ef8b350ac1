"""Rollout's people as the sandbox plays them, over real HTTP and held to the vendor's contract."""

from __future__ import annotations

import pytest

from tests.rollout_client import RolloutCrm
from tests.sandbox_server import SandboxServer

ANA = {
    "firstName": "Ana", "lastName": "Ruiz Peña", "assignedUserId": "user_dana", "tags": ["tour"], "source": "REanna",
    "emails": [{"value": "ana@mail.example", "type": "home", "isPrimary": True}],
    "phones": [{"value": "+19165550100", "isPrimary": None}],
    "addresses": [{"city": "Galt"}], "communicationsConsent": {"email": True, "text": False}, "rating": 5,
}  # fmt: skip


def test_create_answers_201_with_the_person(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    answer = rollout.checked("POST", "/people", ANA)
    person = answer.json()
    assert answer.status_code == 201
    assert (person["name"], person["stage"], person["tags"], person["assignedUserId"]) == (
        "Ana Ruiz Peña", "Lead", ["tour"], "user_dana",
    )  # fmt: skip
    assert person["emails"] == [{"value": "ana@mail.example", "type": "home", "status": "", "isPrimary": True}]
    assert person["addresses"] == [{"type": "", "street": "", "city": "Galt", "state": "", "code": "", "country": ""}]
    assert person["communicationsConsent"] == {"email": True, "text": False}
    assert rollout.checked("GET", f"/people/{person['id']}").json() == person
    assert sandbox.effects() == [{"kind": "contact", "id": person["id"], "op": "create"}]


def test_the_same_person_twice_is_two_people(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    ids = [rollout.person() for _ in range(2)]
    assert ids[0] != ids[1]
    assert rollout.checked("GET", "/people").json()["_metadata"]["total"] == 2
    assert [effect["op"] for effect in sandbox.effects("contact")] == ["create", "create"]


def test_a_list_cannot_be_searched(rollout: RolloutCrm) -> None:
    rollout.person()
    rollout.person(emails=[{"value": "bo@mail.example"}])
    found = rollout.call("GET", "/people", query={"email": "bo@mail.example", "sort": "created"}).json()
    assert (found["_metadata"]["total"], len(found["people"])) == (2, 2)


def test_pages_are_newest_first_and_follow_next(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    ids = [rollout.person() for _ in range(5)]
    first = rollout.checked("GET", "/people", query={"limit": 2}).json()
    assert [one["id"] for one in first["people"]] == [ids[4], ids[3]]
    metadata = first["_metadata"]
    assert (metadata["collection"], metadata["offset"], metadata["limit"], metadata["total"]) == ("people", 0, 2, 5)
    assert metadata["nextLink"] == f"{sandbox.url}/rollout/api/people?limit=2&next={metadata['next']}"
    rollout.person()  # one more in front moves nothing
    second = rollout.checked("GET", "/people", query={"limit": 2, "next": metadata["next"]}).json()
    assert [one["id"] for one in second["people"]] == [ids[2], ids[1]]
    third = rollout.call("GET", second["_metadata"]["nextLink"]).json()
    assert [one["id"] for one in third["people"]] == [ids[0]]
    assert (third["_metadata"]["next"], third["_metadata"]["nextLink"]) == (None, None)


def test_an_offset_counts_from_the_front(rollout: RolloutCrm) -> None:
    ids = [rollout.person() for _ in range(3)]
    page = rollout.checked("GET", "/people", query={"offset": "2", "limit": 5}).json()
    assert ([one["id"] for one in page["people"]], page["_metadata"]["offset"]) == ([ids[0]], 2)
    assert rollout.checked("GET", "/people", query={"offset": "9"}).json()["people"] == []


def test_a_page_is_ten_unless_asked_and_never_more_than_a_hundred(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.rollout(limits={"burst": 1000})
    for _ in range(101):
        rollout.call("POST", "/people", {"firstName": "A", "lastName": "B"})
    assert len(rollout.checked("GET", "/people").json()["people"]) == 10
    page = rollout.checked("GET", "/people", query={"limit": 500}).json()
    assert (len(page["people"]), page["_metadata"]["limit"]) == (100, 100)


def test_an_account_can_list_oldest_first(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    ids = [rollout.person() for _ in range(3)]
    sandbox.rollout(order="oldest")
    page = rollout.checked("GET", "/people", query={"limit": 2}).json()
    rest = rollout.checked("GET", "/people", query={"next": page["_metadata"]["next"]}).json()
    assert [one["id"] for one in page["people"] + rest["people"]] == ids


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "x"}, {"offset": "-1"}, {"limit": "٣"}, {"next": "x"}, {"next": "bjp4"}]
)
def test_bad_paging_is_400(rollout: RolloutCrm, query: dict[str, str]) -> None:
    assert rollout.refused("GET", "/people", query=query)[0] == 400


def test_update_changes_only_what_is_named(rollout: RolloutCrm) -> None:
    person = rollout.checked("POST", "/people", ANA).json()
    changed = rollout.checked("PUT", f"/people/{person['id']}", {"lastName": "Ruiz", "tags": ["buyer"]}).json()
    assert (changed["name"], changed["tags"], changed["emails"]) == ("Ana Ruiz", ["buyer"], person["emails"])


def test_merge_tags_adds_instead_of_replacing(rollout: RolloutCrm) -> None:
    person = rollout.person(tags=["a", "b"])
    path = f"/people/{person}"
    merged = rollout.checked("PUT", path, {"tags": ["b", "c"]}, query={"mergeTags": "true"}).json()
    assert merged["tags"] == ["a", "b", "c"]
    assert rollout.checked("PUT", path, {"tags": ["d"]}, query={"mergeTags": "false"}).json()["tags"] == ["d"]
    assert rollout.refused("PUT", path, {}, query={"mergeTags": "yes"})[0] == 400


def test_tags_are_applied_and_deleted(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    person = rollout.person(tags=["a"])
    answer = rollout.checked("POST", f"/people/{person}/tags/apply", {"tags": ["a", "b", "b"]})
    assert (answer.status_code, answer.json()) == (200, [])
    rollout.checked("POST", f"/people/{person}/tags/delete", {"tags": ["a", "z"]})
    assert rollout.checked("GET", f"/people/{person}").json()["tags"] == ["b"]
    assert sandbox.effects("tag") == [
        {"kind": "tag", "id": person, "op": "create", "tags": ["b"]},
        {"kind": "tag", "id": person, "op": "delete", "tags": ["a"]},
    ]


def test_tags_that_change_nothing_have_no_effect(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    person = rollout.person(tags=["a"])
    rollout.checked("POST", f"/people/{person}/tags/apply", {"tags": ["a"]})
    rollout.checked("POST", f"/people/{person}/tags/delete", {"tags": ["z"]})
    assert sandbox.effects("tag") == []


def test_delete_removes(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    person = rollout.person()
    assert rollout.checked("DELETE", f"/people/{person}").json() == []
    assert rollout.refused("GET", f"/people/{person}") == (404, "Not found")
    assert rollout.checked("GET", "/people").json()["people"] == []
    assert sandbox.effects()[-1] == {"kind": "contact", "id": person, "op": "delete"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/people/x"), ("PUT", "/people/x"), ("DELETE", "/people/x"), ("POST", "/people/x/tags/apply"),
        ("POST", "/people/x/tags/delete"), ("GET", "/notes/x"), ("PUT", "/tasks/x"), ("DELETE", "/appointments/x"),
        ("PUT", "/appointment-types/x"), ("GET", "/appointment-outcomes/x"), ("GET", "/customFields/x"),
        ("GET", "/users/x"),
    ],
)  # fmt: skip
def test_an_unknown_id_is_404(rollout: RolloutCrm, method: str, path: str) -> None:
    body = {} if method in ("PUT", "POST") else None
    assert rollout.refused(method, path, body) == (404, "Not found")


def test_another_credentials_person_is_404(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    person = rollout.person()
    sandbox.rollout("cred_second")
    rollout.credential = "cred_second"
    assert rollout.refused("GET", f"/people/{person}")[0] == 404


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lastName": None}, "lastName must be a string"),
        ({"email": "x"}, "email is not a known property"),
        ({"customFields": []}, "customFields is not a known property"),
        ({"emails": [{"type": "home"}]}, "emails[0].value is required"),
        ({"emails": [{"value": "a", "primary": True}]}, "emails[0].primary is not a known property"),
        ({"emails": [{"value": "a", "isPrimary": None}]}, "emails[0].isPrimary must be a boolean"),
        ({"emails": ["a"]}, "emails[0] must be an object"),
        ({"tags": "a"}, "tags must be an array"),
        ({"tags": [1], "rating": "5"}, "tags[0] must be a string; rating must be a number"),
        ({"communicationsConsent": {"fax": True}}, "communicationsConsent.fax is not a known property"),
        ({"assignedUserId": "user_gone"}, "assignedUserId does not exist"),
    ],
)
def test_what_is_wrong_with_a_body_is_400(
    rollout: RolloutCrm, sandbox: SandboxServer, change: dict[str, object], message: str
) -> None:
    body = {"firstName": "Ana", "lastName": "Ruiz", **change}
    assert rollout.refused("POST", "/people", body) == (400, message)
    assert sandbox.effects() == []


def test_names_are_required(rollout: RolloutCrm) -> None:
    assert rollout.refused("POST", "/people", {}) == (400, "firstName is required; lastName is required")
    assert rollout.refused("POST", "/people", [])[0] == 400


def test_a_body_that_is_not_json_is_400_and_journaled(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    headers = {"Authorization": f"Bearer {rollout.token}", "X-Rollout-Credential-Id": "cred_demo"}
    broken = rollout.http.post("/people", content=b"{", headers={**headers, "Content-Type": "application/json"})
    form = rollout.http.post("/people", content=b"{}", headers={**headers, "Content-Type": "text/plain"})
    assert (broken.status_code, form.status_code) == (400, 400)
    assert [row["body"] for row in sandbox.journal()] == ["{", {}]
    assert form.json() == {"errorMessage": "the body must be application/json"}


@pytest.mark.parametrize("path", ["/events", "/deals", "/people/search", "/people/x/notes"])
def test_what_is_not_played_is_404(rollout: RolloutCrm, path: str) -> None:
    answer = rollout.call("GET", path)
    assert (answer.status_code, answer.json()) == (404, {"errorMessage": "Not found"})
