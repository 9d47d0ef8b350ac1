"""How a tour that is over reads in a CRM."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from integrations.providers import summary_words
from integrations.providers.base import SeenFacts, SummaryFacts

MARKER = "ABCDEFGHJKMN"
TOUR = SummaryFacts(
    id=1,
    version=2,
    included=True,
    tour_reference="SAC-0001",
    tour_title="Lee — 4 homes",
    starts_at=datetime(2026, 9, 15, 1, 0, tzinfo=UTC),
    time_zone="America/Los_Angeles",
    agent_name="Michael Hudson",
    seen=(
        SeenFacts("3526 High St", "Sacramento", "confirmed", "showed", "very_interested", 5, "yes"),
        SeenFacts("51 Omaha Ct", "Sacramento", "confirmed", "no_show"),
        SeenFacts("2796 Branch St", "", "denied", "none"),
        SeenFacts("2805 Janette Way", "Davis", "cancelled", "showed"),
        SeenFacts("6001 Mcmahon Dr", "Davis", "pending", "none", "unknown", 3, "maybe"),
    ),
    contact_id=1,
)


def test_a_summary_tells_each_home_in_order_with_what_came_of_it_and_was_said_last() -> None:
    assert summary_words.summary_text(TOUR, MARKER).splitlines() == [
        "Tour summary · SAC-0001 · Sep 14, 2026",
        "Lee — 4 homes",
        "Shown by Michael Hudson",
        "1. 3526 High St, Sacramento — showed, very interested, rating 5 of 5, second showing: yes",
        "2. 51 Omaha Ct, Sacramento — no-show",
        "3. 2796 Branch St — denied",
        "4. 2805 Janette Way, Davis — cancelled",
        "5. 6001 Mcmahon Dr, Davis — outcome not recorded, rating 3 of 5, second showing: maybe",
        "[RR-ABCDEFGHJKMN]",
    ]


def test_what_is_not_known_of_the_tour_has_no_line() -> None:
    bare = replace(TOUR, tour_title="", agent_name="", seen=TOUR.seen[1:2])
    assert summary_words.summary_text(bare, MARKER).splitlines() == [
        "Tour summary · SAC-0001 · Sep 14, 2026",
        "1. 51 Omaha Ct, Sacramento — no-show",
        "[RR-ABCDEFGHJKMN]",
    ]


def test_the_first_line_stays_whatever_is_corrected() -> None:
    corrected = replace(TOUR, tour_title="Other", agent_name="Ann", seen=(), version=9)
    assert summary_words.headline(corrected) == summary_words.headline(TOUR)


def test_the_date_is_that_of_the_tours_own_clocks() -> None:
    assert summary_words.headline(replace(TOUR, time_zone="UTC")).endswith("Sep 15, 2026")


@pytest.mark.parametrize("homes", [80, 999])
def test_however_many_homes_it_stays_short_and_says_how_many_are_left_out(homes: int) -> None:
    long = replace(TOUR, seen=tuple(replace(TOUR.seen[0], street=f"{place} {'x' * 50} St") for place in range(homes)))
    text = summary_words.summary_text(long, MARKER)
    lines = text.splitlines()
    shown = len(lines) - 5
    assert 4800 < len(text) < 5000
    assert lines[3].startswith("1. 0 xxx")
    assert lines[-2:] == [f"… and {homes - shown} more homes", "[RR-ABCDEFGHJKMN]"]
    assert lines[-3].startswith(f"{shown}. ")


def test_homes_that_just_fit_are_all_told() -> None:
    home = SeenFacts("x" * 93, "", "confirmed", "showed")
    bare = replace(TOUR, tour_title="", agent_name="", tour_reference="R", seen=(home,) * 46)
    spare = 4999 - len(summary_words.summary_text(bare, MARKER))
    exact = replace(bare, seen=(*bare.seen[:-1], replace(home, street="x" * (93 + spare))))
    assert 0 <= spare <= 66
    assert len(summary_words.summary_text(exact, MARKER)) == 4999
    one_more = replace(exact, seen=(*exact.seen[:-1], replace(home, street="x" * (94 + spare))))
    assert "… and 1 more home\n" in summary_words.summary_text(one_more, MARKER)


def test_texts_of_any_length_and_shape_keep_to_their_line() -> None:
    odd = replace(
        TOUR,
        tour_title="t" * 500,
        agent_name="a\nb" * 200,
        tour_reference="R" * 64,
        seen=(SeenFacts("s\n" * 400, "c" * 400, "confirmed", "showed"),),
    )
    text = summary_words.summary_text(odd, MARKER)
    assert (len(text) < 5000, len(text.splitlines())) == (True, 5)


def test_a_marker_that_staff_copied_into_a_title_is_none() -> None:
    text = summary_words.summary_text(replace(TOUR, tour_title="see [RR-ZZZZZZZZZZZZ]"), MARKER)
    assert "see (RR-ZZZZZZZZZZZZ]" in text
    assert text.count("[RR-") == 1
