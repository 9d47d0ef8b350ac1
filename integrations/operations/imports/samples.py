"""What each column of a file means, in a line, and files to begin with: a header and two rows that can be imported."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

from .runs import FORMATS


@dataclass(frozen=True, slots=True)
class Column:
    """`must`: it may not be empty. `form`: how it is written. `examples`: in the two sample rows."""

    must: bool
    form: str
    examples: tuple[str, str] = ("", "")


_TIME = "2026-09-14T14:30, the clock in time_zone; or with an offset"

TOURS: Mapping[str, Column] = {
    "tour_ref": Column(True, "your own number for the tour; all rows of a tour share it", ("EXAMPLE-1", "EXAMPLE-1")),
    "title": Column(False, "text; the same on all rows of a tour", ("Two homes in Sacramento",) * 2),
    "buyer_first_name": Column(False, "text", ("Bea", "Bea")),
    "buyer_last_name": Column(False, "text", ("Buyer", "Buyer")),
    "buyer_email": Column(False, "e-mail address; this or a phone number must be given", ("bea@example.com",) * 2),
    "buyer_phone": Column(False, "+19165550123: with + and country code", ("+19165550123",) * 2),
    "agent_name": Column(True, "text", ("Ann Agent", "Ann Agent")),
    "agent_email": Column(True, "e-mail address; an agent is recognised by it", ("ann@example.com",) * 2),
    "time_zone": Column(True, "IANA name, America/Los_Angeles", ("America/Los_Angeles",) * 2),
    "starts_at": Column(True, f"start of the tour: {_TIME}", ("2026-09-14T14:00",) * 2),
    "stop_sequence": Column(True, "place in the tour, 1 to 999", ("1", "2")),
    "street": Column(True, "text", ("3526 High St", "51 Omaha Ct")),
    "city": Column(False, "text", ("Sacramento", "Sacramento")),
    "state": Column(False, "two letters", ("CA", "CA")),
    "postal_code": Column(False, "ZIP or ZIP+4", ("95838", "95823")),
    "latitude": Column(False, "degrees", ("38.631913", "38.478902")),
    "longitude": Column(False, "degrees", ("-121.434879", "-121.431028")),
    "list_price": Column(False, "dollars", ("459222", "512000")),
    "bedrooms": Column(False, "number", ("2", "3")),
    "bathrooms": Column(False, "number", ("1", "1.5")),
    "living_area": Column(False, "square feet", ("836", "1167")),
    "property_type": Column(False, "text", ("Residential", "Condo")),
    "appointment_start": Column(True, _TIME, ("2026-09-14T14:00", "2026-09-14T14:50")),
    "appointment_end": Column(True, "after the start", ("2026-09-14T14:30", "2026-09-14T15:20")),
    "appointment_status": Column(
        False, "pending, confirmed, denied or cancelled; empty: pending", ("confirmed", "pending")
    ),
    "showing_method": Column(False, "in_person, virtual or other; empty: in_person", ("in_person", "virtual")),
}
FEEDBACK: Mapping[str, Column] = {
    "tour_ref": Column(True, "a tour that is known", ("EXAMPLE-1", "EXAMPLE-1")),
    "stop_sequence": Column(True, "which of its stops", ("1", "2")),
    "submitted_at": Column(
        True, "2026-09-14T19:30, the clock in the tour's zone; or with an offset", ("2026-09-14T19:30",) * 2
    ),
    "author_role": Column(True, "buyer_agent, showing_agent, buyer or listing_agent", ("buyer", "buyer_agent")),
    "interest_level": Column(
        False, "very_interested, interested, unsure, not_interested or unknown", ("very_interested", "unsure")
    ),
    "overall_rating": Column(False, "1 to 5", ("5", "3")),
    "price_opinion": Column(False, "too_low, fair, slightly_high, too_high or no_opinion", ("fair", "slightly_high")),
    "second_showing": Column(False, "yes, no or maybe", ("yes", "no")),
    "likes": Column(False, "short texts with | between", ("kitchen|quiet street", "garden")),
    "dislikes": Column(False, "short texts with | between", ("", "busy road")),
    "comments": Column(False, "text", ("Wants to see it again.", "")),
    "offer_likelihood": Column(
        False, "writing_offer, likely, unlikely or no; the whole column may be missing", ("likely", "")
    ),
}
COLUMNS: Mapping[str, Mapping[str, Column]] = {"tours": TOURS, "feedback": FEEDBACK}


def columns(kind: str) -> list[tuple[str, Column]]:
    """The reader's columns in its order, those that may be missing last."""
    form = FORMATS[kind]
    return [(name, COLUMNS[kind][name]) for name in (*form.COLUMNS, *form.OPTIONAL)]


def sample(kind: str) -> str:
    """A file to begin with, CSV."""
    file = io.StringIO(newline="")
    rows = csv.writer(file)
    known = columns(kind)
    rows.writerow(name for name, _ in known)
    for place in (0, 1):
        rows.writerow(column.examples[place] for _, column in known)
    return file.getvalue()
