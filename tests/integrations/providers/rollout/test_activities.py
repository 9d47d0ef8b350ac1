"""What was said after a showing, as notes and tasks at Rollout, against the sandbox over real HTTP."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integrations.gateway import Link
from integrations.providers.base import Ambiguous, Found, NotFound
from integrations.providers.rollout.errors import RolloutGoneError
from tests.integrations.providers.gohighlevel.conftest import ANN, MARKER
from tests.integrations.providers.rollout.conftest import Kind, linked
from tests.integrations.providers.test_feedback_words import SAID
from tests.openapi import validate_request
from tests.rollout_client import RolloutCrm
from tests.sandbox_server import SandboxServer


@pytest.fixture
def notes(link: Link) -> Kind:
    return Kind(link, "feedback.note")


@pytest.fixture
def tasks(link: Link) -> Kind:
    return Kind(link, "feedback.task")


@pytest.fixture
def ann(people: Kind) -> str:
    return people.write(ANN)


def done(sandbox: SandboxServer, kind: str) -> list[str]:
    return [effect["op"] for effect in sandbox.effects(kind)]


def test_an_answer_is_one_plain_note_of_the_person(notes: Kind, sandbox: SandboxServer, ann: str) -> None:
    notes.write(SAID, contact=ann)
    body = sandbox.journal("rollout")[-1]["body"]
    assert (body["personId"], body["isHtml"]) == (ann, False)
    assert body["subject"] == "Showing feedback · 3526 High St · Sep 14, 2026"
    assert body["body"].splitlines()[0] == body["subject"]
    assert body["body"].endswith(f"\n[RR-{MARKER}]")


def test_a_note_in_doubt_is_found_by_its_marker(notes: Kind, sandbox: SandboxServer, ann: str) -> None:
    assert notes.lookup(SAID, contact=ann) == NotFound()
    made = notes.write(SAID, contact=ann)
    assert notes.lookup(SAID, contact=ann) == Found(made, same=True)
    assert notes.lookup(replace(SAID, comments="else"), contact=ann) == Found(made, same=False)
    assert done(sandbox, "note") == ["create"]


def test_two_notes_with_our_marker_are_for_staff(notes: Kind, staff: RolloutCrm, ann: str) -> None:
    both = [staff.made("/notes", personId=ann, body=f"copied [RR-{MARKER}]") for _ in range(2)]
    assert notes.lookup(SAID, contact=ann) == Ambiguous(sorted(both))


def test_a_later_version_edits_the_note(notes: Kind, sandbox: SandboxServer, ann: str) -> None:
    made = notes.write(SAID, contact=ann)
    assert notes.write(replace(SAID, comments="else"), linked(made), contact=ann) == made
    assert done(sandbox, "note") == ["create", "update"]
    assert set(sandbox.journal("rollout")[-1]["body"]) == {"subject", "body"}


def test_a_note_deleted_there_is_gone(notes: Kind, ann: str) -> None:
    with pytest.raises(RolloutGoneError):
        notes.write(SAID, linked("no-such-note"), contact=ann)
    with pytest.raises(RolloutGoneError):
        notes.lookup(SAID, linked("no-such-note"), contact=ann)


def test_a_task_is_due_by_the_tours_clocks_and_found_by_its_name(tasks: Kind, sandbox: SandboxServer, ann: str) -> None:
    assert tasks.lookup(SAID, contact=ann) == NotFound()
    made = tasks.write(SAID, contact=ann)
    assert sandbox.journal("rollout")[-1]["body"] == {
        "personId": ann,
        "name": f"Follow up: 3526 High St · second showing wanted, very interested [RR-{MARKER}]",
        "type": "Follow Up",
        "isCompleted": False,
        "dueDateTime": "2026-09-15T16:00:00Z",
    }
    assert tasks.lookup(SAID, contact=ann) == Found(made, same=True)


def test_an_edit_of_a_task_sends_its_name_alone(tasks: Kind, sandbox: SandboxServer, ann: str) -> None:
    made = tasks.write(SAID, contact=ann)
    tasks.write(replace(SAID, second_showing="no"), linked(made), contact=ann)
    assert set(sandbox.journal("rollout")[-1]["body"]) == {"name"}


def test_a_task_is_given_when_it_is_made_and_left_to_the_agent_from_then_on(
    tasks: Kind, sandbox: SandboxServer, ann: str
) -> None:
    made = tasks.write(replace(SAID, assignee="user_dana"), contact=ann)
    assert sandbox.journal("rollout")[-1]["body"]["assignedUserId"] == "user_dana"
    given = replace(SAID, assignee="user_lee", second_showing="no")
    tasks.write(given, linked(made), contact=ann)
    assert set(sandbox.journal("rollout")[-1]["body"]) == {"name"}
    assert tasks.lookup(given, linked(made), contact=ann) == Found(made, same=True)


def test_a_task_that_is_not_called_for_any_more_is_confirmed_and_left(
    tasks: Kind, sandbox: SandboxServer, ann: str
) -> None:
    made = tasks.write(SAID, contact=ann)
    calm = replace(SAID, calls_for_action=False)
    assert tasks.write(calm, linked(made), contact=ann) == made
    assert tasks.lookup(calm, contact=ann) == Found(made, same=True)
    assert done(sandbox, "task") == ["create"]


def test_every_request_is_one_the_vendor_documents(notes: Kind, tasks: Kind, sandbox: SandboxServer, ann: str) -> None:
    for kind in (notes, tasks):
        kind.lookup(SAID, contact=ann)
        made = kind.write(replace(SAID, assignee="user_dana"), contact=ann)
        kind.lookup(SAID, linked(made), contact=ann)
        kind.write(replace(SAID, comments="else"), linked(made), contact=ann)
    for row in sandbox.journal("rollout"):
        headers = {**row["headers"], "authorization": "Bearer x.y.z"}
        validate_request(row["method"], row["path"], headers, row["query"], row["body"], provider="rollout")
    assert not any(effect.get("notified") for effect in sandbox.effects())
