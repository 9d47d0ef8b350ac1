"""What people do at Lofty meanwhile, beyond what the suites over every provider ask (tests/integrations/engine)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.models import Operation, TourStop
from integrations.operations.feedback import save_feedback
from integrations.operations.validation import FeedbackInput
from tests.crm import Crm, make_tour, move

AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)
KINDS = {"appointment": "appointment.sync", "note": "feedback.note", "task": "feedback.task"}
PATHS = {"appointment": "/v2.0/calendar", "note": "/v1.0/notes", "task": "/v2.0/tasks"}


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


def test_what_is_not_ours_may_change(lofty_crm: Crm, stop: TourStop) -> None:
    for resource in ("appointment", "task"):
        lofty_crm.call("POST", f"{path_of(lofty_crm, resource)}/finish")
        assert follow(lofty_crm, stop, resource).state == "succeeded"
