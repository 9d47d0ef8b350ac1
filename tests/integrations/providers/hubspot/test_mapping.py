"""Our records in HubSpot's words. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.providers.hubspot import mapping
from integrations.providers.likeness import Likeness
from tests.integrations.providers.gohighlevel.conftest import ANN, MARKER, SHOWING


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "SCHEDULED"),
        ({"appointment_status": "pending"}, "SCHEDULED"),
        ({"outcome": "showed"}, "COMPLETED"),
        ({"outcome": "no_show"}, "NO_SHOW"),
        ({"live": False}, "CANCELED"),
        ({"live": False, "outcome": "showed"}, "CANCELED"),
        ({"appointment_status": "denied"}, "CANCELED"),
        ({"appointment_status": "cancelled", "outcome": "showed"}, "CANCELED"),
    ],
)
def test_what_becomes_of_a_stop_is_the_meetings_outcome(changes: dict[str, object], outcome: str) -> None:
    assert mapping.outcome(replace(SHOWING, **changes)) == outcome  # type: ignore[arg-type]


def test_a_stop_that_is_not_confirmed_says_so_in_its_title() -> None:
    pending = replace(SHOWING, appointment_status="pending")
    assert mapping.title(pending, MARKER) == (
        "Not confirmed yet · Showing: 3526 High St · Lee — 4 homes [RR-ABCDEFGHJKMN]"
    )
    assert mapping.title(replace(pending, outcome="showed"), MARKER).startswith("Showing: ")
    assert mapping.title(replace(pending, live=False), MARKER).startswith("Showing: ")


def test_however_long_the_street_the_marker_stays_whole_and_alone() -> None:
    title = mapping.title(replace(SHOWING, street="[RR-ZZZZZZZZZZZZ] " + "x" * 300), MARKER)
    assert len(title) == 255
    assert title.endswith("… [RR-ABCDEFGHJKMN]")
    assert title.count("[RR-") == 1


def test_times_are_utc_whatever_their_zone() -> None:
    there = timezone(timedelta(hours=-7))
    assert mapping.utc(datetime(2026, 9, 14, 14, 0, tzinfo=there)) == "2026-09-14T21:00:00.000Z"
    assert mapping.utc(datetime(2026, 9, 14, 14, 0, tzinfo=UTC)) == "2026-09-14T14:00:00.000Z"


@settings(max_examples=60)
@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\xa0"), max_size=60))
def test_a_line_reads_back_as_it_was_written(line: str) -> None:
    assert mapping.plain(mapping.rich(f"{line}\n[RR-X]")) == f"{line}\n[RR-X]".strip()


def test_nothing_of_ours_is_markup_there() -> None:
    assert mapping.rich("<script>\n&amp;") == "&lt;script&gt;<br>&amp;amp;"


@pytest.mark.parametrize(
    ("theirs", "alike"),
    [
        ({"email": "ANN@mail.example", "firstname": "Zoe"}, Likeness.SAME),
        ({"email": "z@z.example", "hs_additional_emails": "a@b.example;ann@mail.example"}, Likeness.SAME),
        ({"email": "bob@mail.example", "firstname": "Ann", "lastname": "Lee"}, Likeness.OTHER),
        ({"email": "", "hs_additional_emails": "", "firstname": "Ann", "lastname": "Lee"}, Likeness.SAME),
        ({"firstname": "Bob"}, Likeness.OTHER),
        ({}, Likeness.UNSURE),
    ],
)
def test_who_is_our_buyer(theirs: dict[str, str], alike: Likeness) -> None:
    assert mapping.likeness(mapping.contact_body(ANN), theirs) is alike


def test_nobody_is_searched_for_by_nothing() -> None:
    assert mapping.search_groups(replace(ANN, email="", phone="")) == []
    assert len(mapping.search_groups(ANN)) == 5
