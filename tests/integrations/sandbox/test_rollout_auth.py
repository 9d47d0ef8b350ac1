"""Rollout's tokens and credentials: what is let in, what is not, and that no secret is shown."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import pytest

from tests.rollout_client import RolloutCrm, good_claims, signed
from tests.sandbox_server import ROLLOUT_SECRET, SandboxServer


def test_a_good_token_with_its_credential_is_let_in(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    assert rollout.checked("GET", "/people").json()["people"] == []
    row = sandbox.journal()[-1]
    assert (row["provider"], row["account"], row["path"], row["status"]) == ("rollout", "cred_demo", "/api/people", 200)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (lambda: signed(good_claims(exp=time.time() - 1)), "it has expired"),
        (lambda: signed(good_claims(exp=time.time() + 3700)), "it expires more than an hour from now"),
        (lambda: signed(good_claims(), "another-secret"), "its signature is wrong"),
        (lambda: signed(good_claims(), header={"alg": "HS256"}), "its algorithm is not HS512"),
        (lambda: signed(good_claims(), header={"alg": "none"}), "its algorithm is not HS512"),
        (lambda: signed(good_claims(iss="nobody")), "its issuer is unknown"),
        (lambda: signed(good_claims(iss=None)), "its claim iss is missing"),
        (lambda: signed(good_claims(sub=None)), "its claim sub is missing"),
        (lambda: signed(good_claims(iat=None)), "its claim iat is missing"),
        (lambda: signed(good_claims(exp=None)), "its claim exp is missing"),
        (lambda: signed(good_claims(exp=True)), "its claim exp is missing"),
        (lambda: signed(good_claims()).rsplit(".", 1)[0], "it does not have three parts"),
        (lambda: signed(good_claims()).rsplit(".", 1)[0] + ".!", "its signature is not base64url"),
        (lambda: "a.b.c", "its header is not base64url"),
        (lambda: "W10.W10.W10", "its header is not a JSON object"),
    ],
)
def test_any_other_token_is_401(
    rollout: RolloutCrm, sandbox: SandboxServer, token: Callable[[], str], why: str
) -> None:
    rollout.token = token()  # made now: how old it is decides
    body = {"firstName": "Ana", "lastName": "Ruiz"}
    assert rollout.refused("POST", "/people", body) == (401, f"Invalid token: {why}.")
    assert sandbox.effects() == []


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic abc", "Bearer \xe9.\xe9.\xe9"])
def test_no_bearer_token_is_401(rollout: RolloutCrm, header: str | None) -> None:
    given = header.encode("latin-1") if header is not None else None
    assert rollout.refused("GET", "/people", headers={"Authorization": given})[0] == 401


def test_a_changed_payload_is_401(rollout: RolloutCrm) -> None:
    parts = rollout.token.split(".")
    other = signed(good_claims(sub="another")).split(".")
    rollout.token = f"{parts[0]}.{other[1]}.{parts[2]}"
    assert rollout.refused("GET", "/people") == (401, "Invalid token: its signature is wrong.")


@pytest.mark.parametrize("credential", [None, "", "cred_unknown", "cred_other", "loc_demo"])
def test_no_credential_of_this_consumer_is_403(
    rollout: RolloutCrm, sandbox: SandboxServer, credential: str | None
) -> None:
    sandbox.rollout("cred_other", consumer="another")
    rollout.credential = credential
    assert rollout.refused("GET", "/people")[0] == 403


def test_a_bad_token_is_told_before_a_bad_credential(rollout: RolloutCrm) -> None:
    rollout.token, rollout.credential = "x", None
    assert rollout.refused("GET", "/people")[0] == 401


@pytest.mark.parametrize("base", ["/rollout/api", "/rollout/universal/api"])
def test_credentials_are_those_of_the_consumer(rollout: RolloutCrm, sandbox: SandboxServer, base: str) -> None:
    sandbox.rollout("cred_second", app_key="lofty", label="Lofty of the north office")
    sandbox.rollout("cred_other", consumer="another")
    answer = httpx.get(f"{sandbox.url}{base}/credentials", headers={"Authorization": f"Bearer {rollout.token}"})
    assert [(one["id"], one["appKey"], one["label"]) for one in answer.json()] == [
        ("cred_demo", "followupboss", "cred_demo"), ("cred_second", "lofty", "Lofty of the north office"),
    ]  # fmt: skip
    assert sandbox.journal()[-1]["account"] == "cred_demo"


def test_a_consumer_without_credentials_is_404(rollout: RolloutCrm) -> None:
    rollout.token = signed(good_claims(sub="newcomer"))
    answer = rollout.call("GET", "/credentials")
    assert (answer.status_code, answer.json()) == (404, {"errorMessage": "Not found"})


def test_credentials_want_a_good_token(rollout: RolloutCrm) -> None:
    rollout.token = signed(good_claims(exp=time.time() - 1))
    assert rollout.call("GET", "/credentials").status_code == 401


def test_a_clients_secret_is_one_for_all_its_credentials(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.rollout("cred_second", client_secret="rotated")
    assert rollout.refused("GET", "/people")[0] == 401
    rollout.token = signed(good_claims(), "rotated")
    assert rollout.call("GET", "/people").status_code == 200


def test_no_secret_is_shown_anywhere(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    rollout.call("GET", "/people")
    accounts = httpx.get(f"{sandbox.url}/_sandbox/accounts").text
    assert '"client_secret":true' in accounts
    shown = accounts + str(sandbox.journal()) + sandbox.log() + httpx.get(sandbox.url).text
    assert ROLLOUT_SECRET not in shown
    assert rollout.token not in shown


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"client_secret": ""}, "client_secret"), ({"consumer": 1}, "consumer"), ({"token": "x"}, "token"),
        ({"order": "by name"}, "order"), ({"not_ready": -1}, "not_ready"), ({"timezone": "Mars"}, "timezone"),
        ({"not_ready_seconds": "soon"}, "not_ready_seconds"), ({"users": [{"id": "u"}]}, "users[0]"),
        ({"users": "u"}, "users"), ({"appointment_types": [1]}, "appointment_types[0]"),
        ({"users": [{"id": "u", "name": "U", "email": "u@x.example"}] * 2}, "users"),
        ({"users": [{"id": "user_dana", "name": "U", "email": "u@x.example"}]}, "users"),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named(
    rollout: RolloutCrm, sandbox: SandboxServer, change: dict[str, object], field: str
) -> None:
    document = {"provider": "rollout", "account": "cred_new", "client_id": "c", "client_secret": "s", "consumer": "x"}
    answer = httpx.post(f"{sandbox.url}/_sandbox/accounts", json=document | change)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert "cred_new" not in httpx.get(f"{sandbox.url}/_sandbox/accounts").text


@pytest.mark.parametrize("missing", ["client_id", "client_secret", "consumer"])
def test_a_new_credential_needs_its_client_and_consumer(sandbox: SandboxServer, missing: str) -> None:
    document = {"provider": "rollout", "account": "cred_new", "client_id": "c", "client_secret": "s", "consumer": "x"}
    del document[missing]
    answer = httpx.post(f"{sandbox.url}/_sandbox/accounts", json=document)
    assert (answer.status_code, answer.json()["field"]) == (400, missing)
