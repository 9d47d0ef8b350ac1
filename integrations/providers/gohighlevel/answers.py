"""What GoHighLevel's answers say. Every answer carries a `traceId`; an answer without the expected id is doubt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from integrations.providers.base import Understood
from integrations.providers.errors import Uncertain, body_of, error_for

SLUG = "gohighlevel"
CONTACTS = {"Version": "2021-07-28"}
CALENDARS = {"Version": "2021-04-15"}


def check(response: httpx.Response, *, linked: bool = False) -> None:
    """Raises the error of an answer that is no 2xx."""
    if not response.is_success:
        raise error_for(SLUG, response, request_id=request_id(response), linked=linked)


def understood(response: httpx.Response, record: Mapping[str, Any]) -> Understood:
    """A 2xx with an id. Raises the answer's error, or Uncertain for a 2xx that says nothing we can use."""
    check(response)
    external_id = id_of(record)
    if not external_id:
        raise not_understood(response)
    return Understood(external_id, response.status_code, request_id(response))


def not_understood(response: httpx.Response) -> Uncertain:
    return Uncertain(SLUG, "the answer is not understood", response.status_code, request_id(response))


def object_of(response: httpx.Response, key: str | None = None) -> Mapping[str, Any]:
    """The answer's object, or the one under `key`; empty when there is none."""
    body = body_of(response)
    if key is not None and isinstance(body, dict):
        body = body.get(key)
    return body if isinstance(body, dict) else {}


def rows_of(response: httpx.Response, key: str) -> list[Mapping[str, Any]]:
    """The list of objects under `key`; Uncertain when there is none."""
    rows = object_of(response).get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise not_understood(response)
    return rows


def id_of(record: object) -> str:
    value = record.get("id") if isinstance(record, dict) else None
    return value if isinstance(value, str) else ""


def request_id(response: httpx.Response) -> str:
    """Every answer carries a `traceId`."""
    trace = (
        object_of(response).get("traceId") or response.headers.get("traceid") or response.headers.get("x-request-id")
    )
    return str(trace)[:80] if trace else ""
