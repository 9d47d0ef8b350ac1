"""Wall time to an instant, where clocks are moved."""

# ruff: noqa: DTZ001  wall times are naive by nature

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from integrations.models.localtime import to_instant, wall_time

LOS_ANGELES = ZoneInfo("America/Los_Angeles")


def test_an_ordinary_time_is_one_instant() -> None:
    assert to_instant(datetime(2026, 9, 14, 14), LOS_ANGELES) == datetime(2026, 9, 14, 21, tzinfo=UTC)


def test_winter_and_summer_have_their_own_offsets() -> None:
    assert to_instant(datetime(2026, 12, 14, 14), LOS_ANGELES) == datetime(2026, 12, 14, 22, tzinfo=UTC)


def test_a_time_that_clocks_skip_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        to_instant(datetime(2026, 3, 8, 2, 30), LOS_ANGELES)

    assert caught.value.code == "time_missing"
    assert caught.value.messages == ["2026-03-08 02:30 does not exist in America/Los_Angeles: clocks skip it that day."]


def test_a_time_that_clocks_show_twice_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        to_instant(datetime(2026, 11, 1, 1, 30), LOS_ANGELES)

    assert caught.value.code == "time_twice"
    assert caught.value.messages == ["2026-11-01 01:30 occurs twice in America/Los_Angeles: clocks go back that day."]


@pytest.mark.parametrize("hour", [0, 2, 3])
def test_the_hours_around_the_change_are_accepted(hour: int) -> None:
    to_instant(datetime(2026, 11, 1, hour), LOS_ANGELES)


def test_a_change_of_half_an_hour_is_seen() -> None:
    with pytest.raises(ValidationError, match="occurs twice in Australia/Lord_Howe"):
        to_instant(datetime(2026, 4, 5, 1, 45), ZoneInfo("Australia/Lord_Howe"))


def test_an_aware_time_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="naive"):
        to_instant(datetime(2026, 9, 14, tzinfo=UTC), LOS_ANGELES)


@given(
    wall=st.datetimes(min_value=datetime(1990, 1, 2), max_value=datetime(2100, 1, 1)),
    zone=st.sampled_from(sorted(available_timezones())).map(ZoneInfo),
)
def test_an_accepted_time_reads_back_as_it_was_written(wall: datetime, zone: ZoneInfo) -> None:
    try:
        instant = to_instant(wall, zone)
    except ValidationError as error:
        assert error.code in ("time_missing", "time_twice")  # noqa: PT017  the law holds for what is accepted
    else:
        assert wall_time(instant, zone) == wall
