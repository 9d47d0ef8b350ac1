"""A record that people changed in the CRM is reported, never written over; the journal is the judge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.models import AuditEvent, Operation, TourStop
from integrations.operations import operations as verbs
from integrations.operations import planning, tours
from integrations.operations.audit import Who
from integrations.operations.feedback import save_feedback
from integrations.operations.validation import FeedbackInput
from tests.crm import Crm, make_tour, move

STAFF = Who("olga", "admin")
AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)
OURS = "REanna-Router"
# What staff of the CRM change of an appointment, and the field that holds it.
ELSEWHERE = {
    "gohighlevel": [("address", "The office"), ("title", "Coffee"), ("appointmentStatus", "noshow")],
    "hubspot": [
        ("hs_meeting_location", "The office"), ("hs_meeting_title", "Coffee"), ("hs_meeting_outcome", "NO_SHOW"),
    ],
    "rollout": [("location", "The office"), ("title", "Coffee")],
    "followupboss": [("location", "The office"), ("title", "Coffee")],
    "lofty": [("address", "The office"), ("content", "Coffee")],
}  # fmt: skip
TIMES = {
    "gohighlevel": ("startTime", "endTime"), "rollout": ("startsAt", "endsAt"), "followupboss": ("start", "end"),
    "hubspot": ("hs_meeting_start_time", "hs_meeting_end_time"), "lofty": ("startAt", "endAt"),
}  # fmt: skip
# What a task says of being done, and its name.
TASK = {
    "gohighlevel": ("completed", "title"), "rollout": ("isCompleted", "name"), "followupboss": ("isCompleted", "name"),
    "hubspot": ("hs_task_status", "hs_task_subject"), "lofty": ("finishFlag", "content"),
}  # fmt: skip
# Under what the records of a provider stand, where they do not stand under their person.
LOFTY = {"appointment": "/v2.0/calendar", "note": "/v1.0/notes", "task": "/v2.0/tasks"}
UNDER = {"rollout": "/api", "followupboss": "/v1", "hubspot": "/crm/v3/objects"}


@pytest.fixture
def stop(each_crm: Crm, tomorrow: datetime) -> TourStop:
    """A stop that stands in the CRM."""
    tour = make_tour(tomorrow)
    each_crm.sync(tour)
    found: TourStop = tour.stops.get()
    return found


def path_of(crm: Crm, resource: str = "appointment") -> str:
    """Where the one record of a resource is found there."""
    effect = next(row for row in crm.sandbox.effects(resource) if row["op"] == "create")
    if crm.connection.provider in UNDER:
        named = "meeting" if (crm.connection.provider, resource) == ("hubspot", "appointment") else resource
        return f"{UNDER[crm.connection.provider]}/{named}s/{effect['id']}"
    if crm.connection.provider == "lofty":
        return f"{LOFTY[resource]}/{effect['id']}"
    if resource == "appointment":
        return f"/calendars/events/appointments/{effect['id']}"
    contact = crm.sandbox.effects("contact")[0]["id"]
    return f"/contacts/{contact}/{resource}s/{effect['id']}"


def edit_of(crm: Crm) -> str:
    """The method of an edit there."""
    return "PATCH" if crm.connection.provider == "hubspot" else "PUT"


def title_of(crm: Crm) -> str:
    """The field that holds an appointment's title there."""
    return {"hubspot": "hs_meeting_title", "lofty": "content"}.get(crm.connection.provider, "title")


def change_there(crm: Crm, resource: str = "appointment", **fields: Any) -> None:
    hubspot = crm.connection.provider == "hubspot"
    crm.call(edit_of(crm), path_of(crm, resource), {"properties": fields} if hubspot else fields)


def shown(crm: Crm, resource: str = "appointment") -> dict[str, Any]:
    if crm.connection.provider == "hubspot":
        names = ",".join([*(name for name, _ in ELSEWHERE["hubspot"]), "hs_note_body", TASK["hubspot"][1]])
        told: dict[str, Any] = crm.call("GET", f"{path_of(crm, resource)}?properties={names}").json()["properties"]
        return told
    if crm.connection.provider == "lofty":
        return shown_at_lofty(crm, path_of(crm, resource), resource)
    answer: dict[str, Any] = crm.call("GET", path_of(crm, resource)).json()
    inner = answer.get("event" if resource == "appointment" else resource)
    return inner if isinstance(inner, dict) else answer


