"""Which tours are at risk: close, and not in every CRM they belong to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.models import Tour, TourStop
from integrations.operations.at_risk import tours_at_risk
from tests.factories import ConnectionFactory, OperationFactory, TourFactory, TourStopFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)


def stop_at(hours: float, state: str = "pending", tour: Tour | None = None, **values: Any) -> TourStop:
    """A stop that starts so many hours from NOW, with one operation in `state`."""
    start = NOW + timedelta(hours=hours)
    tour = tour or TourFactory()
    fields = {"appointment_start": start, "appointment_end": start + timedelta(minutes=30), **values}
    stop: TourStop = TourStopFactory(tour=tour, sequence=tour.stops.count() + 1, **fields)
    OperationFactory(entity_id=stop.pk, state=state, reason="rejected" if state == "dead" else "")
    return stop


def test_a_showing_that_waits_puts_its_tour_at_risk() -> None:
    stop = stop_at(3)

    (found,) = tours_at_risk(NOW)

    assert (found.tour_id, found.stops, found.state, found.next_start) == (
        stop.tour_id, 1, "pending", stop.appointment_start,
    )  # fmt: skip
    assert not found.needs_person


@pytest.mark.parametrize("state", ["succeeded", "superseded", "cancelled", "ignored"])
def test_what_is_settled_is_no_risk(state: str) -> None:
    stop_at(3, state)

    assert tours_at_risk(NOW) == []


@pytest.mark.parametrize("hours", [-0.1, 24])
def test_only_the_next_day_counts(hours: float) -> None:
    stop_at(hours)

    assert tours_at_risk(NOW) == []


def test_a_cancelled_showing_is_no_risk() -> None:
    stop_at(3, appointment_status="cancelled")

    assert tours_at_risk(NOW) == []


def test_a_disabled_connection_puts_nothing_at_risk() -> None:
    stop = stop_at(3, "succeeded")
    OperationFactory(entity_id=stop.pk, connection=ConnectionFactory(state="disabled"))

    assert tours_at_risk(NOW) == []


def test_what_needs_a_person_comes_first_then_the_sooner_one() -> None:
    late, soon, failed = stop_at(5), stop_at(2), stop_at(9, "dead")

    assert [found.tour_id for found in tours_at_risk(NOW)] == [failed.tour_id, soon.tour_id, late.tour_id]
    assert tours_at_risk(NOW)[0].reason == "rejected"


def test_stops_of_one_tour_are_told_together_with_the_gravest_state(django_assert_num_queries: Any) -> None:
    tour = TourFactory()
    stop_at(2, "waiting", tour)
    stop_at(3, "needs_person", tour)

    with django_assert_num_queries(2):
        (found,) = tours_at_risk(NOW)

    assert (found.stops, found.state) == (2, "needs_person")
    assert found.next_start == NOW + timedelta(hours=2)


def test_no_more_are_told_than_asked_for() -> None:
    for hours in range(1, 4):
        stop_at(hours)

    assert len(tours_at_risk(NOW, most=2)) == 2
