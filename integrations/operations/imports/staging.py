"""The rows of one file, grouped on disk while it is read: the rows of a tour need not stand together.

A private temporary SQLite file, gone when the import ends; memory stays the same whatever the file's size. The second
pass reads from here, so both passes see the same rows even when the file changes meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_SCHEMA = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8000; PRAGMA temp_store = FILE;
CREATE TABLE row (line INTEGER PRIMARY KEY, ref TEXT NOT NULL, fields TEXT NOT NULL);
CREATE TABLE key (ref TEXT, name TEXT, line INTEGER, PRIMARY KEY (ref, name)) WITHOUT ROWID;
CREATE TABLE head (ref TEXT PRIMARY KEY, first_line INTEGER NOT NULL, facts_line INTEGER, facts TEXT,
                   bad INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE span (agent TEXT, start INTEGER, end INTEGER, line INTEGER, label TEXT);
"""


@dataclass(frozen=True, slots=True)
class Group:
    """All rows of one reference: (line, fields), in the file's order."""

    ref: str
    first_line: int
    rows: tuple[tuple[int, list[str]], ...]


class Staging:
    """Use as a context manager."""

    def __enter__(self) -> Self:
        self._dir = tempfile.TemporaryDirectory(prefix="reanna-import-")
        self._db = sqlite3.connect(Path(self._dir.name) / "rows.sqlite3", isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()
        self._dir.cleanup()

    def add(self, line: int, ref: str, fields: Sequence[str]) -> None:
        """Keep a row of `ref`."""
        self._db.execute("INSERT INTO row VALUES (?, ?, ?)", (line, ref, json.dumps(fields)))
        self._db.execute("INSERT OR IGNORE INTO head (ref, first_line) VALUES (?, ?)", (ref, line))

    def claim(self, ref: str, name: str, line: int) -> int | None:
        """Note that `name` occurs in `ref`; the line it occurred on before, if it did."""
        cursor = self._db.execute("INSERT OR IGNORE INTO key VALUES (?, ?, ?)", (ref, name, line))
        if cursor.rowcount:
            return None
        found: tuple[int] = self._db.execute("SELECT line FROM key WHERE ref = ? AND name = ?", (ref, name)).fetchone()
        return found[0]

    def facts(self, ref: str, line: int, facts: Sequence[str]) -> tuple[int, list[str]]:
        """What the first good row of `ref` said of it as a whole, and its line; this row's, if it is the first."""
        found = self._db.execute("SELECT facts_line, facts FROM head WHERE ref = ?", (ref,)).fetchone()
        if found[0] is not None:
            return found[0], json.loads(found[1])
        self._db.execute("UPDATE head SET facts_line = ?, facts = ? WHERE ref = ?", (line, json.dumps(facts), ref))
        return line, list(facts)

    def spoil(self, ref: str, line: int) -> None:
        """One of its rows, on `line`, is wrong."""
        self._db.execute("INSERT OR IGNORE INTO head (ref, first_line) VALUES (?, ?)", (ref, line))
        self._db.execute("UPDATE head SET bad = 1 WHERE ref = ?", (ref,))

    def bad_refs(self, limit: int) -> list[str]:
        rows = self._db.execute("SELECT ref FROM head WHERE bad ORDER BY first_line LIMIT ?", (limit,))
        return [ref for (ref,) in rows]

    def heads(self) -> Iterator[tuple[str, int]]:
        """(reference, first line) of the good groups, in the file's order."""
        yield from self._db.execute("SELECT ref, first_line FROM head WHERE NOT bad ORDER BY first_line")

    def count(self, *, bad: bool) -> int:
        found: tuple[int] = self._db.execute("SELECT COUNT(*) FROM head WHERE bad = ?", (int(bad),)).fetchone()
        return found[0]

    def occupy(self, agent: str, start: int, end: int, line: int, label: str) -> None:
        """Someone is busy from `start` to `end` (seconds)."""
        self._db.execute("INSERT INTO span VALUES (?, ?, ?, ?, ?)", (agent, start, end, line, label))

    def overlaps(self) -> Iterator[tuple[str, int, str, int, str]]:
        """(agent, line, label, other line, other label) for each span that begins before an earlier one has ended."""
        agent, end, line, label = "", 0, 0, ""
        for row in self._db.execute("SELECT agent, start, end, line, label FROM span ORDER BY agent, start, line"):
            if row[0] == agent and row[1] < end:
                yield agent, row[3], row[4], line, label
            if row[0] != agent or row[2] > end:
                agent, end, line, label = row[0], row[2], row[3], row[4]

    def groups(self, from_line: int = 0) -> Iterator[Group]:
        """The good groups whose first row stands on `from_line` or later, by that line."""
        self._db.execute("CREATE INDEX IF NOT EXISTS row_ref ON row (ref, line)")
        heads = self._db.execute(
            "SELECT ref, first_line FROM head WHERE NOT bad AND first_line >= ? ORDER BY first_line", (from_line,)
        )
        for ref, first_line in heads:
            rows = self._db.execute("SELECT line, fields FROM row WHERE ref = ? ORDER BY line", (ref,))
            yield Group(ref, first_line, tuple((line, json.loads(fields)) for line, fields in rows))
