"""Counting no further than anybody reads: of a million rows a list says “more than 10,000”, and has read no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection as database
from django.db.models import QuerySet

from integrations.models import Operation

MOST = 10_000


class MoreThan(int):
    """`MOST`, and more that were not counted; says so where it is shown."""

    def __str__(self) -> str:
        return f"more than {int(self):,}"


def count(rows: QuerySet[Any, Any]) -> int:
    """How many, or `MoreThan(MOST)`. One query, which reads so many rows and no more."""
    return capped(rows.order_by().values("pk")[: MOST + 1].count())


def capped(number: int) -> int:
    """`number` as far as it is known: beyond `MOST` only that it is more."""
    return number if number <= MOST else MoreThan(MOST)


def total(numbers: Iterable[int]) -> int:
    """The sum; that it is more when one of them is."""
    found = list(numbers)
    return MoreThan(MOST) if any(isinstance(each, MoreThan) for each in found) else capped(sum(found))


def by_state(states: Sequence[str]) -> dict[str, int]:
    """state → how many operations, as `count` has it. One query, by the index of states."""
    counted = _counted("state = column1", ", ".join(["(%s)"] * len(states)), "column1", list(states))
    return {state: number for state, number in counted if number}


def by_connection(connection_ids: Sequence[int], states: Sequence[str]) -> dict[int, dict[str, int]]:
    """connection id → state → how many operations, as `count` has it. One query, by the index of states."""
    pairs = [(pk, state) for pk in connection_ids for state in states]
    found: dict[int, dict[str, int]] = {}
    if not pairs:
        return found
    values = ", ".join(["(%s, %s)"] * len(pairs))
    where = "connection_id = column1 AND state = column2"
    for pk, state, number in _counted(where, values, "column1, column2", [part for pair in pairs for part in pair]):
        if number:
            found.setdefault(pk, {})[state] = number
    return found


def _counted(where: str, values: str, columns: str, params: list[Any]) -> list[tuple[Any, ...]]:
    """One row for each of `values`: they, then how many."""
    some = f"SELECT 1 FROM {Operation._meta.db_table} WHERE {where} LIMIT {MOST + 1}"  # noqa: S608  our own words
    sql = f"SELECT {columns}, (SELECT COUNT(*) FROM ({some}) AS read_rows) FROM (VALUES {values}) AS wanted"  # noqa: S608
    with database.cursor() as cursor:
        cursor.execute(sql, params)
        return [(*row[:-1], capped(row[-1])) for row in cursor.fetchall()]
