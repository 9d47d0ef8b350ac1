"""The engine's law at Lofty: every act under one fault, every fault at one act, and what people do there meanwhile.

Faults, and what each must come to, are those of every provider: tests/integrations/engine/test_faults.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.models import ExternalRef, Operation, TourStop
from integrations.operations import operations as verbs
from integrations.operations import tours
from integrations.operations.feedback import save_feedback
from integrations.operations.validation import FeedbackInput
from tests.crm import Crm, make_tour, move
from tests.crm_acts import ALL_ACTS, OURS, STAFF, Act
from tests.integrations.engine import test_faults as law

AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)
KINDS = {"appointment": "appointment.sync", "note": "feedback.note", "task": "feedback.task"}
PATHS = {"appointment": "/v2.0/calendar", "note": "/v1.0/notes", "task": "/v2.0/tasks"}
LOST = {**law.LOST, **law.LOST_ON_THE_WIRE}
FIRST = "reset after it was done"


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL_ACTS["lofty"])
def test_a_lost_answer_to_any_act_is_doubt_that_a_look_ends(
    lofty_crm: Crm, name: str, tomorrow: datetime, settings: Any
) -> None:
    law.test_a_lost_answer_is_doubt_that_a_look_ends(Act(lofty_crm, name, tomorrow), LOST[FIRST], settings)


@pytest.mark.parametrize("lost", [name for name in LOST if name != FIRST])
def test_however_an_answer_is_lost_a_look_ends_the_doubt(
    lofty_crm: Crm, lost: str, tomorrow: datetime, settings: Any
) -> None:
    law.test_a_lost_answer_is_doubt_that_a_look_ends(Act(lofty_crm, "create", tomorrow), LOST[lost], settings)


@pytest.mark.parametrize("no", law.DEFINITE.values(), ids=list(law.DEFINITE))
def test_a_definite_no_leaves_no_doubt(lofty_crm: Crm, no: Any, tomorrow: datetime, settings: Any) -> None:
    law.test_a_definite_no_leaves_no_doubt(Act(lofty_crm, "create", tomorrow), no, settings)


@pytest.mark.parametrize("look", law.FAILED_LOOKS.values(), ids=list(law.FAILED_LOOKS))
def test_a_failed_look_keeps_the_doubt(lofty_crm: Crm, look: Any, tomorrow: datetime, settings: Any) -> None:
    law._fail_the_look(Act(lofty_crm, "create", tomorrow), look, settings)


def test_a_first_look_that_fails_makes_no_doubt(lofty_crm: Crm, tomorrow: datetime, settings: Any) -> None:
    law.test_a_first_look_that_fails_makes_no_doubt(lofty_crm, tomorrow, settings)


# --- what people change there ----------------------------------------------------------------------------------------


@pytest.fixture
def stop(lofty_crm: Crm, tomorrow: datetime) -> TourStop:
    """A stop, a note and a task that stand in the CRM."""
    tour = make_tour(tomorrow)
    lofty_crm.sync(tour)
    found: TourStop = tour.stops.get()
    say(found, comments="nice yard")
    lofty_crm.drain()
    return found


def say(stop: TourStop, **values: Any) -> None:
    data = FeedbackInput("buyer", AT, {"interest_level": "interested", "second_showing": "yes", **values})
    save_feedback(stop.pk, data, actor="ann", via="api")


def path_of(crm: Crm, resource: str) -> str:
    return f"{PATHS[resource]}/{crm.sandbox.effects(resource)[-1]['id']}"


def follow(crm: Crm, stop: TourStop, resource: str) -> Operation:
    """What is ours changes, and is sent."""
    if resource == "appointment":
        move(stop, 30)
        crm.sync(stop.tour)
    else:
        say(stop, comments="nice garden", interest_level="very_interested")
        crm.drain()
    return crm.operation(KINDS[resource])


def edits(crm: Crm, resource: str) -> list[str]:
    """Our own changes and removals of such records."""
    rows = [row for row in crm.requests() if row["headers"].get("user-agent") == OURS]
    return [row["method"] for row in rows if row["path"].startswith(f"{PATHS[resource]}/") and row["method"] != "GET"]


@pytest.mark.parametrize(
    ("resource", "name"),
    [("appointment", "content"), ("appointment", "address"), ("note", "content"), ("task", "content")],
)
def test_a_text_changed_there_is_not_written_over(lofty_crm: Crm, stop: TourStop, resource: str, name: str) -> None:
    lofty_crm.call("PUT", path_of(lofty_crm, resource), {name: "Coffee"})
    operation = follow(lofty_crm, stop, resource)
    assert (operation.state, operation.reason) == ("needs_person", "changed_at_provider")
    assert f"{name}: there “Coffee”, ours “" in operation.message
    assert edits(lofty_crm, resource) == []
    verbs.send_ours(operation.pk, STAFF)
    lofty_crm.drain()
    assert (lofty_crm.operation(KINDS[resource]).state, edits(lofty_crm, resource)) == ("succeeded", ["PUT"])


def test_a_time_changed_there_is_not_written_over_and_a_cancel_goes_through(lofty_crm: Crm, stop: TourStop) -> None:
    later = {
        "startAt": (stop.appointment_start + timedelta(hours=3)).isoformat(),
        "endAt": (stop.appointment_end + timedelta(hours=3)).isoformat(),
    }
    lofty_crm.call("PUT", path_of(lofty_crm, "appointment"), later)
    operation = follow(lofty_crm, stop, "appointment")
    assert (operation.state, operation.reason) == ("needs_person", "changed_at_provider")
    assert [name in operation.message for name in later] == [True, True]
    tours.set_stop_status(stop.pk, "cancelled", actor="ann", via="admin")
    lofty_crm.drain()
    assert (lofty_crm.operation().state, edits(lofty_crm, "appointment")) == ("succeeded", ["DELETE"])


def test_what_is_not_ours_may_change(lofty_crm: Crm, stop: TourStop) -> None:
    for resource in ("appointment", "task"):
        lofty_crm.call("POST", f"{path_of(lofty_crm, resource)}/finish")
        assert follow(lofty_crm, stop, resource).state == "succeeded"


@pytest.mark.parametrize("resource", KINDS)
def test_what_was_deleted_there_waits_for_a_person_and_is_made_anew(
    lofty_crm: Crm, stop: TourStop, resource: str
) -> None:
    lofty_crm.call("DELETE", path_of(lofty_crm, resource))
    operation = follow(lofty_crm, stop, resource)
    assert (operation.state, operation.reason, edits(lofty_crm, resource)) == ("dead", "gone_at_provider", [])
    for _ in range(2):
        verbs.recreate(operation.pk, STAFF)
    lofty_crm.drain()
    assert [row["op"] for row in lofty_crm.sandbox.effects(resource)] == ["create", "delete", "create"]
    ref = ExternalRef.objects.get(resource=resource)
    assert (ref.external_id, ref.gone_at) == (lofty_crm.sandbox.effects(resource)[-1]["id"], None)
