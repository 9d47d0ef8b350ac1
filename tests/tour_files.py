"""Files of tours and feedback as people hand them in; and the shared samples, where they are installed."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from integrations.operations.imports.feedback import COLUMNS as FEEDBACK_COLUMNS
from integrations.operations.imports.feedback import OPTIONAL
from integrations.operations.imports.tours import COLUMNS as TOUR_COLUMNS

DATA = Path(__file__).resolve().parent / "data"
SHARED = Path(os.environ.get("REANNA_SHARED") or Path(__file__).resolve().parents[2] / "shared")

ROW = {
    "tour_ref": "A-1",
    "title": "Two homes",
    "buyer_first_name": "Bea",
    "buyer_last_name": "Buyer",
    "buyer_email": "bea@mail.example",
    "buyer_phone": "+19165550001",
    "agent_name": "Ann Agent",
    "agent_email": "ann@brokerage.example",
    "time_zone": "America/Los_Angeles",
    "starts_at": "2026-09-14T14:00",
    "stop_sequence": "1",
    "street": "3526 High St",
    "city": "Sacramento",
    "state": "CA",
    "postal_code": "95838",
    "latitude": "38.631913",
    "longitude": "-121.434879",
    "list_price": "59222",
    "bedrooms": "2",
    "bathrooms": "1",
    "living_area": "836",
    "property_type": "Residential",
    "appointment_start": "2026-09-14T14:00",
    "appointment_end": "2026-09-14T14:30",
    "appointment_status": "confirmed",
    "showing_method": "in_person",
}
ANSWER = {
    "tour_ref": "A-1",
    "stop_sequence": "1",
    "submitted_at": "2026-09-14T19:30",
    "author_role": "buyer",
    "interest_level": "interested",
    "overall_rating": "4",
    "price_opinion": "fair",
    "second_showing": "maybe",
    "likes": "kitchen|yard",
    "dislikes": "",
    "comments": "Light all day.",
}


def tours_file(path: Path, *rows: dict[str, Any]) -> Path:
    """A file of tours at `path`; each row differs from ROW by what is given."""
    return _write(path, TOUR_COLUMNS, ({**ROW, **row} for row in rows))


def many_tours(path: Path, count: int) -> Path:
    """`count` tours of three stops (every fifth of four), each with a buyer of its own; always the same file."""
    return tours_file(path, *(_stop(tour, stop) for tour in range(count) for stop in range(4 if tour % 5 == 0 else 3)))


def _stop(tour: int, stop: int) -> dict[str, Any]:
    """One row of `many_tours`: every seventh stop is pending, every thirty-first cancelled, the rest confirmed."""
    number = 4 * tour + stop
    day, first = f"2027-03-{1 + tour % 28:02}", 9 + tour // 28 % 8
    return {
        "tour_ref": f"M-{tour:04}",
        "title": f"Tour {tour}",
        "buyer_first_name": f"Bea{tour}",
        "buyer_email": f"bea{tour}@mail.example",
        "buyer_phone": f"+1916556{tour:04}",
        "agent_email": f"agent{tour % 7}@brokerage.example",
        "starts_at": f"{day}T{first:02}:00",
        "stop_sequence": str(stop + 1),
        "street": f"{100 + number} High St",
        "appointment_start": f"{day}T{first + stop:02}:00",
        "appointment_end": f"{day}T{first + stop:02}:30",
        "appointment_status": "cancelled" if number % 31 == 30 else "pending" if number % 7 == 6 else "confirmed",
    }


def feedback_file(path: Path, *rows: dict[str, Any]) -> Path:
    """A file of feedback at `path`; each row differs from ANSWER by what is given. Optional columns only when named."""
    optional = [name for name in OPTIONAL if any(name in row for row in rows)]
    return _write(path, (*FEEDBACK_COLUMNS, *optional), ({**ANSWER, **row} for row in rows))


def shared_sample(name: str) -> Path:
    """A shared sample file. Skips the test, and says so, where it is not installed (REANNA_SHARED)."""
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"the shared sample {path} is not here; set REANNA_SHARED to the folder that holds data/{name}")
    return path


def _write(path: Path, columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
