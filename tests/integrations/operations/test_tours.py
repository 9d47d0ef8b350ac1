"""The verbs of a tour: each does one thing once, and says nothing twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from integrations.models import AuditEvent, Operation, Tour, TourStop
from integrations.operations import planning, tours
from integrations.operations.refusals import NotPossible
from tests import factories as make

pytestmark = pytest.mark.django_db

BY = {"actor": "ann", "via": "admin"}
HOUR = timedelta(hours=1)


@pytest.fixture
def stop() -> TourStop:
    """A stop whose buyer and appointment are planned at one connection."""
    make.ConnectionFactory()
    made: TourStop = make.TourStopFactory()
    planning.plan_tour(made.tour)
    return made


def _syncs() -> list[int]:
    return list(Operation.objects.filter(kind="appointment.sync").order_by("pk").values_list("version", flat=True))


def _audited() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("verb", flat=True))


def test_a_stop_is_moved(stop: TourStop) -> None:
    start = stop.appointment_start + HOUR

    assert tours.move_stop(stop.pk, start=start, end=start + HOUR, reason="traffic", **BY)

    stop.refresh_from_db()
    assert (stop.appointment_start, stop.appointment_end, stop.version) == (start, start + HOUR, 2)
    assert _syncs() == [1, 2]
    event = AuditEvent.objects.get()
    assert (event.verb, event.reason) == ("stop.move", "traffic")
    assert (event.object_type, event.object_id) == ("tour", stop.tour_id)


def test_moving_it_to_where_it_is_changes_nothing(stop: TourStop) -> None:
    assert not tours.move_stop(stop.pk, start=stop.appointment_start, end=stop.appointment_end, **BY)

    stop.refresh_from_db()
    assert (stop.version, _syncs(), _audited()) == (1, [1], [])


def test_a_stop_must_end_after_it_starts(stop: TourStop) -> None:
    with pytest.raises(ValidationError, match="must end after it starts"):
        tours.move_stop(stop.pk, start=stop.appointment_end, end=stop.appointment_start, **BY)

    stop.refresh_from_db()
    assert stop.version == 1


@pytest.mark.parametrize(
    ("verb", "value", "field"),
    [(tours.set_stop_status, "denied", "appointment_status"), (tours.set_stop_outcome, "showed", "outcome")],
)
def test_a_stops_status_and_outcome(stop: TourStop, verb: Any, value: str, field: str) -> None:
    assert verb(stop.pk, value, **BY)
    assert not verb(stop.pk, value, **BY)

    stop.refresh_from_db()
    assert (getattr(stop, field), stop.version, _syncs()) == (value, 2, [1, 2])


def test_an_unknown_status_names_its_field(stop: TourStop) -> None:
    for verb, field in (
        (tours.set_stop_status, "appointment_status"),
        (tours.set_stop_outcome, "outcome"),
    ):
        with pytest.raises(ValidationError) as caught:
            verb(stop.pk, "maybe", **BY)
        assert list(caught.value.message_dict) == [field]
    with pytest.raises(ValidationError) as caught:
        tours.set_tour_status(stop.tour_id, "postponed", **BY)
    assert list(caught.value.message_dict) == ["status"]


def test_what_is_not_there_is_said(stop: TourStop) -> None:
    with pytest.raises(TourStop.DoesNotExist):
        tours.move_stop(404, start=stop.appointment_start, end=stop.appointment_end, **BY)
    with pytest.raises(Tour.DoesNotExist):
        tours.cancel_tour(404, **BY)


def test_a_tour_is_cancelled_once(stop: TourStop) -> None:
    assert tours.cancel_tour(stop.tour_id, **BY)
    assert not tours.cancel_tour(stop.tour_id, **BY)

    stop.refresh_from_db()
    assert (Tour.objects.get().status, stop.appointment_status, stop.version) == ("cancelled", "confirmed", 2)
    assert _syncs() == [1, 2]
    assert _audited() == ["tour.cancelled"]


def test_a_cancelled_tour_can_be_taken_up_again(stop: TourStop) -> None:
    tours.cancel_tour(stop.tour_id, **BY)

    assert tours.set_tour_status(stop.tour_id, "scheduled", **BY)

    assert _syncs() == [1, 2, 3]


def test_starting_a_tour_tells_the_crm_nothing(stop: TourStop) -> None:
    assert tours.set_tour_status(stop.tour_id, "in_progress", **BY)

    assert _syncs() == [1]


def test_a_standing_tour_is_not_archived(stop: TourStop) -> None:
    with pytest.raises(NotPossible, match="cancel it, or wait until it is completed"):
        tours.archive_tour(stop.tour_id, now=make.START, **BY)


def test_a_cancelled_tour_is_archived_and_brought_back(stop: TourStop) -> None:
    tours.cancel_tour(stop.tour_id, **BY)

    assert tours.archive_tour(stop.tour_id, now=make.START, **BY)
    assert not tours.archive_tour(stop.tour_id, now=make.START + HOUR, **BY)
    assert Tour.objects.get().archived_at == make.START
    with pytest.raises(NotPossible, match="archived"):
        tours.set_tour_status(stop.tour_id, "scheduled", **BY)
    assert tours.unarchive_tour(stop.tour_id, **BY)

    assert Tour.objects.get().archived_at is None
    assert _syncs() == [1, 2]


def test_stops_change_places() -> None:
    make.ConnectionFactory()
    tour = make.TourFactory()
    first, second, third = (make.TourStopFactory(tour=tour, sequence=place) for place in (1, 2, 5))
    planning.plan_tour(tour)

    assert tours.shift_stop(third.pk, earlier=True, **BY)

    order = list(tour.stops.order_by("sequence").values_list("pk", "sequence", "version"))
    assert order == [(first.pk, 1, 1), (third.pk, 2, 2), (second.pk, 5, 2)]
    assert _syncs() == [1, 1, 1, 2, 2]
    assert _audited() == ["stop.reorder"]
    assert not tours.shift_stop(first.pk, earlier=True, **BY)
    assert not tours.shift_stop(second.pk, earlier=False, **BY)


def test_stops_of_an_archived_tour_stay() -> None:
    stop = make.TourStopFactory(tour=make.TourFactory(archived_at=make.START))

    for change in (
        lambda: tours.shift_stop(stop.pk, earlier=True, **BY),
        lambda: tours.set_stop_status(stop.pk, "denied", **BY),
    ):
        with pytest.raises(NotPossible, match="archived"):
            change()
    assert not tours.set_stop_status(stop.pk, "confirmed", **BY)


def test_a_tour_is_completed_two_hours_after_its_last_live_stop(settings: Any) -> None:
    settings.REANNA_COMPLETE_TOURS_AFTER_S = 7200
    stop = make.TourStopFactory()
    make.TourStopFactory(
        tour=stop.tour, sequence=2, appointment_start=make.START + 5 * HOUR, appointment_status="cancelled"
    )
    over = stop.appointment_end + 2 * HOUR

    assert tours.complete_tours(over - timedelta(seconds=1)) == 0
    assert tours.complete_tours(over) == 1
    assert tours.complete_tours(over) == 0

    stop.refresh_from_db()
    assert (Tour.objects.get().status, stop.version) == ("completed", 1)
    event = AuditEvent.objects.get()
    assert (event.verb, event.via, event.before, event.after) == (
        "tour.completed",
        "system",
        {"status": "scheduled"},
        {"status": "completed"},
    )


@pytest.mark.parametrize(
    "tour", [{"status": "draft"}, {"status": "cancelled"}, {"status": "completed"}, {"archived_at": make.START}]
)
def test_only_unfinished_tours_are_completed(tour: dict[str, Any]) -> None:
    make.TourStopFactory(tour=make.TourFactory(**tour))

    assert tours.complete_tours(make.START + 10 * HOUR) == 0


def test_a_tour_without_a_live_stop_is_left_to_people() -> None:
    make.TourStopFactory(appointment_status="denied")

    assert tours.complete_tours(make.START + 10 * HOUR) == 0


def test_more_tours_than_one_batch_are_completed() -> None:
    agent, buyer = make.AgentFactory(), make.ContactFactory()
    for _ in range(101):
        make.TourStopFactory(tour=make.TourFactory(agent=agent, buyer=buyer))

    assert tours.complete_tours(make.START + 10 * HOUR) == 101


def test_overlaps_of_one_agent_are_named() -> None:
    stop = make.TourStopFactory()
    agent = stop.tour.agent_id
    make.TourStopFactory(tour=make.TourFactory(agent=stop.tour.agent), appointment_status="cancelled")
    make.TourStopFactory()

    start, end = stop.appointment_start, stop.appointment_end
    assert tours.overlapping(agent, start + timedelta(minutes=29), end + HOUR) == [stop]
    assert tours.overlapping(agent, end, end + HOUR) == []
    assert tours.overlapping(agent, start, end, except_tour=stop.tour_id) == []