def shown_at_lofty(crm: Crm, path: str, resource: str) -> dict[str, Any]:
    """Appointments are read among the tasks, notes among those of their lead."""
    number = path.rpartition("/")[2].partition("-")[0]
    if resource != "note":
        task: dict[str, Any] = crm.call("GET", f"/v2.0/tasks/{number}").json()["task"]
        return task
    lead = crm.sandbox.effects("contact")[0]["id"]
    notes = crm.call("GET", f"/v1.0/notes?leadId={lead}").json()["notes"]
    (note,) = (one for one in notes if str(one["noteId"]) == number)
    return dict(note)


def ours(crm: Crm) -> list[dict[str, Any]]:
    """Our own edits."""
    return [row for row in crm.requests(edit_of(crm)) if row["headers"].get("user-agent") == OURS]


def follow(crm: Crm, stop: TourStop, minutes: int = 30) -> Operation:
    """Staff of ours move the stop, and it is sent."""
    move(stop, minutes)
    crm.sync(stop.tour)
    return crm.operation()


def asks(operation: Operation) -> bool:
    return (operation.state, operation.reason) == ("needs_person", "changed_at_provider")


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_field_changed_there_is_not_written_over(each_crm: Crm, stop: TourStop, which: int) -> None:
    fields = ELSEWHERE[each_crm.connection.provider]
    name, value = fields[min(which, len(fields) - 1)]
    change_there(each_crm, **{name: value})
    operation = follow(each_crm, stop)
    assert asks(operation)
    assert f"{name}: there “{value}”, ours “" in operation.message
    assert (ours(each_crm), shown(each_crm)[name]) == ([], value)


def test_a_time_changed_there_is_not_written_over(each_crm: Crm, stop: TourStop) -> None:
    start, end = TIMES[each_crm.connection.provider]
    later = {start: stop.appointment_start + timedelta(hours=3), end: stop.appointment_end + timedelta(hours=3)}
    change_there(each_crm, **{name: at.isoformat().replace("+00:00", "Z") for name, at in later.items()})
    operation = follow(each_crm, stop)
    assert asks(operation)
    assert [name in operation.message for name in (start, end)] == [True, True]
    assert ours(each_crm) == []


def test_what_is_as_we_left_it_is_read_once_and_written_once(each_crm: Crm, stop: TourStop) -> None:
    edit = edit_of(each_crm)
    seen = len(each_crm.requests())
    follow(each_crm, stop)
    assert [row["method"] for row in each_crm.requests()[seen:]] == ["GET", edit]
    follow(each_crm, stop)
    assert [row["method"] for row in each_crm.requests()[seen:]] == ["GET", edit, "GET", edit]


def test_what_stands_there_as_we_want_it_now_is_no_difference(each_crm: Crm, stop: TourStop) -> None:
    """The CRM's staff moved it first, ours to the same time after."""
    start, end = TIMES[each_crm.connection.provider]
    step = timedelta(minutes=30)
    moved = {start: stop.appointment_start + step, end: stop.appointment_end + step}
    change_there(each_crm, **{name: at.isoformat().replace("+00:00", "Z") for name, at in moved.items()})
    assert follow(each_crm, stop).state == "succeeded"
    assert len(ours(each_crm)) == 1


