"""What of a tour is in which CRM, as a frontend reads it."""

from __future__ import annotations

from typing import Any

from integrations.models import Connection, ExternalRef, Tour
from tests.crm import Crm
from tests.factories import ExternalRefFactory, FeedbackFactory, OperationFactory
from tests.integrations.api.asking import Asking, token
from tests.integrations.api.test_tours import TOUR


def test_a_frontend_makes_a_tour_and_reads_its_state_in_two_calls(api: Asking, connection: Connection) -> None:
    made = api.post("/api/tours", TOUR)
    told = api.get(f"/api/sync-state/{made.json()['id']}").json()
    assert (told["reference"], told["time_zone"]) == ("T-1", "America/Los_Angeles")
    at = told["connections"][0]
    assert (at["label"], at["routed"], at["reason"]) == (
        "Main CRM", True, "This connection serves the whole brokerage.",
    )  # fmt: skip
    assert [(stop["sequence"], stop["state"], stop["head"]) for stop in at["stops"]] == [
        (1, "blocked", "Blocked by"),
        (2, "blocked", "Blocked by"),
    ]
    assert (at["buyer"]["state"], at["buyer"]["head"]) == ("waits", "Waits")
    assert at["stops"][0]["blocked_by"] == at["buyer"]["operation_id"] != ""


def test_once_the_crm_has_it_the_ids_there_are_told(crm: Crm) -> None:
    asking = Asking(token())
    made = asking.post("/api/tours", TOUR).json()
    crm.drain()
    at = asking.get(f"/api/sync-state/{made['id']}").json()["connections"][0]
    assert [stop["state"] for stop in at["stops"]] == ["in", "in"]
    there = ExternalRef.objects.filter(resource="appointment").values_list("external_id", flat=True)
    assert {stop["external_id"] for stop in at["stops"]} == set(there)
    assert at["buyer"]["state"] == "in"


def test_why_a_tour_does_not_go_somewhere(api: Asking, tour: Tour, connection: Connection) -> None:
    Connection.objects.update(state="disabled")
    at = api.get(f"/api/sync-state/{tour.pk}").json()["connections"][0]
    assert (at["routed"], at["reason"]) == (False, "This connection is disabled.")
    assert (at["stops"][0]["state"], at["stops"][0]["text"]) == ("not_sent", "This connection is disabled.")


def test_until_when_it_waits(api: Asking, tour: Tour, connection: Connection) -> None:
    OperationFactory(
        connection=connection, entity_id=tour.stops.get().pk, state="waiting", reason="rate_limited",
        due_ms=4_000_000_000_000,
    )  # fmt: skip
    stop = api.get(f"/api/sync-state/{tour.pk}").json()["connections"][0]["stops"][0]
    assert (stop["state"], stop["until"]) == ("waits", "2096-10-02T07:06:40+00:00")
    assert stop["text"].startswith("The CRM's rate limit; not before ")


def test_answers_and_links(api: Asking, tour: Tour, connection: Connection) -> None:
    stop = tour.stops.get()
    said = FeedbackFactory(stop=stop)
    ExternalRefFactory(connection=connection, entity_id=stop.pk, external_id="appt_7")
    at = api.get(f"/api/sync-state/{tour.pk}").json()["connections"][0]
    assert at["stops"][0]["external_id"] == "appt_7"
    assert [(each["feedback_id"], each["what"]) for each in at["answers"]] == [(str(said.pk), "Feedback note")]


def test_it_asks_a_fixed_number_of_questions(
    api: Asking, tour: Tour, connection: Connection, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(15):
        assert api.get(f"/api/sync-state/{tour.pk}").status_code == 200


def test_after_how_many_others(api: Asking, tour: Tour, connection: Connection) -> None:
    OperationFactory.create_batch(2, connection=connection, entity_id=9_999)
    OperationFactory(connection=connection, entity_id=tour.stops.get().pk, due_ms=1)
    stop = api.get(f"/api/sync-state/{tour.pk}").json()["connections"][0]["stops"][0]
    assert stop["ahead"] == 2
    assert stop["expected"] > "2026"
    assert "after about 2 others" in stop["text"]
