"""Follow Up Boss in the sandbox: keys, limits in contexts, accounts, and the page for people."""

from __future__ import annotations

import json
import urllib.error

import httpx
import pytest

from tests.followupboss_client import FollowUpBossCrm
from tests.sandbox_server import FUB_ACCOUNT, FUB_KEY, FUB_USERS, SandboxServer

TOLD = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Window", "X-RateLimit-Context")


def told(answer: httpx.Response) -> tuple[str, ...]:
    return tuple(answer.headers[name] for name in TOLD)


def test_a_good_key_is_let_in_and_no_secret_is_journaled(fub: FollowUpBossCrm, sandbox: SandboxServer) -> None:
    me = {"id": int(FUB_USERS[0]["id"]), "name": "Olga Owner", "email": "olga@brokerage.example"}
    answer = fub.call("GET", "/identity").json()
    assert (answer["user"], answer["account"]["domain"]) == (me, FUB_ACCOUNT)
    row = sandbox.journal()[-1]
    assert (row["provider"], row["account"], row["status"]) == ("followupboss", FUB_ACCOUNT, 200)
    assert FUB_KEY not in json.dumps(row)


@pytest.mark.parametrize("header", [None, "", "Basic", "Basic !", "Basic bm9ib2R5Og==", "Bearer fka_demo_key"])
def test_anything_else_is_401_without_effect(fub: FollowUpBossCrm, sandbox: SandboxServer, header: str | None) -> None:
    fub.http.auth = None
    body = {"firstName": "Ana"}
    assert fub.refused("POST", "/people", body, headers={"Authorization": header})[0] == 401
    assert sandbox.effects() == []


def test_a_new_key_ends_the_one_before(fub: FollowUpBossCrm, sandbox: SandboxServer) -> None:
    sandbox.followupboss(api_key="fka_other")
    assert fub.refused("GET", "/identity")[0] == 401
    fub.http.auth = ("fka_other", "any password")
    assert fub.call("GET", "/identity").status_code == 200


