"""Notes, tasks, tags and custom fields at Follow Up Boss."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integrations.gateway import Link
from integrations.providers.base import Ambiguous, Found, InterestFacts, NotFound
from integrations.providers.errors import Gone, Rejected
from tests.followupboss_client import FollowUpBossCrm
from tests.integrations.providers.test_feedback_words import SAID
from tests.sandbox_server import SandboxServer

from .conftest import DANA, MARKER, Kind, Opening, linked, sent

WARM = replace(SAID, calls_for_action=True, offer_likelihood="likely")
KEEN = InterestFacts(1, 1, "very_interested", 4, "likely")


@pytest.fixture
def notes(link: Link) -> Kind:
    return Kind(link, "feedback.note")


@pytest.fixture
def tasks(link: Link) -> Kind:
    return Kind(link, "feedback.task")


def test_a_note_is_made_read_by_its_id_and_edited(notes: Kind, ann: str, staff: FollowUpBossCrm) -> None:
    first = notes.write(SAID, contact=ann)
    note = staff.call("GET", f"/notes/{first}").json()
    assert (note["personId"], note["isHtml"]) == (int(ann), False)
    assert note["body"].endswith(f"\n[RR-{MARKER}]")
    assert notes.lookup(SAID, linked(first), contact=ann) == Found(first, same=True)
    assert notes.write(replace(SAID, comments="Too loud"), linked(first), contact=ann) == first
    assert "Too loud" in staff.call("GET", f"/notes/{first}").json()["body"]


def test_a_note_cannot_be_searched_for(notes: Kind, ann: str, staff: FollowUpBossCrm) -> None:
    """No page documents a list of notes: a lost answer is a person's question."""
    notes.write(SAID, contact=ann)
    assert staff.call("GET", "/notes", query={"personId": ann}).status_code == 404
    assert (notes.kind.has_lookup, notes.link.kind("tour.summary").has_lookup) == (False, False)
    with pytest.raises(Rejected):
        notes.lookup(SAID, contact=ann)


def test_a_note_that_was_deleted_there_is_gone(notes: Kind, ann: str, staff: FollowUpBossCrm) -> None:
    first = notes.write(SAID, contact=ann)
    staff.call("DELETE", f"/notes/{first}")
    with pytest.raises(Gone):
        notes.write(SAID, linked(first), contact=ann)


def test_what_a_task_says(tasks: Kind, ann: str, sandbox: SandboxServer) -> None:
    tasks.write(replace(WARM, assignee=DANA), contact=ann)
    body = sent(sandbox)[-1]["body"]
    assert body["name"].endswith(f"[RR-{MARKER}]")
    assert (body["personId"], body["assignedUserId"], body["type"]) == (int(ann), int(DANA), "Follow Up")
    assert body["isCompleted"] is False


def test_a_task_is_found_by_the_marker_among_the_persons_own(tasks: Kind, ann: str, staff: FollowUpBossCrm) -> None:
    assert tasks.lookup(WARM, contact=ann) == NotFound()
    first = tasks.write(WARM, contact=ann)
    assert tasks.lookup(WARM, contact=ann) == Found(first, same=True)
    name = staff.call("GET", f"/tasks/{first}").json()["name"]
    second = staff.made("/tasks", personId=int(ann), name=name)
    assert tasks.lookup(WARM, contact=ann) == Ambiguous(sorted([first, str(second)]))


def test_an_edit_of_a_task_sends_its_name_alone(tasks: Kind, ann: str, sandbox: SandboxServer) -> None:
    first = tasks.write(WARM, contact=ann)
    tasks.write(replace(WARM, street="9 New St"), linked(first), contact=ann)
    assert list(sent(sandbox)[-1]["body"]) == ["name"]


# --- what a buyer said last -------------------------------------------------------------------------------------------


def fields_of(opening: Opening, **config: str) -> Kind:
    return Kind(opening(**config), "contact.fields")


def test_tags_are_added_and_those_that_people_keep_stay(opening: Opening, staff: FollowUpBossCrm) -> None:
    ana = str(staff.person(tags=["vip", "showing:unsure"]))
    tags = fields_of(opening)
    assert tags.write(KEEN, contact=ana) == ana
    shown = staff.call("GET", f"/people/{ana}").json()["tags"]
    assert shown == ["vip", "showing:unsure", "showing:very_interested", "rating:4", "offer:likely"]
    assert tags.lookup(KEEN, contact=ana) == Found(ana, same=True)
    assert tags.lookup(replace(KEEN, overall_rating=5), contact=ana) == Found(ana, same=False)


def test_the_custom_fields_that_the_connection_names_are_set_and_no_other(
    opening: Opening, staff: FollowUpBossCrm, sandbox: SandboxServer
) -> None:
    sandbox.followupboss(custom_fields=["customShowingInterest", "customShowingRating", "customBirthday"])
    ana = str(staff.person(customBirthday="1990-02-16"))
    named = fields_of(opening, interest_field="customShowingInterest", rating_field=" customShowingRating ")
    named.write(KEEN, contact=ana)
    person = staff.call("GET", f"/people/{ana}", query={"fields": "allFields"}).json()
    assert (person["customShowingInterest"], person["customShowingRating"]) == ("Very interested", "4")
    assert person["customBirthday"] == "1990-02-16"
    assert named.lookup(KEEN, contact=ana) == Found(ana, same=True)
    # What is not known any more is left, never emptied.
    named.write(replace(KEEN, overall_rating=None), contact=ana)
    assert "customShowingRating" not in sent(sandbox)[-1]["body"]


def test_what_is_no_custom_field_is_never_written(opening: Opening, staff: FollowUpBossCrm) -> None:
    ana = str(staff.person())
    with pytest.raises(Rejected, match="begins with “custom”, and background does not"):
        fields_of(opening, interest_field="background").write(KEEN, contact=ana)


def test_nothing_known_is_nothing_to_do(opening: Opening, staff: FollowUpBossCrm, sandbox: SandboxServer) -> None:
    ana = str(staff.person())
    quiet = InterestFacts(1, 1, "unknown")
    assert fields_of(opening).wanted(quiet, contact=ana).absent is True
    assert fields_of(opening).write(quiet, contact=ana) == ana
    assert [row["method"] for row in sent(sandbox)] == ["GET"]
