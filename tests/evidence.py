"""What a run left behind, read without the product's code: rows of its database, requests the CRM saw, files."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]


class Database:
    """Reads the product's database as it is now: a SQLite file or a postgres:// address. Never writes."""

    def __init__(self, target: Path | str) -> None:
        self.target = target

    @classmethod
    def of(cls, data: Path, environ: Mapping[str, str]) -> Database:
        """The database of an installation: DATABASE_URL, else the file in its data folder."""
        return cls(environ.get("DATABASE_URL") or data / "reanna.sqlite3")

    def rows(self, sql: str) -> list[Row]:
        """One read; the SQL is the same for both databases."""
        if isinstance(self.target, Path):
            uri = f"{self.target.absolute().as_uri()}?mode=ro"
            with sqlite3.connect(uri, uri=True, timeout=20) as connection:
                connection.row_factory = sqlite3.Row
                found = [dict(row) for row in connection.execute(sql)]
            connection.close()
            return found
        with psycopg.connect(self.target, row_factory=dict_row) as server:
            return server.execute(sql.encode()).fetchall()

    def texts(self) -> Iterator[tuple[str, bytes]]:
        """Everything it holds, as (where, bytes): a SQLite file with its log whole, freed pages and all."""
        if isinstance(self.target, Path):
            for path in sorted(self.target.parent.glob(f"{self.target.name}*")):
                yield path.name, path.read_bytes()
            return
        tables = self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
        for name in (row["tablename"] for row in tables):
            for row in self.rows(f'SELECT t::text AS whole FROM "{name}" t'):  # noqa: S608  a name from the catalogue
                yield f"table {name}", row["whole"].encode()


def moment(value: object) -> datetime:
    """A timestamp column or an ISO text as an aware datetime; SQLite keeps UTC without saying so."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def journal(sandbox_url: str, since: int = 0) -> list[Row]:
    """The sandbox's journal, oldest first."""
    if urlsplit(sandbox_url).scheme != "http":
        raise ValueError(f"not the address of a sandbox: {sandbox_url}")
    address = f"{sandbox_url.rstrip('/')}/_sandbox/journal?since={since}"
    with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310  http, checked above
        return [json.loads(line) for line in answer]


def files_of(data: Path) -> Iterator[tuple[str, bytes]]:
    """Logs, notes and Redis's own file: what a secret must not stand in (the keys' file and the CRM's data apart)."""
    for folder in ("logs", "run", "redis"):
        for path in sorted((data / folder).rglob("*")):
            if path.is_file():
                yield str(path.relative_to(data)), path.read_bytes()


def seen(secrets: Mapping[str, str], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Which secret stands where, by their names."""
    found = []
    for where, content in places:
        found += [f"{name} in {where}" for name, value in secrets.items() if value.encode() in content]
    return sorted(set(found))


def log_trouble(data: Path, expected: tuple[str, ...] = ()) -> list[str]:
    """Lines of the logs that say something went wrong, errors and tracebacks, without those that were `expected`."""
    marks = (" ERROR ", " CRITICAL ", "Traceback (most recent call last)", "[ERROR]", "Exception:")
    return [
        line
        for path in sorted((data / "logs").glob("*.log*"))
        for line in path.read_text(errors="replace").splitlines()
        if any(mark in line for mark in marks) and not any(words in line for words in expected)
    ]
