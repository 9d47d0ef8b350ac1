"""A record that was deleted in the CRM: made again, or left out there, at every CRM and for all we do there."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.models import ExternalRef, Operation, TourStop
from integrations.operations import left_out
from integrations.operations import operations as verbs
from integrations.operations.audit import Who
from integrations.operations.feedback import save_feedback
from integrations.operations.validation import FeedbackInput
from tests.crm import Crm, make_tour, move

STAFF = Who("olga", "admin")
AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)
KINDS = {"appointment": "appointment.sync", "note": "feedback.note", "task": "feedback.task"}
LOFTY = {"appointment": "/v2.0/calendar", "note": "/v1.0/notes", "task": "/v2.0/tasks"}
OURS = "REanna-Router"


@pytest.fixture
def stop(each_crm: Crm, tomorrow: datetime) -> TourStop:
    """A stop, a note and a task that stand in the CRM."""
    tour = make_tour(tomorrow)
    each_crm.sync(tour)
    found: TourStop = tour.stops.get()
    say(found)
    each_crm.drain()
    return found


def say(stop: TourStop, **values: Any) -> None:
    data = FeedbackInput("buyer", AT, {"interest_level": "interested", "second_showing": "yes", **values})
    save_feedback(stop.pk, data, actor="ann", via="api")


def lose(crm: Crm, stop: TourStop, resource: str) -> Operation:
    """The record is not there any more when our next change of it comes."""
    vendor = crm.connection.provider
    if vendor == "lofty":  # notes are read in a list there, so no answer can say it of one
        crm.call("DELETE", f"{LOFTY[resource]}/{crm.sandbox.effects(resource)[-1]['id']}")
    else:
        path = f"^/.*{'meeting' if vendor == 'hubspot' and resource == 'appointment' else resource}s/"
        crm.sandbox.faults("status", provider=vendor, status=404, match={"method": "GET", "path": path})
    if resource == "appointment":
        move(stop, 30)
        crm.sync(stop.tour)
    else:
        say(stop, interest_level="very_interested" if resource == "task" else "unsure")
        crm.drain()
    operation = crm.operation(KINDS[resource])
    assert (operation.state, operation.reason) == ("dead", "gone_at_provider")
    assert ExternalRef.objects.get(resource=resource).external_id is None
    return operation


def done(crm: Crm, resource: str) -> list[str]:
    """What we did of it."""
    mine = (row["effect"] for row in crm.requests() if row["headers"].get("user-agent") == OURS)
    return [effect["op"] for effect in mine if effect and effect["kind"] == resource]


@pytest.mark.parametrize("resource", KINDS)
def test_recreated_it_stands_there_anew(each_crm: Crm, stop: TourStop, resource: str) -> None:
    operation = lose(each_crm, stop, resource)
    for _ in range(2):
        verbs.recreate(operation.pk, STAFF)
    each_crm.drain()
    assert Operation.objects.get(pk=operation.pk).state == "succeeded"
    assert done(each_crm, resource) == ["create", "create"]
    ref = ExternalRef.objects.get(resource=resource)
    assert (ref.external_id, ref.gone_at) == (each_crm.sandbox.effects(resource)[-1]["id"], None)


@pytest.mark.parametrize("resource", KINDS)
def test_left_out_nothing_is_sent_and_nothing_hangs(each_crm: Crm, stop: TourStop, resource: str) -> None:
    operation = lose(each_crm, stop, resource)
    left_out.leave_out(operation.entity_type, operation.entity_id, each_crm.connection.pk, "deleted", STAFF)
    ended = Operation.objects.get(pk=operation.pk)
    assert (ended.state, ended.reason) == ("cancelled", "left_out")
    if resource == "appointment":
        move(stop, 30)
        each_crm.sync(stop.tour)
    else:
        say(stop, comments="more")
        each_crm.drain()
    assert done(each_crm, resource) == ["create"]
    assert not Operation.objects.open().exists()
    assert not Operation.objects.filter(state="dead").exists()


def test_a_buyer_left_out_lets_nothing_hang(each_crm: Crm, tomorrow: datetime) -> None:
    """What waits for a link that failed ends with it."""
    tour = make_tour(tomorrow, stops=2)
    each_crm.plan(tour)
    Operation.objects.filter(kind="contact.link").update(state="dead", reason="gone_at_provider")
    say(tour.stops.earliest("sequence"))
    left_out.leave_out("contact", tour.buyer_id, each_crm.connection.pk, "deleted", STAFF)
    each_crm.drain()
    states = Counter(Operation.objects.values_list("kind", "state", "reason"))
    out = ("cancelled", "left_out")
    typed = {("appointment_type.link", "succeeded", ""): 1} if each_crm.connection.provider == "rollout" else {}
    assert states == {
        ("contact.link", *out): 1,
        ("appointment.sync", *out): 2,
        ("feedback.note", *out): 1,
        ("feedback.task", *out): 1,
        ("contact.fields", *out): 1,
        **typed,
    }
    assert [row["kind"] for row in each_crm.sandbox.effects()] == [kind[0].split(".")[0] for kind in typed]