def test_an_outcome_set_there_that_is_ours_too_is_no_difference(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    change_there(crm, appointmentStatus="showed")
    stop = tour.stops.get()
    tours.set_stop_outcome(stop.pk, "showed", actor="ann", via="admin")
    crm.drain()
    assert crm.operation().state == "succeeded"


def test_fields_that_are_not_ours_may_change(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)
    change_there(crm, description="bring the contract")
    assert follow(crm, tour.stops.get()).state == "succeeded"


def test_a_cancel_goes_through_whatever_was_changed_there(each_crm: Crm, stop: TourStop) -> None:
    change_there(each_crm, **{title_of(each_crm): "Coffee"})
    seen = len(each_crm.requests())
    tours.set_stop_status(stop.pk, "cancelled", actor="ann", via="admin")
    each_crm.drain()
    assert each_crm.operation().state == "succeeded"
    assert [row["method"] for row in each_crm.requests()[seen:]] in (
        [edit_of(each_crm)],
        ["DELETE"],
    )


def test_without_knowing_what_was_acknowledged_nothing_is_compared(each_crm: Crm, stop: TourStop) -> None:
    ref = each_crm.ref(stop)
    ref.acked_body = None
    ref.save()
    change_there(each_crm, **{title_of(each_crm): "Coffee"})
    seen = len(each_crm.requests())
    assert follow(each_crm, stop).state == "succeeded"
    assert [row["method"] for row in each_crm.requests()[seen:]] == [edit_of(each_crm)]


def test_what_was_deleted_there_is_gone_without_a_write(each_crm: Crm, stop: TourStop) -> None:
    if each_crm.connection.provider != "gohighlevel":
        each_crm.call("DELETE", path_of(each_crm))
    else:
        each_crm.sandbox.faults("status", status=404, match={"method": "GET"})
    operation = follow(each_crm, stop)
    assert (operation.state, operation.reason) == ("dead", "gone_at_provider")
    assert (ours(each_crm), each_crm.ref(stop).acked_body) == ([], None)


def test_a_read_that_fails_is_tried_again_and_nothing_is_written(each_crm: Crm, stop: TourStop) -> None:
    vendor = each_crm.connection.provider
    each_crm.sandbox.faults("status", provider=vendor, status=500, match={"method": "GET"})
    assert (follow(each_crm, stop).state, ours(each_crm)) == ("retryable", [])
    each_crm.pass_time(700)
    each_crm.drain()
    assert (each_crm.operation().state, len(ours(each_crm))) == ("succeeded", 1)


def test_a_lost_update_is_looked_up_not_asked_about(each_crm: Crm, stop: TourStop) -> None:
    vendor = each_crm.connection.provider
    each_crm.sandbox.faults("drop_after_effect", provider=vendor, match={"method": edit_of(each_crm)})
    assert follow(each_crm, stop).in_doubt
    each_crm.settle_doubt()
    each_crm.drain()
    assert each_crm.operation().state == "succeeded"
    assert follow(each_crm, stop, 15).state == "succeeded"
    assert len(ours(each_crm)) == 2


# --- what the person answers ----------------------------------------------------------------------------------------


def test_ours_is_sent_when_a_person_says_so(each_crm: Crm, stop: TourStop) -> None:
    change_there(each_crm, **{title_of(each_crm): "Coffee"})
    operation = follow(each_crm, stop)
    for _ in range(2):
        verbs.send_ours(operation.pk, STAFF)
    each_crm.drain()
    assert each_crm.operation().state == "succeeded"
    assert len(ours(each_crm)) == 1
    assert "Coffee" not in shown(each_crm)[title_of(each_crm)]
    assert list(AuditEvent.objects.filter(verb="send_ours").values_list("actor", flat=True)) == ["olga"]
    # From here it is compared again.
    change_there(each_crm, **{title_of(each_crm): "Tea"})
    assert asks(follow(each_crm, stop))


def test_theirs_stays_and_the_next_change_asks_again(each_crm: Crm, stop: TourStop) -> None:
    change_there(each_crm, **{title_of(each_crm): "Coffee"})
    operation = follow(each_crm, stop)
    for _ in range(2):
        verbs.keep_theirs(operation.pk, STAFF)
    each_crm.drain()
    kept = Operation.objects.get(pk=operation.pk)
    assert (kept.state, kept.reason) == ("cancelled", "kept_theirs")
    assert (ours(each_crm), shown(each_crm)[title_of(each_crm)]) == ([], "Coffee")
    assert AuditEvent.objects.filter(verb="keep_theirs").count() == 1
    assert asks(follow(each_crm, stop))
    # Also when ours goes back to what was acknowledged.
    assert asks(follow(each_crm, stop, -60))
    assert ours(each_crm) == []


def test_a_newer_version_asks_in_place_of_the_older(each_crm: Crm, stop: TourStop) -> None:
    change_there(each_crm, **{title_of(each_crm): "Coffee"})
    follow(each_crm, stop)
    follow(each_crm, stop)
    told = Operation.objects.filter(kind="appointment.sync").order_by("version").values_list("state", "reason")
    assert list(told)[1:] == [("superseded", "newer_version"), ("needs_person", "changed_at_provider")]


def test_a_cancel_does_not_wait_for_the_answer(each_crm: Crm, stop: TourStop) -> None:
    change_there(each_crm, **{title_of(each_crm): "Coffee"})
    follow(each_crm, stop)
    tours.set_stop_status(stop.pk, "cancelled", actor="ann", via="admin")
    each_crm.drain()
    assert each_crm.operation().state == "succeeded"
    assert not Operation.objects.open().exists()


@pytest.mark.parametrize("verb", [verbs.send_ours, verbs.keep_theirs])
def test_an_answer_to_no_question_changes_nothing(each_crm: Crm, stop: TourStop, verb: Any) -> None:
    before = each_crm.ref(stop).acked_body
    verb(each_crm.operation().pk, STAFF)
    assert (each_crm.operation().state, each_crm.ref(stop).acked_body) == ("succeeded", before)
    assert AuditEvent.objects.filter(verb__in=("send_ours", "keep_theirs")).count() == 0


# --- notes and tasks ------------------------------------------------------------------------------------------------


def say(stop: TourStop, **values: Any) -> None:
    data = FeedbackInput("buyer", AT, {"interest_level": "interested", "second_showing": "yes", **values})
    save_feedback(stop.pk, data, actor="ann", via="api")


def test_a_note_changed_there_is_not_written_over(each_crm: Crm, stop: TourStop) -> None:
    say(stop, comments="nice yard")
    each_crm.drain()
    name = {"hubspot": "hs_note_body", "lofty": "content"}.get(each_crm.connection.provider, "body")
    changed = shown(each_crm, "note")[name].replace("nice yard", "nice yard, asked for the price")
    change_there(each_crm, "note", **{name: changed})
    say(stop, comments="nice garden")
    each_crm.drain()
    operation = each_crm.operation("feedback.note")
    assert asks(operation)
    assert "asked for the price" in operation.message
    assert "nice garden" in operation.message
    assert len(operation.message) <= 500
    notes = [row for row in ours(each_crm) if "/notes/" in row["path"]]
    assert (notes, shown(each_crm, "note")[name]) == ([], changed)


def test_a_task_is_compared_by_what_we_own(each_crm: Crm, stop: TourStop) -> None:
    say(stop)
    each_crm.drain()
    done, name = TASK[each_crm.connection.provider]
    if each_crm.connection.provider == "lofty":
        each_crm.call("POST", f"{path_of(each_crm, 'task')}/finish")
    else:
        change_there(each_crm, "task", **{done: "COMPLETED" if each_crm.connection.provider == "hubspot" else True})
    say(stop, interest_level="very_interested")
    each_crm.drain()
    assert each_crm.operation("feedback.task").state == "succeeded"
    change_there(each_crm, "task", **{name: "Call them"})
    say(stop, interest_level="interested")
    each_crm.drain()
    assert asks(each_crm.operation("feedback.task"))
    assert shown(each_crm, "task")[name] == "Call them"


def test_buyers_fields_are_never_asked_about(crm: Crm, tomorrow: datetime) -> None:
    """The newest answer wins there."""
    crm.connection.config = {**crm.connection.config, "interest_field_id": "fld_interest"}
    crm.connection.save()
    tour = make_tour(tomorrow)
    planning.plan_tour(tour)
    stop = tour.stops.get()
    say(stop)
    crm.drain()
    say(stop, interest_level="unsure")
    crm.drain()
    told = Operation.objects.filter(kind="contact.fields").values_list("state", "reason")
    assert list(told) == [("succeeded", ""), ("succeeded", "")]
