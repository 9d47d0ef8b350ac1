"""The journal: every vendor request, with what came of it, written before it is answered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .messages import encode
from .store import Data, Store

CHUNK_ROWS = 500
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "x-system-key"})
SECRET_PARAMETERS = frozenset({"access_token", "refresh_token", "client_secret", "api_key", "token", "code"})
FIELDS = "seq, t, wall, provider, account, method, path, query, headers, body, status, effect, fault"


@dataclass(frozen=True)
class Entry:
    """One request. ``status`` None: the connection was dropped. ``counted``: it took a place in the rate limit."""

    t: float
    wall: float
    provider: str
    account: str | None
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: object
    status: int | None
    effect: Mapping[str, object] | None
    fault: str | None
    counted: bool


def digest(secret: str) -> str:
    """How a secret is written down: enough to tell two apart, nothing to use."""
    return "sha256:" + hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def veiled(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with the values of the secret ones hashed."""
    return {name: digest(value) if name in SECRET_HEADERS else value for name, value in headers.items()}


def veiled_query(query: Mapping[str, str]) -> dict[str, str]:
    """Query parameters with the values of those that carry secrets hashed."""
    return {name: digest(value) if name.lower() in SECRET_PARAMETERS else value for name, value in query.items()}


def write(data: Data, entry: Entry) -> None:
    """Append one entry, inside the transaction that carries its effect."""
    data.sql.execute(
        "INSERT INTO journal "
        "(t, wall, provider, account, method, path, query, headers, body, status, effect, fault, counted) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (entry.t, entry.wall, entry.provider, entry.account, entry.method, entry.path, json.dumps(entry.query),
         json.dumps(entry.headers), json.dumps(entry.body), entry.status, json.dumps(entry.effect), entry.fault,
         int(entry.counted)),
    )  # fmt: skip


def rows(data: Data, *, provider: str | None, account: str | None, since: int, limit: int) -> list[dict[str, object]]:
    """Up to ``limit`` entries with a ``seq`` above ``since``, oldest first."""
    found = data.sql.execute(
        f"SELECT {FIELDS} FROM journal WHERE seq > ?1 AND (?2 IS NULL OR provider = ?2) "  # noqa: S608 - constant columns
        "AND (?3 IS NULL OR account = ?3) ORDER BY seq LIMIT ?4",
        (since, provider, account, limit),
    )
    return [_as_document(row) for row in found]


def latest(data: Data, limit: int) -> list[dict[str, object]]:
    """The last entries, newest first."""
    found = data.sql.execute(f"SELECT {FIELDS} FROM journal ORDER BY seq DESC LIMIT ?", (limit,))  # noqa: S608 - constant columns
    return [_as_document(row) for row in found]


def lines(store: Store, *, provider: str | None, account: str | None, since: int) -> Iterator[bytes]:
    """The journal as JSON lines, in chunks, so that its length does not matter."""
    with store.read() as data:
        while found := rows(data, provider=provider, account=account, since=since, limit=CHUNK_ROWS):
            yield b"".join(encode(row) + b"\n" for row in found)
            since = int(str(found[-1]["seq"]))


def last_seq(data: Data) -> int:
    """The highest ``seq`` ever written, also when the journal was cleared since."""
    row = data.sql.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()
    return int(row[0]) if row else 0


def clear(data: Data) -> None:
    """Remove every entry. Numbers go on where they were, so that a reader's ``since`` stays good."""
    data.sql.execute("DELETE FROM journal")


@dataclass(frozen=True, order=True)
class Arrival:
    """A counted request: when it arrived (monotonic seconds), what for, and its headers as JSON, secrets hashed."""

    t: float
    method: str
    path: str
    headers: str


def arrivals(data: Data, provider: str, account: str, after: float, first_seq: int) -> list[Arrival]:
    """The counted requests of an account, oldest first, from ``after`` on (monotonic seconds)."""
    found: list[Arrival] = []
    for t, *rest in data.sql.execute(
        "SELECT t, method, path, headers FROM journal "
        "WHERE seq > ? AND provider = ? AND account = ? AND counted = 1 ORDER BY seq DESC",
        (first_seq, provider, account),
    ):
        if t <= after - 1:  # rows are in order but for moments
            break
        if t > after:
            found.append(Arrival(t, *rest))
    found.sort()
    return found


def _as_document(row: tuple[object, ...]) -> dict[str, object]:
    document = dict(zip(FIELDS.split(", "), row, strict=True))
    for name in ("query", "headers", "body", "effect"):
        document[name] = json.loads(str(document[name]))
    return document
