"""What was said after showings, over the API."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.models import Connection, Feedback, Operation, Tour
from tests.factories import FeedbackFactory
from tests.integrations.api.asking import Asking, fields


def body_of(tour: Tour, **more: Any) -> dict[str, Any]:
    stop = tour.stops.get()
    return {"stop_id": str(stop.pk), "author_role": "buyer", "submitted_at": "2026-09-14T18:00", **more}


def test_an_answer_is_kept_in_the_tours_zone_and_told_to_the_crms(
    api: Asking, tour: Tour, connection: Connection
) -> None:
    answer = api.post("/api/feedback", body_of(tour, likes=["Light"], interest_level="very_interested"))
    told = answer.json()
    assert (answer.status_code, told["submitted_at"]) == (201, "2026-09-14T18:00:00-07:00")
    assert (told["time_zone"], told["tour_id"], told["likes"]) == ("America/Los_Angeles", str(tour.pk), ["Light"])
    assert Operation.objects.filter(connection=connection, kind="feedback.note").count() == 1


def test_an_answer_that_is_there_is_a_conflict(api: Asking, tour: Tour) -> None:
    assert api.post("/api/feedback", body_of(tour)).status_code == 201
    assert api.post("/api/feedback", body_of(tour, comments="again")).status_code == 409
    assert Feedback.objects.get().comments == ""


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"stop_id": "999"}, "stop_id"), ({"stop_id": 1}, "stop_id"), ({"overall_rating": 6}, "overall_rating"),
        ({"likes": "x" * 100}, "likes"), ({"author_role": "cat"}, "author_role"),
        ({"submitted_at": "soon"}, "submitted_at"),
        ({"version": 2}, "version"), ({"stop": 1}, "stop"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(api: Asking, tour: Tour, more: dict[str, Any], field: str) -> None:
    answer = api.post("/api/feedback", body_of(tour, **more))
    assert (answer.status_code, list(fields(answer)), Feedback.objects.count()) == (400, [field], 0)


def test_a_correction_needs_the_tag_and_keeps_the_rest(api: Asking, tour: Tour) -> None:
    said = FeedbackFactory(stop=tour.stops.get(), comments="Nice", overall_rating=3)
    at = f"/api/feedback/{said.pk}"
    assert api.patch(at, {"overall_rating": 4}).status_code == 428
    answer = api.patch(at, {"overall_rating": 4}, If_Match=api.get(at)["ETag"])
    assert (answer.json()["overall_rating"], answer.json()["comments"]) == (4, "Nice")


def test_answers_are_listed_by_tour_in_few_questions(
    api: Asking, tour: Tour, django_assert_max_num_queries: Any
) -> None:
    for _ in range(10):
        FeedbackFactory()
    said = FeedbackFactory(stop=tour.stops.get())
    with django_assert_max_num_queries(6):
        assert len(api.get("/api/feedback").json()["results"]) == 11
    assert [row["id"] for row in api.get(f"/api/feedback?tour={tour.pk}").json()["results"]] == [str(said.pk)]
