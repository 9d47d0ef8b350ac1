"""How long an answer asks us to wait: every legal form, nothing else, and never for ever."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.providers.retry_after import retry_after

NOW = datetime(2026, 9, 14, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 1.0),
        ("86400", 3600.0),
        ("9" * 5000, 3600.0),
        ("Mon, 14 Sep 2026 12:00:30 GMT", 30.0),
        ("Monday, 14-Sep-26 12:00:30 GMT", 30.0),
        ("Mon Sep 14 12:00:30 2026", 30.0),
        ("Wed Sep  2 12:00:30 2026", 1.0),
        ("Mon, 14 Sep 2026 12:00:60 GMT", 59.0),
        ("Mon, 14 Sep 2026 11:00:00 GMT", 1.0),
        ("Tue, 15 Sep 2026 12:00:00 GMT", 3600.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 1.0),
        ("Sunday, 06-Nov-75 08:49:37 GMT", 3600.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("7, 7", None),
        ("٧", None),
        ("Mon, 14 Sep 99999999999 12:00:30 GMT", None),
        ("Mon, 31 Feb 2026 12:00:30 GMT", None),
        ("Mon, 14 Foo 2026 12:00:30 GMT", None),
        ("Mon, 14 Sep 2026 25:00:30 GMT", None),
        ("Mon, 14 Sep 0000 12:00:30 GMT", None),
        ("Mon, 14 Sep 2026 12:00:30 +9999", None),
    ],
)
def test_it_is_seconds_or_a_date_from_one_second_to_an_hour(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}, NOW) == seconds


def test_absent_is_none() -> None:
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize("date", ["Thu, 01 Jan 2032 00:00:00 GMT", "Wed, 01 Jan 2020 00:00:00 GMT"])
def test_a_date_is_counted_from_the_answers_own_when_the_clocks_differ(date: str) -> None:
    wait = date.replace("00:00:00", "00:00:45")
    assert retry_after(httpx.Headers({"Date": date, "Retry-After": wait}), NOW) == 45.0


def test_a_date_of_the_answer_that_is_none_leaves_our_clock() -> None:
    headers = {"date": "yesterday", "retry-after": "Mon, 14 Sep 2026 12:00:30 GMT"}
    assert retry_after(headers, NOW) == 30.0


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"\w{3}, \d{2} \w{3} \d{1,6} \d\d:\d\d:\d\d GMT"), st.text(max_size=40))
def test_whatever_it_holds_it_is_in_bounds_or_nothing(value: str, date: str) -> None:
    seconds = retry_after({"retry-after": value, "date": date})
    assert seconds is None or 1.0 <= seconds <= 3600.0
