"""What vendors tell of their windows: each dialect's words, and nothing out of nonsense."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.gate import Learned, Window
from integrations.providers import registry
from integrations.providers.limit_headers import DIALECTS, Dialect, learned

NOW = datetime(2026, 9, 14, 12, 0, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
BURST, DAILY, MINUTE = Window("burst", 100, 10), Window("daily", 200_000, 86_400), Window("minute", 500, 60)
GLOBAL = Window("global", 250, 10)


def _of(dialect: Dialect, windows: tuple[Window, ...], **headers: str) -> list[Learned]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return learned(dialect, windows, httpx.Headers(named), NOW)


def test_every_word_is_in_the_table_and_every_manifest_says_one_of_them() -> None:
    assert set(DIALECTS) == set(get_args(Dialect))
    assert {registry.manifest(slug).limit_headers for slug in registry.slugs()} <= {None, *DIALECTS}


def test_who_says_no_word_learns_nothing() -> None:
    assert learned(None, (BURST,), {"X-RateLimit-Max": "1"}) == []


@pytest.mark.parametrize(
    ("dialect", "prefix", "day"), [("gohighlevel", "X", "Limit-Daily"), ("hubspot", "X-HubSpot", "Daily")]
)
def test_five_headers_tell_of_the_burst_and_the_day(dialect: Dialect, prefix: str, day: str) -> None:
    headers = {
        f"{prefix}-RateLimit-Max": "80",
        f"{prefix}-RateLimit-Remaining": "12",
        f"{prefix}-RateLimit-Interval-Milliseconds": "10000",
        f"{prefix}-RateLimit-{day}": "150000",
        f"{prefix}-RateLimit-Daily-Remaining": "149000",
    }
    assert learned(dialect, (BURST, DAILY), httpx.Headers(headers), NOW) == [
        Learned("burst", 80, 12),
        Learned("daily", 150_000, 149_000),
    ]


def test_a_window_of_another_length_is_not_ours() -> None:
    told = {"X_RateLimit_Max": "80", "X_RateLimit_Remaining": "3"}
    assert _of("gohighlevel", (BURST, DAILY), **told) == [Learned("burst", 80, 3)]
    for length in ("5000", "0", "ten seconds"):
        assert _of("gohighlevel", (BURST, DAILY), X_RateLimit_Interval_Milliseconds=length, **told) == []


@pytest.mark.parametrize(
    ("context", "expected"),
    [("global", [Learned("global", 125, 100)]), ("notes", []), ("", [Learned("global", 125, 100)])],
)
def test_followupboss_tells_of_one_context(context: str, expected: list[Learned]) -> None:
    told = {"X_RateLimit_Limit": "125", "X_RateLimit_Remaining": "100", "X_RateLimit_Window": "10"}
    if context:
        told["X_RateLimit_Context"] = context
    assert _of("followupboss", (GLOBAL,), **told) == expected


def test_followupboss_tells_each_window_of_its_context() -> None:
    told = {"X_RateLimit_Limit": "10", "X_RateLimit_Remaining": "9", "X_RateLimit_Window": "10"}
    windows = (GLOBAL, Window("notes", 10, 10))
    assert _of("followupboss", windows, X_RateLimit_Context="notes", **told) == [Learned("notes", 10, 9)]
    assert _of("followupboss", windows, **told) == [], "two windows are that long, and it does not say which"


@pytest.mark.parametrize(
    ("reset", "reset_ms"),
    [
        ("21000", 21_000),
        ("1000", 1_000),
        ("59", 59_000),
        ("0", 0),
        (str(NOW_S + 33), 33_000),
        (str((NOW_S + 33) * 1000 + 5), 33_005),
        (str(NOW_S - 1), None),
        ("-5", None),
        ("soon", None),
        ("9" * 14, None),
    ],
)
def test_lofty_tells_a_moment_or_what_is_left(reset: str, reset_ms: int | None) -> None:
    told = {"X_RateLimit_Limit": "500", "X_RateLimit_Remaining": "4", "X_RateLimit_Reset": reset}
    assert _of("lofty", (MINUTE,), **told) == [Learned("minute", 500, 4, reset_ms)]


def test_a_moment_is_counted_from_the_answers_own_date() -> None:
    told = {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "1900000030", "Date": "Sun, 17 Mar 2030 17:46:40 GMT"}
    assert _of("lofty", (MINUTE,), **told) == [Learned("minute", None, 0, 30_000)]


@pytest.mark.parametrize(
    ("policy", "left", "expected"),
    [
        ('"default";q=90;w=10', '"default";r=50;t=7', [Learned("burst", 90, 50, 7_000)]),
        (
            '"b";q=90;w=10, "d";w=86400;q=1000;pk=:cHQ=:',
            '"b";r=50;t=7,"d";r=999;t=40000',
            [Learned("burst", 90, 50, 7_000), Learned("daily", 1_000, 999, 40_000_000)],
        ),
        ('"burst";q=90', '"burst";r=50', [Learned("burst", 90, 50)]),
        ('"b";q=90;w=10;qu="content-bytes"', '"b";r=50', []),
        ('"b";q=90;w=60', '"b";r=50', []),
        ('"b";q=90;w=10', '"b";r=50, "b";r=60', []),
        ('"b";q=90;w=10, "c";q=80;w=10', '"b";r=50, "c";r=60', []),
        ('"b";q=90;w=10', '"b";r=-1;t=-1', [Learned("burst", 90, None)]),
        ('"b";q=90;w=10', '"b";r=91', [Learned("burst", 90, None)]),
        ('"b";q=0;w=10', '"b"', []),
        ('"b";q=90;w=10', '"b;r=50', []),
        ("", '"b";r=50', []),
    ],
)
def test_the_ietfs_one_field(policy: str, left: str, expected: list[Learned]) -> None:
    assert _of("ietf", (BURST, DAILY), RateLimit_Policy=policy, RateLimit=left) == expected


@pytest.mark.parametrize(
    ("limit", "policy", "expected"),
    [
        ("90", "", [Learned("burst", 90, 50, 7_000)]),
        ("90", "90;w=10, 1000;w=60", [Learned("burst", 90, 50, 7_000)]),
        ("90, 90;w=10;burst=1000", "", [Learned("burst", 90, 50, 7_000)]),
        ("90, 90", "", []),
        ("90", "90;w=60", []),
        ("many", "", [Learned("burst", None, 50, 7_000)]),
    ],
)
def test_the_ietfs_three_fields_of_old(limit: str, policy: str, expected: list[Learned]) -> None:
    told = {"RateLimit_Limit": limit, "RateLimit_Remaining": "50", "RateLimit_Reset": "7"}
    if policy:
        told["RateLimit_Policy"] = policy
    assert _of("ietf", (BURST,), **told) == expected


@pytest.mark.parametrize("value", ["", "-1", "+5", "1e3", "0x10", "5.0", "5 5", "٣", "²", "9" * 10, "9" * 5_000])
def test_what_is_no_number_says_nothing(value: str) -> None:
    headers = {"X-RateLimit-Limit": value, "X-RateLimit-Remaining": value}
    assert learned("lofty", (MINUTE,), headers, NOW) == []


def test_given_twice_it_says_nothing() -> None:
    pairs = [("X-RateLimit-Max", "5"), ("X-RateLimit-Max", "50"), ("X-RateLimit-Remaining", "1")]
    headers = httpx.Headers([*pairs, ("X-RateLimit-Remaining", "2")])
    assert learned("gohighlevel", (BURST, DAILY), headers, NOW) == []


_NAMES = (
    "X-RateLimit-Max", "X-RateLimit-Remaining", "X-RateLimit-Interval-Milliseconds", "X-RateLimit-Limit-Daily",
    "X-RateLimit-Daily-Remaining", "X-HubSpot-RateLimit-Max", "X-HubSpot-RateLimit-Remaining", "X-RateLimit-Limit",
    "X-RateLimit-Window", "X-RateLimit-Context", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy",
    "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Date",
)  # fmt: skip
NUMBERS = st.integers(-5, 10**14).map(str)
PIECES = st.sampled_from(['"b"', ";r=", ";q=", ";w=10", ";t=5", ",", " ", '"', "\\", "=", "?1", ":e:", "b", "7"])
VALUES = st.text(max_size=30) | NUMBERS | st.lists(PIECES, max_size=30).map("".join)
HEADERS = st.dictionaries(st.sampled_from(_NAMES).map(str.lower), VALUES, max_size=8)


class _Folded(dict[str, str]):
    """As httpx.Headers in that case does not matter, with values that no wire could carry."""

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]  # a header is a text
        return super().get(name.lower(), default)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(DIALECTS)), HEADERS)
def test_whatever_they_hold_what_is_learned_can_be(dialect: Dialect, headers: dict[str, str]) -> None:
    for windows in ((BURST, DAILY), (MINUTE,), (GLOBAL, BURST)):
        found = learned(dialect, windows, _Folded(headers))
        assert {one.window for one in found} <= {window.name for window in windows}
        assert len({one.window for one in found}) == len(found)
        for one in found:
            assert one.limit is None or 1 <= one.limit < 10**9
            assert one.remaining is None or 0 <= one.remaining < 10**9
            assert one.reset_ms is None or one.reset_ms >= 0
