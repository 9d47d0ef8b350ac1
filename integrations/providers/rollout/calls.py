"""One request to Rollout and what its answer says; every failure comes out under Rollout's own name."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import httpx

from integrations.providers.base import Exchange
from integrations.providers.errors import ProviderError, body_of

from .errors import error_of, named, not_understood
from .index import PAGE, PAGES_AT_ONCE, Listing, LookupIndex, Page


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time as the kinds see it."""

    now_ms: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)
    monotonic: Callable[[], float] = time.monotonic


class Calls:
    """The requests of one operation."""

    def __init__(self, exchange: Exchange, clocks: Clocks) -> None:
        self._exchange = exchange
        self._clocks = clocks

    def get(self, path: str, query: Mapping[str, str] | None = None, *, linked: bool = False) -> httpx.Response:
        """A 2xx. Raises a RolloutError; RolloutGoneError for a 404 when the path names a record we had linked."""
        try:
            response = self._exchange.read("GET", path, params=dict(query or {}))
        except ProviderError as error:
            raise named(error) from None
        return checked(response, linked=linked)

    def find(self, path: str, external_id: str) -> Mapping[str, Any] | None:
        """One record; None when it is not there."""
        try:
            response = self._exchange.read("GET", record_path(path, external_id))
        except ProviderError as error:
            raise named(error) from None
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        record = record_of(checked(response))
        if record["id"] != external_id:
            raise not_understood(response)
        return record

    def write(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """THE effect of an operation; the answer as it is, to be judged by `checked`."""
        try:
            return self._exchange.write(method, path, **({} if body is None else {"json": dict(body)}))
        except ProviderError as error:
            raise named(error) from None

    def page(self, listing: Listing, query: Mapping[str, str]) -> Page:
        """One page of a list."""
        response = self.get(listing.path, query)
        body = body_of(response)
        answer = body if isinstance(body, dict) else {}
        metadata, records = answer.get("_metadata"), answer.get(listing.resource)
        if not isinstance(metadata, dict) or not isinstance(records, list) or not all(map(_has_id, records)):
            raise not_understood(response)
        total, following = metadata.get("total"), metadata.get("next")
        if isinstance(total, bool) or not isinstance(total, int | float):
            raise not_understood(response)
        return Page(records, int(total), following if isinstance(following, str) else "")

    def short_list(self, listing: Listing) -> list[Mapping[str, Any]]:
        """A list that people keep by hand: all of it, at most 20 pages."""
        found: list[Mapping[str, Any]] = []
        page = self.page(listing, {"limit": str(PAGE)})
        found += page.records
        for _ in range(PAGES_AT_ONCE - 1):
            if not page.more:
                break
            place = {"next": page.next} if page.next else {"offset": str(len(found))}
            page = replace(self.page(listing, {"limit": str(PAGE), **place}), offset=len(found))
            found += page.records
        return found

    def index(self, listing: Listing) -> LookupIndex:
        """The look-up index of a list."""
        return LookupIndex(
            self._exchange.lookups,
            listing,
            lambda query: self.page(listing, query),
            now_ms=self._clocks.now_ms,
            monotonic=self._clocks.monotonic,
        )


def record_path(path: str, external_id: str) -> str:
    """The path of one record, whatever its id is made of."""
    return f"{path}/{quote(external_id, safe='')}"


def checked(response: httpx.Response, *, linked: bool = False) -> httpx.Response:
    """The answer, if it is a 2xx. Raises its error."""
    if not response.is_success:
        raise error_of(response, linked=linked)
    return response


def record_of(response: httpx.Response) -> Mapping[str, Any]:
    """The record in a 2xx. Raises RolloutUncertainError when there is none with an id."""
    body = body_of(checked(response))
    if not _has_id(body):
        raise not_understood(response)
    record: Mapping[str, Any] = body  # type: ignore[assignment]  # _has_id saw a dict
    return record


def _has_id(record: object) -> bool:
    return isinstance(record, dict) and isinstance(record.get("id"), str) and bool(record["id"])
