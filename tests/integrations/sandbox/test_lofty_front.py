"""Lofty's keys, tokens, limits and settings: what is let in, what is not, and that no secret is shown."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import pytest

from tests.lofty_client import LoftyCrm
from tests.sandbox_server import LOFTY_ACCOUNT, LOFTY_KEY, LOFTY_USERS, SandboxServer

OAUTH = {
    "client_id": "app-1", "client_secret": "app-secret", "refresh_token": "first-refresh",
    "access_token": "first-access",
}  # fmt: skip
BASIC = f"Basic {base64.b64encode(b'app-1:app-secret').decode()}"


@pytest.fixture
def token_page(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    """The token endpoint, for an app that Ann authorized."""
    sandbox.lofty(oauth=OAUTH)
    with httpx.Client(base_url=f"{sandbox.url}/lofty/api/user-web", timeout=10) as client:
        yield client


def renew(client: httpx.Client, refresh: str = "first-refresh", authorization: str = BASIC) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": refresh}
    return client.post("/oauth/token", data=form, headers={"Authorization": authorization})


# --- keys and tokens -----------------------------------------------------------------------------------------------


def test_a_key_is_let_in_as_a_token(lofty: LoftyCrm, sandbox: SandboxServer) -> None:
    assert lofty.done("GET", "/v1.0/leads")["leads"] == []
    row = sandbox.journal()[-1]
    assert (row["provider"], row["account"], row["status"]) == ("lofty", LOFTY_ACCOUNT, 200)
    assert LOFTY_KEY not in str(sandbox.journal())


def test_a_key_as_a_bearer_token_is_answered_400_with_a_number(lofty: LoftyCrm) -> None:
    lofty.authorization = f"Bearer {LOFTY_KEY}"
    assert lofty.refused("GET", "/v1.0/leads") == (400, 200058)


@pytest.mark.parametrize("header", [None, "", "token", "token nobodys", "Basic abc", "Bearer nobodys"])
def test_anything_else_is_401(lofty: LoftyCrm, sandbox: SandboxServer, header: str | None) -> None:
    body = {"firstName": "Ana"}
    refused = lofty.refused("POST", "/v1.0/leads", body, headers={"Authorization": header})
    assert refused == (401, "BAD_CREDENTIALS")
    assert sandbox.effects() == []


def test_a_new_key_ends_the_old_one(lofty: LoftyCrm, sandbox: SandboxServer) -> None:
    sandbox.lofty(token="another-key")
    assert lofty.refused("GET", "/v1.0/me") == (401, "BAD_CREDENTIALS")
    assert LoftyCrm(sandbox.url, authorization="token another-key").done("GET", "/v1.0/me")["email"] == LOFTY_ACCOUNT


def test_an_access_token_is_a_bearer_token_and_nothing_else(token_page: httpx.Client, sandbox: SandboxServer) -> None:
    assert LoftyCrm(sandbox.url, authorization="Bearer first-access").done("GET", "/v1.0/me")
    wrong = LoftyCrm(sandbox.url, authorization="token first-access")
    assert wrong.refused("GET", "/v1.0/me") == (401, "BAD_CREDENTIALS")


# --- renewing ------------------------------------------------------------------------------------------------------


def test_a_refresh_token_is_good_for_one_use(token_page: httpx.Client, sandbox: SandboxServer) -> None:
    first = renew(token_page).json()
    assert {name: first[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer", "expires_in": 86_400, "scope": "openApi",
    }  # fmt: skip
    assert LoftyCrm(sandbox.url, authorization=f"Bearer {first['access_token']}").done("GET", "/v1.0/me")
    assert renew(token_page).status_code == 400
    assert renew(token_page, first["refresh_token"]).status_code == 200
    told = str(sandbox.journal())
    secrets = (first["refresh_token"], first["access_token"], "first-refresh", "app-secret", BASIC)
    assert [secret for secret in secrets if secret in told] == []


def test_the_parameters_may_stand_in_the_query_as_documented(token_page: httpx.Client) -> None:
    query = {"grant_type": "refresh_token", "refresh_token": "first-refresh"}
    headers = {"Authorization": BASIC, "Content-Type": "application/x-www-form-urlencoded"}
    assert token_page.post("/oauth/token", params=query, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("", 401), ("Basic !", 401), (f"Basic {base64.b64encode(b'app-1:wrong').decode()}", 401), (BASIC, 200)],
)
def test_the_client_is_told_in_the_header(token_page: httpx.Client, authorization: str, status: int) -> None:
    assert renew(token_page, authorization=authorization).status_code == status


def test_a_token_request_of_another_kind_is_refused(token_page: httpx.Client) -> None:
    headers = {"Authorization": BASIC}
    assert token_page.post("/oauth/token", json={"grant_type": "refresh_token"}, headers=headers).status_code == 400
    assert token_page.post("/oauth/token", data={"grant_type": "password"}, headers=headers).status_code == 400
    assert token_page.get("/oauth/token", headers=headers).status_code == 400


# --- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_change_without_its_content_type_is_refused(lofty: LoftyCrm, method: str) -> None:
    path = "/v1.0/leads" if method == "POST" else "/v1.0/notes/7"
    assert lofty.refused(method, path, headers={"Content-Type": None}) == (400, 20001)


def test_a_path_that_is_none_is_404(lofty: LoftyCrm) -> None:
    assert lofty.refused("GET", "/v1.0/leads/7/notes") == (404, "NOT_FOUND")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff"])
def test_a_body_that_cannot_be_read_is_refused(lofty: LoftyCrm, body: bytes) -> None:
    headers = {"Authorization": lofty.authorization, "Content-Type": "application/json"}
    answer = lofty.http.post("/v1.0/leads", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_PARAMETER")


# --- limits --------------------------------------------------------------------------------------------------------


def test_every_answer_tells_of_the_limit_and_429_has_no_code(lofty: LoftyCrm, sandbox: SandboxServer) -> None:
    sandbox.lofty(limits={"minute": 2})
    first, _, third = (lofty.call("GET", "/v1.0/me") for _ in range(3))
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    assert [first.headers[name] for name in names] == ["2", "1", "60000"]
    assert (third.status_code, third.json()) == (429, {"message": "Too Many Requests"})
    assert [third.headers[name] for name in names] == ["2", "0", "60000"]


def test_users_who_authorized_one_app_share_its_limit_and_keys_do_not(lofty: LoftyCrm, sandbox: SandboxServer) -> None:
    bob = {**OAUTH, "refresh_token": "bobs-refresh", "access_token": "bobs-access"}
    sandbox.lofty(oauth=OAUTH, limits={"minute": 2})
    sandbox.lofty("bob@brokerage.example", oauth=bob, token="bobs-key", limits={"minute": 2})
    sandbox.lofty("kay@brokerage.example", token="kays-key")
    for _ in range(2):
        LoftyCrm(sandbox.url, authorization="Bearer bobs-access").done("GET", "/v1.0/me")
    assert lofty.call("GET", "/v1.0/me").status_code == 429
    assert LoftyCrm(sandbox.url, authorization="token kays-key").call("GET", "/v1.0/me").status_code == 200


# --- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"calendar": "x"}, "calendar"),
        ({"lag_s": -1}, "lag_s"),
        ({"lag_s": True}, "lag_s"),
        ({"late_writes": "no"}, "late_writes"),
        ({"token": ""}, "token"),
        ({"token": "first-access"}, "token"),
        ({"oauth": "x"}, "oauth"),
        ({"oauth": {"client_id": "a"}}, "oauth.client_secret"),
        ({"oauth": {**OAUTH, "code": "x"}}, "oauth.code"),
        ({"oauth": {**OAUTH, "expires_in": 0}}, "oauth.expires_in"),
        ({"users": [{"id": "user_ann", "name": "Ann", "email": "a@mail.example"}]}, "users[0].id"),
    ],
)
def test_a_setting_that_cannot_be_is_named(sandbox: SandboxServer, settings: dict[str, object], field: str) -> None:
    sandbox.lofty("bob@brokerage.example", oauth={**OAUTH})
    document = {"provider": "lofty", "account": "kay@brokerage.example", **settings}
    answer = httpx.post(f"{sandbox.url}/_sandbox/accounts", json=document)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_settings_left_out_stay_and_secrets_are_not_shown(sandbox: SandboxServer) -> None:
    sandbox.lofty(oauth=OAUTH, lag_s=5)
    saved = sandbox.account(LOFTY_ACCOUNT, provider="lofty", late_writes=True)
    assert (saved["lag_s"], saved["late_writes"], saved["oauth"]) == (5, True, True)
    assert "first-refresh" not in str(saved)


def test_a_reset_keeps_keys_and_members(lofty: LoftyCrm, sandbox: SandboxServer) -> None:
    lofty.lead()
    sandbox.reset()
    assert lofty.done("GET", "/v1.0/leads")["leads"] == []
    members = lofty.done("GET", "/v1.0/members")["members"]
    assert isinstance(members, list)
    assert [str(one["memberUserId"]) for one in members] == [user["id"] for user in LOFTY_USERS]
