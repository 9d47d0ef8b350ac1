"""What is in Rollout's way: data that is not ready, the tenant's limit, faults, restarts."""

from __future__ import annotations

import httpx
import pytest

from tests.rollout_client import RolloutCrm, good_claims, signed
from tests.sandbox_server import SandboxServer

NOT_READY = "Data for this credential is not ready yet. Please try again."
ANA = {"firstName": "Ana", "lastName": "Ruiz"}


def test_the_first_calls_find_the_data_not_ready(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.rollout(not_ready=2)
    assert rollout.refused("POST", "/people", ANA) == (409, NOT_READY)
    assert rollout.refused("GET", "/users") == (409, NOT_READY)
    assert rollout.checked("POST", "/people", ANA).status_code == 201
    assert [effect["op"] for effect in sandbox.effects()] == ["create"]


def test_calls_that_are_not_let_in_do_not_use_up_the_wait(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.rollout(not_ready=1)
    rollout.refused("GET", "/people", headers={"Authorization": "Bearer x"})
    rollout.call("GET", "/credentials")
    assert rollout.refused("GET", "/people")[0] == 409
    assert rollout.call("GET", "/people").status_code == 200


def test_data_can_be_not_ready_for_some_time(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.rollout(not_ready_seconds=600)
    assert [rollout.refused("GET", "/people")[0] for _ in range(3)] == [409, 409, 409]
    sandbox.restart()
    assert rollout.refused("GET", "/people")[0] == 409
    sandbox.rollout(not_ready_seconds=0)
    assert rollout.call("GET", "/people").status_code == 200


def test_the_51st_in_a_second_is_429_without_headers(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.rollout(limits={"burst": {"seconds": 60}})
    answers = [rollout.call("GET", "/people") for _ in range(51)]
    assert [answer.status_code for answer in answers] == [200] * 50 + [429]
    assert answers[-1].json() == {"errorMessage": "Too Many Requests"}
    assert [name for name in answers[-1].headers if "limit" in name or "retry" in name] == []
    assert sandbox.journal()[-1]["status"] == 429


def test_the_limit_is_one_second_long(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    page = httpx.get(sandbox.url, params={"account": "rollout:cred_demo"}).text
    assert "0 of 50 in 1 s" in page


def test_the_credentials_of_a_consumer_share_the_limit(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.rollout(limits={"burst": {"limit": 3, "seconds": 600}})
    sandbox.rollout("cred_second")
    sandbox.rollout("cred_other", consumer="another")
    second = RolloutCrm(sandbox.url, credential="cred_second")
    other = RolloutCrm(sandbox.url, credential="cred_other", token=signed(good_claims(sub="another")))
    assert [client.call("GET", "/people").status_code for client in (rollout, second)] == [200, 200]
    assert rollout.call("GET", "/credentials").status_code == 200
    assert [client.call("GET", "/people").status_code for client in (rollout, second, other)] == [429, 429, 200]
    sandbox.restart()
    assert [client.call("GET", "/people").status_code for client in (rollout, second, other)] == [429, 429, 200]


def test_a_limit_given_to_one_credential_holds_for_all_of_the_consumer(
    rollout: RolloutCrm, sandbox: SandboxServer
) -> None:
    sandbox.rollout("cred_second")
    sandbox.rollout("cred_second", limits={"burst": {"limit": 1, "seconds": 600}})
    assert [rollout.call("GET", "/people").status_code for _ in range(2)] == [200, 429]


def test_a_lost_answer_left_a_person(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.faults("drop_after_effect", provider="rollout", match={"method": "POST", "path": "/api/people"})
    rollout.call("GET", "/people")
    with pytest.raises(httpx.RemoteProtocolError):
        rollout.call("POST", "/people", ANA)
    assert rollout.checked("GET", "/people").json()["_metadata"]["total"] == 1
    assert (sandbox.journal()[-2]["status"], sandbox.journal()[-2]["effect"]["op"]) == (None, "create")


def test_an_upstream_error_comes_through(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.faults("status", provider="rollout", status=502, body={"error": "upstream"}, account="cred_demo")
    answer = rollout.call("POST", "/people", ANA)
    assert (answer.status_code, answer.json()) == (502, {"error": "upstream"})
    sandbox.faults("status", provider="rollout", status=503)
    assert rollout.refused("POST", "/people", ANA) == (503, "Service Unavailable")
    assert sandbox.effects() == []


def test_a_fault_of_one_vendor_does_not_meet_the_other(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.faults("outage", seconds=60)
    assert rollout.call("GET", "/people").status_code == 200


def test_a_restart_forgets_nothing(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    person = rollout.person()
    cursor = rollout.call("GET", "/users", query={"limit": 1}).json()["_metadata"]["next"]
    sandbox.restart()
    assert rollout.checked("GET", f"/people/{person}").json()["id"] == person
    assert len(rollout.checked("GET", "/users", query={"next": cursor}).json()["users"]) == 1


def test_a_reset_with_accounts_forgets_the_client(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.reset(accounts=True)
    assert rollout.call("GET", "/people").status_code == 401
