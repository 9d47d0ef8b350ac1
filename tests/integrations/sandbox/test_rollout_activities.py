"""Rollout's notes, tasks and appointments, and what these choose from."""

from __future__ import annotations

import pytest

from tests.rollout_client import RolloutCrm
from tests.sandbox_server import SandboxServer


@pytest.fixture
def buyer(rollout: RolloutCrm) -> str:
    return rollout.person()


@pytest.fixture
def showing(rollout: RolloutCrm) -> str:
    return rollout.made("/appointment-types", name="Showing", orderWeight=1)


def body(buyer: str, showing: str, **changes: object) -> dict[str, object]:
    whole = {
        "personId": buyer, "appointmentTypeId": showing, "title": "Showing: 1 Elm St", "userId": "user_dana",
        "location": "1 Elm St, Galt, CA", "description": "Two bedrooms", "startsAt": "2026-09-14T10:00:00-07:00",
        "endsAt": "2026-09-14T10:30:00-07:00", **changes,
    }  # fmt: skip
    return {name: value for name, value in whole.items() if value is not None}


def test_an_appointment_is_answered_as_documented(
    rollout: RolloutCrm, sandbox: SandboxServer, buyer: str, showing: str
) -> None:
    answer = rollout.checked("POST", "/appointments", body(buyer, showing))
    made = answer.json()
    assert answer.status_code == 201
    assert (made["personId"], made["userId"], made["type"]) == (buyer, "user_dana", "Showing")
    assert (made["startsAt"], made["endsAt"]) == ("2026-09-14T17:00:00.000Z", "2026-09-14T17:30:00.000Z")
    assert (made["location"], made["isAllDay"]) == ("1 Elm St, Galt, CA", False)
    assert sandbox.effects("appointment") == [
        {"kind": "appointment", "id": made["id"], "op": "create", "notified": False}
    ]
    assert rollout.checked("GET", "/appointments").json()["appointments"] == [made]


@pytest.mark.parametrize("missing", ["personId", "appointmentTypeId", "title", "location"])
def test_what_an_appointment_needs(
    rollout: RolloutCrm, sandbox: SandboxServer, buyer: str, showing: str, missing: str
) -> None:
    assert rollout.refused("POST", "/appointments", body(buyer, showing, **{missing: None})) == (
        400, f"{missing} is required",
    )  # fmt: skip
    assert sandbox.effects("appointment") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"personId": "nobody"}, "personId does not exist"),
        ({"appointmentTypeId": "Showing"}, "appointmentTypeId does not exist"),
        ({"appointmentOutcomeId": "x"}, "appointmentOutcomeId does not exist"),
        ({"userId": "user_gone"}, "userId does not exist"),
        ({"status": "confirmed"}, "status is not a known property"),
        ({"invitees": []}, "invitees is not a known property"),
        ({"startsAt": "tomorrow"}, "startsAt must be a date or a time of ISO 8601, or a number of milliseconds"),
        (
            {"endsAt": "9999-12-31T23:59:59Z"},
            "endsAt must be a date or a time of ISO 8601, or a number of milliseconds",
        ),
        ({"endsAt": 10**40}, "endsAt must be a date or a time of ISO 8601, or a number of milliseconds"),
        ({"endsAt": "2026-09-14T09:00:00-07:00"}, "endsAt must not be before startsAt"),
        ({"isAllDay": "no"}, "isAllDay must be a boolean"),
    ],
)
def test_what_is_wrong_with_an_appointment_is_400(
    rollout: RolloutCrm, buyer: str, showing: str, change: dict[str, object], message: str
) -> None:
    assert rollout.refused("POST", "/appointments", body(buyer, showing, **change)) == (400, message)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2026-09-14", "2026-09-14T00:00:00.000Z"),
        ("2026-09-14T10:00:00", "2026-09-14T10:00:00.000Z"),
        ("2026-09-14T10:00:00Z", "2026-09-14T10:00:00.000Z"),
        (1789380000000, "2026-09-14T10:00:00.000Z"),
    ],
)
def test_times_come_in_several_forms(rollout: RolloutCrm, buyer: str, showing: str, given: object, shown: str) -> None:
    made = rollout.checked("POST", "/appointments", body(buyer, showing, startsAt=given, endsAt=None)).json()
    assert (made["startsAt"], made["endsAt"]) == (shown, None)


