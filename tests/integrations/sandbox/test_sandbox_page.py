"""The page a person reads, and its buttons."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.crm_client import Crm
from tests.sandbox_server import SandboxServer

PRESETS = {
    "answer_503": [("status", 5)], "lose_answer": [("drop_after_effect", 1)],
    "drop_request": [("drop_before_effect", 1)], "delay": [("delay", 1)], "garble": [("garbled", 1)],
    "rate_limit": [("rate_limited", None)], "outage": [("outage", None)],
}  # fmt: skip


def test_an_empty_sandbox_says_what_to_do(sandbox: SandboxServer) -> None:
    sandbox.reset(accounts=True)
    page = httpx.get(sandbox.url).text
    assert "There is no account yet." in page
    assert "No fault is active" in page


def test_the_page_shows_what_the_crm_holds(crm: Crm, sandbox: SandboxServer) -> None:
    crm.appointment(crm.contact(), appointmentStatus="cancelled")
    appointments = httpx.get(sandbox.url).text
    assert "Mon 14 Sep 2026, 10:00 to 10:30 PDT" in appointments
    assert "Appointments (1)" in appointments
    assert "<span class='status cancelled'>cancelled</span>" in appointments
    contacts = httpx.get(sandbox.url, params={"kind": "contact"}).text
    assert "ana@mail.example" in contacts
    assert "Contacts (1)" in contacts


def test_what_clients_send_is_escaped(crm: Crm, sandbox: SandboxServer) -> None:
    evil = "<script>alert(1)</script>'\""
    crm.appointment(crm.contact(firstName=evil), title=evil, address=evil)
    crm.call("GET", "/<script>")
    sandbox.account("<script>x", token="t2")
    for kind in ("contact", "appointment"):
        page = httpx.get(sandbox.url, params={"kind": kind, "account": "gohighlevel:loc_demo"}).text
        assert "<script" not in page
        assert "alert(1)" in page


def test_pages_are_newest_first_and_any_number_is_taken(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.account(limits={"burst": 1000})
    for number in range(26):
        crm.contact(email=f"b{number:02}@mail.example")

    def shown(page: str) -> list[str]:
        text = httpx.get(sandbox.url, params={"kind": "contact", "page": page, "account": "gohighlevel:loc_demo"}).text
        return re.findall(r"b\d\d@mail\.example", text)

    assert (shown("1")[0], len(shown("1")), shown("2")) == ("b25@mail.example", 25, ["b00@mail.example"])
    assert shown("99") == shown("2")
    assert shown("x") == shown("0") == shown("-1") == shown("1")


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_each_button_orders_its_fault_and_leads_back(sandbox: SandboxServer, preset: str) -> None:
    page = httpx.get(sandbox.url).text
    assert f"name=preset value='{preset}'" in page
    answer = httpx.post(
        f"{sandbox.url}/_sandbox/faults",
        data={"provider": "gohighlevel", "preset": preset},
        headers={"Origin": sandbox.url, "Sec-Fetch-Site": "same-origin"},
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/#faults")
    assert [(fault["fault"]["kind"], fault["times"]) for fault in sandbox.active_faults()] == PRESETS[preset]
    assert httpx.post(f"{sandbox.url}/_sandbox/faults/clear").status_code == 303
    assert sandbox.active_faults() == []


def test_active_faults_are_told_in_words(sandbox: SandboxServer) -> None:
    sandbox.faults("status", status=503, times=5, match={"method": "POST", "path": "/contacts/"})
    sandbox.faults("delay", seconds=1.5, times=None, account="loc_demo")
    page = httpx.get(sandbox.url).text
    assert "<td data-label='Fault'>Answer 503, do nothing</td><td data-label='Vendor'>GoHighLevel</td>" in page
    assert "<td data-label='Meets'>every account: POST /contacts/</td><td data-label='Left'>5 of 5 times</td>" in page
    assert "Do the work, answer 1.5 s late" in page
    assert "<td data-label='Meets'>loc_demo: every request</td><td data-label='Left'>until cleared</td>" in page


def test_reset_wants_a_confirmation(crm: Crm, sandbox: SandboxServer) -> None:
    crm.contact()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert httpx.post(f"{sandbox.url}/_sandbox/reset", headers=form).status_code == 400
    assert len(sandbox.journal()) == 1
    assert httpx.post(f"{sandbox.url}/_sandbox/reset", data={"confirm": "yes"}).status_code == 303
    assert sandbox.journal() == []


def test_nothing_comes_from_elsewhere_and_nothing_may(sandbox: SandboxServer) -> None:
    answer = httpx.get(sandbox.url)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert re.findall(r"https?://", answer.text) == []
