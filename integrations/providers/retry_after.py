"""When an answer says to ask again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

MIN_S = 1.0
MAX_S = 3600.0
MOST_DIGITS = 12

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"[a-z]{{3}}, (?P<day>\d\d) (?P<month>[a-z]{{3}}) (?P<year>\d{{4}}) {_TIME} GMT",
        rf"[a-z]{{6,9}}, (?P<day>\d\d)-(?P<month>[a-z]{{3}})-(?P<year>\d\d) {_TIME} GMT",
        rf"[a-z]{{3}} (?P<month>[a-z]{{3}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
_YEARS_AHEAD = 50


def http_date(text: str, now: datetime) -> datetime | None:
    """A date in one of HTTP's three forms, None for anything else; `now` tells the century of a year of two digits.

    https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
    """
    found = next((match for form in _DATES if (match := form.fullmatch(text))), None)
    if found is None or found["month"].lower() not in _MONTHS:
        return None
    year = int(found["year"])
    if len(found["year"]) < len("2026"):
        year += now.year - now.year % 100
        year -= 100 if year > now.year + _YEARS_AHEAD else 0
    month, second = _MONTHS.index(found["month"].lower()) + 1, min(59, int(found["second"]))  # 60: a leap second
    try:
        return datetime(year, month, int(found["day"]), int(found["hour"]), int(found["minute"]), second, tzinfo=UTC)
    except ValueError:
        return None


def answered_at(headers: Mapping[str, str], now: datetime) -> datetime:
    """When it was given, by the vendor's own clock as what else it says; `now` where it does not tell."""
    return http_date(headers.get("date", "").strip(), now) or now


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait by `Retry-After`: a number of seconds, or a date, counted from the answer's own `Date`.

    Brought into 1 s … 1 h; None when absent, given twice or malformed.
    https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
    """
    value = headers.get("retry-after", "").strip()
    now = now or datetime.now(UTC)
    if value.isascii() and value.isdigit():
        seconds = float(value[:MOST_DIGITS])
    elif at := http_date(value, now):
        seconds = (at - answered_at(headers, now)).total_seconds()
    else:
        return None
    return min(max(seconds, MIN_S), MAX_S)
