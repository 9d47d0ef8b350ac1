"""What Follow Up Boss's answers say: `errorMessage` when it refuses, lists beside a `_metadata`, whole numbers as ids.

https://docs.followupboss.com/reference/error-responses, https://docs.followupboss.com/reference/pagination. An answer
without the expected id is doubt. Ids are text on our side: 64 bits are more than every reader of JSON keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from integrations.providers.base import Exchange, Understood
from integrations.providers.errors import Rejected, Uncertain, body_of, error_for

SLUG = "followupboss"
PAGE = 100
MOST_PAGES = 20

Record = Mapping[str, Any]


def get(
    exchange: Exchange, path: str, query: Mapping[str, str] | None = None, *, linked: bool = False
) -> httpx.Response:
    """A 2xx. Raises the answer's error; Gone for a 404 when the path names a record we had linked."""
    return checked(exchange.read("GET", path, params=dict(query or {})), linked=linked)


def checked(response: httpx.Response, *, linked: bool = False) -> httpx.Response:
    """The answer, if it is a 2xx. Raises its error."""
    if not response.is_success:
        raise error_for(SLUG, response, request_id=request_id(response), linked=linked)
    return response


def object_of(response: httpx.Response) -> Record:
    """The object in a 2xx. Raises Uncertain when there is none."""
    body = body_of(checked(response))
    if not isinstance(body, dict):
        raise not_understood(response)
    return body


def record_of(response: httpx.Response, external_id: str = "") -> Record:
    """The record in a 2xx, the one of that id where one is given. Raises Uncertain."""
    record = object_of(response)
    if not id_of(record) or (external_id and id_of(record) != external_id):
        raise not_understood(response)
    return record


def understood(response: httpx.Response, external_id: str = "") -> Understood:
    """What a write's answer says. Raises as `record_of`."""
    return Understood(id_of(record_of(response, external_id)), response.status_code, request_id(response))


def listed(exchange: Exchange, path: str, query: Mapping[str, str]) -> Iterator[Record]:
    """All records of a list, a page at a time. Raises Uncertain, and Rejected for one of more than 2,000."""
    place: dict[str, str] = {}
    seen = 0
    for _ in range(MOST_PAGES):
        response = get(exchange, path, {**query, "limit": str(PAGE), **place})
        rows, total, following = _page(response)
        yield from rows
        seen += len(rows)
        if not rows or (not following and seen >= total):
            return
        place = {"next": following} if following else {"offset": str(seen)}
    raise Rejected(SLUG, f"the list {path} has more than {seen} records: too many to look through")


def _page(response: httpx.Response) -> tuple[list[Record], int, str]:
    """Rows, how many there are in all, and the cursor of what follows, if it is told."""
    body = object_of(response)
    metadata = body.get("_metadata")
    if not isinstance(metadata, dict):
        raise not_understood(response)
    name = str(metadata.get("collection")).casefold()
    rows = next((value for key, value in body.items() if key.casefold() == name), None)
    total, following = metadata.get("total"), metadata.get("next")
    if not isinstance(rows, list) or not all(map(id_of, rows)) or isinstance(total, bool) or not isinstance(total, int):
        raise not_understood(response)
    return rows, total, following if isinstance(following, str) else ""


def id_of(record: object) -> str:
    """A record's id as text; empty when it has none."""
    value = record.get("id") if isinstance(record, dict) else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def number(external_id: str, what: str) -> int:
    """An id as the vendor takes it. Raises Rejected, for a person to correct, when it cannot be one of theirs."""
    if not (external_id.isascii() and external_id.isdigit() and len(external_id) < 20):
        raise Rejected(SLUG, f"{what} must be a number in Follow Up Boss, not “{external_id[:40]}”")
    return int(external_id)


def record_path(path: str, external_id: str) -> str:
    """The path of one record."""
    return f"{path}/{quote(external_id, safe='')}"


def not_understood(response: httpx.Response) -> Uncertain:
    """A 2xx that says nothing we can use."""
    return Uncertain(SLUG, "the answer is not understood", response.status_code, request_id(response))


def request_id(response: httpx.Response) -> str:
    """No id is documented; a proxy's is better than none."""
    return str(response.headers.get("x-request-id", ""))[:80]
