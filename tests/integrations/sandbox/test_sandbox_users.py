"""The users of a GoHighLevel location, as apps/users.json of the vendor's repository has the call."""

from __future__ import annotations

from tests.crm_client import Crm
from tests.sandbox_server import SandboxServer

DANA = {"id": "user_dana", "name": "Dana van Dam", "email": "dana@brokerage.example"}


def test_the_users_of_the_settings_are_listed(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.account(users=[DANA])
    answer = crm.call("GET", "/users/", query={"locationId": "loc_demo"})
    (user,) = answer.json()["users"]
    assert answer.status_code == 200
    assert (user["id"], user["name"], user["firstName"], user["lastName"], user["email"]) == (
        "user_dana", "Dana van Dam", "Dana", "van Dam", "dana@brokerage.example",
    )  # fmt: skip
    assert user["roles"]["locationIds"] == ["loc_demo"]


def test_without_a_location_or_with_anothers_it_is_refused(crm: Crm) -> None:
    assert crm.call("GET", "/users/").status_code == 400
    assert crm.call("GET", "/users/", query={"locationId": "loc_else"}).status_code == 403


def test_the_version_of_calendars_is_not_the_one_of_users(crm: Crm) -> None:
    query = {"locationId": "loc_demo"}
    assert crm.call("GET", "/users/", query=query, headers={"Version": "2021-04-15"}).status_code == 422


def test_reading_them_changes_nothing(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.account(users=[DANA])
    crm.call("GET", "/users/", query={"locationId": "loc_demo"})
    assert sandbox.effects() == []
