"""What was said after a showing, from the answer to the CRM's journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.models import Connection, ExternalRef, Feedback, Operation, TourStop
from integrations.operations.feedback import save_feedback
from integrations.operations.validation import FeedbackInput
from tests.crm import Crm, make_tour
from tests.openapi import validate_request
from tests.sandbox_server import TOKEN

AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)
POST_NOTE = {"method": "POST", "path": "^/contacts/[^/]+/notes$"}


@pytest.fixture
def stop(crm: Crm, tomorrow: datetime) -> TourStop:
    tour = make_tour(tomorrow, notes="staff only: buyer is difficult")
    stop: TourStop = tour.stops.get()
    stop.access_instructions = "key under the mat"
    stop.save()
    return stop


def say(stop: TourStop, **values: Any) -> Feedback:
    data = FeedbackInput("buyer", AT, {"interest_level": "interested", **values})
    return save_feedback(stop.pk, data, actor="ann", via="api").feedback


def done(crm: Crm, kind: str) -> list[str]:
    return [row["op"] for row in crm.sandbox.effects(kind)]


def bodies(crm: Crm, method: str, end: str) -> list[dict[str, Any]]:
    return [row["body"] for row in crm.requests(method) if end in row["path"]]


def test_an_answer_is_one_note_of_the_linked_buyer(crm: Crm, stop: TourStop) -> None:
    say(stop, comments="nice yard")
    crm.drain()
    assert (done(crm, "contact"), done(crm, "note"), done(crm, "task")) == (["create"], ["create"], [])
    contact = ExternalRef.objects.get(resource="contact").external_id
    note = ExternalRef.objects.get(resource="note")
    (request,) = [row for row in crm.requests("POST") if row["path"].endswith("/notes")]
    assert request["path"] == f"/contacts/{contact}/notes"
    assert note.external_id == crm.sandbox.effects("note")[0]["id"]
    text = request["body"]["body"]
    assert text.startswith(f"Showing feedback · {stop.street} · ")
    assert text.endswith(f"Comments: nice yard\n[RR-{note.marker}]")
    assert set(request["body"]) == {"body"}


def test_what_is_for_staff_is_never_told(crm: Crm, stop: TourStop) -> None:
    say(stop, second_showing="yes")
    crm.drain()
    told = str(crm.requests())
    assert "under the mat" not in told
    assert "difficult" not in told


def test_every_request_is_as_the_contract_has_it(crm: Crm, stop: TourStop) -> None:
    say(stop, second_showing="yes")
    crm.drain()
    say(stop, second_showing="yes", comments="and soon")
    crm.drain()
    for row in crm.requests():
        headers = {**row["headers"], "authorization": f"Bearer {TOKEN}"}
        validate_request(row["method"], row["path"], headers, row["query"], row["body"])
    assert (done(crm, "note"), done(crm, "task")) == (["create", "update"], ["create"])


def test_the_same_answer_again_sends_nothing(crm: Crm, stop: TourStop) -> None:
    say(stop)
    crm.drain()
    seen, operations = len(crm.requests()), Operation.objects.count()
    say(stop)
    crm.drain()
    assert (len(crm.requests()), Operation.objects.count()) == (seen, operations)


def test_a_corrected_answer_edits_its_note(crm: Crm, stop: TourStop) -> None:
    say(stop)
    crm.drain()
    seen = len(crm.requests())
    say(stop, comments="on second thoughts")
    crm.drain()
    assert done(crm, "note") == ["create", "update"]
    assert {row["id"] for row in crm.sandbox.effects("note")} == {ExternalRef.objects.get(resource="note").external_id}
    assert [row["method"] for row in crm.requests()[seen:]] == ["GET", "PUT"]
    assert "Comments: on second thoughts" in bodies(crm, "PUT", "/notes/")[0]["body"]


def test_two_answers_of_one_stop_are_two_notes(crm: Crm, stop: TourStop) -> None:
    say(stop)
    save_feedback(stop.pk, FeedbackInput("buyer_agent", AT, {}), actor="ann", via="api")
    crm.drain()
    assert (done(crm, "contact"), done(crm, "note")) == (["create"], ["create", "create"])


@pytest.mark.parametrize(
    "values", [{"second_showing": "yes"}, {"interest_level": "very_interested"}, {"offer_likelihood": "writing_offer"}]
)
def test_what_calls_for_action_is_one_task(crm: Crm, stop: TourStop, values: dict[str, Any]) -> None:
    say(stop, **values)
    crm.drain()
    (task,) = bodies(crm, "POST", "/tasks")
    # Friday afternoon in Los Angeles: Monday, nine o'clock.
    assert (task["dueDate"], task["completed"]) == ("2026-09-21T16:00:00Z", False)
    assert task["title"].endswith(f"[RR-{ExternalRef.objects.get(resource='task').marker}]")
    assert "assignedTo" not in task


@pytest.mark.parametrize(
    "values", [{}, {"second_showing": "maybe"}, {"second_showing": "no"}, {"offer_likelihood": "unlikely"}]
)
def test_what_calls_for_nothing_is_no_task(crm: Crm, stop: TourStop, values: dict[str, Any]) -> None:
    say(stop, **values)
    crm.drain()
    assert (done(crm, "task"), Operation.objects.filter(kind="feedback.task").count()) == ([], 0)


def test_a_task_that_is_not_called_for_any_more_is_left_to_the_agent(crm: Crm, stop: TourStop) -> None:
    say(stop, second_showing="yes")
    crm.drain()
    say(stop, second_showing="no")
    crm.drain()
    assert (done(crm, "note"), done(crm, "task")) == (["create", "update"], ["create"])


def test_a_task_that_was_not_sent_yet_is_not_sent_when_it_is_not_called_for_any_more(crm: Crm, stop: TourStop) -> None:
    say(stop, second_showing="yes")
    say(stop, second_showing="no")
    crm.drain()
    assert (done(crm, "task"), crm.operation("feedback.task").reason) == ([], "nothing_to_do")


def test_an_edit_of_a_task_leaves_due_date_and_completion_to_the_agent(crm: Crm, stop: TourStop) -> None:
    say(stop, second_showing="yes")
    crm.drain()
    say(stop, second_showing="yes", interest_level="very_interested")
    crm.drain()
    assert [set(body) for body in bodies(crm, "PUT", "/tasks/")] == [{"title", "body"}]


def test_a_note_deleted_there_waits_for_a_person(crm: Crm, stop: TourStop) -> None:
    say(stop)
    crm.drain()
    crm.sandbox.faults("status", status=404, match={"method": "PUT"})
    say(stop, comments="more")
    crm.drain()
    assert (crm.operation("feedback.note").state, crm.operation("feedback.note").reason) == ("dead", "gone_at_provider")
    assert ExternalRef.objects.get(resource="note").external_id is None


def test_a_tour_that_left_this_connection_gets_no_new_note(crm: Crm, stop: TourStop) -> None:
    say(stop)
    Connection.objects.update(sync_from=stop.appointment_start + timedelta(days=9))
    crm.drain()
    assert (done(crm, "note"), crm.operation("feedback.note").reason) == ([], "nothing_to_do")


def test_the_buyer_hears_of_nothing(crm: Crm, stop: TourStop) -> None:
    say(stop, second_showing="yes")
    crm.drain()
    assert not any(row.get("notified") for row in crm.sandbox.effects())


# --- the buyer's custom fields --------------------------------------------------------------------------------------


@pytest.fixture
def fields(crm: Crm) -> Crm:
    """A connection that names the custom fields."""
    crm.connection.config |= {"interest_field_id": "fld_interest", "rating_field_id": "fld_rating"}
    crm.connection.save()
    return crm


def told(crm: Crm) -> list[dict[str, Any]]:
    """What was written to contacts themselves."""
    return [row["body"] for row in crm.requests("PUT") if row["path"].count("/") == 2]


def test_without_fields_named_nothing_is_asked_or_told(crm: Crm, stop: TourStop) -> None:
    say(stop)
    crm.drain()
    assert (crm.operation("contact.fields").state, crm.operation("contact.fields").reason) == (
        "succeeded",
        "nothing_to_do",
    )
    assert done(crm, "contact") == ["create"]
    assert told(crm) == []


def test_what_was_said_last_is_told_in_our_fields_alone(fields: Crm, stop: TourStop) -> None:
    say(stop, overall_rating=4)
    fields.drain()
    assert told(fields) == [
        {
            "customFields": [
                {"id": "fld_interest", "field_value": "Interested"},
                {"id": "fld_rating", "field_value": "4"},
            ]
        }
    ]


def test_tags_and_names_of_the_person_stay(fields: Crm, stop: TourStop) -> None:
    there = fields.post_contact(email=stop.tour.buyer.email, firstName="Beatrice", tags=["vip"])
    say(stop)
    fields.drain()
    contact = fields.get(f"/contacts/{there}")["contact"]
    assert (contact["firstName"], contact["tags"]) == ("Beatrice", ["vip"])
    assert contact["customFields"] == [{"id": "fld_interest", "value": "Interested"}]


def test_the_newest_answer_wins_whichever_came_last(fields: Crm, stop: TourStop) -> None:
    say(stop, interest_level="very_interested")
    older = FeedbackInput("buyer", AT - timedelta(days=1), {"interest_level": "not_interested"})
    save_feedback(stop.pk, older, actor="ann", via="api")
    fields.drain()
    assert [body["customFields"][0]["field_value"] for body in told(fields)] == ["Very interested"]


def test_an_answer_that_changes_nothing_of_it_sends_nothing(fields: Crm, stop: TourStop) -> None:
    say(stop)
    fields.drain()
    say(stop, comments="more words")
    fields.drain()
    assert (len(told(fields)), fields.operation("contact.fields").reason) == (1, "no_change")


def test_fields_whose_answer_was_lost_are_looked_up(fields: Crm, stop: TourStop) -> None:
    fields.sandbox.faults("drop_after_effect", match={"method": "PUT", "path": "^/contacts/[^/]+$"})
    say(stop)
    fields.drain()
    assert fields.operation("contact.fields").in_doubt
    fields.settle_doubt()
    fields.drain()
    assert (fields.operation("contact.fields").reason, len(told(fields))) == ("already_there", 1)


def test_what_is_not_known_is_never_emptied(fields: Crm, stop: TourStop) -> None:
    say(stop, interest_level="unknown", overall_rating=2)
    fields.drain()
    assert told(fields) == [{"customFields": [{"id": "fld_rating", "field_value": "2"}]}]


def test_fields_are_told_as_the_contract_has_it(fields: Crm, stop: TourStop) -> None:
    say(stop, overall_rating=4)
    fields.drain()
    (row,) = [row for row in fields.requests("PUT") if row["path"].count("/") == 2]
    headers = {**row["headers"], "authorization": f"Bearer {TOKEN}"}
    validate_request(row["method"], row["path"], headers, row["query"], row["body"])