def test_an_appointment_is_moved_and_given_an_outcome(
    rollout: RolloutCrm, sandbox: SandboxServer, buyer: str, showing: str
) -> None:
    outcome = rollout.made("/appointment-outcomes", name="Showed", orderWeight=1)
    made = rollout.made("/appointments", **body(buyer, showing))
    change = {"startsAt": "2026-09-14T12:00:00-07:00", "endsAt": "2026-09-14T12:30:00-07:00"}
    moved = rollout.checked("PUT", f"/appointments/{made}", change | {"appointmentOutcomeId": outcome}).json()
    assert (moved["startsAt"], moved["title"]) == ("2026-09-14T19:00:00.000Z", "Showing: 1 Elm St")
    assert "appointmentOutcomeId" not in moved
    assert [effect["op"] for effect in sandbox.effects("appointment")] == ["create", "update"]


def test_a_deleted_appointment_is_gone(rollout: RolloutCrm, sandbox: SandboxServer, buyer: str, showing: str) -> None:
    made = rollout.made("/appointments", **body(buyer, showing))
    assert rollout.checked("DELETE", f"/appointments/{made}").json() == []
    assert rollout.refused("PUT", f"/appointments/{made}", {"title": "x"}) == (404, "Not found")
    assert rollout.refused("DELETE", f"/appointments/{made}") == (404, "Not found")
    assert [effect["op"] for effect in sandbox.effects("appointment")] == ["create", "delete"]


def test_a_note(rollout: RolloutCrm, sandbox: SandboxServer, buyer: str) -> None:
    made = rollout.checked("POST", "/notes", {"personId": buyer, "subject": "Feedback", "body": "Liked it\nvery much"})
    note = made.json()
    assert (made.status_code, note["body"], note["isHtml"]) == (201, "Liked it\nvery much", False)
    changed = rollout.checked("PUT", f"/notes/{note['id']}", {"body": "Liked it"}).json()
    assert (changed["body"], changed["subject"]) == ("Liked it", "Feedback")
    assert rollout.checked("GET", "/notes").json()["notes"] == [changed]
    rollout.checked("DELETE", f"/notes/{note['id']}")
    assert [(effect["id"], effect["op"], effect["notified"]) for effect in sandbox.effects("note")] == [
        (note["id"], "create", False), (note["id"], "update", False), (note["id"], "delete", False),
    ]  # fmt: skip


def test_a_task(rollout: RolloutCrm, sandbox: SandboxServer, buyer: str) -> None:
    whole = {"personId": buyer, "name": "Call Ana", "type": "Follow Up", "assignedUserId": "user_lee"}
    task = rollout.checked("POST", "/tasks", {**whole, "dueDateTime": "2026-09-15T17:00:00-07:00"}).json()
    assert (task["dueDateTime"], task["isCompleted"], task["assignedUserId"]) == (
        "2026-09-16T00:00:00.000Z", False, "user_lee",
    )  # fmt: skip
    assert rollout.checked("PUT", f"/tasks/{task['id']}", {"isCompleted": True}).json()["isCompleted"] is True
    assert [effect["op"] for effect in sandbox.effects("task")] == ["create", "update"]


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        ("/notes", {"personId": None}, "personId is required"),
        ("/notes", {"personId": "nobody"}, "personId does not exist"),
        ("/notes", {"title": "x"}, "title is not a known property"),
        ("/tasks", {"assignedUserId": "user_gone"}, "assignedUserId does not exist"),
        ("/tasks", {"dueDateTime": "soon"}, "dueDateTime must be a date or a time of ISO 8601"),
        ("/tasks", {"dueDateTime": 1789380000000}, "dueDateTime must be a string"),
    ],
)
def test_bad_notes_and_tasks_are_400(
    rollout: RolloutCrm, buyer: str, path: str, change: dict[str, object], message: str
) -> None:
    whole = {name: value for name, value in {"personId": buyer, **change}.items() if value is not None}
    status, told = rollout.refused("POST", path, whole)
    assert status == 400
    assert told.startswith(message)


