"""One press over the API: what makes sense now, with time to undo; archive; delete; plans that do nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.models import AuditEvent, ExternalRef, Operation, Tour, TourStop
from tests.crm import Crm, make_tour
from tests.factories import FeedbackFactory, TourFactory
from tests.integrations.api.asking import Asking, fields

OVER = "It is over; say what came of it instead."


@pytest.fixture
def ahead(crm: Crm, tomorrow: datetime) -> Tour:
    """A tour of tomorrow that stands in the CRM."""
    tour = make_tour(tomorrow, stops=2)
    crm.sync(tour)
    return tour


def writes(crm: Crm) -> list[str]:
    return [row["body"]["appointmentStatus"] for row in crm.requests("PUT")]


def test_a_press_waits_and_is_undone_before_anything_is_sent(api: Asking, ahead: Tour, crm: Crm) -> None:
    stop, at = ahead.stops.get(sequence=1), f"/api/tours/{ahead.pk}"
    answer = api.post(f"{at}/stops/{stop.pk}/press", {"verb": "cancel", "reason": "ill"})
    told = answer.json()
    assert (answer.status_code, told["changed"], told["stop_ids"], told["connections_told"]) == (
        200, True, [str(stop.pk)], 1,
    )  # fmt: skip
    assert datetime.fromisoformat(told["not_before"]) > datetime.now(UTC)
    assert told["tour"]["stops"][0]["appointment_status"] == "cancelled"
    crm.drain()
    undone = api.post(f"{at}/undo", {"change": told["change"]}, If_Match=answer["ETag"])
    assert (undone.json()["undone"], undone.json()["tour"]["stops"][0]["appointment_status"]) == (True, "confirmed")
    assert api.post(f"{at}/undo", {"change": told["change"]}).json()["undone"] is False
    crm.pass_time(60)
    crm.drain()
    assert writes(crm) == []


def test_cancel_and_complete_are_presses_that_answer_the_tour(api: Asking, ahead: Tour, crm: Crm) -> None:
    at = f"/api/tours/{ahead.pk}"
    early = api.post(f"{at}/complete")
    assert (early.status_code, early.json()["detail"]) == (409, "Complete does not apply. It has not started yet.")
    answer = api.post(f"{at}/cancel", {"reason": "rain"})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    crm.drain()
    assert writes(crm) == []
    change = AuditEvent.objects.get(verb="tour.cancelled", reason="rain", via="api")
    assert api.post(f"{at}/undo", {"change": str(change.pk)}).json()["tour"]["status"] == "scheduled"
    assert api.post(f"{at}/cancel").json()["status"] == "cancelled"
    assert api.post(f"{at}/cancel").status_code == 200
    crm.pass_time(60)
    crm.drain()
    assert writes(crm) == ["cancelled", "cancelled"]


def test_what_a_crm_was_told_is_not_undone(api: Asking, ahead: Tour, crm: Crm) -> None:
    stop, at = ahead.stops.get(sequence=1), f"/api/tours/{ahead.pk}"
    change = api.post(f"{at}/stops/{stop.pk}/press", {"verb": "cancel"}).json()["change"]
    crm.pass_time(60)
    crm.drain()
    answer = api.post(f"{at}/undo", {"change": change})
    assert answer.status_code == 409
    assert answer.json()["detail"].endswith("Change it back by hand: the CRMs are told that too.")
    assert writes(crm) == ["cancelled"]


def test_a_plan_names_what_is_cancelled_and_does_nothing(api: Asking, ahead: Tour, crm: Crm) -> None:
    first = ahead.stops.get(sequence=1)
    ref = ExternalRef.objects.get(entity_type="stop", entity_id=first.pk).external_id
    told = api.get(f"/api/tours/{ahead.pk}/plan?verb=cancel").json()
    assert (told["possible"], told["why_not"], len(told["cancelled"]), told["undo_s"]) == (True, "", 2, 10)
    assert told["cancelled"][0] == {
        "stop_id": str(first.pk), "connection": crm.connection.label, "external_id": ref,
    }  # fmt: skip
    one = api.get(f"/api/tours/{ahead.pk}/stops/{first.pk}/plan?verb=cancel").json()
    assert (one["stop_ids"], [row["external_id"] for row in one["cancelled"]]) == ([str(first.pk)], [ref])
    crm.drain()
    assert (Tour.objects.get().status, writes(crm)) == ("scheduled", [])


def test_a_press_that_makes_no_sense_says_why(api: Asking, tour: Tour) -> None:
    stop, at = tour.stops.get(), f"/api/tours/{tour.pk}"
    answer = api.post(f"{at}/stops/{stop.pk}/press", {"verb": "cancel"})
    assert (answer.status_code, answer.json()["detail"]) == (409, f"Cancel does not apply to 1 Elm St. {OVER}")
    plan = api.get(f"{at}/stops/{stop.pk}/plan?verb=cancel").json()
    assert plan == {"possible": False, "why_not": OVER, "stop_ids": [], "cancelled": [], "undo_s": 10}
    assert TourStop.objects.get().appointment_status == "confirmed"


def test_tours_are_completed_reopened_and_pressed_for_all_stops(api: Asking, tour: Tour) -> None:
    at = f"/api/tours/{tour.pk}"
    done = api.post(f"{at}/press", {"verb": "showed-all"}).json()
    assert (done["stop_ids"], done["tour"]["stops"][0]["outcome"]) == ([str(tour.stops.get().pk)], "showed")
    again = api.post(f"{at}/press", {"verb": "showed-all"}).json()
    assert (again["changed"], again["change"], again["stop_ids"]) == (False, None, [])
    assert api.post(f"{at}/press", {"verb": "complete"}).json()["tour"]["status"] == "completed"
    assert api.post(f"{at}/press", {"verb": "complete"}).json()["changed"] is False


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("press", {"verb": "explode"}, "verb"), ("press", {}, "verb"), ("press", {"verb": ["cancel"]}, "verb"),
        ("press", {"verb": "cancel", "status": "x"}, "status"), ("undo", {}, "change"),
        ("undo", {"change": "999999"}, "change"), ("undo", {"change": 3}, "change"),
        ("stops/{stop}/press", {"verb": "reopen"}, "verb"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(api: Asking, tour: Tour, path: str, body: dict[str, Any], field: str) -> None:
    answer = api.post(f"/api/tours/{tour.pk}/{path.format(stop=tour.stops.get().pk)}", body)
    assert (answer.status_code, list(fields(answer))) == (400, [field])
    assert api.get(f"/api/tours/{tour.pk}/plan?verb=x").status_code == 400


def test_a_change_of_another_tour_is_not_undone_here(api: Asking, tour: Tour) -> None:
    other = TourFactory(status="scheduled")
    change = api.post(f"/api/tours/{other.pk}/press", {"verb": "complete"}).json()["change"]
    assert api.post(f"/api/tours/{tour.pk}/undo", {"change": change}).status_code == 400
    assert Tour.objects.get(pk=other.pk).status == "completed"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("cancel", {}), ("complete", {}), ("press", {"verb": "complete"}), ("archive", {}), ("unarchive", {}),
        ("stops/{stop}/status", {"status": "denied"}), ("stops/{stop}/press", {"verb": "showed"}),
    ],
)  # fmt: skip
def test_a_verb_is_done_only_on_what_the_caller_saw(api: Asking, tour: Tour, path: str, body: dict[str, Any]) -> None:
    seen = api.get(f"/api/tours/{tour.pk}")["ETag"]
    api.patch(f"/api/tours/{tour.pk}", {"title": "Changed"}, If_Match="*")
    before = AuditEvent.objects.count()
    at = f"/api/tours/{tour.pk}/{path.format(stop=tour.stops.get().pk)}"
    assert api.post(at, body, If_Match=seen).status_code == 412
    assert AuditEvent.objects.count() == before


def test_a_tour_is_archived_when_it_is_over(api: Asking, tour: Tour) -> None:
    at = f"/api/tours/{tour.pk}"
    assert api.post(f"{at}/archive").status_code == 409
    api.post(f"{at}/complete")
    assert api.post(f"{at}/archive", {"reason": "old"}).json()["archived_at"] is not None
    assert [row["id"] for row in api.get("/api/tours?archived=true").json()["results"]] == [str(tour.pk)]
    assert api.post(f"{at}/unarchive").json()["archived_at"] is None
    trail = AuditEvent.objects.filter(verb__in=["tour.archive", "tour.unarchive"]).order_by("id")
    assert list(trail.values_list("verb", "reason")) == [("tour.archive", "old"), ("tour.unarchive", "")]


def test_a_tour_nobody_knows_is_deleted(api: Asking, tour: Tour) -> None:
    at = f"/api/tours/{tour.pk}"
    said = FeedbackFactory(stop=tour.stops.get())
    assert api.ask("DELETE", at, If_Match="*").status_code == 409
    said.delete()
    assert api.ask("DELETE", at).status_code == 428
    assert api.ask("DELETE", f"{at}/stops/{tour.stops.get().pk}", If_Match='"x"').status_code == 412
    assert api.ask("DELETE", f"{at}/stops/{tour.stops.get().pk}", If_Match="*").status_code == 204
    assert (TourStop.objects.count(), api.ask("DELETE", at, If_Match="*").status_code) == (0, 204)
    assert (Tour.objects.count(), Operation.objects.count()) == (0, 0)


def test_tours_that_changed_since(api: Asking, tour: Tour) -> None:
    other = TourFactory()
    old = datetime(2026, 1, 1, tzinfo=UTC)
    Tour.objects.update(updated_at=old)
    TourStop.objects.update(updated_at=old + timedelta(days=2))
    for query, wanted in (
        ("updated_since=2026-01-02T00:00Z", [tour.pk]),
        ("updated_since=2026-01-01T00:00Z", [other.pk, tour.pk]),
        ("updated_since=2026-01-04T00:00Z", []),
        (f"reference={tour.reference}", [tour.pk]),
        (f"buyer={other.buyer_id}", [other.pk]),
    ):
        rows = api.get(f"/api/tours?{query}").json()["results"]
        assert [row["id"] for row in rows] == [str(pk) for pk in wanted], query
