"""Each write against the attempts of its own record.

An attempt is committed with the lease before its one write leaves, so each write must be the first one after an attempt
of its own record and kind (a second one only after a 401).
"""

from __future__ import annotations

import bisect
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from tests.evidence import Database, Row

from .findings import Judged
from .vendors import Record, Vendor

LEASE_S = 60.0
# A row is committed before the request leaves, but read by another clock.
TOLERANCE_S = 0.002
RESOURCES = {
    "contact.link": "contact",
    "appointment_type.link": "appointment_type",
    "appointment.sync": "appointment",
    "feedback.note": "note",
    "feedback.task": "task",
    "contact.fields": "contact_fields",
    "tour.summary": "summary",
}
# Sent by POST, without an effect on a record.
NO_WRITES = ("/oauth/token", "/oauth/v3/token", "/contacts/search", "/batch/read")
MARKER = re.compile(r"\[RR-[0-9A-Z]{12}\]")
Entity = tuple[str, int, str]  # type, id, resource


def check(
    judged: Judged,
    vendor: Vendor,
    connection: int,
    rows: Sequence[Row],
    crm: Mapping[str, Mapping[str, Record]],
    database: Database,
    offset: float,
) -> None:
    """`offset`: what the wall clock is ahead of the journal's `t`."""
    attempts: dict[Entity, list[float]] = defaultdict(list)
    for row in database.rows(
        "SELECT o.entity_type, o.entity_id, o.kind, a.sent_ms FROM integrations_attempt a "  # noqa: S608  a number
        "JOIN integrations_operation o ON o.id = a.operation_id "
        f"WHERE a.connection_id = {connection} AND a.sent_ms IS NOT NULL ORDER BY a.sent_ms"
    ):
        attempts[row["entity_type"], row["entity_id"], RESOURCES[row["kind"]]].append(row["sent_ms"] / 1000 - offset)
    known = _Known(vendor, connection, crm, database)
    spent: dict[tuple[Entity, int], object] = {}
    for row in rows:
        if row["method"] == "GET" or row["path"].endswith(NO_WRITES):
            continue
        entity = known.entity_of(row)
        times = attempts[entity] if entity else []
        place = bisect.bisect_right(times, row["t"] + TOLERANCE_S) - 1
        answered = place >= 0 and row["t"] - times[place] <= LEASE_S
        key = (entity or ("", 0, ""), place)
        if not answered or spent.get(key, 401) != 401:
            judged.unleased += 1
            judged.wrong.append(f"request {row['seq']} ({row['method']} {row['path']}) has no attempt of its own")
        spent[key] = row["status"]


class _Known:
    """Whose record a write is about."""

    def __init__(
        self, vendor: Vendor, connection: int, crm: Mapping[str, Mapping[str, Record]], database: Database
    ) -> None:
        self._vendor = vendor
        refs = database.rows(f"SELECT * FROM integrations_externalref WHERE connection_id = {connection}")  # noqa: S608
        self._by_marker: dict[str, Entity] = {
            f"[RR-{ref['marker']}]": (ref["entity_type"], ref["entity_id"], ref["resource"]) for ref in refs
        }
        self._by_id: dict[tuple[str, str], Entity] = {
            (ref["resource"], ref["external_id"]): (ref["entity_type"], ref["entity_id"], ref["resource"])
            for ref in refs
            if ref["external_id"]
        }
        # A link that ended names its record no more; what created the record carried the marker.
        for kind, records in crm.items():
            for record in records.values():
                entity = self._marked(record.body)
                if entity:
                    self._by_id.setdefault((kind, record.id), entity)
        buyers = database.rows("SELECT id, email FROM integrations_contact WHERE email <> ''")
        self._by_email = {row["email"].casefold(): row["id"] for row in buyers}
        self._connection = connection

    def entity_of(self, row: Row) -> Entity | None:
        """By the marker it carries, else by the id in its path, else by the buyer's e-mail."""
        marked = self._marked(row["body"])
        if marked:
            return marked
        for method, path, resource in self._vendor.paths:
            found = re.search(path, row["path"]) if row["method"] == method else None
            if found is None:
                continue
            if found.groups():
                return self._by_id.get((resource, found.group(1))) or self._fields_of(resource, found.group(1))
            if resource == "contact":
                body = row["body"] if isinstance(row["body"], dict) else {}
                buyer = self._by_email.get(self._vendor.email(Record("", body=body)))
                return ("contact", buyer, resource) if buyer else None
            return ("connection", self._connection, resource)
        return None

    def _marked(self, body: object) -> Entity | None:
        found = MARKER.findall(str(body)) if isinstance(body, dict) else []
        return self._by_marker.get(found[-1]) if found else None

    def _fields_of(self, resource: str, contact: str) -> Entity | None:
        """What is told of a linked person, while no answer to it was understood yet."""
        linked = self._by_id.get(("contact", contact)) if resource == "contact_fields" else None
        return ("contact", linked[1], resource) if linked else None
