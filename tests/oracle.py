"""What became of a run: the CRM's journal joined with our database, judged by neither side's own code.

    python -m tests.oracle --data DIR --sandbox http://127.0.0.1:8900 [--json]

Judges the connections to GoHighLevel; each is taken to serve the whole brokerage (routing has its own tests). Figures:

* `busiest`: the most requests of one account in any 10 s, by the sandbox's monotonic clock, whatever was answered.
* `used`: the mean fill of those 10-s windows that lie wholly between the first and the last request, at whose end
  work was left, and that touch none of the intervals given (an outage, a cold start); 1.0 is the whole limit. An
  operation counts as work from its creation to its end, also while it waits for a lost answer to settle or for the
  lease of a dead worker to end: after kills this is a lower bound.
* `unleased`: writes that no attempt of ours answers for. An attempt is committed with the lease before its one write
  leaves, so each write must be the first one after an attempt of its own record (a second one only after a 401).
"""

from __future__ import annotations

import argparse
import bisect
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.evidence import Database, Row, files_of, journal, moment, seen

PROVIDER, LIMIT, WINDOW_S = "gohighlevel", 100, 10.0
TERMINAL = frozenset({"succeeded", "dead", "ignored", "superseded", "cancelled"})
GOOD = frozenset({"succeeded", "superseded"})
LEASE_S = 60.0
STATUS = {"pending": "new", "confirmed": "confirmed"}
OUTCOME = {"showed": "showed", "no_show": "noshow"}
SHOWN = 10


@dataclass
class Record:
    """One record of the CRM, put together from the effects in the journal."""

    id: str
    creations: int = 0
    writes: int = 0
    body: dict[str, Any] = field(default_factory=dict)


@dataclass
class Findings:
    """What was found; `wrong` says each thing that must not be, in words."""

    operations: dict[str, int]
    reasons: dict[str, int]
    requests: int
    statuses: dict[str, int]
    busiest: int
    used: float | None
    span_s: float
    live_stops: int
    right_stops: int
    buyers: int
    right_buyers: int
    appointments: int
    contacts: int
    effects: dict[str, int]
    unreferenced: int
    notified: int
    unleased: int
    secrets_seen: list[str]
    wrong: list[str] = field(default_factory=list)

    def text(self) -> str:
        """A line a figure."""
        lines = [f"{name:<13} {value}" for name, value in asdict(self).items() if name != "wrong"]
        return "\n".join([*lines, *(f"WRONG         {each}" for each in self.wrong)])


def crm_of(rows: Iterable[Row]) -> dict[str, dict[str, Record]]:
    """Kind → id → record, as the effects made them."""
    records: dict[str, dict[str, Record]] = {"contact": {}, "appointment": {}}
    for row in rows:
        effect = row["effect"]
        if effect is None:
            continue
        record = records.setdefault(effect["kind"], {}).setdefault(effect["id"], Record(effect["id"]))
        record.creations += effect["op"] == "create"
        record.writes += 1
        if effect["op"] == "delete":
            del records[effect["kind"]][effect["id"]]
        elif isinstance(row["body"], dict):
            record.body.update(row["body"])
    return records


def busiest(times: Sequence[float]) -> int:
    """The most in any `WINDOW_S`; `times` ascending."""
    return max((bisect.bisect_left(times, t + WINDOW_S) - place for place, t in enumerate(times)), default=0)


def utilisation(
    times: Sequence[float], work: Sequence[tuple[float, float]], excluded: Sequence[tuple[float, float]] = ()
) -> float | None:
    """See `used` above; `work` are (begin, end) of operations, on the clock of `times`. None: no such window."""
    if not times:
        return None
    begins, ends = sorted(begin for begin, _ in work), sorted(end for _, end in work)
    fills = []
    start = times[0]
    while start + WINDOW_S <= times[-1]:
        end = start + WINDOW_S
        left = bisect.bisect_right(begins, end) - bisect.bisect_right(ends, end)
        if left and not any(first < end and start < last for first, last in excluded):
            fills.append(bisect.bisect_left(times, end) - bisect.bisect_left(times, start))
        start += 0.1
    return round(sum(fills) / len(fills) / LIMIT, 3) if fills else None


