"""Everything the sandbox remembers, in one SQLite file.

There is one writing connection behind a lock. A request's effect, its journal row and the count of the fault that
struck it are one transaction, committed before the answer, so a killed process has told nobody anything that it does
not remember.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (
    provider TEXT NOT NULL, account TEXT NOT NULL, config TEXT NOT NULL, PRIMARY KEY (provider, account)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
    hash TEXT NOT NULL, provider TEXT NOT NULL, account TEXT NOT NULL, kind TEXT NOT NULL, expires REAL,
    live INTEGER NOT NULL, PRIMARY KEY (provider, hash)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    n INTEGER PRIMARY KEY AUTOINCREMENT, provider TEXT NOT NULL, account TEXT NOT NULL, kind TEXT NOT NULL,
    id TEXT NOT NULL, email TEXT, phone TEXT, parent TEXT, place TEXT, start_ms INTEGER, end_ms INTEGER,
    doc TEXT NOT NULL,
    UNIQUE (provider, kind, id)
);
CREATE INDEX IF NOT EXISTS records_page ON records (provider, account, kind, n);
CREATE INDEX IF NOT EXISTS records_email ON records (provider, account, email) WHERE email IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_phone ON records (provider, account, phone) WHERE phone IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_parent ON records (parent) WHERE parent IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_time ON records (place, start_ms) WHERE place IS NOT NULL;
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT, provider TEXT NOT NULL, account TEXT, script TEXT NOT NULL,
    skipped INTEGER NOT NULL DEFAULT 0, fired INTEGER NOT NULL DEFAULT 0, until REAL
);
CREATE TABLE IF NOT EXISTS journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, t REAL NOT NULL, wall REAL NOT NULL, provider TEXT NOT NULL, account TEXT,
    method TEXT NOT NULL, path TEXT NOT NULL, query TEXT NOT NULL, headers TEXT NOT NULL, body TEXT NOT NULL,
    status INTEGER, effect TEXT NOT NULL, fault TEXT, counted INTEGER NOT NULL
);
"""


@dataclass(frozen=True)
class Record:
    """One thing a CRM holds. ``parent``: the contact of an appointment, ``place``: its calendar; times are epoch ms."""

    provider: str
    account: str
    kind: str
    id: str
    doc: dict[str, object]
    email: str | None = None
    phone: str | None = None
    parent: str | None = None
    place: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True)
class Token:
    """What is known of a token, which is kept only as a hash. ``expires`` is seconds since the epoch, None = never."""

    account: str
    kind: str
    expires: float | None
    live: bool


@dataclass(frozen=True)
class Account:
    """One account at a vendor and its settings, as ``POST /_sandbox/accounts`` gave them (no secrets but hashes)."""

    provider: str
    account: str
    config: dict[str, object]


COLUMNS = "provider, account, kind, id, doc, email, phone, parent, place, start_ms, end_ms"


