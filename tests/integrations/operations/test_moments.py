from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from integrations.operations import moments

LA = ZoneInfo("America/Los_Angeles")


def test_a_clock_shows_the_zones_abbreviation_in_summer_and_winter() -> None:
    summer, winter = datetime(2026, 7, 1, 21, 0, tzinfo=UTC), datetime(2026, 12, 1, 22, 0, tzinfo=UTC)
    shown = [moments.clock(at, LA, now=at) for at in (summer, winter)]
    assert shown == ["14:00:00 PDT", "14:00:00 PST"]


def test_a_clock_of_another_day_in_that_zone_carries_the_date() -> None:
    now, at = datetime(2026, 7, 2, 5, 0, tzinfo=UTC), datetime(2026, 7, 2, 8, 0, tzinfo=UTC)
    assert moments.clock(at, LA, now=now) == "2026-07-02 01:00:00 PDT"


def test_a_span_within_a_day() -> None:
    start, end = datetime(2026, 9, 14, 21, 30, tzinfo=UTC), datetime(2026, 9, 14, 22, 0, tzinfo=UTC)
    assert moments.span(start, end, LA) == "Mon 14 Sep 2026, 14:30–15:00 PDT"


def test_a_span_across_midnight_names_the_second_day() -> None:
    start, end = datetime(2026, 9, 15, 6, 30, tzinfo=UTC), datetime(2026, 9, 15, 7, 30, tzinfo=UTC)
    assert moments.span(start, end, LA) == "Mon 14 Sep 2026, 23:30–Tue 15 Sep 00:30 PDT"


def test_a_span_across_the_change_of_clocks_names_both_abbreviations() -> None:
    start, end = datetime(2026, 11, 1, 8, 30, tzinfo=UTC), datetime(2026, 11, 1, 10, 30, tzinfo=UTC)
    assert moments.span(start, end, LA) == "Sun 1 Nov 2026, 01:30 PDT–02:30 PST"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (-5, "0 s"), (59.6, "1 min"), (125, "2 min 5 s"), (3600, "1 h"), (3605, "1 h"),
        (11_520, "3 h 12 min"), (349_200, "4 d 1 h"),
    ],
)  # fmt: skip
def test_durations_in_their_two_largest_units(seconds: float, words: str) -> None:
    assert moments.duration(seconds) == words