def test_an_expired_account_takes_events_alone(fub: FollowUpBossCrm, sandbox: SandboxServer) -> None:
    sandbox.followupboss(expired=True)
    assert fub.refused("GET", "/people") == (403, "This account has expired.")
    event = {"type": "Registration", "person": {"emails": [{"value": "new@mail.example"}]}}
    assert fub.call("POST", "/events", event).status_code == 201


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("GET", "/notes"), ("PATCH", "/people")])
def test_what_is_not_documented_is_404(fub: FollowUpBossCrm, method: str, path: str) -> None:
    assert fub.refused(method, path) == (404, "Not found")


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_none_is_400(fub: FollowUpBossCrm, content: bytes) -> None:
    answer = fub.http.post("/people", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, list(answer.json())) == (400, ["errorMessage"])


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"users": [{"id": "user_ann", "name": "Ann", "email": "ann@mail.example"}]}, "users[0].id"),
        ({"user": "0"}, "user"),
        ({"sees": "nobody"}, "sees"),
        ({"expired": "yes"}, "expired"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_setting_that_cannot_be_taken_is_named(
    fub: FollowUpBossCrm, sandbox: SandboxServer, settings: dict[str, object], field: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        sandbox.followupboss(**settings)
    assert (caught.value.code, json.loads(caught.value.read())["field"]) == (400, field)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_each_request_is_counted_in_one_context(fub: FollowUpBossCrm) -> None:
    assert told(fub.call("GET", "/identity")) == ("250", "249", "10", "global")
    ana = fub.person()
    assert told(fub.call("PUT", f"/people/{ana}", {"lastName": "Reyes"})) == ("25", "24", "10", "PUT.people")
    assert told(fub.call("POST", "/notes", {"personId": ana, "body": "hello"})) == ("10", "9", "10", "notes")
    assert told(fub.call("GET", "/people")) == ("250", "247", "10", "global")


def test_events_are_not_limited(fub: FollowUpBossCrm) -> None:
    answer = fub.call("POST", "/events", {"person": {"emails": [{"value": "new@mail.example"}]}})
    assert "X-RateLimit-Limit" not in answer.headers


@pytest.mark.parametrize("headers", [{"X-System-Key": None}, {"X-System-Key": "made-up"}, {"X-System": None}])
def test_without_a_registered_system_half_is_allowed(fub: FollowUpBossCrm, headers: dict[str, str | None]) -> None:
    assert told(fub.call("GET", "/identity", headers=headers)) == ("125", "124", "10", "global")


def test_who_is_refused_is_told_when_to_come_back_and_the_rest_goes_on(
    fub: FollowUpBossCrm, sandbox: SandboxServer
) -> None:
    sandbox.followupboss(limits={"notes": 1})
    ana = fub.person()
    note = {"personId": ana, "body": "hello"}
    assert fub.call("POST", "/notes", note).status_code == 201
    answer = fub.call("POST", "/notes", note)
    assert (answer.status_code, told(answer)) == (429, ("1", "0", "10", "notes"))
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    assert [effect["kind"] for effect in sandbox.effects()] == ["contact", "note"]
    assert fub.call("GET", "/identity").status_code == 200


def test_what_was_counted_survives_a_change_of_limits(fub: FollowUpBossCrm, sandbox: SandboxServer) -> None:
    fub.call("GET", "/identity")
    ana = fub.person()
    fub.call("POST", "/notes", {"personId": ana, "body": "hello"})
    sandbox.followupboss(limits={"notes": 5})
    assert told(fub.call("POST", "/notes", {"personId": ana, "body": "hello"})) == ("5", "3", "10", "notes")
    assert told(fub.call("GET", "/identity")) == ("250", "247", "10", "global")


# --- for people -------------------------------------------------------------------------------------------------------


def test_the_page_shows_what_the_account_holds(fub: FollowUpBossCrm, sandbox: SandboxServer) -> None:
    sandbox.followupboss(appointment_outcomes=["Completed"], custom_fields=["customShowingInterest"])
    ana = fub.person(tags=["vip"], customShowingInterest="Interested")
    outcome = fub.call("GET", "/appointmentOutcomes").json()["appointmentoutcomes"][0]["id"]
    fub.made(
        "/appointments", title="Showing: 1 Elm St", start="2026-09-14T17:00:00Z", end="2026-09-14T17:30:00Z",
        invitees=[{"personId": ana}, {"userId": int(FUB_USERS[1]["id"])}], outcomeId=outcome,
    )  # fmt: skip
    fub.made("/notes", personId=ana, subject="Feedback", body="Nice yard")
    fub.made("/tasks", personId=ana, name="Call them", type="Call")
    shown = {
        kind: httpx.get(sandbox.url, params={"account": f"followupboss:{FUB_ACCOUNT}", "kind": kind}).text
        for kind in ("appointment", "contact", "note", "task", "user", "appointment_outcome", "custom_field")
    }
    for kind, words in {
        "appointment": ("Showing: 1 Elm St", "Ana Ruiz", "Dana Okafor", "Completed", "10:00 to 10:30 PDT"),
        "contact": ("ana@mail.example", "vip", "customShowingInterest: Interested", "Olga Owner"),
        "note": ("Feedback", "Nice yard"), "task": ("Call them", "Call"), "user": ("dana@brokerage.example",),
        "appointment_outcome": ("Completed",), "custom_field": ("customShowingInterest",),
    }.items():  # fmt: skip
        assert [word for word in words if word not in shown[kind]] == []


def test_a_reset_leaves_the_account_its_users_and_choices(fub: FollowUpBossCrm, sandbox: SandboxServer) -> None:
    sandbox.followupboss(appointment_types=["Showing"])
    before = fub.call("GET", "/appointmentTypes").json()
    fub.person()
    sandbox.reset()
    assert fub.call("GET", "/people").json()["people"] == []
    assert fub.call("GET", "/appointmentTypes").json() == before
    assert fub.call("GET", "/users").json()["_metadata"]["total"] == 2
