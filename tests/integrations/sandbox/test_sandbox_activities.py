"""GoHighLevel's notes and tasks as the sandbox plays them."""

from __future__ import annotations

import pytest

from tests.crm_client import Crm, appointment_body
from tests.sandbox_server import SandboxServer

USERS = [{"id": "user_dana", "name": "Dana Okafor", "email": "dana@brokerage.example"}]
TASK = {"title": "Call Ana", "dueDate": "2026-09-15T17:00:00-07:00", "completed": False}


@pytest.fixture
def buyer(crm: Crm) -> str:
    return crm.contact()


def test_a_note(crm: Crm, sandbox: SandboxServer, buyer: str) -> None:
    path = f"/contacts/{buyer}/notes"
    answer = crm.checked("POST", path, {"body": "Liked it", "title": "Feedback", "pinned": True})
    note = answer.json()["note"]
    assert answer.status_code == 201
    assert (note["body"], note["title"], note["pinned"], note["contactId"]) == ("Liked it", "Feedback", True, buyer)
    changed = crm.checked("PUT", f"{path}/{note['id']}", {"body": "Liked it very much"}).json()["note"]
    assert changed == note | {"body": "Liked it very much"}
    assert crm.checked("GET", path).json()["notes"] == [changed]
    assert crm.checked("GET", f"{path}/{note['id']}").json()["note"] == changed
    assert crm.checked("DELETE", f"{path}/{note['id']}").json()["succeded"] is True
    assert crm.checked("GET", path).json()["notes"] == []
    assert sandbox.effects("note") == [
        {"kind": "note", "id": note["id"], "op": op, "notified": False} for op in ("create", "update", "delete")
    ]


def test_a_task(crm: Crm, sandbox: SandboxServer, buyer: str) -> None:
    path = f"/contacts/{buyer}/tasks"
    answer = crm.checked("POST", path, TASK)
    task = answer.json()["task"]
    assert answer.status_code == 201
    assert (task["title"], task["dueDate"], task["completed"]) == ("Call Ana", "2026-09-15T17:00:00-07:00", False)
    one = f"{path}/{task['id']}"
    assert crm.checked("PUT", one, {"body": "Offer likely"}).json()["task"]["body"] == "Offer likely"
    assert crm.checked("PUT", f"{one}/completed", {"completed": True}).json()["task"]["completed"] is True
    assert crm.checked("GET", path).json()["tasks"] == [crm.checked("GET", one).json()["task"]]
    assert crm.checked("DELETE", one).json()["succeded"] is True
    assert [(effect["op"], effect["notified"]) for effect in sandbox.effects("task")] == [
        ("create", False), ("update", False), ("update", False), ("delete", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "body", "message"),
    [
        ("notes", {}, "body should not be empty"),
        ("notes", {"body": 1}, "body must be a string"),
        ("notes", {"body": "x", "note": "y"}, "property note should not exist"),
        ("tasks", {"title": "x", "completed": False}, "dueDate should not be empty"),
        ("tasks", {"title": "x", "dueDate": "2026-09-15T17:00:00Z"}, "completed should not be empty"),
        ("tasks", {**TASK, "dueDate": "soon"}, "dueDate must be a valid ISO 8601 date string"),
        ("tasks", {**TASK, "completed": "no"}, "completed must be a boolean value"),
    ],
)
def test_what_is_wrong_with_a_body_is_422(
    crm: Crm, sandbox: SandboxServer, buyer: str, what: str, body: dict[str, object], message: str
) -> None:
    answer = crm.call("POST", f"/contacts/{buyer}/{what}", body)
    assert answer.status_code == 422
    assert answer.json()["message"][0] == message
    assert sandbox.effects(what[:-1]) == []


def test_notes_and_tasks_of_another_contact_are_404(crm: Crm, buyer: str) -> None:
    other = crm.contact(email="bo@mail.example")
    note = crm.call("POST", f"/contacts/{buyer}/notes", {"body": "x"}).json()["note"]["id"]
    task = crm.call("POST", f"/contacts/{buyer}/tasks", TASK).json()["task"]["id"]
    assert crm.call("GET", f"/contacts/{other}/notes/{note}").status_code == 404
    assert crm.call("PUT", f"/contacts/{other}/tasks/{task}/completed", {"completed": True}).status_code == 404
    assert crm.call("POST", "/contacts/nobody/notes", {"body": "x"}).status_code == 404


def test_only_users_of_the_settings_can_be_assigned(crm: Crm, sandbox: SandboxServer, buyer: str) -> None:
    sandbox.account(users=USERS)

    def statuses(user: str) -> list[int]:
        return [
            crm.call("POST", f"/contacts/{buyer}/tasks", TASK | {"assignedTo": user}).status_code,
            crm.call("POST", f"/contacts/{buyer}/notes", {"body": "x", "userId": user}).status_code,
            crm.call("PUT", f"/contacts/{buyer}", {"assignedTo": user}).status_code,
            crm.appointment(buyer, assignedUserId=user).status_code,
        ]

    assert statuses("user_dana") == [201, 201, 200, 200]
    before = len(sandbox.effects())
    assert statuses("user_gone") == [400, 400, 400, 400]
    assert len(sandbox.effects()) == before


def test_without_users_in_the_settings_any_is_taken(crm: Crm, buyer: str) -> None:
    body = appointment_body(buyer) | {"assignedUserId": "user_any"}
    assert crm.checked("POST", "/calendars/events/appointments", body).json()["assignedUserId"] == "user_any"
