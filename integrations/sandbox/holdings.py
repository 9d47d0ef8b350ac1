"""What the page shows of an account: one tab for each kind of record, its columns and its rows as plain text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from zoneinfo import ZoneInfo

from .store import Account, Data, Record

SHOWN_CHARACTERS = 400
TAG = "tag"


class Status(str):
    """A cell with a state, shown in the colour of its word."""

    __slots__ = ()


class Long(str):
    """A cell with a text of several lines."""

    __slots__ = ()


@dataclass(frozen=True)
class Holding:
    """One record as a tab sees it: with its account and, for what belongs to a contact, that contact."""

    data: Data
    account: Account
    record: Record
    contact: Record | None

    def text(self, name: str) -> str:
        """A property of the record, empty when there is none."""
        value = self.record.doc.get(name)
        return "" if value is None else str(value)

    def texts(self, name: str) -> str:
        """A property that is a list, with commas between."""
        value = self.record.doc.get(name)
        return ", ".join(str(item) for item in value) if isinstance(value, list) else ""

    @property
    def buyer(self) -> str:
        """The contact's name."""
        return "" if self.contact is None else full_name(self.contact.doc)

    @property
    def times(self) -> str:
        """From when to when, in the account's zone."""
        zone = ZoneInfo(str(self.account.config.get("timezone", "UTC")))
        if self.record.start_ms is None:
            return ""
        start = datetime.fromtimestamp(self.record.start_ms / 1000, zone)
        if self.record.end_ms is None:
            return f"{start:%a %d %b %Y, %H:%M %Z}"
        end = datetime.fromtimestamp(self.record.end_ms / 1000, zone)
        return f"{start:%a %d %b %Y, %H:%M} to {end:%H:%M} {start:%Z}"

    def named(self, kind: str, name: str) -> str:
        """The name of another record that this one points to, or the id when it is gone."""
        other = self.text(name)
        found = self.data.get(self.record.provider, kind, other) if other else None
        return other if found is None else str(found.doc.get("name") or full_name(found.doc) or other)


@dataclass(frozen=True)
class Tab:
    """One kind of record. ``cells`` gives a row's cells but the last, which is the id."""

    kind: str
    label: str
    columns: tuple[str, ...]
    cells: Callable[[Holding], tuple[str, ...]]

    def count(self, data: Data, account: Account) -> int:
        """How many the account holds."""
        return data.count(account.provider, account.account, self.kind)

    def rows(self, data: Data, account: Account, start: int, limit: int) -> list[tuple[tuple[str, ...], str]]:
        """Cells and id of one page, newest first."""
        found = []
        for record in data.newest(account.provider, account.account, self.kind, start, limit):
            contact = data.get(account.provider, "contact", record.parent) if record.parent else None
            found.append((self.cells(Holding(data, account, record, contact)), record.id))
        return found


def tags_tab() -> Tab:
    """The tags that were ever used in an account."""
    return Tab(TAG, "Tags", ("Tag", "First used"), lambda held: (held.text("name"), utc(held.text("created"))))


def note_tags(data: Data, provider: str, account: str, tags: object, created: str) -> None:
    """Remember the names of tags; those known stay as they are."""
    for name in tags if isinstance(tags, list) else []:
        tag_id = sha256(f"{account}\0{name}".encode()).hexdigest()[:20]
        if data.get(provider, TAG, tag_id) is None:
            data.put(Record(provider, account, TAG, tag_id, {"name": str(name), "created": created}))


def full_name(doc: dict[str, object]) -> str:
    """First and last name."""
    return " ".join(str(doc[part]) for part in ("firstName", "lastName") if doc.get(part))


def utc(iso: str) -> str:
    """A stored ISO 8601 time as the page shows it."""
    return datetime.fromisoformat(iso).astimezone(UTC).strftime("%d %b %Y, %H:%M:%S UTC") if iso else ""


def shortened(text: str) -> Long:
    """The beginning of a long text."""
    return Long(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…")
