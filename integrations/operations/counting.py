"""Counting no further than anybody reads: of a million rows a list says “more than 10,000”, and has read no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection as database
from django.db.models import QuerySet

from integrations.models import Operation

MOST = 10_000
MOST_OF_ONE = 1_000
"""Of one connection in one state; there are as many such numbers as connections, in one query."""

# PostgreSQL expects to come upon so few rows soon wherever it begins to read, and of what is rare it would read the
# whole table. So each question names an order that one index has, and sorting is out of the question: no other way is
# left. One round trip and one transaction, then the planner is as before.
_SORTS = ("sort", "incremental_sort")
_BY_INDEX = (
    "; ".join(f"SET LOCAL enable_{way} = off" for way in _SORTS)
    + "; {}; "
    + "; ".join(f"SET LOCAL enable_{way} = DEFAULT" for way in _SORTS)
)


class MoreThan(int):
    """So many, and more that were not counted; says so where it is shown."""

    def __str__(self) -> str:
        return f"more than {int(self):,}"


def count(rows: QuerySet[Any, Any]) -> int:
    """How many, or `MoreThan(MOST)`. One query, which reads so many rows and no more."""
    return capped(rows.order_by().values("pk")[: MOST + 1].count())


def capped(number: int, most: int | None = None) -> int:
    """`number` as far as it is known: beyond `most` (`MOST`) only that it is more."""
    most = MOST if most is None else most
    return number if number <= most else MoreThan(most)


def total(numbers: Iterable[int]) -> int:
    """The sum; that it is more when one of them is."""
    found = list(numbers)
    return MoreThan(sum(found)) if any(isinstance(each, MoreThan) for each in found) else capped(sum(found))


def by_state(states: Sequence[str]) -> dict[str, int]:
    """state → how many operations, as `count` has it. One query, by the index of states."""
    counted = _counted("state BETWEEN column1 AND column1 ORDER BY state", [(state,) for state in states], MOST)
    return {state: number for state, number in counted if number}


def by_connection(connection_ids: Sequence[int], states: Sequence[str]) -> dict[int, dict[str, int]]:
    """connection id → state → how many operations, up to `MOST_OF_ONE` each. One query, by its index."""
    which = "(connection_id, state) BETWEEN (column1, column2) AND (column1, column2) ORDER BY connection_id, state"
    found: dict[int, dict[str, int]] = {}
    for pk, state, number in _counted(which, [(pk, state) for pk in connection_ids for state in states], MOST_OF_ONE):
        if number:
            found.setdefault(pk, {})[state] = number
    return found


def _counted(which: str, wanted: Sequence[tuple[Any, ...]], most: int) -> list[tuple[Any, ...]]:
    """Each of `wanted`, and how many are so."""
    if not wanted:
        return []
    row = f"({', '.join(['%s'] * len(wanted[0]))})"
    columns = ", ".join(f"column{place + 1}" for place in range(len(wanted[0])))
    some = f"SELECT 1 FROM {Operation._meta.db_table} WHERE {which} LIMIT {most + 1}"  # noqa: S608  our own words
    rows = ", ".join([row] * len(wanted))
    sql = f"SELECT {columns}, (SELECT COUNT(*) FROM ({some}) AS read_rows) FROM (VALUES {rows}) AS wanted"  # noqa: S608
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            sql = _BY_INDEX.format(sql)
        cursor.execute(sql, [value for each in wanted for value in each])
        while cursor.description is None:
            cursor.nextset()
        return [(*row[:-1], capped(row[-1], most)) for row in cursor.fetchall()]
