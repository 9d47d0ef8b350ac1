"""Tours over the API: one POST for all of it, changes that lose nobody's, lists that answer only what they may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.models import Agent, AuditEvent, Connection, Contact, Operation, Tour, TourStop
from tests.factories import ContactFactory, OfficeFactory, OperationFactory, TourFactory, TourStopFactory
from tests.integrations.api.asking import Asking, fields

STOP = {"street": "12 Elm St", "appointment_start": "2031-09-15T14:00", "appointment_end": "2031-09-15T14:30"}
TOUR: dict[str, Any] = {
    "reference": "T-1",
    "time_zone": "America/Los_Angeles",
    "starts_at": "2031-09-15T14:00",
    "agent": {"email": "Dana@brokerage.example", "name": "Dana Reyes"},
    "buyer": {"first_name": "Bea", "last_name": "Lopez", "email": "bea@mail.example"},
    "stops": [STOP, {**STOP, "street": "40 Oak Ave"}],
}


def references(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [row["reference"] for row in answer.json()["results"]]


# --- making -------------------------------------------------------------------------------------------------------


def test_one_post_makes_a_tour_with_stops_buyer_and_agent(api: Asking, connection: Connection) -> None:
    answer = api.post("/api/tours", TOUR)
    assert answer.status_code == 201
    told = answer.json()
    assert (told["starts_at"], told["time_zone"]) == ("2031-09-15T14:00:00-07:00", "America/Los_Angeles")
    assert [(stop["sequence"], stop["street"]) for stop in told["stops"]] == [(1, "12 Elm St"), (2, "40 Oak Ave")]
    assert told["id"] == str(Tour.objects.get().pk)
    assert (told["agent"]["email"], told["buyer"]["last_name"]) == ("dana@brokerage.example", "Lopez")
    assert Operation.objects.filter(connection=connection, kind="appointment.sync").count() == 2


def test_a_known_agent_is_named_by_address_alone_and_a_buyer_by_id(api: Asking) -> None:
    agent, buyer = Agent.objects.create(name="Ann", email="ann@x.example"), ContactFactory()
    answer = api.post("/api/tours", {**TOUR, "agent": {"email": "ANN@x.example"}, "buyer": {"id": str(buyer.pk)}})
    assert (answer.json()["agent"]["id"], answer.json()["buyer"]["id"]) == (str(agent.pk), str(buyer.pk))
    assert (Agent.objects.count(), Contact.objects.count()) == (1, 1)


def test_every_wrong_field_is_named_and_nothing_is_saved(api: Asking) -> None:
    answer = api.post(
        "/api/tours",
        {
            **TOUR,
            "time_zone": "Mars",
            "buyer": {"email": "no"},
            "agent": {"id": "999"},
            "stops": [{**STOP, "postal_code": "1"}],
            "further_buyers": [{"first_name": "Al"}],
        },
    )
    assert answer.status_code == 400
    named = fields(answer)
    assert {"time_zone", "buyer.email", "agent.id", "stops.0.postal_code", "further_buyers.0.email"} <= named.keys()
    assert (Tour.objects.count(), Contact.objects.count(), AuditEvent.objects.filter(via="api").count()) == (0, 0, 0)


@pytest.mark.parametrize("extra", ["version", "id", "archived_at", "created_at", "import_run"])
def test_a_field_that_is_not_to_be_set_is_refused(api: Asking, extra: str) -> None:
    answer = api.post("/api/tours", {**TOUR, extra: 1})
    assert fields(answer) == {extra: "There is no such field here."}
    assert Tour.objects.count() == 0


def test_unknown_fields_are_named_however_deep(api: Asking) -> None:
    answer = api.post("/api/tours", {**TOUR, "stops": [{**STOP, "version": 9}], "buyer": {"archived": True}})
    assert set(fields(answer)) == {"stops.0.version", "buyer.archived"}


def test_a_reference_that_is_taken_is_a_conflict_and_leaves_that_tour_alone(api: Asking, tour: Tour) -> None:
    answer = api.post("/api/tours", {**TOUR, "reference": tour.reference, "title": "Mine"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:reanna-router:problem:exists")
    assert Tour.objects.get().title == "One home"


# --- changing -----------------------------------------------------------------------------------------------------


def test_a_change_needs_the_tag_that_was_read(api: Asking, tour: Tour) -> None:
    assert api.patch(f"/api/tours/{tour.pk}", {"title": "New"}).status_code == 428
    tag = api.get(f"/api/tours/{tour.pk}")["ETag"]
    answer = api.patch(f"/api/tours/{tour.pk}", {"title": "New"}, If_Match=tag)
    assert (answer.status_code, answer.json()["title"]) == (200, "New")
    again = api.patch(f"/api/tours/{tour.pk}", {"title": "Newer"}, If_Match=tag)
    assert (again.status_code, Tour.objects.get().title) == (412, "New")
    assert answer["ETag"] == api.get(f"/api/tours/{tour.pk}")["ETag"] != tag


def test_a_changed_stop_changes_the_tag(api: Asking, tour: Tour) -> None:
    tag = api.get(f"/api/tours/{tour.pk}")["ETag"]
    stop = TourStop.objects.get()
    api.post(f"/api/tours/{tour.pk}/stops/{stop.pk}/outcome", {"outcome": "showed"})
    assert api.get(f"/api/tours/{tour.pk}")["ETag"] != tag


def test_stops_are_changed_by_place_and_others_stay(api: Asking, tour: Tour) -> None:
    body = {"stops": [{"sequence": 1, "city": "Davis"}, {**STOP, "sequence": 2}]}
    answer = api.patch(f"/api/tours/{tour.pk}", body, If_Match="*")
    assert [(stop["street"], stop["city"]) for stop in answer.json()["stops"]] == [
        ("1 Elm St", "Davis"),
        ("12 Elm St", ""),
    ]


def test_the_reference_stays(api: Asking, tour: Tour) -> None:
    answer = api.patch(f"/api/tours/{tour.pk}", {"reference": "T-2"}, If_Match="*")
    assert fields(answer) == {"reference": "There is no such field here."}


def test_the_stop_verbs_and_complete(api: Asking, tour: Tour) -> None:
    stop = TourStop.objects.get()
    at = f"/api/tours/{tour.pk}"
    assert (
        api.post(f"{at}/stops/{stop.pk}/status", {"status": "denied"}).json()["stops"][0]["appointment_status"]
        == "denied"
    )
    moved = api.post(f"{at}/stops/{stop.pk}/move", {"start": "2026-09-14T16:00", "end": "2026-09-14T16:30"})
    assert moved.json()["stops"][0]["appointment_start"] == "2026-09-14T16:00:00-07:00"
    assert api.post(f"{at}/complete").json()["status"] == "completed"


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("status", {}, "status"),
        ("status", {"status": "maybe"}, "status"),
        ("outcome", {"outcome": 3}, "outcome"),
        ("move", {"start": "2026-09-14T16:00"}, "end"),
        ("move", {"start": "2026-09-14T16:00", "end": "2026-09-14T15:00"}, "end"),
    ],
)
def test_a_wrong_press_names_its_field(api: Asking, tour: Tour, verb: str, body: dict[str, Any], field: str) -> None:
    answer = api.post(f"/api/tours/{tour.pk}/stops/{TourStop.objects.get().pk}/{verb}", body)
    assert (answer.status_code, list(fields(answer))) == (400, [field])


def test_a_stop_of_another_tour_is_not_there(api: Asking, tour: Tour) -> None:
    other = TourStopFactory()
    answer = api.post(f"/api/tours/{tour.pk}/stops/{other.pk}/status", {"status": "denied"})
    assert (answer.status_code, answer.json()["detail"]) == (404, "This tour has no such stop.")


def test_an_archived_tour_is_a_conflict(api: Asking, tour: Tour) -> None:
    Tour.objects.update(archived_at=datetime(2026, 1, 1, tzinfo=UTC), status="completed")
    assert api.post(f"/api/tours/{tour.pk}/cancel").status_code == 409
    assert api.patch(f"/api/tours/{tour.pk}", {"title": "x"}, If_Match="*").status_code == 409


# --- lists --------------------------------------------------------------------------------------------------------


def test_a_day_is_a_day_of_each_tours_own_zone(api: Asking) -> None:
    for reference, zone, at in (
        ("LA late", "America/Los_Angeles", datetime(2026, 9, 15, 6, 59, tzinfo=UTC)),
        ("LA next", "America/Los_Angeles", datetime(2026, 9, 15, 7, 0, tzinfo=UTC)),
        ("NY early", "America/New_York", datetime(2026, 9, 14, 4, 0, tzinfo=UTC)),
        ("NY next", "America/New_York", datetime(2026, 9, 15, 4, 0, tzinfo=UTC)),
    ):
        TourFactory(reference=reference, time_zone=zone, starts_at=at)
    assert references(api.get("/api/tours?day=2026-09-14")) == ["LA late", "NY early"]
    assert references(api.get("/api/tours?from_day=2026-09-15")) == ["LA next", "NY next"]


def test_the_filters(api: Asking, tour: Tour, connection: Connection) -> None:
    office = OfficeFactory()
    other = TourFactory(reference="T-200", status="draft", starts_at=tour.starts_at + timedelta(1))
    Agent.objects.filter(pk=other.agent_id).update(office=office)
    failed = OperationFactory(entity_id=tour.stops.get().pk, connection=connection, state="dead")
    for query, wanted in (
        (f"agent={tour.agent_id}", ["T-100"]),
        (f"office={office.pk}", ["T-200"]),
        ("status=draft", ["T-200"]),
        ("text=t-1", ["T-100"]),
        ("sync=failed", ["T-100"]),
        ("sync=settled", ["T-200"]),
        (f"connection={failed.connection_id}", ["T-100"]),
        ("archived=true", []),
    ):
        assert references(api.get(f"/api/tours?{query}")) == wanted, query


@pytest.mark.parametrize(
    "query",
    [
        "buyer__email=x", "connection__secrets=a", "agent__user__password__startswith=p", "ordering=notes", "limit=0",
        "limit=201", "limit=x", "cursor=x", "cursor=cD1ub3BlJm89", "agent=x", "connection=x", "day=x", "status=x",
        "day=9999-12-31", "sync=x", "text=%00", "text=" + "x" * 65, "agent=1&agent=2", "from_day=0001-01-01",
    ],
)  # fmt: skip
def test_what_may_not_be_asked_is_refused_by_name(api: Asking, tour: Tour, query: str) -> None:
    answer = api.get(f"/api/tours?{query}")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert list(fields(answer)) == [query.split("=", maxsplit=1)[0]]


def test_a_list_is_walked_by_cursor(api: Asking) -> None:
    for number in range(5):
        TourFactory(reference=f"T-{number}")
    seen, url = [], "/api/tours?limit=2"
    while url:
        answer = api.get(url)
        seen.append(references(answer))
        url = answer.json()["next"]
    assert seen == [["T-4", "T-3"], ["T-2", "T-1"], ["T-0"]]


@pytest.mark.parametrize("rows", [1, 30])
def test_a_list_asks_a_fixed_number_of_questions(api: Asking, rows: int, django_assert_max_num_queries: Any) -> None:
    for number in range(rows):
        tour = TourFactory(reference=f"T-{number}")
        TourStopFactory(tour=tour)
    with django_assert_max_num_queries(8):
        assert len(references(api.get("/api/tours?limit=50&day=2026-09-14"))) == rows


def test_a_single_tour_asks_few_questions(api: Asking, tour: Tour, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(8):
        api.get(f"/api/tours/{tour.pk}")
