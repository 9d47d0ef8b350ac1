"""What became of a run: the CRMs' journal joined with our database, judged by neither side's own code.

    python -m tests.oracle --data DIR --sandbox http://127.0.0.1:8900 [--json]

Judges each connection by its vendor's rules (`vendors.py`); each is taken to serve the whole brokerage (routing has its
own tests). Notes are told apart by the resource of our link and its marker.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from tests.evidence import Database, Row, moment, seen

from . import leases, records
from .figures import busiest, utilisation
from .findings import Findings, Judged, cut, tally
from .vendors import VENDORS, Vendor, crm_of, takes_away

__all__ = ["Findings", "Judged", "judge"]

GOOD = frozenset({"succeeded", "superseded"})


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
    # The clocks differ by a constant; `wall` is read a moment after `t`, so the least difference is the best.
    offset = min((row["wall"] - row["t"] for row in rows), default=0.0)
    judged = []
    for connection in database.rows("SELECT * FROM integrations_connection ORDER BY id"):
        vendor = VENDORS[connection["provider"]]
        # None: the CRM did not know who asked.
        accounts = (connection["account_key"], None)
        mine = [row for row in rows if row["provider"] == vendor.slug and row["account"] in accounts]
        own = [op for op in operations if op["connection_id"] == connection["id"]]
        judged.append(_judge(vendor, connection, mine, own, database, offset, excluded))
    places = [*files, *database.texts(), ("the journal", json.dumps(list(rows)).encode())]
    secrets_seen = seen(secrets or {}, places)
    wrong = [*_unsettled(operations), *(f"in clear: {each}" for each in secrets_seen)]
    wrong += chain.from_iterable([f"{each.provider}: {words}" for words in each.wrong] for each in judged)
    return Findings(
        operations=tally([op["state"] for op in operations]),
        reasons=tally([f"{op['state']} {op['reason']}" for op in operations if op["reason"]]),
        requests=len(rows),
        connections=judged,
        secrets_seen=secrets_seen,
        wrong=cut(wrong),
    )


def _judge(
    vendor: Vendor,
    connection: Row,
    rows: Sequence[Row],
    operations: Sequence[Row],
    database: Database,
    offset: float,
    excluded: Sequence[tuple[float, float]],
) -> Judged:
    times = sorted(row["t"] for row in rows)
    work = [
        (moment(op["created_at"]).timestamp() - offset, (op["settled_ms"] or 2**53) / 1000 - offset)
        for op in operations
    ]
    judged = Judged(
        provider=vendor.slug,
        operations=tally([op["state"] for op in operations]),
        requests=len(rows),
        statuses=tally([str(row["status"] or "no answer") for row in rows]),
        effects=tally([f"{row['effect']['kind']} {row['effect']['op']}" for row in rows if row["effect"]]),
        busiest=busiest(times, vendor.window_s),
        limit=vendor.limit,
        used=utilisation(times, work, limit=vendor.limit, window_s=vendor.window_s, excluded=excluded),
        span_s=round(times[-1] - times[0], 1) if times else 0.0,
    )
    crm = crm_of(rows)
    records.compare(records.Books(judged, vendor, connection, crm, database), database)
    leases.check(judged, vendor, int(connection["id"]), rows, crm, database, offset)
    _requests(judged, vendor, rows)
    return judged


def _requests(judged: Judged, vendor: Vendor, rows: Sequence[Row]) -> None:
    """What no request may be or do, whatever it is about."""
    judged.notified = sum(bool(row["effect"] and row["effect"].get("notified")) for row in rows)
    # One that a script of the sandbox answered tells nothing of our counting.
    judged.refused = sum(row["status"] == 429 and row["fault"] is None for row in rows)
    effects = [row["effect"] for row in rows if row["effect"]]
    judged.tags_added = sum(effect["kind"] == "tag" and effect["op"] == "create" for effect in effects)
    if judged.busiest > vendor.limit:
        judged.wrong.append(f"{judged.busiest} requests within {vendor.window_s:g} s")
    if judged.refused:
        judged.wrong.append(f"{judged.refused} requests over the limit (429)")
    if judged.notified:
        judged.wrong.append(f"{judged.notified} messages to buyers")
    if judged.doubled:
        judged.wrong.append(f"{judged.doubled} records stand twice")
    judged.wrong += [f"request {row['seq']} takes tags away" for row in rows if takes_away(row)]


def _unsettled(operations: Sequence[Row]) -> list[str]:
    return [
        f"operation {op['id']} ({op['kind']} of {op['entity_type']} {op['entity_id']}) is {op['state']} "
        f"{op['reason']} {op['message']}".rstrip()
        for op in operations
        if op["state"] not in GOOD
    ]