class Data:
    """Reading and writing over one connection; inside ``Store.write`` everything it does is one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.sql = connection

    # accounts and tokens

    def account(self, provider: str, account: str) -> Account | None:
        """One account's settings, or None."""
        row = self.sql.execute(
            "SELECT config FROM accounts WHERE provider = ? AND account = ?", (provider, account)
        ).fetchone()
        return None if row is None else Account(provider, account, json.loads(row[0]))

    def accounts(self) -> list[Account]:
        """All accounts, in order of name."""
        rows = self.sql.execute("SELECT provider, account, config FROM accounts ORDER BY provider, account")
        return [Account(provider, account, json.loads(config)) for provider, account, config in rows]

    def put_account(self, account: Account) -> None:
        """Insert or replace an account's settings."""
        self.sql.execute(
            "INSERT INTO accounts VALUES (?, ?, ?) "
            "ON CONFLICT (provider, account) DO UPDATE SET config = excluded.config",
            (account.provider, account.account, json.dumps(account.config)),
        )

    def token(self, provider: str, digest: str) -> Token | None:
        """The token with this hash, dead or alive, or None."""
        row = self.sql.execute(
            "SELECT account, kind, expires, live FROM tokens WHERE provider = ? AND hash = ?", (provider, digest)
        ).fetchone()
        return None if row is None else Token(row[0], row[1], row[2], bool(row[3]))

    def put_token(self, provider: str, digest: str, token: Token) -> None:
        """Insert or replace a token."""
        self.sql.execute(
            "INSERT OR REPLACE INTO tokens (hash, provider, account, kind, expires, live) VALUES (?, ?, ?, ?, ?, ?)",
            (digest, provider, token.account, token.kind, token.expires, int(token.live)),
        )

    def kill_tokens(self, provider: str, account: str, kind: str) -> None:
        """Make every token of this kind useless. They stay known, so that their account can still be named."""
        self.sql.execute(
            "UPDATE tokens SET live = 0 WHERE provider = ? AND account = ? AND kind = ?", (provider, account, kind)
        )

    def meta(self, key: str) -> str | None:
        """One remark of the sandbox to itself."""
        row = self.sql.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Keep a remark."""
        self.sql.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # what the CRM holds

    def clear_records(self) -> None:
        """Remove what every CRM holds."""
        self.sql.execute("DELETE FROM records")

    def clear_accounts(self) -> None:
        """Remove every account and token."""
        self.sql.execute("DELETE FROM accounts")
        self.sql.execute("DELETE FROM tokens")

    def put(self, record: Record) -> None:
        """Insert a record, or replace the one with its id."""
        self.sql.execute(
            f"INSERT INTO records ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - constant columns
            "ON CONFLICT (provider, kind, id) DO UPDATE SET doc = excluded.doc, email = excluded.email, "
            "phone = excluded.phone, parent = excluded.parent, place = excluded.place, start_ms = excluded.start_ms, "
            "end_ms = excluded.end_ms",
            (record.provider, record.account, record.kind, record.id, json.dumps(record.doc), record.email,
             record.phone, record.parent, record.place, record.start_ms, record.end_ms),
        )  # fmt: skip

    def get(self, provider: str, kind: str, record_id: str) -> Record | None:
        """One record by its id, whatever account it is of."""
        found = self._records("provider = ? AND kind = ? AND id = ?", (provider, kind, record_id), "n", 1)
        return found[0] if found else None

    def by_email(self, provider: str, account: str, email: str) -> Record | None:
        """The oldest contact with this (normalised) e-mail."""
        found = self._records("provider = ? AND account = ? AND email = ?", (provider, account, email), "n", 1)
        return found[0] if found else None

    def by_phone(self, provider: str, account: str, phone: str) -> Record | None:
        """The oldest contact with this (normalised) phone."""
        found = self._records("provider = ? AND account = ? AND phone = ?", (provider, account, phone), "n", 1)
        return found[0] if found else None

    def of_parent(self, provider: str, kind: str, parent: str) -> list[Record]:
        """All records of one contact, by start."""
        return self._records("provider = ? AND kind = ? AND parent = ?", (provider, kind, parent), "start_ms, n", -1)

    def overlapping(self, provider: str, place: str, start_ms: int, end_ms: int) -> list[Record]:
        """Records of one calendar that share time with [start, end)."""
        return self._records(
            "provider = ? AND place = ? AND start_ms < ? AND end_ms > ?",
            (provider, place, end_ms, start_ms),
            "start_ms",
            100,
        )

    def newest(self, provider: str, account: str, kind: str, offset: int, limit: int) -> list[Record]:
        """One page of records, newest first."""
        return self._records(
            "provider = ? AND account = ? AND kind = ?", (provider, account, kind), "n DESC", limit, offset
        )

    def listed(
        self, provider: str, account: str, kind: str, *, after: int | None, newest: bool, offset: int, limit: int
    ) -> list[tuple[int, Record]]:
        """One page of records with their numbers, which rise with every insert; goes on from the number ``after``."""
        order, beyond = ("n DESC", "<") if newest else ("n", ">")
        start = after if after is not None else 2**62 if newest else -1
        rows = self.sql.execute(
            f"SELECT n, {COLUMNS} FROM records WHERE provider = ? AND account = ? AND kind = ? AND n {beyond} ? "  # noqa: S608 - constants
            f"ORDER BY {order} LIMIT ? OFFSET ?",
            (provider, account, kind, start, limit, offset),
        )
        return [(row[0], _record(row[1:])) for row in rows]

    def remove(self, record: Record) -> None:
        """Delete a record."""
        self.sql.execute(
            "DELETE FROM records WHERE provider = ? AND kind = ? AND id = ?", (record.provider, record.kind, record.id)
        )

    def count(self, provider: str, account: str, kind: str) -> int:
        """How many records of a kind an account holds."""
        row = self.sql.execute(
            "SELECT count(*) FROM records WHERE provider = ? AND account = ? AND kind = ?", (provider, account, kind)
        ).fetchone()
        return int(row[0])

    def _records(self, where: str, values: tuple[object, ...], order: str, limit: int, offset: int = 0) -> list[Record]:
        # The clauses are constants of this class; every value is bound.
        rows = self.sql.execute(
            f"SELECT {COLUMNS} FROM records WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608
            (*values, limit, offset),
        )
        return [_record(row) for row in rows]


def _record(row: tuple[Any, ...]) -> Record:
    return Record(row[0], row[1], row[2], row[3], json.loads(row[4]), *row[5:])


class Store:
    """The file and its one writer."""

    def __init__(self, path: Path, boot_id: str) -> None:
        """Open or create the file. ``boot_id`` tells whether monotonic times of before still mean anything."""
        self._path = path
        self._lock = threading.Lock()
        self._writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = NORMAL")
        self._writer.executescript(SCHEMA)
        row = self._writer.execute("SELECT value FROM meta WHERE key = 'boot'").fetchone()
        self.clock_continues = row is not None and row[0] == boot_id
        self._writer.execute("INSERT OR REPLACE INTO meta VALUES ('boot', ?)", (boot_id,))

    @contextmanager
    def write(self) -> Iterator[Data]:
        """One transaction, alone; committed on leaving, undone if the block raises."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield Data(self._writer)
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[Data]:
        """A connection of its own that cannot write and holds nobody up."""
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        with closing(
            sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
        ) as connection:
            yield Data(connection)

    def close(self) -> None:
        """Wait for the transaction in hand, then close the file."""
        with self._lock:
            self._writer.close()
