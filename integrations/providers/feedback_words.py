"""Feedback after a showing, put into words for people who read it in a CRM. Pure.

What staff wrote for themselves (notes of the tour, how to get in) is not part of the facts and is never told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from .base import FeedbackFacts, Wanted
from .phrasing import one_line, tag, untagged

MAX_NOTE = 4999
"""Characters: every vendor takes fewer than 5,000."""
MAX_PHRASES = 600
MAX_TITLE = 255
_DUE = time(9)
_SATURDAY = 5
_OFFERS = {"writing_offer": "Writing an offer"}
_OFFER_REASONS = {"writing_offer": "writing an offer", "likely": "offer likely"}


def note_text(said: FeedbackFacts, marker: str) -> str:
    """Plain text: a first line that stays, what was said, and the marker alone on the last line.

    Long comments are cut with an ellipsis; the marker never is, and there is only one.
    """
    lines = [headline(said), f"From: {words(said.author_role)}", f"Interest: {words(said.interest_level)}"]
    if said.overall_rating is not None:
        lines.append(f"Rating: {said.overall_rating} of 5")
    if said.price_opinion != "no_opinion":
        lines.append(f"Price: {words(said.price_opinion)}")
    if said.second_showing:
        lines.append(f"Second showing: {words(said.second_showing)}")
    if said.offer_likelihood:
        lines.append(f"Offer: {_OFFERS.get(said.offer_likelihood) or words(said.offer_likelihood)}")
    if said.likes:
        lines.append("Likes: " + one_line(", ".join(said.likes), MAX_PHRASES))
    if said.dislikes:
        lines.append("Dislikes: " + one_line(", ".join(said.dislikes), MAX_PHRASES))
    comments = said.comments.strip()
    if comments:
        lines.append("Comments: " + comments)
    end = f"\n{tag(marker)}"
    return _cut(untagged("\n".join(lines)), MAX_NOTE - len(end)) + end


def task_title(said: FeedbackFacts, marker: str) -> str:
    """What is to be done, where; the marker at the end, whole."""
    end = f" {tag(marker)}"
    return one_line(untagged(f"Follow up: {said.street} · {_reason(said)}"), MAX_TITLE - len(end)) + end


def task_body(said: FeedbackFacts) -> str:
    """Why there is a task."""
    return untagged(f"{headline(said)}\n{_reason(said).capitalize()}. The whole answer is in that showing's note.")


def task_due(said: FeedbackFacts) -> datetime:
    """Nine o'clock of the next day from Monday to Friday after the answer, by the tour's clocks."""
    zone = ZoneInfo(said.time_zone)
    day = said.submitted_at.astimezone(zone).date() + timedelta(days=1)
    while day.weekday() >= _SATURDAY:
        day += timedelta(days=1)
    return datetime.combine(day, _DUE, zone)


def headline(said: FeedbackFacts) -> str:
    """The first line, which stays: where and when."""
    shown = said.shown_at.astimezone(ZoneInfo(said.time_zone))
    return f"Showing feedback · {one_line(said.street, 160)} · {shown:%b} {shown.day}, {shown.year}"


def _reason(said: FeedbackFacts) -> str:
    reasons = [_OFFER_REASONS[said.offer_likelihood]] if said.offer_likelihood in _OFFER_REASONS else []
    if said.second_showing == "yes":
        reasons.append("second showing wanted")
    if said.interest_level == "very_interested":
        reasons.append("very interested")
    return ", ".join(reasons)


def words(value: str) -> str:
    """One of our names as people write it."""
    return value.replace("_", " ").capitalize()


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def same_text(owned: Sequence[str], wanted: Wanted, theirs: Mapping[str, Any]) -> bool | None:
    """Whether a note or task in a CRM reads as wanted, by the fields we own; None: the answer does not tell.

    What is not wanted any more is left as it is: as good.
    """
    if wanted.absent:
        return True
    told = [theirs.get(name) for name in owned]
    if not all(isinstance(value, str) for value in told):
        return None
    return told == [wanted.body[name] for name in owned]
