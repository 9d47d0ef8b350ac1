"""A CSV file as rows with their line numbers, in bounded memory; what is wrong with it is said with line and byte."""

from __future__ import annotations

import csv
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

MAX_LINE = 1_000_000
"""Bytes; a longer line is not a row of ours, and must not be read into memory whole."""


MAX_QUOTED = 300
"""Characters of a wrong value that are shown."""


class UnreadableFileError(Exception):
    """The file as a whole cannot be read as what it should be; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field of one row, for people. Lines count from 1, the header. `value`: as it was given."""

    line: int
    field: str
    reason: str
    value: str = ""

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Row:
    """The texts of one row, by the reader's columns in their order; None when their number is wrong (`problem`).

    `key` is the text of the first column even then, as far as can be told.
    """

    line: int
    key: str
    values: tuple[str, ...] | None
    problem: Problem | None = None

    def quoted(self, problem: Problem, columns: Sequence[str]) -> Problem:
        """The problem with what stood in its field; `columns` are the reader's."""
        if problem.value or self.values is None or problem.field not in columns:
            return problem
        return replace(problem, value=self.values[columns.index(problem.field)][:MAX_QUOTED])


class CsvReader:
    """Reads `path` once. `columns` must all be there and no others but `optional` ones, in any order.

    Values of optional columns come last; a column that is missing has none, and so have those after it.
    `digest` is the file's SHA-256 once all rows were read; `offset` the bytes read so far of `size`.
    """

    def __init__(self, path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> None:
        self.path = path
        self.columns = tuple(columns)
        self.optional = tuple(optional)
        self.size = path.stat().st_size
        self.offset = 0
        self._line = 0
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[Row]:
        """The rows after the header; blank lines are passed over. Raises UnreadableFileError, OSError."""
        with self.path.open("rb") as file:
            rows = csv.reader(self._lines(file), strict=True)
            order = self._order(self._next(rows))
            while True:
                start = self._line + 1
                fields = self._next(rows)
                if fields is None:
                    return
                if not fields:
                    continue
                key = fields[order[0]] if order[0] < len(fields) else ""
                if len(fields) != len(order):
                    text = f"This row has {len(fields)} fields; the header has {len(order)}."
                    given = ",".join(fields)[:MAX_QUOTED]
                    yield Row(start, key, None, Problem(start, "row", text, given))
                else:
                    yield Row(start, key, tuple(fields[place] for place in order))

    def _next(self, rows: Iterator[list[str]]) -> list[str] | None:
        start = self._line + 1
        try:
            return next(rows, None)
        except csv.Error as error:
            raise UnreadableFileError(f"line {start}: this is not CSV as expected: {error}.") from None

    def _order(self, header: list[str] | None) -> list[int]:
        """Where each of our columns stands in the file."""
        if header is None:
            raise UnreadableFileError("The file is empty.")
        names = [name.strip() for name in header]
        wrong = []
        if unknown := [name for name in dict.fromkeys(names) if name not in (*self.columns, *self.optional)]:
            wrong.append(f"unknown column {_listed(unknown)}")
        if missing := [name for name in self.columns if name not in names]:
            wrong.append(f"missing column {_listed(missing)}")
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            wrong.append(f"column given more than once: {_listed(twice)}")
        if wrong:
            hint = " Columns are separated by commas." if len(names) == 1 else ""
            raise UnreadableFileError(f"line 1: {'; '.join(wrong)}.{hint}")
        there = itertools.takewhile(lambda name: name in names, self.optional)
        return [names.index(name) for name in (*self.columns, *there)]

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        while raw := file.readline(MAX_LINE + 1):
            self._line += 1
            if len(raw) > MAX_LINE:
                raise UnreadableFileError(f"line {self._line}: longer than {MAX_LINE:,} bytes; no row is that long.")
            if self._line == 1 and raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise UnreadableFileError("The file is in UTF-16: save it as “CSV UTF-8”.")
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise UnreadableFileError(
                    f"line {self._line}: byte {self.offset + error.start + 1} of the file (0x{raw[error.start]:02x}) "
                    "is not UTF-8: save the file as “CSV UTF-8”."
                ) from None
            self.offset += len(raw)
            self._hash.update(raw)
            yield text.removeprefix("\ufeff") if self._line == 1 else text


def _listed(names: Sequence[str]) -> str:
    shown = [f"“{name[:60]}”" for name in names[:5]]
    return ", ".join(shown) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
