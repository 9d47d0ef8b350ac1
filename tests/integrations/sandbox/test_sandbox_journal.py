"""The journal: complete, in order, without secrets, over restarts and crashes."""

from __future__ import annotations

import hashlib
import threading
import time

import httpx
import pytest

from tests.crm_client import Crm
from tests.sandbox_server import TOKEN, SandboxServer


def test_an_entry_says_everything(crm: Crm, sandbox: SandboxServer) -> None:
    before = time.monotonic()
    body = {"locationId": "loc_demo", "name": "Zoë ☃", "email": "zoe@mail.example"}
    made = crm.call("POST", "/contacts/", body, headers={"Cookie": "session=hidden"}).json()["contact"]["id"]
    after = time.monotonic()
    (row,) = sandbox.journal("gohighlevel")
    assert before <= row.pop("t") <= after
    assert row.pop("wall") == pytest.approx(time.time(), abs=60)
    headers = row.pop("headers")
    assert row == {
        "seq": row["seq"],
        "provider": "gohighlevel",
        "account": "loc_demo",
        "method": "POST",
        "path": "/contacts/",
        "query": {},
        "body": body,
        "status": 201,
        "effect": {"kind": "contact", "id": made, "op": "create"},
        "fault": None,
    }
    assert headers["authorization"] == "sha256:" + hashlib.sha256(f"Bearer {TOKEN}".encode()).hexdigest()
    assert headers["cookie"] == "sha256:" + hashlib.sha256(b"session=hidden").hexdigest()
    assert headers["version"] == "2021-07-28"


def test_since_and_provider_choose(crm: Crm, sandbox: SandboxServer) -> None:
    for _ in range(3):
        crm.call("GET", "/locations/loc_demo")
    first, second, third = (row["seq"] for row in sandbox.journal())
    assert first < second < third
    assert [row["seq"] for row in sandbox.journal(since=first)] == [second, third]
    assert sandbox.journal(since=third) == []
    bad = httpx.get(f"{sandbox.url}/_sandbox/journal", params={"provider": "acme"})
    assert (bad.status_code, bad.json()["field"]) == (400, "provider")


@pytest.mark.parametrize("since", ["-1", "x", "1.5", "9" * 30, "٣"])
def test_a_bad_since_is_400(sandbox: SandboxServer, since: str) -> None:
    answer = httpx.get(f"{sandbox.url}/_sandbox/journal", params={"since": since})
    assert (answer.status_code, answer.json()["field"]) == (400, "since")


def test_a_crash_loses_nothing_that_was_answered(crm: Crm, sandbox: SandboxServer) -> None:
    answered: list[str] = []

    def send(worker: int) -> None:
        client = Crm(sandbox.url)
        try:
            for number in range(1000):
                body = {"locationId": "loc_demo", "email": f"b{worker}-{number}@mail.example"}
                answered.append(client.call("POST", "/contacts/upsert", body).json()["contact"]["id"])
        except httpx.TransportError:
            return

    sandbox.account(limits={"burst": 100_000})
    threads = [threading.Thread(target=send, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    while len(answered) < 60:
        time.sleep(0.005)
    sandbox.kill()
    for thread in threads:
        thread.join()
    sandbox.start()
    created = [effect["id"] for effect in sandbox.effects("contact")]
    assert set(answered) <= set(created)
    assert len(created) == len(set(created))
    assert len(created) - len(answered) <= 3
    assert crm.call("GET", f"/contacts/{answered[-1]}").status_code == 200


def test_times_and_numbers_go_on_over_a_restart(crm: Crm, sandbox: SandboxServer) -> None:
    crm.call("GET", "/locations/loc_demo")
    sandbox.restart()
    crm.call("GET", "/locations/loc_demo")
    first, second = sandbox.journal()
    assert (first["t"] < second["t"], first["seq"] < second["seq"]) == (True, True)


def test_reset_keeps_numbers_rising_and_accounts(crm: Crm, sandbox: SandboxServer) -> None:
    contact_id = crm.contact()
    seq = sandbox.journal()[-1]["seq"]
    sandbox.faults("garbled")
    sandbox.reset()
    assert (sandbox.journal(), sandbox.active_faults()) == ([], [])
    assert crm.call("GET", f"/contacts/{contact_id}").status_code == 404
    assert sandbox.journal()[-1]["seq"] == seq + 1


def test_a_long_journal_is_whole(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.account(limits={"burst": 100_000})
    for _ in range(1203):
        crm.call("GET", "/contacts/nobody")
    rows = sandbox.journal()
    assert [row["seq"] for row in rows] == list(range(rows[0]["seq"], rows[0]["seq"] + 1203))
