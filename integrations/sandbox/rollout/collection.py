"""What all of Rollout's collections have in common: one call, a page of a list, one record, deleting it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from integrations.sandbox.store import Account, Data, Record
from integrations.sandbox.vendor import Reply

from .shapes import SLUG, Check, RolloutError, iso, new_id

# The file names neither figure; these are Follow Up Boss's, whose list answers Rollout's resemble:
# https://docs.followupboss.com/reference/pagination. A limit above the highest is lowered to it.
DEFAULT_LIMIT, MAX_LIMIT = 10, 100
CURSOR = re.compile(r"n:([0-9]{1,18})\Z")


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
    def credential(self) -> str:
        """The credential's id."""
        return self.account.account

    @property
    def stamp(self) -> str:
        """Now, as ``created`` and ``updated`` have it."""
        return iso(self.now)

    def check(self, shape: Check) -> None:
        """Refuse a body that is not as documented."""
        found = shape("", self.body)
        if found:
            raise RolloutError(400, "; ".join(found))

    def find(self, kind: str, record_id: object, *, field: str = "") -> Record:
        """A record of this account. Without: 404, or 400 when ``field`` of the body points to it."""
        record = self.data.get(SLUG, kind, str(record_id))
        if record is not None and record.account == self.credential:
            return record
        if field:
            raise RolloutError(400, f"{field} does not exist")
        raise RolloutError(404, "Not found")

    def check_references(self, kinds: Mapping[str, str]) -> None:
        """Refuse a body whose property (key) points to no record of its kind (value)."""
        for field, kind in kinds.items():
            if field in self.body:
                self.find(kind, self.body[field], field=field)


@dataclass(frozen=True)
class Collection:
    """One collection: the kind of its records here, its name there, and how one of them is shown."""

    kind: str
    name: str
    shown: Callable[[Call, Record], dict[str, object]]
    notifies: bool = False

    def list(self, call: Call) -> Reply:
        """GET /{collection} — newest first unless the account says otherwise; nothing can be searched for."""
        limit = min(_whole(call, "limit", DEFAULT_LIMIT, 1), MAX_LIMIT)
        after = _cursor(call.query.get("next"))
        offset = _whole(call, "offset", 0, 0) if after is None else 0
        newest = call.account.config.get("order") != "oldest"
        found = call.data.listed(
            SLUG, call.credential, self.kind, after=after, newest=newest, offset=offset, limit=limit + 1
        )
        more = len(found) > limit
        cursor = _cursor_after(found[limit - 1][0]) if more else None
        metadata = {
            "collection": self.name,
            "offset": offset,
            "limit": limit,
            "total": call.data.count(SLUG, call.credential, self.kind),
            "next": cursor,
            "nextLink": f"{call.url}?{urlencode({'limit': limit, 'next': cursor})}" if cursor else None,
        }
        return Reply(200, {"_metadata": metadata, self.name: [self.shown(call, one) for _, one in found[:limit]]})

    def fetch(self, call: Call, record_id: str) -> Reply:
        """GET /{collection}/{id}."""
        return Reply(200, self.shown(call, call.find(self.kind, record_id)))

    def delete(self, call: Call, record_id: str) -> Reply:
        """DELETE /{collection}/{id} — an empty list is the documented answer."""
        record = call.find(self.kind, record_id)
        call.data.remove(record)
        return Reply(200, [], self.effect(record, "delete"))

    def insert(self, call: Call, record: Record) -> Reply:
        """Store a new record and answer 201 with it."""
        call.data.put(record)
        return Reply(201, self.shown(call, record), self.effect(record, "create"))

    def replace(self, call: Call, record: Record) -> Reply:
        """Store a changed record and answer 200 with it."""
        call.data.put(record)
        return Reply(200, self.shown(call, record), self.effect(record, "update"))

    def blank(self, call: Call) -> Record:
        """A new record with nothing in it."""
        return Record(SLUG, call.credential, self.kind, new_id(), {"created": call.stamp, "updated": call.stamp})

    def effect(self, record: Record, op: str) -> dict[str, object]:
        """What was done, for the journal. No documented call of Rollout's makes it write to a buyer."""
        effect: dict[str, object] = {"kind": self.kind, "id": record.id, "op": op}
        return {**effect, "notified": False} if self.notifies else effect


def origin(call: Call, record: Record) -> dict[str, object]:
    """The properties that tell of the CRM behind Rollout."""
    return {"originalIds": {str(call.account.config["app_key"]): record.id}, "original": {}}


def _whole(call: Call, name: str, default: int, least: int) -> int:
    value = call.query.get(name)
    if value is None:
        return default
    if not re.fullmatch(r"[0-9]{1,15}", value) or int(value) < least:
        raise RolloutError(400, f"{name} must be a whole number, {least} or above")
    return int(value)


def _cursor_after(number: int) -> str:
    return base64.urlsafe_b64encode(f"n:{number}".encode()).decode().rstrip("=")


def _cursor(value: str | None) -> int | None:
    if value is None:
        return None
    try:
        found = CURSOR.match(base64.urlsafe_b64decode(value.encode() + b"=" * (-len(value) % 4)).decode("ascii"))
    except (binascii.Error, ValueError):
        found = None
    if found is None:
        raise RolloutError(400, "next is not a cursor of this collection")
    return int(found[1])
