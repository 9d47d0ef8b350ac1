"""HubSpot's search: over an index that lags behind what was written, with a limit of its own.

https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm: at most five groups of six filters, pages
of 200; five requests a second for an account, without the headers of the other limits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from integrations.sandbox.store import Record
from integrations.sandbox.vendor import Reply

from .objects import Call, shown
from .shapes import SLUG, TYPES, Type, VendorError, invalid, local_number

MAX_GROUPS, MAX_FILTERS, MAX_PAGE = 5, 6, 200
PARTS, OPERATORS = ("propertyName", "operator", "value"), ("EQ", "CONTAINS_TOKEN")
CALCULATED = {
    "hs_searchable_calculated_phone_number": "phone",
    "hs_searchable_calculated_mobile_number": "mobilephone",
}


class Search:
    """POST /crm/v3/objects/{of}/search. Counts in memory: a second is over sooner than a restart."""

    def __init__(self) -> None:
        self._arrived: dict[str, deque[float]] = {}

    def run(self, call: Call, of: str) -> Reply:
        """Whatever fits any of the groups, oldest first."""
        self._admit(call)
        known = TYPES.get(of)
        if known is None:
            raise invalid(f"Unable to infer object type from: {of}")
        groups = _groups(call.body.get("filterGroups", []))
        start, limit = _page(call.body)
        asked = _asked(call.body, known)
        records = call.data.listed(SLUG, call.portal, known.kind, after=None, newest=False, offset=0, limit=-1)
        indexed = [as_indexed for _, record in records if (as_indexed := _indexed(record, call.now)) is not None]
        found = [record for record in indexed if not groups or any(_fits(record, group) for group in groups)]
        document: dict[str, object] = {
            "total": len(found),
            "results": [shown(known, record, asked) for record in found[start : start + limit]],
        }
        if len(found) > start + limit:
            document["paging"] = {"next": {"after": str(start + limit)}}
        return Reply(200, document)

    def _admit(self, call: Call) -> None:
        most = call.account.config["search_per_s"]
        times = self._arrived.setdefault(call.portal, deque())
        while times and times[0] <= call.now - 1:
            times.popleft()
        if isinstance(most, int | float) and len(times) >= most:
            message = "You have reached your secondly limit."
            raise VendorError(429, "RATE_LIMITS", message, errorType="RATE_LIMIT", policyName="SECONDLY")
        times.append(call.now)


def _indexed(record: Record, now: float) -> Record | None:
    """The record as the index has it; None: not yet."""
    indexed = record.doc["indexed"]
    if isinstance(indexed, int | float) and indexed <= now:
        return record
    before = record.doc["before"]
    return replace(record, doc=before) if isinstance(before, dict) else None


def _groups(given: object) -> list[list[Mapping[str, object]]]:
    if not isinstance(given, list) or len(given) > MAX_GROUPS:
        raise invalid(f"filterGroups must be a list of at most {MAX_GROUPS}")
    groups = []
    for group in given:
        filters = group.get("filters") if isinstance(group, dict) else None
        if not isinstance(filters, list) or not 0 < len(filters) <= MAX_FILTERS:
            raise invalid(f"filters must be a list of 1 to {MAX_FILTERS}")
        for one in filters:
            whole = isinstance(one, dict) and all(isinstance(one.get(part), str) for part in PARTS)
            if not whole or one["operator"] not in OPERATORS:
                raise invalid("a filter is propertyName, operator (here EQ or CONTAINS_TOKEN) and value")
        groups.append(filters)
    return groups


def _fits(record: Record, filters: list[Mapping[str, object]]) -> bool:
    return all(_matches(record, str(one["propertyName"]), one) for one in filters)


def _matches(record: Record, name: str, one: Mapping[str, object]) -> bool:
    wanted = str(one["value"]).strip().lower()
    if name in CALCULATED:
        held = local_number(str(record.doc.get(CALCULATED[name]) or ""))
    else:
        held = record.id if name == "hs_object_id" else str(record.doc.get(name) or "").lower()
    if one["operator"] == "CONTAINS_TOKEN":
        return wanted in held.replace(";", " ").split()
    return bool(held) and held == wanted


def _page(body: Mapping[str, object]) -> tuple[int, int]:
    after, limit = body.get("after", "0"), body.get("limit", 10)
    if not isinstance(after, str) or not after.isascii() or not after.isdigit() or len(after) > 9:
        raise invalid("after must be a number as text")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= MAX_PAGE:
        raise invalid(f"limit must be from 1 to {MAX_PAGE}")
    return int(after), limit


def _asked(body: Mapping[str, object], known: Type) -> tuple[str, ...]:
    names = body.get("properties", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid("properties must be a list of names")
    return tuple(names) or known.shown
