"""What all of Follow Up Boss's collections have in common: one call, a page of a list, one record, deleting it.

https://docs.followupboss.com/reference/pagination: `limit` (10, at most 100) with `offset`, or with the `next` of the
answer before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from integrations.sandbox.settings import USER
from integrations.sandbox.store import Account, Data, Record
from integrations.sandbox.vendor import Reply

from .shapes import SLUG, Check, VendorError, iso, new_id

DEFAULT_LIMIT, MAX_LIMIT = 10, 100
PAGING = frozenset({"limit", "offset", "next", "sort", "fields"})


@dataclass(frozen=True)
class Call:
    """One authorised call: whose account, what body, when (seconds since the epoch), and the address it came to."""

    data: Data
    account: Account
    body: Mapping[str, object]
    query: Mapping[str, str]
    now: float
    url: str

    @property
    def name(self) -> str:
        """The account's name."""
        return self.account.account

    @property
    def stamp(self) -> str:
        """Now, as ``created`` and ``updated`` have it."""
        return iso(self.now)

    @property
    def user(self) -> int:
        """Whose key it is."""
        return int(str(self.account.config["user"]))

    def check(self, shape: Check) -> None:
        """Refuse a body that is not as documented."""
        found = shape("", self.body)
        if found:
            raise VendorError(400, "; ".join(found))

    def find(self, kind: str, record_id: object, *, field: str = "") -> Record:
        """A record of this account. Without: 404, or 400 when ``field`` of the body points to it."""
        record = self.data.get(SLUG, kind, str(record_id))
        if record is not None and record.account == self.name:
            return record
        raise VendorError(400, f"{field} {record_id} does not exist") if field else VendorError(404, "Not found")

    def all(self, kind: str) -> list[Record]:
        """Every record of a kind, newest first."""
        rows = self.data.listed(SLUG, self.name, kind, after=None, newest=True, offset=0, limit=-1)
        return [record for _, record in rows]

    def check_user(self, field: str) -> None:
        """Refuse a body whose ``field`` names nobody with a login."""
        if field in self.body:
            self.find(USER, self.body[field], field=field)


@dataclass(frozen=True)
class Collection:
    """One collection: the kind of its records here, its name there, and how one of them is shown."""

    kind: str
    name: str
    shown: Callable[[Call, Record], dict[str, object]]
    filters: Mapping[str, Callable[[Record, str], bool]]
    sees: Callable[[Call, Record], bool] = lambda _call, _record: True
    notifies: bool = False

    def list(self, call: Call) -> Reply:
        """GET /{collection} — newest first; filters the documentation does not name are refused."""
        for name in call.query:
            if name not in PAGING and name not in self.filters:
                raise VendorError(400, f"{name} is not a known parameter")
        limit = min(_whole(call, "limit", DEFAULT_LIMIT, 1), MAX_LIMIT)
        start = _whole(call, "next", -1, 0) if "next" in call.query else _whole(call, "offset", 0, 0)
        asked = {name: call.query[name] for name in self.filters if name in call.query}
        rows = [
            record
            for record in call.all(self.kind)
            if self.sees(call, record) and all(self.filters[name](record, value) for name, value in asked.items())
        ]
        page = rows[start : start + limit]
        following = str(start + limit) if start + limit < len(rows) else None
        link = f"{call.url}?{urlencode({**asked, 'limit': limit, 'next': following})}" if following else None
        metadata = {
            "collection": self.name, "offset": start, "limit": limit, "total": len(rows), "next": following,
            "nextLink": link,
        }  # fmt: skip
        return Reply(200, {"_metadata": metadata, self.name: [self.shown(call, one) for one in page]})

    def fetch(self, call: Call, record_id: str) -> Reply:
        """GET /{collection}/{id}."""
        return Reply(200, self.shown(call, self.seen(call, record_id)))

    def delete(self, call: Call, record_id: str) -> Reply:
        """DELETE /{collection}/{id}."""
        record = self.seen(call, record_id)
        call.data.remove(record)
        return Reply(200, {}, self.effect(record, "delete"))

    def seen(self, call: Call, record_id: str) -> Record:
        """A record the key's user may see."""
        record = call.find(self.kind, record_id)
        if not self.sees(call, record):
            raise VendorError(404, "Not found")
        return record

    def insert(self, call: Call, record: Record, *, notified: bool = False) -> Reply:
        """Store a new record and answer 201 with it."""
        call.data.put(record)
        return Reply(201, self.shown(call, record), self.effect(record, "create", notified=notified))

    def replace(self, call: Call, record: Record, *, notified: bool = False) -> Reply:
        """Store a changed record and answer 200 with it."""
        call.data.put(record)
        return Reply(200, self.shown(call, record), self.effect(record, "update", notified=notified))

    def blank(self, call: Call) -> Record:
        """A new record with nothing in it."""
        doc: dict[str, object] = {"created": call.stamp, "updated": call.stamp, "createdById": call.user}
        return Record(SLUG, call.name, self.kind, new_id(), doc)

    def effect(self, record: Record, op: str, *, notified: bool = False) -> dict[str, object]:
        """What was done, for the journal. ``notified``: the buyer got a message."""
        effect: dict[str, object] = {"kind": self.kind, "id": record.id, "op": op}
        return {**effect, "notified": notified} if self.notifies else effect


def is_of(name: str) -> Callable[[Record, str], bool]:
    """Whether a property is one of some numbers or names with commas between."""
    return lambda record, wanted: str(record.doc.get(name)) in wanted.split(",")


def _whole(call: Call, name: str, default: int, least: int) -> int:
    value = call.query.get(name)
    if value is None:
        return default
    if not re.fullmatch(r"[0-9]{1,15}", value) or int(value) < least:
        raise VendorError(400, f"{name} must be a whole number, {least} or above")
    return int(value)
