"""The page: what both vendors' accounts hold, tab by tab."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.crm_client import Crm
from tests.rollout_client import RolloutCrm
from tests.sandbox_server import SandboxServer

EVIL = "<script>alert(1)</script>'\""


def page(sandbox: SandboxServer, kind: str, account: str = "rollout:cred_demo") -> str:
    return httpx.get(sandbox.url, params={"account": account, "kind": kind}).text


def cells(text: str) -> dict[str, str]:
    """The first row's cells by their columns."""
    holds = text[text.index("<section id=holds>") :]
    row = holds[holds.index("<tbody>") : holds.index("</tr>", holds.index("<tbody>"))]
    found = re.findall(r"<td data-label='([^']*)'>(.*?)</td>", row, re.DOTALL)
    return {name: re.sub(r"<[^>]*>", "", cell) for name, cell in found}


@pytest.fixture
def full(rollout: RolloutCrm) -> dict[str, str]:
    buyer = rollout.person(tags=["showing:interested"], phones=[{"value": "+19165550100"}], assignedUserId="user_dana")
    kind = rollout.made("/appointment-types", name="Showing", orderWeight=1)
    outcome = rollout.made("/appointment-outcomes", name="Showed", orderWeight=1)
    appointment = rollout.made(
        "/appointments", personId=buyer, appointmentTypeId=kind, title="Showing: 1 Elm St", location="1 Elm St, Galt",
        startsAt="2026-09-14T10:00:00-07:00", endsAt="2026-09-14T10:30:00-07:00", userId="user_lee",
        appointmentOutcomeId=outcome, description="Two bedrooms",
    )  # fmt: skip
    note = rollout.made("/notes", personId=buyer, subject="Feedback", body="First line\nsecond line")
    task = rollout.made("/tasks", personId=buyer, name="Call Ana", type="Showing", assignedUserId="user_dana")
    return {"contact": buyer, "appointment": appointment, "note": note, "task": task}


def test_appointments_have_type_and_location(sandbox: SandboxServer, full: dict[str, str]) -> None:
    assert cells(page(sandbox, "appointment")) == {
        "Title": "Showing: 1 Elm St", "Type": "Showing", "Starts": "Mon 14 Sep 2026, 10:00 to 10:30 PDT",
        "Buyer": "Ana Ruiz", "Location": "1 Elm St, Galt", "Agent": "Lee Park", "Outcome": "Showed",
        "Description": "Two bedrooms", "Id": full["appointment"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "label", "shown"),
    [
        ("contact", "People (1)", {"Name": "Ana Ruiz", "E-mail": "ana@mail.example", "Phone": "+19165550100",
                                   "Tags": "showing:interested", "Assigned to": "Dana Okafor"}),
        ("note", "Notes (1)", {"Buyer": "Ana Ruiz", "Subject": "Feedback", "Note": "First line\nsecond line"}),
        ("task", "Tasks (1)", {"Buyer": "Ana Ruiz", "Task": "Call Ana", "Kind": "Showing", "Due": "",
                               "Assigned to": "Dana Okafor", "Done": "no"}),
        ("tag", "Tags (1)", {"Tag": "showing:interested"}),
        ("user", "Users (2)", {"Name": "Lee Park", "E-mail": "lee@brokerage.example"}),
        ("appointment_type", "Appointment types (1)", {"Name": "Showing", "Order": "1"}),
    ],
)  # fmt: skip
def test_each_kind_has_its_tab(
    sandbox: SandboxServer, full: dict[str, str], kind: str, label: str, shown: dict[str, str]
) -> None:
    text = page(sandbox, kind)
    assert f"aria-current=page>{label}</a>" in text
    assert cells(text).items() >= shown.items()


def test_empty_tabs_say_so_and_an_unknown_one_is_the_first(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    assert "This CRM holds no notes yet.</p>" in page(sandbox, "note")
    assert "This CRM holds no appointments yet. Import tours or save one" in page(sandbox, "horses")


def test_gohighlevels_notes_tasks_fields_tags_and_users_are_shown(crm: Crm, sandbox: SandboxServer) -> None:
    sandbox.account(users=[{"id": "user_dana", "name": "Dana Okafor", "email": "dana@brokerage.example"}])
    fields = "/locations/loc_demo/customFields"
    field = crm.call("POST", fields, {"name": "Interest", "dataType": "TEXT"}).json()["customField"]["id"]
    buyer = crm.contact(tags=["toured"], customFields=[{"id": field, "field_value": "hot"}])
    crm.call("POST", f"/contacts/{buyer}/notes", {"body": "n" * 500, "title": "Feedback", "userId": "user_dana"})
    due = {"dueDate": "2026-09-15T17:00:00Z", "completed": True, "assignedTo": "user_dana"}
    crm.call("POST", f"/contacts/{buyer}/tasks", {"title": "Call", **due})
    shown = {kind: cells(page(sandbox, kind, "gohighlevel:loc_demo")) for kind in
             ("contact", "note", "task", "tag", "custom_field", "user")}  # fmt: skip
    assert (shown["contact"]["Custom fields"], shown["contact"]["Tags"]) == ("Interest: hot", "toured")
    assert (shown["note"]["Note"], shown["note"]["By"]) == ("n" * 400 + "…", "Dana Okafor")
    assert (shown["task"]["Assigned to"], shown["task"]["Done"]) == ("Dana Okafor", "yes")
    assert shown["tag"]["Tag"] == "toured"
    assert (shown["custom_field"]["Key"], shown["custom_field"]["Of"]) == ("contact.interest", "contact")
    assert shown["user"]["E-mail"] == "dana@brokerage.example"


def test_what_clients_send_is_escaped(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    buyer = rollout.person(firstName=EVIL, tags=[EVIL], emails=[{"value": EVIL}])
    kind = rollout.made("/appointment-types", name=EVIL, orderWeight=1)
    outcome = rollout.made("/appointment-outcomes", name=EVIL, orderWeight=1)
    rollout.made(
        "/appointments", personId=buyer, appointmentTypeId=kind, title=EVIL, location=EVIL, description=EVIL,
        appointmentOutcomeId=outcome, startsAt=1, endsAt=253_370_764_799_999,
    )  # fmt: skip
    rollout.made("/notes", personId=buyer, subject=EVIL, body=EVIL)
    rollout.made("/tasks", personId=buyer, name=EVIL, type=EVIL)
    rollout.made("/customFields", type="dropdown", label=EVIL, name=EVIL, choices=[EVIL])
    sandbox.rollout(label=EVIL)
    for kind in ("appointment", "contact", "note", "task", "tag", "user", "appointment_type", "custom_field"):
        text = page(sandbox, kind)
        assert "<script" not in text
        assert kind == "user" or "alert(1)" in text


def test_the_faults_can_be_ordered_for_each_vendor(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    text = httpx.get(sandbox.url).text
    assert "<h3>Rollout</h3>" in text
    httpx.post(f"{sandbox.url}/_sandbox/faults", data={"provider": "rollout", "preset": "answer_503"})
    assert rollout.refused("GET", "/people") == (503, "Service Unavailable")