def judge(
    rows: Sequence[Row],
    database: Database,
    *,
    secrets: Mapping[str, str] | None = None,
    files: Iterable[tuple[str, bytes]] = (),
    excluded: Sequence[tuple[float, float]] = (),
) -> Findings:
    """Join a journal with the database. `excluded`: (begin, end) on the journal's clock `t`, for `used` only."""
    operations = database.rows("SELECT * FROM integrations_operation")
    connections = database.rows(f"SELECT * FROM integrations_connection WHERE provider = '{PROVIDER}'")  # noqa: S608
    findings = _empty(rows, operations)
    # The clocks differ by a constant; `wall` is read a moment after `t`, so the least difference is the best.
    offset = min((row["wall"] - row["t"] for row in rows), default=0.0)
    fills = []
    for connection in connections:
        account = (connection["account_key"], None)  # None: the CRM did not know who asked
        mine = [row for row in rows if row["provider"] == PROVIDER and row["account"] in account]
        times = sorted(row["t"] for row in mine)
        findings.busiest = max(findings.busiest, busiest(times))
        work = [
            (moment(op["created_at"]).timestamp() - offset, (op["settled_ms"] or 2**53) / 1000 - offset)
            for op in operations
            if op["connection_id"] == connection["id"]
        ]
        fills.append(utilisation(times, work, excluded))
        _compare(findings, connection, mine, database)
        _leases(findings, connection, mine, database, offset)
    findings.used = min((fill for fill in fills if fill is not None), default=None)
    places = [*files, *database.texts(), ("the journal", json.dumps(list(rows)).encode())]
    findings.secrets_seen = seen(secrets or {}, places)
    _sentences(findings, operations)
    return findings


def _empty(rows: Sequence[Row], operations: Sequence[Row]) -> Findings:
    times = [row["t"] for row in rows]
    effects = Counter(f"{row['effect']['kind']} {row['effect']['op']}" for row in rows if row["effect"])
    reasons = Counter(f"{op['state']} {op['reason']}" for op in operations if op["reason"])
    return Findings(
        operations=dict(Counter(op["state"] for op in operations)),
        reasons=dict(reasons),
        requests=len(rows),
        statuses=dict(Counter(str(row["status"] or "no answer") for row in rows)),
        busiest=0,
        used=None,
        span_s=round(max(times) - min(times), 1) if times else 0.0,
        live_stops=0,
        right_stops=0,
        buyers=0,
        right_buyers=0,
        appointments=0,
        contacts=0,
        effects=dict(effects),
        unreferenced=0,
        notified=sum(bool(row["effect"] and row["effect"].get("notified")) for row in rows),
        unleased=0,
        secrets_seen=[],
    )


# --- the CRM against what is wanted --------------------------------------------------------------------------------


def _compare(findings: Findings, connection: Row, rows: Sequence[Row], database: Database) -> None:
    """Every stop and buyer of one connection against the CRM's records."""
    crm = crm_of(rows)
    refs = database.rows(f"SELECT * FROM integrations_externalref WHERE connection_id = {int(connection['id'])}")  # noqa: S608
    by_entity = {(ref["resource"], ref["entity_id"]): ref for ref in refs}
    # A summary of a tour is a note there.
    linked = {("note" if ref["resource"] == "summary" else ref["resource"], ref["external_id"]) for ref in refs}
    stops = database.rows(
        "SELECT s.*, t.status AS tour_status, t.starts_at, t.buyer_id, c.email, c.phone FROM integrations_tourstop s "
        "JOIN integrations_tour t ON t.id = s.tour_id JOIN integrations_contact c ON c.id = t.buyer_id"
    )
    since = moment(connection["sync_from"])
    stops = [stop for stop in stops if moment(stop["starts_at"]) >= since]
    emails = Counter(str(record.body.get("email")).casefold() for record in crm["contact"].values())
    buyers: dict[int, Row] = {}
    for stop in stops:
        wrong = _stop_fault(stop, by_entity, crm["appointment"])
        if _live(stop):
            findings.live_stops += 1
            findings.right_stops += not wrong
            buyers[stop["buyer_id"]] = stop
        if wrong:
            findings.wrong.append(f"stop {stop['id']}: {wrong}")
    for buyer, stop in buyers.items():
        ref = by_entity.get(("contact", buyer))
        record = crm["contact"].get(ref["external_id"]) if ref else None
        right = record is not None and record.creations == 1 and emails[str(stop["email"]).casefold()] == 1
        findings.right_buyers += right
        if not right:
            findings.wrong.append(f"buyer {buyer}: {record}, {emails[str(stop['email']).casefold()]} with this e-mail")
    findings.buyers += len(buyers)
    findings.appointments += len(crm["appointment"])
    findings.contacts += len(crm["contact"])
    for kind, records in crm.items():
        lost = [each for each in records if (kind, each) not in linked]
        findings.unreferenced += len(lost)
        findings.wrong += [f"{kind} {each} in the CRM belongs to no record of ours" for each in lost[:SHOWN]]


def _live(stop: Row) -> bool:
    return stop["appointment_status"] in STATUS and stop["tour_status"] not in ("draft", "cancelled")