@pytest.mark.parametrize("path", ["/appointment-types", "/appointment-outcomes"])
def test_types_and_outcomes(rollout: RolloutCrm, path: str) -> None:
    assert rollout.refused("POST", path, {"name": "Showing"}) == (400, "orderWeight is required")
    made = rollout.made(path, name="Showing", orderWeight=2)
    assert rollout.checked("PUT", f"{path}/{made}", {"name": "Tour"}).json()["name"] == "Tour"
    page = rollout.checked("GET", path).json()
    assert [(one["name"], one["orderWeight"]) for one in page[path[1:]]] == [("Tour", 2)]
    rollout.checked("DELETE", f"{path}/{made}")
    assert rollout.checked("GET", path).json()[path[1:]] == []


@pytest.mark.parametrize(
    ("kind", "own"), [("text", {}), ("number", {}), ("date", {"isRecurring": False}), ("dropdown", {"choices": ["a"]})]
)
def test_a_custom_field_is_a_definition(rollout: RolloutCrm, kind: str, own: dict[str, object]) -> None:
    whole = {"type": kind, "label": "Interest", "name": "interest", **own}
    field = rollout.checked("POST", "/customFields", whole).json()
    change = {"label": "Interest now", "name": "interest", **own}
    assert rollout.checked("PUT", f"/customFields/{field['id']}", change).json()["label"] == "Interest now"
    assert rollout.checked("GET", "/customFields").json()["customfields"][0]["type"] == kind


@pytest.mark.parametrize(
    ("whole", "message"),
    [
        ({"type": "colour"}, "type must be one of: text, date, number, dropdown"),
        ({"type": "text"}, "label is required; name is required"),
        ({"type": "dropdown", "label": "a", "name": "a"}, "choices is required"),
        ({"type": "text", "label": "a", "name": "a", "choices": []}, "choices is not a known property"),
    ],
)
def test_bad_custom_fields_are_400(rollout: RolloutCrm, whole: dict[str, object], message: str) -> None:
    assert rollout.refused("POST", "/customFields", whole) == (400, message)


def test_users_are_those_of_the_settings(rollout: RolloutCrm) -> None:
    users = rollout.checked("GET", "/users").json()["users"]
    assert [(one["id"], one["firstName"], one["lastName"], one["email"]) for one in users] == [
        ("user_lee", "Lee", "Park", "lee@brokerage.example"), ("user_dana", "Dana", "Okafor", "dana@brokerage.example"),
    ]  # fmt: skip
    assert rollout.checked("GET", "/users/user_lee").json() == users[0]


def test_what_the_settings_give_an_account_survives_a_reset(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.rollout(appointment_types=["Showing"], appointment_outcomes=["Showed", "No show"])
    sandbox.rollout(appointment_types=["Showing"])
    rollout.person()
    sandbox.reset()

    def total(path: str) -> int:
        found: int = rollout.checked("GET", path).json()["_metadata"]["total"]
        return found

    paths = ("/people", "/users", "/appointment-types", "/appointment-outcomes")
    assert [total(path) for path in paths] == [0, 2, 1, 2]


def test_a_user_who_left_the_settings_is_gone(rollout: RolloutCrm, sandbox: SandboxServer) -> None:
    sandbox.rollout(users=[{"id": "user_lee", "name": "Lee Park-Stone", "email": "lee@brokerage.example"}])
    users = rollout.checked("GET", "/users").json()["users"]
    assert [(one["id"], one["lastName"]) for one in users] == [("user_lee", "Park-Stone")]
