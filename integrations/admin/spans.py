"""Years, months and days to choose from in a list, from the first record there is to the last.

Django's own date hierarchy reads the month or day of every record that is listed, to leave out those without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.utils import formats
from django.utils.text import capfirst

PARTS = ("year", "month", "day")


def spans(cl: ChangeList) -> dict[str, Any] | None:
    """What `admin/date_hierarchy.html` shows: the way back and the choices. None without records. Two queries."""
    name = str(cl.date_hierarchy)
    by_start = cl.model._default_manager.order_by(name).values_list(name, flat=True)
    first, last = by_start.first(), by_start.last()
    if first is None or last is None:
        return None
    chosen = [int(cl.params[f"{name}__{part}"]) for part in PARTS if f"{name}__{part}" in cl.params]
    widest = _common(first.astimezone(UTC), last.astimezone(UTC))

    def link(*values: int) -> str:
        asked = {f"{name}__{part}": value for part, value in zip(PARTS, values, strict=False)}
        return str(cl.get_query_string(asked, [f"{name}__"]))

    if len(chosen) == len(PARTS):
        choices = [{"title": _title(*chosen)}]
    else:
        at = chosen or widest
        there = _within(at, first.astimezone(UTC).date(), last.astimezone(UTC).date())
        choices = [{"title": _title(*at, one), "link": link(*at, one)} for one in there]
    if not chosen:
        return {"back": None, "choices": choices}
    above = chosen[:-1]
    return {"back": {"title": _title(*above) if above else "All dates", "link": link(*above)}, "choices": choices}


def _common(first: datetime, last: datetime) -> list[int]:
    """The year, or the year and month, that all lie in."""
    if first.year != last.year:
        return []
    return [first.year, first.month] if first.month == last.month else [first.year]


def _within(at: list[int], first: date, last: date) -> Iterator[int]:
    """The parts of a span that overlap what there is."""
    low, high = first.timetuple()[: len(at) + 1], last.timetuple()[: len(at) + 1]
    highest = (9999, 12, 31)[len(at)]
    for one in range(low[0] if not at else 1, (high[0] if not at else highest) + 1):
        if low <= (*at, one) <= high:
            yield one


def _title(year: int, month: int | None = None, day: int | None = None) -> str:
    if month is None:
        return str(year)
    if day is None:
        return capfirst(formats.date_format(date(year, month, 1), "YEAR_MONTH_FORMAT"))
    return capfirst(formats.date_format(date(year, month, day), "MONTH_DAY_FORMAT"))
