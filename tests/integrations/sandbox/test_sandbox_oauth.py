"""The token endpoint: form-encoded, and a refresh token that works once."""

from __future__ import annotations

import httpx
import pytest

from tests.crm_client import Crm
from tests.openapi import validate_request, validate_response
from tests.sandbox_server import SandboxServer

APP = {"client_id": "app-1", "client_secret": "app-secret", "refresh_token": "first-refresh"}
FORM = {**APP, "grant_type": "refresh_token", "user_type": "Location"}


@pytest.fixture
def server(sandbox: SandboxServer) -> SandboxServer:
    sandbox.account(oauth={**APP, "access_token": "first-access"})
    return sandbox


def refresh(server: SandboxServer, **changes: str) -> httpx.Response:
    form = {**FORM, **changes}
    answer = httpx.post(f"{server.url}/oauth/token", data=form)
    validate_request("POST", "/oauth/token", dict(answer.request.headers), {}, form)
    validate_response("POST", "/oauth/token", answer.status_code, answer.json())
    return answer


def reads(server: SandboxServer, token: str) -> int:
    return Crm(server.url, token).call("GET", "/locations/loc_demo").status_code


def test_refresh_gives_a_working_pair(server: SandboxServer) -> None:
    body = refresh(server).json()
    assert (body["token_type"], body["expires_in"], body["locationId"]) == ("Bearer", 86_399, "loc_demo")
    assert reads(server, body["access_token"]) == 200
    assert reads(server, body["refresh_token"]) == 401
    assert refresh(server, refresh_token=body["refresh_token"]).status_code == 200


def test_a_used_refresh_token_is_dead(server: SandboxServer) -> None:
    refresh(server)
    again = refresh(server)
    assert (again.status_code, again.json()["message"]) == (400, "Invalid grant: refresh_token is invalid")


def test_a_lost_answer_still_rotated(server: SandboxServer) -> None:
    server.faults("drop_after_effect")
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{server.url}/oauth/token", data=FORM)
    assert refresh(server).status_code == 400
    assert server.effects() == [{"kind": "token", "id": "loc_demo", "op": "update"}]


def test_the_same_account_again_does_not_revive_a_used_token(server: SandboxServer) -> None:
    refresh(server)
    server.account(oauth=APP)
    assert refresh(server).status_code == 400


def test_access_token_expires(server: SandboxServer) -> None:
    assert reads(server, "first-access") == 200
    server.account(oauth={**APP, "access_token": "brief", "expires_in": 0.001})
    assert reads(server, "brief") == 401
    assert server.journal()[-1]["account"] == "loc_demo"


def test_json_is_422(server: SandboxServer) -> None:
    answer = httpx.post(f"{server.url}/oauth/token", json=FORM)
    validate_response("POST", "/oauth/token", answer.status_code, answer.json())
    assert answer.status_code == 422
    assert "app-secret" not in str(server.journal())


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"client_secret": "wrong"}, 401), ({"refresh_token": "wrong"}, 400), ({"grant_type": "password"}, 422),
        ({"client_id": ""}, 422), ({"refresh_token": ""}, 422), ({"grant_type": "authorization_code"}, 400),
    ],
)  # fmt: skip
def test_bad_grants(server: SandboxServer, change: dict[str, str], status: int) -> None:
    answer = httpx.post(f"{server.url}/oauth/token", data={**FORM, **change})
    validate_response("POST", "/oauth/token", answer.status_code, answer.json())
    assert answer.status_code == status
    assert refresh(server).status_code == 200


def test_no_secret_is_written_anywhere(server: SandboxServer) -> None:
    body = refresh(server).json()
    reads(server, body["access_token"])
    text = str(server.journal()) + server.log() + httpx.get(server.url).text
    stored = b"".join(file.read_bytes() for file in server.data_dir.iterdir())
    for secret in ("app-secret", "first-refresh", body["access_token"], body["refresh_token"], "pit-demo-token"):
        assert secret not in text
        assert secret.encode() not in stored
