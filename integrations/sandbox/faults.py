"""Scripted faults: what goes wrong, for which requests, and how often."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .messages import Request
from .store import Data

MAX_SECONDS = 3600
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
FIELDS_BY_KIND: dict[str, frozenset[str]] = {
    "status": frozenset({"status", "body", "headers"}),
    "delay": frozenset({"seconds"}),
    "drip": frozenset({"seconds"}),
    "silence": frozenset({"seconds"}),
    "drop_after_effect": frozenset(),
    "drop_before_effect": frozenset(),
    "garbled": frozenset(),
    "rate_limited": frozenset({"retry_after"}),
    "outage": frozenset({"seconds", "mode"}),
}


class FaultError(ValueError):
    """A fault script that cannot be taken; names the field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Fault:
    """A fault that strikes a request. ``details`` are the script's ``fault`` object."""

    id: int
    kind: str
    details: Mapping[str, object]

    def number(self, name: str, default: float = 0.0) -> float:
        """A detail that the script's check has made sure is a number."""
        value = self.details.get(name, default)
        return float(value) if isinstance(value, int | float) else default


def checked(document: object, providers: list[str]) -> dict[str, object]:
    """A fault script as it is stored. Raises FaultError naming the field."""
    script = _object(document, "(body)")
    _known(script, {"provider", "account", "match", "times", "after", "for_seconds", "fault"}, "")
    if script.get("provider") not in providers:
        raise FaultError("provider", f"must be one of: {', '.join(providers)}")
    account = script.get("account")
    if account is not None and not isinstance(account, str):
        raise FaultError("account", "must be a string")
    fault = _checked_fault(script.get("fault"))
    times = script.get("times", None if fault["kind"] == "outage" else 1)
    if times is not None:
        times = _whole(times, "times", 1)
    for_seconds = script.get("for_seconds")
    if for_seconds is not None:
        for_seconds = _seconds(for_seconds, "for_seconds")
    if fault["kind"] == "outage":
        for_seconds = fault["seconds"]
    return {
        "provider": script["provider"],
        "account": account,
        "match": _checked_match(script.get("match", {})),
        "times": times,
        "after": _whole(script.get("after", 0), "after", 0),
        "for_seconds": for_seconds,
        "fault": fault,
    }


def add(data: Data, script: Mapping[str, object], now: float) -> int:
    """Store a checked script; ``now`` is monotonic seconds. Returns its id."""
    seconds = script["for_seconds"]
    until = now + seconds if isinstance(seconds, int | float) else None
    cursor = data.sql.execute(
        "INSERT INTO faults (provider, account, script, until) VALUES (?, ?, ?, ?)",
        (script["provider"], script["account"], json.dumps(script), until),
    )
    return int(cursor.lastrowid or 0)


def active(data: Data, now: float) -> list[dict[str, object]]:
    """The scripts that can still strike, oldest first, with how often they did and the seconds they have left."""
    rows = data.sql.execute(
        "SELECT id, script, skipped, fired, until FROM faults WHERE until IS NULL OR until > ? ORDER BY id", (now,)
    )
    return [
        {"id": row[0], **json.loads(row[1]), "skipped": row[2], "fired": row[3],
         "seconds_left": None if row[4] is None else round(row[4] - now, 3)}
        for row in rows
    ]  # fmt: skip


def clear(data: Data) -> int:
    """Remove every script. Returns how many there were."""
    return data.sql.execute("DELETE FROM faults").rowcount


def forget_timed(data: Data) -> None:
    """Remove the scripts that were to last some seconds: the machine restarted, and the clock with it."""
    data.sql.execute("DELETE FROM faults WHERE until IS NOT NULL")


