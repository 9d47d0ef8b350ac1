"""Writing very many rows fast: ids taken beforehand, many rows a statement, short transactions.

Django's own `bulk_create` would set `created_at` and `updated_at` to now, and builds an object for each row; a database
that looks as if it had been used for months needs neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection as database
from django.db import models, transaction

STATEMENT_ROWS = 200
TRANSACTION_ROWS = 1_000
"""Some 50 ms on SQLite, whose write lock others wait for."""

# These are stored as they are; other fields translate their values for the database.
_PLAIN = (models.CharField, models.TextField, models.IntegerField, models.ForeignKey)


def take_ids(model: type[models.Model], number: int) -> list[int]:
    """So many ids that nobody else gets, rising."""
    table = model._meta.db_table
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            sequence = "pg_get_serial_sequence(%s, 'id')"
            cursor.execute(f"SELECT nextval({sequence}) FROM generate_series(1, %s)", [table, number])  # noqa: S608
            return sorted(row[0] for row in cursor.fetchall())
        with transaction.atomic():
            cursor.execute("UPDATE sqlite_sequence SET seq = seq + %s WHERE name = %s", [number, table])
            if cursor.rowcount == 0:
                cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, number])
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
            last = int(cursor.fetchone()[0])
    return list(range(last - number + 1, last + 1))


class Ids:
    """Ids one by one, taken in blocks."""

    def __init__(self, model: type[models.Model], block: int) -> None:
        self._model, self._block = model, block
        self._left: list[int] = []

    def next(self) -> int:
        if not self._left:
            self._left = take_ids(self._model, self._block)[::-1]
        return self._left.pop()


class Rows:
    """Rows of one table, all with the same columns (attribute names); `write` stores and forgets them."""

    def __init__(self, model: type[models.Model], *names: str) -> None:
        self.model = model
        self._fields = [_field(model, name) for name in names]
        self._kept: list[tuple[Any, ...]] = []
        columns = ", ".join(database.ops.quote_name(field.column) for field in self._fields)
        self._into = f"{database.ops.quote_name(model._meta.db_table)} ({columns})"
        self._one = f"({', '.join(['%s'] * len(names))})"
        self._translated = [(place, field) for place, field in enumerate(self._fields) if not isinstance(field, _PLAIN)]

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, *values: Any) -> None:
        """One row, in the columns' order."""
        self._kept.append(values)

    def write(self) -> None:
        """In transactions of `TRANSACTION_ROWS`."""
        rows, self._kept = self._kept, []
        for start in range(0, len(rows), TRANSACTION_ROWS):
            ready = [self._ready(row) for row in rows[start : start + TRANSACTION_ROWS]]
            with transaction.atomic(), database.cursor() as cursor:
                if database.vendor == "postgresql":
                    self._copy(cursor, ready)
                else:
                    self._insert(cursor, ready)

    def _copy(self, cursor: Any, ready: Sequence[Sequence[Any]]) -> None:
        """Twice as fast as INSERT, whose values psycopg writes out one by one."""
        with cursor.copy(f"COPY {self._into} FROM STDIN") as copy:
            for row in ready:
                copy.write_row(row)

    def _insert(self, cursor: Any, ready: Sequence[Sequence[Any]]) -> None:
        for at in range(0, len(ready), STATEMENT_ROWS):
            some = ready[at : at + STATEMENT_ROWS]
            values = [value for row in some for value in row]
            rows = ", ".join([self._one] * len(some))
            cursor.execute(f"INSERT INTO {self._into} VALUES {rows}", values)  # noqa: S608  names of our own models

    def _ready(self, row: Sequence[Any]) -> Sequence[Any]:
        ready = list(row)
        for place, field in self._translated:
            ready[place] = field.get_db_prep_save(row[place], database)
        return ready


def _field(model: type[models.Model], name: str) -> Any:
    return next(field for field in model._meta.concrete_fields if name in (field.attname, field.name))
