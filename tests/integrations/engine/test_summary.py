"""A tour that is over, from its completion to the CRM's journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from integrations.models import AuditEvent, Connection, ExternalRef, Feedback, Operation, Tour, TourStop
from integrations.operations import left_out, tours, undo
from integrations.operations.audit import Who
from integrations.operations.feedback import save_feedback
from integrations.operations.operations import retry
from integrations.operations.refusals import NotPossible
from integrations.operations.validation import FeedbackInput, TourInput
from tests.crm import Crm, make_tour
from tests.openapi import validate_request
from tests.sandbox_server import TOKEN

AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)
BY = {"actor": "ann", "via": "api"}


@pytest.fixture
def tour(crm: Crm, tomorrow: datetime) -> Tour:
    """Two homes: the first was shown and spoken of, at the second nobody came. In the CRM but not over."""
    made = make_tour(tomorrow, stops=2, notes="staff only: buyer is difficult")
    made.stops.update(access_instructions="key under the mat")
    made.stops.filter(sequence=1).update(outcome="showed")
    made.stops.filter(sequence=2).update(outcome="no_show")
    say(made.stops.get(sequence=1), overall_rating=4)
    crm.sync(made)
    return made


def say(stop: TourStop, role: str = "buyer", **values: Any) -> Feedback:
    data = FeedbackInput(role, AT, {"interest_level": "interested", **values})
    return save_feedback(stop.pk, data, **BY).feedback


def complete(crm: Crm, tour: Tour) -> None:
    tours.set_tour_status(tour.pk, "completed", **BY)
    crm.drain()


def summaries(crm: Crm) -> list[tuple[str, str]]:
    """(method, text) of every request that told a summary."""
    told = [row for row in crm.requests() if row["method"] != "GET" and "/notes" in row["path"]]
    return [(row["method"], row["body"]["body"]) for row in told if row["body"]["body"].startswith("Tour summary")]


def test_an_answered_tour_that_is_over_is_one_note_of_the_buyer(crm: Crm, tour: Tour) -> None:
    notes = len(crm.sandbox.effects("note"))
    complete(crm, tour)
    ref = ExternalRef.objects.get(resource="summary")
    assert [row["op"] for row in crm.sandbox.effects("note")[notes:]] == ["create"]
    assert crm.sandbox.effects("note")[-1]["id"] == ref.external_id
    first, second = tour.stops.order_by("sequence")
    ((method, text),) = summaries(crm)
    assert (method, text.splitlines()) == (
        "POST",
        [
            f"Tour summary · {tour.reference} · {_day(tour)}",
            tour.title,
            "Shown by Ann Agent",
            f"1. {first.street}, Sacramento — showed, interested, rating 4 of 5",
            f"2. {second.street}, Sacramento — no-show",
            f"[RR-{ref.marker}]",
        ],
    )
    contact = ExternalRef.objects.get(resource="contact").external_id
    assert crm.requests("POST")[-1]["path"] == f"/contacts/{contact}/notes"


def _day(tour: Tour) -> str:
    day = tour.starts_at.astimezone(ZoneInfo(tour.time_zone))
    return f"{day:%b} {day.day}, {day.year}"


def test_what_is_for_staff_is_never_told_and_the_buyer_hears_nothing(crm: Crm, tour: Tour) -> None:
    complete(crm, tour)
    told = str(crm.requests())
    assert "under the mat" not in told
    assert "difficult" not in told
    assert not any(row.get("notified") for row in crm.sandbox.effects())


def test_the_newest_answer_to_a_stop_is_the_one_told(crm: Crm, tour: Tour) -> None:
    older = FeedbackInput("buyer_agent", AT - timedelta(hours=2), {"interest_level": "not_interested"})
    save_feedback(tour.stops.get(sequence=1).pk, older, **BY)
    complete(crm, tour)
    assert "showed, interested, rating 4 of 5" in summaries(crm)[0][1]
    assert "not interested" not in summaries(crm)[0][1]


def test_a_correction_afterwards_is_one_edit_of_that_note(crm: Crm, tour: Tour) -> None:
    complete(crm, tour)
    seen = crm.writes()
    tours.set_stop_outcome(tour.stops.get(sequence=2).pk, "showed", **BY)
    crm.drain()
    # The stop's appointment and the summary.
    assert crm.writes() == seen + 2
    assert [method for method, _ in summaries(crm)] == ["POST", "PUT"]
    assert "Sacramento — showed\n" in summaries(crm)[1][1]
    ref = ExternalRef.objects.get(resource="summary")
    assert [row["op"] for row in crm.sandbox.effects("note") if row["id"] == ref.external_id] == ["create", "update"]


def test_an_answer_afterwards_is_its_own_note_and_one_edit(crm: Crm, tour: Tour) -> None:
    complete(crm, tour)
    notes = len(crm.sandbox.effects("note"))
    say(tour.stops.get(sequence=2), interest_level="unsure")
    crm.drain()
    assert [row["op"] for row in crm.sandbox.effects("note")[notes:]] == ["create", "update"]
    assert "no-show, unsure" in summaries(crm)[-1][1]


def test_a_change_that_ends_where_it_began_sends_nothing(crm: Crm, tour: Tour) -> None:
    complete(crm, tour)
    stop = tour.stops.get(sequence=2)
    for outcome in ("showed", "no_show"):
        tours.set_stop_outcome(stop.pk, outcome, **BY)
    crm.drain()
    assert (len(summaries(crm)), crm.operation("tour.summary").reason) == (1, "no_change")


@pytest.mark.parametrize("fault", ["drop_after_effect", "drop_before_effect"])
def test_a_summary_whose_answer_was_lost_is_found_by_its_marker_and_stands_once(
    crm: Crm, tour: Tour, fault: str
) -> None:
    notes = len(crm.sandbox.effects("note"))
    crm.sandbox.faults(fault, match={"method": "POST", "path": "^/contacts/[^/]+/notes$"})
    complete(crm, tour)
    assert (crm.operation("tour.summary").state, crm.operation("tour.summary").in_doubt) == ("unknown", True)
    crm.settle_doubt()
    crm.drain()
    assert crm.operation("tour.summary").state == "succeeded"
    assert [row["op"] for row in crm.sandbox.effects("note")[notes:]] == ["create"]
    assert ExternalRef.objects.get(resource="summary").external_id == crm.sandbox.effects("note")[-1]["id"]


def test_a_cancelled_tour_is_not_summed_up(crm: Crm, tour: Tour) -> None:
    tours.cancel_tour(tour.pk, **BY)
    crm.drain()
    assert (summaries(crm), Operation.objects.filter(kind="tour.summary").count()) == ([], 0)


def test_a_tour_that_nothing_was_said_on_is_not_summed_up(crm: Crm, tomorrow: datetime) -> None:
    quiet = make_tour(tomorrow)
    crm.sync(quiet)
    complete(crm, quiet)
    assert (summaries(crm), Operation.objects.filter(kind="tour.summary").count()) == ([], 0)


def test_one_that_goes_back_before_it_was_sent_sends_nothing(crm: Crm, tour: Tour) -> None:
    tours.set_tour_status(tour.pk, "completed", **BY)
    tours.set_tour_status(tour.pk, "scheduled", **BY)
    crm.drain()
    assert (summaries(crm), crm.operation("tour.summary").reason) == ([], "nothing_to_do")
    complete(crm, tour)
    assert [method for method, _ in summaries(crm)] == ["POST"]


def test_one_that_goes_back_afterwards_keeps_its_note_and_is_edited_when_it_is_over_again(crm: Crm, tour: Tour) -> None:
    complete(crm, tour)
    tours.set_tour_status(tour.pk, "scheduled", **BY)
    tours.set_stop_outcome(tour.stops.get(sequence=2).pk, "showed", **BY)
    crm.drain()
    assert [method for method, _ in summaries(crm)] == ["POST"]
    complete(crm, tour)
    assert [method for method, _ in summaries(crm)] == ["POST", "PUT"]


def test_a_tour_that_left_this_connection_gets_none(crm: Crm, tour: Tour) -> None:
    tours.set_tour_status(tour.pk, "completed", **BY)
    Connection.objects.update(sync_from=tour.starts_at + timedelta(days=9))
    crm.drain()
    assert (summaries(crm), crm.operation("tour.summary").reason) == ([], "nothing_to_do")


def test_a_stop_and_an_answer_that_are_left_out_of_this_crm_are_not_told(crm: Crm, tour: Tour) -> None:
    answer = Feedback.objects.get()
    left_out.leave_out("feedback", answer.pk, crm.connection.pk, "private", Who("ann", "admin"))
    complete(crm, tour)
    assert "Sacramento — showed\n2. " in summaries(crm)[0][1]
    left_out.leave_out("stop", tour.stops.get(sequence=2).pk, crm.connection.pk, "private", Who("ann", "admin"))
    crm.drain()
    assert summaries(crm)[1][0] == "PUT"
    assert "no-show" not in summaries(crm)[1][1]
    left_out.take_back("feedback", answer.pk, crm.connection.pk, Who("ann", "admin"))
    crm.drain()
    assert "showed, interested, rating 4 of 5" in summaries(crm)[2][1]


def test_a_tour_that_is_left_out_is_not_summed_up_until_it_is_taken_back(crm: Crm, tour: Tour) -> None:
    tours.set_tour_status(tour.pk, "completed", **BY)
    left_out.leave_out("tour", tour.pk, crm.connection.pk, "private", Who("ann", "admin"))
    crm.drain()
    assert (summaries(crm), crm.operation("tour.summary").reason) == ([], "left_out")
    left_out.take_back("tour", tour.pk, crm.connection.pk, Who("ann", "admin"))
    crm.drain()
    assert [method for method, _ in summaries(crm)] == ["POST"]


def test_an_undone_completion_sends_nothing_and_a_told_one_cannot_be_undone(crm: Crm, tour: Tour) -> None:
    tours.set_tour_status(tour.pk, "completed", **BY)
    undo.undo(AuditEvent.objects.latest("id").pk, Who("ann", "admin"))
    crm.drain()
    assert (summaries(crm), Tour.objects.get(pk=tour.pk).status) == ([], "scheduled")
    complete(crm, tour)
    with pytest.raises(NotPossible, match="was told already"):
        undo.undo(AuditEvent.objects.latest("id").pk, Who("ann", "admin"))


def test_a_summary_deleted_there_waits_for_a_person(crm: Crm, tour: Tour) -> None:
    complete(crm, tour)
    crm.sandbox.faults("status", status=404, match={"method": "PUT", "path": "^/contacts/[^/]+/notes/"})
    tours.set_stop_outcome(tour.stops.get(sequence=2).pk, "showed", **BY)
    crm.drain()
    assert (crm.operation("tour.summary").state, crm.operation("tour.summary").reason) == ("dead", "gone_at_provider")


def test_at_another_buyer_a_correction_asks_a_person_who_may_have_it_told_there(
    crm: Crm, tour: Tour, tomorrow: datetime
) -> None:
    complete(crm, tour)
    other = make_tour(tomorrow).buyer
    tours.save_tour(TourInput(reference=tour.reference, values={"title": "Theirs"}, buyer=other.pk), **BY)
    crm.drain()
    assert (crm.operation("tour.summary").state, crm.operation("tour.summary").reason) == ("dead", "gone_at_provider")
    retry(crm.operation("tour.summary").pk, Who("ann", "admin"))
    crm.drain()
    contact = ExternalRef.objects.get(resource="contact", entity_id=other.pk).external_id
    assert crm.requests("POST")[-1]["path"] == f"/contacts/{contact}/notes"
    assert crm.operation("tour.summary").state == "succeeded"


def test_every_request_is_as_the_contract_has_it(crm: Crm, tour: Tour) -> None:
    complete(crm, tour)
    tours.set_stop_outcome(tour.stops.get(sequence=2).pk, "showed", **BY)
    crm.drain()
    for row in crm.requests():
        headers = {**row["headers"], "authorization": f"Bearer {TOKEN}"}
        validate_request(row["method"], row["path"], headers, row["query"], row["body"])
    assert len(summaries(crm)) == 2
