"""Scripted faults: what the client sees, what the CRM did, what the journal says."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.crm_client import Crm
from tests.sandbox_server import SandboxServer

BODY = {"locationId": "loc_demo", "email": "ana@mail.example"}


def create(crm: Crm) -> httpx.Response:
    return crm.call("POST", "/contacts/upsert", BODY)


def last(sandbox: SandboxServer) -> tuple[object, object, object]:
    row = sandbox.journal()[-1]
    return row["status"], row["effect"] and row["effect"]["op"], row["fault"]


def test_status_has_no_effect_and_ends_after_its_times(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("status", status=503, times=2)
    assert [create(crm).status_code for _ in range(3)] == [503, 503, 200]
    assert [row["effect"] is None for row in sandbox.journal()] == [True, True, False]
    assert sandbox.active_faults() == []


def test_status_with_a_body_and_headers_of_its_own(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("status", status=502, body="<html>bad gateway</html>", headers={"Retry-After": "7"})
    answer = create(crm)
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (502, "<html>bad gateway</html>", "7")
    assert answer.headers["X-RateLimit-Max"] == "100"


def test_drop_after_effect_loses_only_the_answer(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("drop_after_effect")
    with pytest.raises(httpx.RemoteProtocolError):
        create(crm)
    assert last(sandbox) == (None, "create", "drop_after_effect")
    assert create(crm).json()["new"] is False


def test_drop_before_effect_does_nothing(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("drop_before_effect")
    with pytest.raises(httpx.RemoteProtocolError):
        create(crm)
    assert last(sandbox) == (None, None, "drop_before_effect")
    assert create(crm).json()["new"] is True


def test_delay_does_the_work_at_once(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("delay", seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{sandbox.url}/contacts/upsert",
            json=BODY,
            headers={"Authorization": f"Bearer {crm.token}", "Version": "2021-07-28"},
            timeout=0.5,
        )
    assert last(sandbox) == (200, "create", "delay")


def test_a_delayed_answer_comes(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("delay", seconds=0.2)
    before = time.monotonic()
    assert create(crm).status_code == 200
    assert time.monotonic() - before >= 0.2


def test_a_dripping_answer_keeps_the_client_reading_past_any_single_wait(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("drip", seconds=0.4)
    seen = []
    with crm.http.stream(
        "POST",
        "/contacts/upsert",
        json=BODY,
        headers={"Authorization": f"Bearer {crm.token}", "Version": "2021-07-28"},
        timeout=0.3,
    ) as answer:
        seen = list(answer.iter_raw())
    assert len(seen) > 5
    assert b"".join(seen).startswith(b"{")
    assert last(sandbox) == (200, "create", "drip")


def test_silence_does_nothing_and_holds_the_line(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("silence", seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{sandbox.url}/contacts/upsert", json=BODY, timeout=0.2)
    assert last(sandbox) == (None, None, "silence")
    assert create(crm).json()["new"] is True


def test_garbled_does_the_work_and_says_200_in_half_a_json(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("garbled")
    answer = create(crm)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|Expecting"):
        answer.json()
    assert last(sandbox) == (200, "create", "garbled")


def test_rate_limited_says_when(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("rate_limited", retry_after=2)
    answer = create(crm)
    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["message"]) == (
        429,
        "2",
        "Too Many Requests",
    )
    assert last(sandbox) == (429, None, "rate_limited")


def test_outage_meets_every_request_and_passes(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("outage", seconds=1)
    assert [create(crm).status_code, crm.call("GET", "/locations/loc_demo").status_code] == [503, 503]
    while create(crm).status_code == 503:
        time.sleep(0.05)
    times = [row["t"] for row in sandbox.journal() if row["fault"] == "outage"]
    assert times[-1] - times[0] <= 1
    assert sandbox.active_faults() == []


def test_outage_may_drop_instead(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("outage", seconds=60, mode="drop")
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            create(crm)
    sandbox.clear_faults()
    assert create(crm).status_code == 200


@pytest.mark.parametrize(
    ("match", "statuses"),
    [
        ({}, [503, 503]),
        ({"method": "GET"}, [503, 200]),
        ({"path": "/contacts/"}, [200, 503]),
        ({"path": "^/(contacts|calendars)/up"}, [200, 503]),
        ({"method": "PUT", "path": "/contacts/"}, [200, 200]),
    ],
)
def test_match_chooses_by_method_and_path(
    crm: Crm, sandbox: SandboxServer, match: dict[str, str], statuses: list[int]
) -> None:
    sandbox.faults("status", status=503, times=None, match=match)
    assert [crm.call("GET", "/locations/loc_demo").status_code, create(crm).status_code] == statuses


def test_after_lets_the_first_pass(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("status", status=503, after=2, times=1)
    assert [create(crm).status_code for _ in range(4)] == [200, 200, 503, 200]


def test_account_limits_whom_it_meets(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("status", status=503, account="loc_other")
    assert create(crm).status_code == 200


def test_the_oldest_script_goes_first(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("status", status=500)
    sandbox.faults("status", status=502)
    assert [create(crm).status_code for _ in range(3)] == [500, 502, 200]


def test_faults_survive_a_restart_half_used(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.faults("status", status=503, times=2)
    sandbox.faults("outage", seconds=600, account="loc_other")
    create(crm)
    sandbox.restart()
    assert [(fault["fired"], fault["seconds_left"] is None) for fault in sandbox.active_faults()] == [
        (1, True),
        (0, False),
    ]
    assert [create(crm).status_code for _ in range(2)] == [503, 200]


def test_a_refused_request_uses_no_fault_up(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.account(limits={"burst": 1})
    create(crm)
    sandbox.faults("status", status=503)
    assert create(crm).status_code == 429
    assert len(sandbox.active_faults()) == 1


@pytest.mark.parametrize(
    ("script", "field"),
    [
        ([], "(body)"),
        ({}, "provider"),
        ({"provider": "acme", "fault": {"kind": "garbled"}}, "provider"),
        ({"provider": "gohighlevel"}, "fault"),
        ({"provider": "gohighlevel", "fault": {"kind": "explode"}}, "fault.kind"),
        ({"provider": "gohighlevel", "fault": {"kind": "status"}}, "fault.status"),
        ({"provider": "gohighlevel", "fault": {"kind": "status", "status": 99}}, "fault.status"),
        ({"provider": "gohighlevel", "fault": {"kind": "status", "status": True}}, "fault.status"),
        (
            {"provider": "gohighlevel", "fault": {"kind": "status", "status": 500, "headers": {"A": "b\r\nC: d"}}},
            "fault.headers",
        ),
        ({"provider": "gohighlevel", "fault": {"kind": "delay", "seconds": -1}}, "fault.seconds"),
        ({"provider": "gohighlevel", "fault": {"kind": "delay", "seconds": 1, "status": 5}}, "fault.status"),
        ({"provider": "gohighlevel", "fault": {"kind": "outage"}}, "fault.seconds"),
        ({"provider": "gohighlevel", "fault": {"kind": "outage", "seconds": 1, "mode": "x"}}, "fault.mode"),
        ({"provider": "gohighlevel", "fault": {"kind": "rate_limited", "retry_after": "x"}}, "fault.retry_after"),
        ({"provider": "gohighlevel", "fault": {"kind": "garbled"}, "times": 0}, "times"),
        ({"provider": "gohighlevel", "fault": {"kind": "garbled"}, "after": -1}, "after"),
        ({"provider": "gohighlevel", "fault": {"kind": "garbled"}, "account": 1}, "account"),
        ({"provider": "gohighlevel", "fault": {"kind": "garbled"}, "match": {"path": "^("}}, "match.path"),
        ({"provider": "gohighlevel", "fault": {"kind": "garbled"}, "match": {"method": "BREW"}}, "match.method"),
        ({"provider": "gohighlevel", "fault": {"kind": "garbled"}, "match": {"body": "x"}}, "match.body"),
        ({"provider": "gohighlevel", "fault": {"kind": "garbled"}, "when": 1}, "when"),
    ],
)  # fmt: skip
def test_a_bad_script_is_400_naming_the_field(sandbox: SandboxServer, script: Any, field: str) -> None:
    answer = httpx.post(f"{sandbox.url}/_sandbox/faults", json=script)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert sandbox.active_faults() == []