def _stop_fault(stop: Row, refs: Mapping[tuple[str, int], Row], appointments: Mapping[str, Record]) -> str:
    """What is wrong with a stop's appointment; empty when nothing is."""
    ref = refs.get(("appointment", stop["id"]))
    tag = f"[RR-{ref['marker']}]" if ref else None
    marked = [each for each in appointments.values() if tag and tag in str(each.body.get("title"))]
    standing = [each for each in marked if each.body["appointmentStatus"] != "cancelled"]
    if not _live(stop):
        return f"{len(standing)} appointments stand, none should" if standing else ""
    if len(marked) != 1:
        return f"{len(marked)} appointments"
    (found,) = marked
    buyer = refs.get(("contact", stop["buyer_id"]))
    wanted: dict[str, object] = {
        "id": ref["external_id"] if ref else None,
        "contact": buyer["external_id"] if buyer else None,
        "status": OUTCOME.get(stop["outcome"]) or STATUS[stop["appointment_status"]],
        "start": moment(stop["appointment_start"]),
        "end": moment(stop["appointment_end"]),
        "creations": 1,
        "told": False,
    }
    body = found.body
    there: dict[str, object] = {
        "id": found.id,
        "contact": body["contactId"],
        "status": body["appointmentStatus"],
        "start": datetime.fromisoformat(body["startTime"]),
        "end": datetime.fromisoformat(body["endTime"]),
        "creations": found.creations,
        "told": body["toNotify"],
    }
    return "; ".join(f"{name} is {there[name]}, not {value}" for name, value in wanted.items() if there[name] != value)


# --- leases --------------------------------------------------------------------------------------------------------


def _leases(findings: Findings, connection: Row, rows: Sequence[Row], database: Database, offset: float) -> None:
    """Each write against the attempts of its record."""
    number = int(connection["id"])
    attempts: dict[tuple[str, int], list[float]] = defaultdict(list)
    for row in database.rows(
        "SELECT o.entity_type, o.entity_id, a.sent_ms FROM integrations_attempt a "  # noqa: S608  a number
        "JOIN integrations_operation o ON o.id = a.operation_id "
        f"WHERE a.connection_id = {number} AND a.sent_ms IS NOT NULL ORDER BY a.sent_ms"
    ):
        attempts[row["entity_type"], row["entity_id"]].append(row["sent_ms"] / 1000 - offset)
    refs = database.rows(f"SELECT * FROM integrations_externalref WHERE connection_id = {number}")  # noqa: S608
    buyers = database.rows("SELECT id, email FROM integrations_contact WHERE email <> ''")
    known: dict[str, tuple[str, int]] = {row["email"].casefold(): ("contact", row["id"]) for row in buyers}
    known |= {f"[RR-{ref['marker']}]": (ref["entity_type"], ref["entity_id"]) for ref in refs}
    spent: dict[tuple[tuple[str, int], int], object] = {}
    for row in rows:
        if row["method"] == "GET" or row["path"].endswith("/oauth/token"):
            continue
        entity = known.get(_name_in(row["body"]))
        times = attempts[entity] if entity else []
        place = bisect.bisect_right(times, row["t"] + 0.002) - 1
        answered = place >= 0 and row["t"] - times[place] <= LEASE_S
        key = (entity or ("", 0), place)
        if not answered or spent.get(key, 401) != 401:
            findings.unleased += 1
            findings.wrong.append(f"request {row['seq']} ({row['method']} {row['path']}) has no attempt of its own")
        spent[key] = row["status"]


def _name_in(body: object) -> str:
    """What tells whose record a write is about: the marker in its title, else the e-mail."""
    if not isinstance(body, dict):
        return ""
    title = str(body.get("title", ""))
    return title[title.rfind("[RR-") :] if "[RR-" in title else str(body.get("email", "")).casefold()


# --- the end -------------------------------------------------------------------------------------------------------


def _sentences(findings: Findings, operations: Sequence[Row]) -> None:
    """What must not be, beyond single records."""
    for op in operations:
        if op["state"] not in GOOD:
            findings.wrong.append(
                f"operation {op['id']} ({op['kind']} of {op['entity_type']} {op['entity_id']}) is {op['state']} "
                f"{op['reason']} {op['message']}".rstrip()
            )
    if findings.busiest > LIMIT:
        findings.wrong.append(f"{findings.busiest} requests within {WINDOW_S:.0f} s")
    if findings.notified:
        findings.wrong.append(f"{findings.notified} messages to buyers")
    findings.wrong += [f"in clear: {each}" for each in findings.secrets_seen]
    if len(findings.wrong) > 5 * SHOWN:
        more = len(findings.wrong) - 5 * SHOWN
        findings.wrong = [*findings.wrong[: 5 * SHOWN], f"and {more} more"]


def gaps(rows: Sequence[Row], longer_than_s: float) -> list[tuple[float, float]]:
    """Stretches of the journal without a request: (begin, end) on its clock."""
    times = sorted(row["t"] for row in rows)
    return [(a, b) for a, b in pairwise(times) if b - a > longer_than_s]


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge a stack that runs; 1 when something is wrong."""
    from tests.stack import secrets_of

    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sandbox", required=True, metavar="URL")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = judge(
        journal(options.sandbox),
        Database.of(options.data, os.environ),
        secrets=secrets_of(options.data),
        files=files_of(options.data),
    )
    print(json.dumps(asdict(found), indent=1) if options.json else found.text())
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
