"""Storing tours: exact writes, versions that rise only for what a CRM shows, and nothing for nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from integrations.models import Agent, AuditEvent, Contact, ImportItem, Operation, Tour, TourStop
from integrations.operations.tour_saving import save_tour, save_tours
from integrations.operations.validation import AgentInput, ContactInput, StopInput, TourInput
from tests import factories as make

pytestmark = pytest.mark.django_db

START = datetime(2026, 9, 14, 21, tzinfo=UTC)
BEA = ContactInput("Bea", "Buyer", "bea@mail.example", "+19165550001")
ANN = AgentInput("ann@brokerage.example", "Ann Agent")


def _stop(sequence: int = 1, **values: Any) -> StopInput:
    start = START + timedelta(hours=sequence - 1)
    times = {"appointment_start": start, "appointment_end": start + timedelta(minutes=30)}
    return StopInput(sequence, {"street": f"{sequence} High St", "appointment_status": "confirmed", **times, **values})


def _tour(*stops: StopInput, reference: str = "A-1", buyer: Any = BEA, agent: Any = ANN, **values: Any) -> TourInput:
    given = {"title": "Two homes", "time_zone": "America/Los_Angeles", "starts_at": START, **values}
    return TourInput(reference, given, buyer=buyer, agent=agent, stops=stops)


def _save(*tours: TourInput, **kwargs: Any) -> list[Any]:
    return save_tours(list(tours), actor="ann", via="api", **kwargs)


def _planned() -> list[tuple[str, int, int]]:
    """(kind, record, version), in the order planned."""
    return list(Operation.objects.order_by("pk").values_list("kind", "entity_id", "version"))


def _versions() -> list[int]:
    return list(TourStop.objects.order_by("sequence").values_list("version", flat=True))


def test_a_new_tour_is_stored_planned_and_audited() -> None:
    make.ConnectionFactory()

    saved = save_tour(_tour(_stop(1), _stop(2)), actor="ann", via="api", reason="by phone")

    tour = Tour.objects.get()
    stops = list(tour.stops.order_by("sequence"))
    assert saved.created
    assert (tour.reference, tour.title, tour.status, tour.starts_at) == ("A-1", "Two homes", "scheduled", START)
    assert (tour.agent.email, tour.buyer.email) == ("ann@brokerage.example", "bea@mail.example")
    assert [(stop.sequence, stop.version) for stop in stops] == [(1, 1), (2, 1)]
    assert _planned() == [
        ("contact.link", tour.buyer_id, 1),
        ("appointment.sync", stops[0].pk, 1),
        ("appointment.sync", stops[1].pk, 1),
    ]
    event = AuditEvent.objects.get()
    assert (event.actor, event.via, event.verb, event.object_id) == ("ann", "api", "tour.create", tour.pk)
    assert event.reason == "by phone"
    assert event.after["stop 2"] == "2 High St (2)"


def test_the_same_again_writes_nothing(django_assert_num_queries: Any) -> None:
    make.ConnectionFactory()
    _save(_tour(_stop(1), _stop(2)))

    with django_assert_num_queries(6):  # savepoint twice, tours, stops, agents, contacts
        (saved,) = _save(_tour(_stop(1), _stop(2)))

    assert not saved.changed
    assert _versions() == [1, 1]
    assert Operation.objects.count() == 3
    assert AuditEvent.objects.count() == 1


def test_looking_up_does_not_grow_with_the_number_of_tours(django_assert_num_queries: Any) -> None:
    tours = [_tour(_stop(1), reference=f"A-{number}") for number in range(20)]
    _save(*tours)

    with django_assert_num_queries(6):
        _save(*tours)


@pytest.mark.parametrize(
    "values",
    [
        {"appointment_start": START + timedelta(minutes=10)},
        {"street": "9 Elm St"},
        {"appointment_status": "cancelled"},
        {"outcome": "no_show"},
        {"showing_method": "virtual"},
        {"list_price": 1},
    ],
)
def test_what_a_crm_shows_of_a_stop_raises_that_stops_version(values: dict[str, Any]) -> None:
    make.ConnectionFactory()
    _save(_tour(_stop(1), _stop(2)))

    _save(_tour(_stop(1), _stop(2, **{**values, "appointment_end": START + timedelta(hours=3)})))

    assert _versions() == [1, 2]
    assert [version for _, _, version in _planned()] == [1, 1, 1, 2]


@pytest.mark.parametrize("values", [{"bedrooms": 3}, {"latitude": 1}, {"access_instructions": "Key box"}])
def test_what_no_crm_shows_is_stored_alone(values: dict[str, Any]) -> None:
    make.ConnectionFactory()
    _save(_tour(_stop(1)))

    _save(_tour(_stop(1, **values)))

    assert _versions() == [1]
    assert len(_planned()) == 2
    assert AuditEvent.objects.filter(verb="tour.update").count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Three homes"},
        {"time_zone": "America/Denver"},
        {"starts_at": START + timedelta(hours=1)},
        {"agent": AgentInput("omar@brokerage.example", "Omar")},
        {"buyer": ContactInput("Bo", "Buyer", "bo@mail.example", "")},
        {"status": "cancelled"},
        {"status": "draft"},
    ],
)
def test_what_a_crm_shows_of_a_tour_raises_all_its_stops(change: dict[str, Any]) -> None:
    _save(_tour(_stop(1), _stop(2)))

    _save(_tour(_stop(1), _stop(2), **change))

    assert _versions() == [2, 2]


@pytest.mark.parametrize("change", [{"status": "in_progress"}, {"status": "completed"}, {"notes": "Bring water"}])
def test_what_no_crm_shows_of_a_tour_raises_none(change: dict[str, Any]) -> None:
    _save(_tour(_stop(1)))

    _save(_tour(_stop(1), **change))

    assert _versions() == [1]


def test_a_stop_raised_by_its_tour_and_by_itself_rises_once() -> None:
    _save(_tour(_stop(1)))

    _save(_tour(_stop(1, street="9 Elm St"), title="Other"))

    assert _versions() == [2]
    assert AuditEvent.objects.latest("id").after == {"title": "Other", "stop 1 street": "9 Elm St"}


def test_a_stop_is_added_and_the_others_stay() -> None:
    _save(_tour(_stop(1)))

    (saved,) = _save(_tour(_stop(2)))

    assert [stop.sequence for stop in saved.new_stops] == [2]
    assert list(TourStop.objects.order_by("sequence").values_list("sequence", "version")) == [(1, 1), (2, 1)]


def test_a_change_that_breaks_a_rule_leaves_nothing_behind() -> None:
    _save(_tour(_stop(1)))
    wrong = StopInput(1, {"appointment_end": START - timedelta(hours=1)})

    with pytest.raises(ValidationError) as caught:
        _save(_tour(_stop(1), reference="B-1"), _tour(wrong, title="Other"))

    assert caught.value.message_dict == {"appointment_end": ["The appointment must end after it starts."]}
    assert list(Tour.objects.values_list("reference", "title")) == [("A-1", "Two homes")]


def test_a_new_tour_must_be_complete() -> None:
    with pytest.raises(ValidationError) as caught:
        save_tour(TourInput("A-1", {}), actor="ann", via="api")

    assert sorted(caught.value.message_dict) == ["agent_email", "buyer_email", "starts_at", "time_zone"]


def test_a_new_stop_must_be_complete() -> None:
    with pytest.raises(ValidationError) as caught:
        _save(_tour(StopInput(1, {"street": "1 High St"})))

    assert sorted(caught.value.message_dict) == ["appointment_end", "appointment_start"]
    assert Tour.objects.count() == 0


def test_further_buyers_are_set_when_they_are_spoken_of() -> None:
    bo = ContactInput("Bo", "Buyer", "bo@mail.example", "")
    kim = make.ContactFactory()
    with_both = TourInput("A-1", _tour().values, buyer=BEA, agent=ANN, further_buyers=(bo, kim.pk))

    _save(with_both)
    (again,) = _save(with_both)
    _save(_tour())

    assert not again.changed
    assert {contact.email for contact in Tour.objects.get().further_buyers.all()} == {"bo@mail.example", kim.email}
    assert Contact.objects.count() == 3


def test_two_new_tours_share_their_new_people() -> None:
    _save(_tour(reference="A-1"), _tour(reference="A-2"))

    assert Agent.objects.count() == 1
    assert Contact.objects.count() == 1


def test_an_import_remembers_what_it_made_and_changed() -> None:
    first, second = make.ImportRunFactory(), make.ImportRunFactory()
    _save(_tour(_stop(1)), import_run=first)

    _save(_tour(_stop(1, street="9 Elm St"), title="Other"), import_run=second)
    _save(_tour(_stop(1, street="9 Elm St"), title="Other"), import_run=make.ImportRunFactory())

    made = sorted(ImportItem.objects.filter(run=first).values_list("entity_type", "created"))
    changed = sorted(ImportItem.objects.filter(run=second).values_list("entity_type", "created", "before"), key=str)
    assert made == [("agent", True), ("contact", True), ("tour", True), ("tourstop", True)]
    assert changed == [
        ("tour", False, {"title": ["Two homes", "Other"]}),
        ("tourstop", False, {"street": ["1 High St", "9 Elm St"]}),
    ]
    assert ImportItem.objects.count() == 6


def test_operations_know_their_import() -> None:
    make.ConnectionFactory()
    run = make.ImportRunFactory()

    _save(_tour(_stop(1)), import_run=run)

    assert set(Operation.objects.values_list("import_run", flat=True)) == {run.pk}


def test_a_tour_that_moves_to_another_agent_leaves_the_first_ones_connection() -> None:
    ann, omar = make.AgentFactory(email="ann@brokerage.example"), make.AgentFactory(email="omar@brokerage.example")
    of_ann = make.ConnectionFactory(scope="agent", agent=ann)
    of_omar = make.ConnectionFactory(scope="agent", agent=omar)
    _save(_tour(_stop(1)))

    _save(_tour(_stop(1), agent=AgentInput("omar@brokerage.example", "Omar")))

    rows = Operation.objects.filter(kind="appointment.sync").order_by("pk").values_list("connection", "version")
    assert list(rows) == [(of_ann.pk, 1), (of_ann.pk, 2), (of_omar.pk, 2)]


def test_an_archived_tour_is_not_changed() -> None:
    save_tour(_tour(_stop(1)), actor="ann", via="api")
    Tour.objects.update(archived_at=START)
    other = make.ContactFactory()

    for changed in (_tour(_stop(1), title="Other"), _tour(_stop(1), _stop(2)), _tour(_stop(1, city="Davis"))):
        with pytest.raises(ValidationError, match="This tour is archived; bring it back from the archive first"):
            save_tour(changed, actor="ann", via="api")
    with pytest.raises(ValidationError, match="archived"):
        save_tour(replace(_tour(), further_buyers=(other.pk,)), actor="ann", via="api")

    tour = Tour.objects.get()
    assert (tour.title, tour.stops.count(), tour.further_buyers.count()) == ("Two homes", 1, 0)
    assert not save_tour(_tour(_stop(1)), actor="ann", via="api").changed
    assert AuditEvent.objects.count() == 1
