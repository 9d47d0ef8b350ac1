"""The list of tours: filters by time and by how a tour stands in the CRMs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Tour
from tests.factories import OperationFactory, TourFactory, TourStopFactory

LIST = reverse("admin:integrations_tour_changelist")


def tour_in(hours: float, *states: str) -> Tour:
    """A tour that starts so many hours from now, with a stop and an operation for each state."""
    start = timezone.now() + timedelta(hours=hours)
    tour: Tour = TourFactory(starts_at=start)
    for place, state in enumerate(states or ("succeeded",), start=1):
        stop = TourStopFactory(
            tour=tour, sequence=place, appointment_start=start, appointment_end=start + timedelta(minutes=30)
        )
        OperationFactory(entity_id=stop.pk, state=state)
    return tour


def listed(client: Client, **query: Any) -> list[str]:
    answer = client.get(LIST, query)
    assert answer.status_code == 200
    return [tour.reference for tour in answer.context["cl"].result_list]


@pytest.mark.parametrize(
    ("when", "hours", "shown"),
    [("day", 3, True), ("day", 30, False), ("week", 30, True), ("week", 24 * 8, False), ("last", -30, True),
     ("last", -24 * 8, False), ("day", -1, False)],
)  # fmt: skip
def test_tours_by_when_they_start(staff: Client, when: str, hours: float, shown: bool) -> None:
    tour = tour_in(hours)

    assert listed(staff, when=when) == ([tour.reference] if shown else [])


def test_tours_by_how_they_stand(staff: Client) -> None:
    failed, waiting, settled = tour_in(40, "dead", "succeeded"), tour_in(41, "pending"), tour_in(42, "succeeded")
    asked = tour_in(43, "needs_person")

    assert listed(staff, sync="person") == [asked.reference, failed.reference]
    assert listed(staff, sync="waiting") == [waiting.reference]
    assert listed(staff, sync="settled") == [settled.reference]


def test_at_risk_shows_what_needs_a_person_first(staff: Client) -> None:
    waiting, failed, far = tour_in(9, "pending"), tour_in(5, "dead"), tour_in(40, "dead")

    assert listed(staff, sync="risk") == [failed.reference, waiting.reference]
    assert far.reference in listed(staff)


def test_each_tour_tells_how_it_stands(staff: Client) -> None:
    tour_in(40, "dead", "pending", "waiting", "succeeded")

    text = staff.get(LIST).content.decode()

    assert '<span class="rr-badge rr-state-dead">1 to look at, 2 waiting</span>' in text


def test_tours_of_one_agent(staff: Client) -> None:
    mine, _other = tour_in(1), tour_in(2)

    assert listed(staff, agent__id__exact=mine.agent_id) == [mine.reference]


def test_an_unknown_choice_is_no_error(staff: Client) -> None:
    tour = tour_in(1)

    assert listed(staff, sync="nonsense", when="never") == [tour.reference]


def test_the_number_of_queries_does_not_grow_with_the_tours(staff: Client, django_assert_max_num_queries: Any) -> None:
    for hours in range(1, 12):
        tour_in(hours, "dead", "pending")

    with django_assert_max_num_queries(12):
        listed(staff, sync="risk")


def spans(client: Client, **query: int) -> list[str]:
    answer = client.get(LIST, query)
    shown = answer.context["cl"].spans
    back = [shown["back"]["title"]] if shown["back"] else []
    return back + [choice["title"] for choice in shown["choices"]]


def test_days_to_choose_from_reach_from_the_first_tour_to_the_last(staff: Client) -> None:
    for start in (datetime(2026, 11, 29, tzinfo=UTC), datetime(2027, 2, 2, 12, tzinfo=UTC)):
        TourFactory(starts_at=start)

    assert spans(staff) == ["2026", "2027"]
    assert spans(staff, starts_at__year=2026) == ["All dates", "November 2026", "December 2026"]
    assert spans(staff, starts_at__year=2027, starts_at__month=2) == ["2027", "February 1", "February 2"]
    assert spans(staff, starts_at__year=2027, starts_at__month=2, starts_at__day=2) == ["February 2027", "February 2"]


def test_tours_of_one_month_offer_its_days(staff: Client) -> None:
    for day in (3, 5):
        TourFactory(starts_at=datetime(2026, 6, day, tzinfo=UTC))

    assert spans(staff) == ["June 3", "June 4", "June 5"]


def test_a_chosen_day_lists_its_tours(staff: Client) -> None:
    tours = [TourFactory(starts_at=datetime(2026, 6, day, 12, tzinfo=UTC)) for day in (3, 5)]

    (choice,) = [one for one in staff.get(LIST).context["cl"].spans["choices"] if one["title"] == "June 5"]

    answer = staff.get(f"{LIST}{choice['link']}")
    assert [tour.reference for tour in answer.context["cl"].result_list] == [tours[1].reference]