def strike(data: Data, provider: str, account: str | None, request: Request, path: str, now: float) -> Fault | None:
    """The fault this request meets, if any: the oldest matching script whose turn it is. Counts it; spent ones go."""
    rows = data.sql.execute(
        "SELECT id, script, skipped, fired, until FROM faults "
        "WHERE provider = ? AND (account IS NULL OR account = ?) ORDER BY id",
        (provider, account),
    ).fetchall()
    for fault_id, text, skipped, fired, until in rows:
        if until is not None and until <= now:
            data.sql.execute("DELETE FROM faults WHERE id = ?", (fault_id,))
            continue
        script = json.loads(text)
        if not _matches(script["match"], request.method, path):
            continue
        if skipped < script["after"]:
            data.sql.execute("UPDATE faults SET skipped = skipped + 1 WHERE id = ?", (fault_id,))
            continue
        if script["times"] is not None and fired + 1 >= script["times"]:
            data.sql.execute("DELETE FROM faults WHERE id = ?", (fault_id,))
        else:
            data.sql.execute("UPDATE faults SET fired = fired + 1 WHERE id = ?", (fault_id,))
        return Fault(fault_id, script["fault"]["kind"], script["fault"])
    return None


def _matches(match: Mapping[str, str], method: str, path: str) -> bool:
    if match.get("method", method) != method:
        return False
    pattern = match.get("path", "")
    if pattern.startswith("^"):
        return re.search(pattern, path) is not None
    return path.startswith(pattern)


def _checked_match(document: object) -> dict[str, str]:
    match = _object(document, "match")
    _known(match, {"method", "path"}, "match.")
    kept: dict[str, str] = {}
    method = match.get("method")
    if method is not None:
        if not isinstance(method, str) or method.upper() not in METHODS:
            raise FaultError("match.method", f"must be one of: {', '.join(METHODS)}")
        kept["method"] = method.upper()
    path = match.get("path")
    if path is not None:
        if not isinstance(path, str) or len(path) > 200 or not path.startswith(("/", "^")):
            raise FaultError(
                "match.path", "must be a path that starts with / or a regular expression that starts with ^"
            )
        try:
            re.compile(path)
        except (re.error, RecursionError, OverflowError):
            raise FaultError("match.path", "is not a regular expression") from None
        kept["path"] = path
    return kept


def _checked_fault(document: object) -> dict[str, object]:
    fault = _object(document, "fault")
    kind = fault.get("kind")
    if not isinstance(kind, str) or kind not in FIELDS_BY_KIND:
        raise FaultError("fault.kind", f"must be one of: {', '.join(FIELDS_BY_KIND)}")
    _known(fault, FIELDS_BY_KIND[kind] | {"kind"}, "fault.")
    if kind == "status":
        status = _whole(fault.get("status"), "fault.status", 200)
        if status > 599 or status in (204, 304):
            raise FaultError("fault.status", "must be from 200 to 599, and neither 204 nor 304")
        fault["headers"] = _checked_headers(fault.get("headers") or {})
    elif kind in ("delay", "drip", "silence", "outage"):
        fault["seconds"] = _seconds(fault.get("seconds"), "fault.seconds")
    elif kind == "rate_limited" and fault.get("retry_after") is not None:
        fault["retry_after"] = _seconds(fault["retry_after"], "fault.retry_after")
    if kind == "outage" and fault.setdefault("mode", "status") not in ("status", "drop"):
        raise FaultError("fault.mode", "must be status or drop")
    return fault


def _checked_headers(document: object) -> dict[str, object]:
    headers = _object(document, "fault.headers")
    for name, value in headers.items():
        if not HEADER_NAME.match(name) or name.lower() in ("content-length", "transfer-encoding", "connection"):
            raise FaultError("fault.headers", f"{name!r} cannot be set")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise FaultError("fault.headers", f"the value of {name} must be printable ASCII")
    return headers


def _object(document: object, field: str) -> dict[str, object]:
    if not isinstance(document, dict):
        raise FaultError(field, "must be an object")
    return dict(document)


def _known(document: Mapping[str, object], names: set[str] | frozenset[str], prefix: str) -> None:
    for name in document:
        if name not in names:
            raise FaultError(f"{prefix}{name}", f"is not known; known here: {', '.join(sorted(names))}")


def _whole(value: object, field: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1_000_000:
        raise FaultError(field, f"must be a whole number from {least} to 1000000")
    return value


def _seconds(value: object, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_SECONDS:
        raise FaultError(field, f"must be a number of seconds above 0 and up to {MAX_SECONDS}")
    return float(value)
