"""What HubSpot's answers say, and where its records are.

Errors: https://developers.hubspot.com/docs/api-reference/error-handling. Every field of an error may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx

from integrations.providers.base import Understood
from integrations.providers.errors import NotReady, ProviderError, RateLimited, Uncertain, body_of, error_for

SLUG = "hubspot"
CONTACTS, MEETINGS, NOTES, TASKS = "contacts", "meetings", "notes", "tasks"

# "policyName" of a 429, by how long its window lasts. The day ends at midnight of the account's own zone, which nothing
# tells: it is asked again after an hour. https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
_POLICY_S = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0, "DAILY": 3600.0}
_LOCKED = 423  # too much at once: locked for two seconds
_MIGRATING = 477  # the account is moved to another data centre
_LOCKED_S, _MIGRATING_S = 2.0, 3600.0
_EXISTING = re.compile(r"Existing ID: ([0-9]{1,20})\b")


def objects(of: str, record_id: str = "") -> str:
    """The path of a kind of records, or of one."""
    path = f"/crm/v3/objects/{of}"
    return f"{path}/{quote(record_id, safe='')}" if record_id else path


def check(response: httpx.Response, *, linked: bool = False) -> None:
    """Raises the error of an answer that is no 2xx. `linked`: the request named a record we had stored."""
    if not response.is_success:
        raise _error(response, linked=linked)


def understood(response: httpx.Response, record: Mapping[str, Any]) -> Understood:
    """A 2xx with an id. Raises the answer's error, or Uncertain for a 2xx that says nothing we can use."""
    check(response)
    external_id = id_of(record)
    if not external_id:
        raise not_understood(response)
    return Understood(external_id, response.status_code, request_id(response))


def not_understood(response: httpx.Response) -> Uncertain:
    return Uncertain(SLUG, "the answer is not understood", response.status_code, request_id(response))


def object_of(response: httpx.Response) -> Mapping[str, Any]:
    """The answer's object; empty when there is none."""
    body = body_of(response)
    return body if isinstance(body, dict) else {}


def rows_of(response: httpx.Response) -> list[Mapping[str, Any]]:
    """The objects under `results`; Uncertain when there is no such list."""
    rows = object_of(response).get("results")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise not_understood(response)
    return rows


def next_page(response: httpx.Response) -> str:
    """`paging.next.after`; empty on the last page."""
    paging = object_of(response).get("paging")
    following = paging.get("next") if isinstance(paging, dict) else None
    return text_id(following.get("after")) if isinstance(following, dict) else ""


def properties_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record's properties; one without a value (null) is told to be empty."""
    held = record.get("properties")
    return {name: "" if value is None else value for name, value in held.items()} if isinstance(held, dict) else {}


def id_of(record: object) -> str:
    return text_id(record.get("id")) if isinstance(record, dict) else ""


def text_id(value: object) -> str:
    """An id as text, whatever its JSON type: they have up to 64 bits, and some answers give them as numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def twin_of(response: httpx.Response) -> str:
    """The contact that a refused create collided with (409 CONFLICT names it in its words); empty: it names none."""
    if response.status_code != httpx.codes.CONFLICT:
        return ""
    found = _EXISTING.search(str(object_of(response).get("message")))
    return found.group(1) if found else ""


def request_id(response: httpx.Response) -> str:
    """`correlationId` of an error, else the header of the same meaning."""
    told = object_of(response).get("correlationId") or response.headers.get("x-hubspot-correlation-id")
    return str(told)[:80] if told else ""


def _error(response: httpx.Response, *, linked: bool) -> ProviderError:
    error = error_for(SLUG, response, request_id=request_id(response), linked=linked)
    if isinstance(error, RateLimited):
        policy = _POLICY_S.get(str(object_of(response).get("policyName")))
        return replace(error, retry_after_s=error.retry_after_s or policy)
    waits = {_LOCKED: _LOCKED_S, _MIGRATING: _MIGRATING_S}
    if error.status in waits:
        wait = error.retry_after_s or waits[error.status]
        return NotReady(SLUG, error.message, error.status, error.request_id, wait)
    return error
