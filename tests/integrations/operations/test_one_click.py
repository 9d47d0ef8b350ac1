"""Which verbs make sense for a stop or a tour at a moment, and what one press does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from integrations.models import AuditEvent, Operation, Tour, TourStop
from integrations.operations import one_click, planning
from integrations.operations.audit import Who
from integrations.operations.refusals import NotPossible
from tests import factories as make

pytestmark = pytest.mark.django_db

ANN = Who("ann", "admin")
BEFORE, DURING, AFTER = (make.START + timedelta(minutes=minutes) for minutes in (-1, 0, 30))


@pytest.mark.parametrize(
    ("status", "now", "slugs"),
    [
        ("pending", BEFORE, ["confirm", "deny", "cancel"]),
        ("confirmed", BEFORE, ["cancel"]),
        ("denied", BEFORE, ["confirm"]),
        ("cancelled", BEFORE, []),
        ("pending", DURING, ["confirm", "deny", "cancel", "showed", "no-show"]),
        ("confirmed", DURING, ["cancel", "showed", "no-show"]),
        ("confirmed", AFTER, ["showed", "no-show"]),
        ("denied", AFTER, []),
    ],
)
def test_verbs_follow_the_stops_state_and_the_time(status: str, now: Any, slugs: list[str]) -> None:
    stop = make.TourStopFactory(appointment_status=status)
    assert [verb.slug for verb in one_click.stop_verbs(stop, now)] == slugs


def test_what_was_said_can_be_corrected() -> None:
    stop = make.TourStopFactory(outcome="showed")
    assert [verb.slug for verb in one_click.stop_verbs(stop, AFTER)] == ["no-show"]


@pytest.mark.parametrize("tour", [{"status": "draft"}, {"status": "cancelled"}, {"archived_at": make.START}])
def test_stops_of_a_tour_that_does_not_stand_have_no_verbs(tour: dict[str, Any]) -> None:
    stop = make.TourStopFactory(tour=make.TourFactory(**tour))
    assert one_click.stop_verbs(stop, DURING) == []


@pytest.mark.parametrize(
    ("status", "now", "slugs"),
    [
        ("draft", BEFORE, ["cancel"]),
        ("scheduled", BEFORE, ["cancel"]),
        ("scheduled", DURING, ["complete", "cancel"]),
        ("completed", AFTER, ["reopen"]),
        ("completed", AFTER + timedelta(hours=2), []),
        ("cancelled", BEFORE, ["reopen"]),
    ],
)
def test_verbs_follow_the_tours_state_and_the_time(status: str, now: Any, slugs: list[str], settings: Any) -> None:
    settings.REANNA_COMPLETE_TOURS_AFTER_S = 7200
    stop = make.TourStopFactory(tour=make.TourFactory(status=status))
    assert [verb.slug for verb in one_click.tour_verbs(stop.tour, [stop], now)] == slugs


def test_a_press_tells_how_many_crms_will_hear() -> None:
    make.ConnectionFactory.create_batch(2)
    stop = make.TourStopFactory(appointment_status="pending")
    planning.plan_tour(stop.tour)
    pressed = one_click.press_stop(stop.tour_id, stop.pk, "confirm", ANN, now=BEFORE)
    assert (pressed.crms, pressed.event_id) == (2, AuditEvent.objects.get().pk)
    waits = Operation.objects.filter(kind="appointment.sync", version=2)
    assert set(waits.values_list("reason", "due_ms")) == {("undo_time", pressed.until_ms)}
    assert not Operation.objects.filter(version=1, reason="undo_time").exists()


def test_a_second_press_does_nothing() -> None:
    stop = make.TourStopFactory(appointment_status="pending")
    one_click.press_stop(stop.tour_id, stop.pk, "confirm", ANN, now=BEFORE)
    assert one_click.press_stop(stop.tour_id, stop.pk, "confirm", ANN, now=BEFORE).event_id is None
    assert (TourStop.objects.get().version, AuditEvent.objects.count()) == (2, 1)


def test_a_verb_that_does_not_apply_says_why() -> None:
    stop = make.TourStopFactory(street="1 Elm St")
    with pytest.raises(NotPossible, match=r"^No-show does not apply to 1 Elm St\. It has not started yet\.$"):
        one_click.press_stop(stop.tour_id, stop.pk, "no-show", ANN, now=BEFORE)
    with pytest.raises(NotPossible, match=r"^Complete does not apply\. It has not started yet\.$"):
        one_click.press_tour(stop.tour_id, "complete", ANN, now=BEFORE)
    assert AuditEvent.objects.count() == 0


def test_a_stop_of_another_tour_is_none() -> None:
    with pytest.raises(TourStop.DoesNotExist):
        one_click.press_stop(make.TourFactory().pk, make.TourStopFactory().pk, "confirm", ANN, now=BEFORE)


def test_all_past_ones_are_marked_that_nothing_was_said_of() -> None:
    tour = make.TourFactory()
    for place, (status, outcome) in enumerate(
        [("confirmed", "none"), ("confirmed", "no_show"), ("denied", "none"), ("confirmed", "none")], start=1
    ):
        make.TourStopFactory(tour=tour, sequence=place, appointment_status=status, outcome=outcome)
    TourStop.objects.filter(sequence=4).update(appointment_end=AFTER + timedelta(minutes=1))
    pressed = one_click.press_all(tour.pk, "showed", ANN, now=AFTER)
    assert [stop.sequence for stop in pressed.stops] == [1]
    assert list(tour.stops.order_by("sequence").values_list("outcome", flat=True)) == [
        "showed", "no_show", "none", "none",
    ]  # fmt: skip
    assert one_click.press_all(tour.pk, "showed", ANN, now=AFTER).event_id is None


def test_a_cancelled_tour_is_reopened() -> None:
    make.ConnectionFactory()
    stop = make.TourStopFactory(tour=make.TourFactory(status="cancelled"))
    pressed = one_click.press_tour(stop.tour_id, "reopen", ANN, now=BEFORE)
    assert (Tour.objects.get().status, pressed.crms) == ("scheduled", 1)
    assert set(Operation.objects.values_list("kind", "reason")) == {
        ("contact.link", "undo_time"),
        ("appointment.sync", "undo_time"),
    }
