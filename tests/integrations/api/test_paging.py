"""Lists a page at a time: what is inserted, changed or deleted meanwhile repeats nothing and skips nothing."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from integrations.models import Tour
from tests.factories import START, TourFactory
from tests.integrations.api.asking import Asking, fields


def references(page: dict[str, Any]) -> list[str]:
    return [row["reference"] for row in page["results"]]


def test_tours_of_the_same_time_are_walked_while_others_are_inserted(api: Asking) -> None:
    for number in range(6):
        TourFactory(reference=f"T{number}")  # all start at the same time
    page = api.get("/api/tours?limit=2").json()
    seen = references(page)
    while page["next"]:
        TourFactory(reference=f"same {len(seen)}")
        TourFactory(reference=f"later {len(seen)}", starts_at=START + timedelta(days=1))
        page = api.get(page["next"]).json()
        seen += references(page)
    assert seen == ["T5", "T4", "T3", "T2", "T1", "T0"]


def test_the_way_back_is_the_way_there(api: Asking) -> None:
    for number in range(5):
        TourFactory(reference=f"T{number}", starts_at=START + timedelta(hours=number // 2))
    pages = [api.get("/api/tours?limit=2").json()]
    while pages[-1]["next"]:
        pages.append(api.get(pages[-1]["next"]).json())
    back = [pages[-1]]
    while back[-1]["previous"]:
        back.append(api.get(back[-1]["previous"]).json())
    assert [references(page) for page in pages] == [["T4", "T3"], ["T2", "T1"], ["T0"]]
    assert [references(page) for page in back] == [["T0"], ["T2", "T1"], ["T4", "T3"]]
    assert (pages[0]["previous"], pages[-1]["next"], back[-1]["previous"]) == (None, None, None)


def test_a_deleted_row_at_the_edge_loses_nobody(api: Asking) -> None:
    for number in range(4):
        TourFactory(reference=f"T{number}")
    page = api.get("/api/tours?limit=2").json()
    Tour.objects.get(reference="T2").delete()
    assert references(api.get(page["next"]).json()) == ["T1", "T0"]


@pytest.mark.parametrize(
    "values",
    [
        ["n"], ["n", "x", "1"], ["n", None, None], ["q", "2026-01-01T00:00:00+00:00", "1"], [], ["n", 1, 2],
        ["n", "2026-01-01T00:00:00+00:00", "9" * 30], ["n", "2026-01-01T00:00:00+00:00", "1", "2"],
    ],
)  # fmt: skip
def test_a_cursor_that_is_none_of_ours_is_named(api: Asking, values: list[Any]) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(values).encode()).decode()
    answer = api.get(f"/api/tours?cursor={cursor}")
    assert (answer.status_code, list(fields(answer))) == (400, ["cursor"])


def test_filters_stay_with_the_cursor(api: Asking) -> None:
    for number in range(3):
        TourFactory(reference=f"T{number}", status="draft")
        TourFactory(reference=f"S{number}")
    page = api.get("/api/tours?status=draft&limit=2").json()
    assert "status=draft" in page["next"]
    assert references(api.get(page["next"]).json()) == ["T0"]
