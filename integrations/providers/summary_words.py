"""A tour that is over, put into words for people who read it in a CRM. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from .base import SeenFacts, SummaryFacts
from .feedback_words import MAX_NOTE, words
from .phrasing import one_line, tag, untagged

MAX_PART = 120
MAX_STREET = 160
_OFF = {"denied": "denied", "cancelled": "cancelled"}
_CAME = {"showed": "showed", "no_show": "no-show"}


def summary_text(tour: SummaryFacts, marker: str) -> str:
    """Plain text: a first line that stays, a line for each home in order, and the marker alone on the last line.

    However many homes, it stays below 5,000 characters: those that do not fit are counted, the marker never goes.
    """
    head = [headline(tour)]
    if tour.tour_title:
        head.append(one_line(tour.tour_title, MAX_PART))
    if tour.agent_name:
        head.append(f"Shown by {one_line(tour.agent_name, MAX_PART)}")
    homes = [f"{place}. {_home(seen)}" for place, seen in enumerate(tour.seen, start=1)]
    end = f"\n{tag(marker)}"
    return _fitting(untagged("\n".join(head)), [untagged(home) for home in homes], MAX_NOTE - len(end)) + end


def headline(tour: SummaryFacts) -> str:
    """The first line, which stays: which tour, and its day by the tour's clocks."""
    day = tour.starts_at.astimezone(ZoneInfo(tour.time_zone))
    return f"Tour summary · {one_line(tour.tour_reference, 64)} · {day:%b} {day.day}, {day.year}"


def _home(seen: SeenFacts) -> str:
    """Where, what came of it, and what was said last."""
    where = ", ".join(part for part in (one_line(seen.street, MAX_STREET), one_line(seen.city, MAX_PART)) if part)
    came = _OFF.get(seen.appointment_status) or _CAME.get(seen.outcome) or "outcome not recorded"
    told = [came]
    if seen.interest_level not in ("", "unknown"):
        told.append(words(seen.interest_level).lower())
    if seen.overall_rating is not None:
        told.append(f"rating {seen.overall_rating} of 5")
    if seen.second_showing:
        told.append(f"second showing: {words(seen.second_showing).lower()}")
    return f"{where} — {', '.join(told)}"


def _fitting(head: str, homes: Sequence[str], longest: int) -> str:
    """All homes if they fit, else as many whole lines as leave room to say how many there are more."""
    whole = "\n".join([head, *homes])
    if len(whole) <= longest:
        return whole
    rest = f"… and {len(homes)} more homes"
    text, shown = head, 0
    for home in homes:
        if len(text) + 1 + len(home) + 1 + len(rest) > longest:
            break
        text, shown = f"{text}\n{home}", shown + 1
    left = len(homes) - shown
    return f"{text}\n… and {left} more {'home' if left == 1 else 'homes'}"
