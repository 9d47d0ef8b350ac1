"""How our records are put into words for people who read them in a CRM. Pure."""

from __future__ import annotations

from .base import ShowingFacts

MAX_ADDRESS = 255


def one_line(text: str, longest: int) -> str:
    """Without line breaks or runs of blanks; a cut is shown by an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def address(showing: ShowingFacts) -> str:
    """One line, as people write it."""
    region = " ".join(part for part in (showing.state, showing.postal_code) if part)
    return one_line(", ".join(part for part in (showing.street, showing.city, region) if part), MAX_ADDRESS)


def showing_title(showing: ShowingFacts) -> str:
    """Where, and on which tour."""
    return f"Showing: {showing.street} · {showing.tour_title or showing.tour_reference}"


def tag(marker: str) -> str:
    """Our marker as it stands in a text."""
    return f"[RR-{marker}]"


def untagged(text: str) -> str:
    """A text of ours that is no carrier of a marker, also when staff copied one into it."""
    return text.replace("[RR-", "(RR-")
