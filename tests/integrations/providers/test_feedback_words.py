"""How feedback reads in a CRM."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from integrations.providers import feedback_words
from integrations.providers.base import FeedbackFacts

MARKER = "ABCDEFGHJKMN"
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
SAID = FeedbackFacts(
    id=1,
    version=1,
    included=True,
    calls_for_action=True,
    street="3526 High St",
    shown_at=datetime(2026, 9, 15, 1, 0, tzinfo=UTC),
    time_zone="America/Los_Angeles",
    author_role="buyer_agent",
    submitted_at=datetime(2026, 9, 15, 4, 0, tzinfo=UTC),
    interest_level="very_interested",
    overall_rating=4,
    price_opinion="slightly_high",
    second_showing="yes",
    likes=("yard", "new roof"),
    dislikes=("traffic",),
    comments="Loved it.\nWill talk to the bank.",
    contact_id=1,
)


def test_a_note_tells_all_that_was_said_in_order() -> None:
    assert feedback_words.note_text(SAID, MARKER).splitlines() == [
        "Showing feedback · 3526 High St · Sep 14, 2026",
        "From: Buyer agent",
        "Interest: Very interested",
        "Rating: 4 of 5",
        "Price: Slightly high",
        "Second showing: Yes",
        "Likes: yard, new roof",
        "Dislikes: traffic",
        "Comments: Loved it.",
        "Will talk to the bank.",
        "[RR-ABCDEFGHJKMN]",
    ]


def test_what_was_not_said_has_no_line() -> None:
    little = replace(
        SAID, overall_rating=None, price_opinion="no_opinion", second_showing="", likes=(), dislikes=(), comments=" "
    )
    assert feedback_words.note_text(little, MARKER).splitlines()[1:] == [
        "From: Buyer agent",
        "Interest: Very interested",
        "[RR-ABCDEFGHJKMN]",
    ]


def test_a_long_comment_is_cut_and_the_marker_is_not() -> None:
    text = feedback_words.note_text(replace(SAID, comments="x" * 5000, likes=("y" * 5000,)), MARKER)
    assert len(text) == 4999
    assert text.endswith("x…\n[RR-ABCDEFGHJKMN]")


def test_a_marker_that_staff_copied_into_a_comment_is_none() -> None:
    text = feedback_words.note_text(replace(SAID, comments="see [RR-ZZZZZZZZZZZZ]"), MARKER)
    assert "see (RR-ZZZZZZZZZZZZ]" in text
    assert text.count("[RR-") == 1


def test_a_task_says_what_to_do_and_keeps_its_marker_whole() -> None:
    assert feedback_words.task_title(SAID, MARKER) == (
        "Follow up: 3526 High St · second showing wanted, very interested [RR-ABCDEFGHJKMN]"
    )
    long = feedback_words.task_title(replace(SAID, street="x" * 400), MARKER)
    assert len(long) == 255
    assert long.endswith("… [RR-ABCDEFGHJKMN]")


@pytest.mark.parametrize(
    ("submitted", "due"),
    [
        (datetime(2026, 9, 14, 21, 0, tzinfo=LOS_ANGELES), datetime(2026, 9, 15, 9, 0, tzinfo=LOS_ANGELES)),
        (datetime(2026, 9, 18, 8, 0, tzinfo=LOS_ANGELES), datetime(2026, 9, 21, 9, 0, tzinfo=LOS_ANGELES)),
        (datetime(2026, 9, 19, 8, 0, tzinfo=LOS_ANGELES), datetime(2026, 9, 21, 9, 0, tzinfo=LOS_ANGELES)),
        (datetime(2026, 9, 20, 23, 0, tzinfo=LOS_ANGELES), datetime(2026, 9, 21, 9, 0, tzinfo=LOS_ANGELES)),
        # Clocks go back on the first of November.
        (datetime(2026, 10, 30, 12, 0, tzinfo=LOS_ANGELES), datetime(2026, 11, 2, 17, 0, tzinfo=UTC)),
    ],
)
def test_a_task_is_due_at_nine_on_the_next_business_day(submitted: datetime, due: datetime) -> None:
    assert feedback_words.task_due(replace(SAID, submitted_at=submitted.astimezone(UTC))) == due


# --- an offer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "line"),
    [
        ("writing_offer", "Offer: Writing an offer"),
        ("likely", "Offer: Likely"),
        ("unlikely", "Offer: Unlikely"),
        ("no", "Offer: No"),
    ],
)
def test_how_likely_an_offer_is_stands_after_the_second_showing(offer: str, line: str) -> None:
    lines = feedback_words.note_text(replace(SAID, offer_likelihood=offer), MARKER).splitlines()
    assert lines[5:7] == ["Second showing: Yes", line]
    assert [each for each in lines if each != line] == feedback_words.note_text(SAID, MARKER).splitlines()


@pytest.mark.parametrize(
    ("offer", "why"),
    [
        ("writing_offer", "writing an offer, second showing wanted, very interested"),
        ("likely", "offer likely, second showing wanted, very interested"),
        ("unlikely", "second showing wanted, very interested"),
        ("no", "second showing wanted, very interested"),
    ],
)
def test_an_offer_to_come_is_the_first_reason_of_a_task(offer: str, why: str) -> None:
    said = replace(SAID, offer_likelihood=offer)
    assert feedback_words.task_title(said, MARKER) == f"Follow up: 3526 High St · {why} [RR-ABCDEFGHJKMN]"
    assert f"\n{why.capitalize()}. The whole" in feedback_words.task_body(said)
