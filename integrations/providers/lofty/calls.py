"""One request to Lofty and what its answer says.

Errors are `{"code", "message"}`, the code a number or a name: https://developer.lofty.com/authentication/error-codes.
Older endpoints say `errorCode` and `errorMsg`, or answer with a JSON text. Ids are 64-bit integers, here texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from integrations.providers.base import Exchange
from integrations.providers.errors import (
    CREDENTIALS_EXTENSION,
    MAX_TEXT,
    AuthError,
    NotProcessed,
    ProviderError,
    Rejected,
    Uncertain,
    body_of,
    error_for,
)
from integrations.texts import readable

SLUG = "lofty"
# DELETE, and some GETs, are refused without it.
JSON = {"Content-Type": "application/json"}
# Sent as numbers: a text is refused.
NUMBERS = ("leadId", "assignedUserId")
# Not this key or app, whatever the status: 200058 comes with 400 when a key is sent as a bearer token.
_CREDENTIALS = frozenset({"200058", "200100", "BAD_CREDENTIALS", "VENDOR_HAS_NO_PERMISSION"})
_NOT_THIS_RECORD = "PERMISSION_DENIED"
_NO_LEAD = "LEAD_NOT_EXIST"


def read(
    exchange: Exchange, path: str, query: Mapping[str, str] | None = None, *, linked: bool = False
) -> httpx.Response:
    """A 2xx. Raises ProviderError; Gone for a 404 when the path names a record we had linked."""
    return checked(exchange.read("GET", path, headers=JSON, params=dict(query or {})), linked=linked)


def write(exchange: Exchange, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
    """THE effect of an operation; the answer as it is, to be judged by `checked`. Raises Rejected for what is no id."""
    sent = {} if body is None else {"json": {name: _sent(name, value) for name, value in body.items()}}
    return exchange.write(method, path, headers=JSON, **sent)


def _sent(name: str, value: Any) -> Any:
    if name not in NUMBERS:
        return value
    if not (isinstance(value, str) and value.isascii() and value.isdecimal()):
        raise Rejected(SLUG, f"{name} “{value}” is no number, as all ids at Lofty are")
    return int(value)


def checked(response: httpx.Response, *, linked: bool = False, new_lead: bool = False) -> httpx.Response:
    """The answer, if it is a 2xx. Raises its error. `new_lead`: a lead that is not there may not be there yet."""
    if not response.is_success:
        raise error_of(response, linked=linked, new_lead=new_lead)
    return response


def error_of(response: httpx.Response, *, linked: bool = False, new_lead: bool = False) -> ProviderError:
    """The error of an answer that is no 2xx. `linked`: the request named a record we had stored.

    A lead is kept some time after its id was told (https://developer.lofty.com/api-reference/leads/create-lead): what
    is written of it meanwhile and finds none was not done, and is tried again.
    """
    status, code = response.status_code, code_of(response)
    common = error_for(SLUG, response, request_id=request_id(response), linked=linked)
    common.message = _words(response) or common.message
    if not 400 <= status < 500:
        return common
    if code in _CREDENTIALS and not isinstance(common, AuthError):
        used = response.request.extensions.get(CREDENTIALS_EXTENSION)
        return AuthError(SLUG, common.message, status, common.request_id, None, used)
    if code == _NOT_THIS_RECORD:
        return Rejected(SLUG, common.message, status, common.request_id)
    if new_lead and status == httpx.codes.NOT_FOUND and code in (_NO_LEAD, ""):
        return NotProcessed(SLUG, common.message, status, common.request_id)
    return common


def not_understood(response: httpx.Response) -> Uncertain:
    """A 2xx that says nothing we can use."""
    return Uncertain(SLUG, "the answer is not understood", response.status_code, request_id(response))


def code_of(response: httpx.Response) -> str:
    """The vendor's own code, as text; empty when there is none."""
    body = body_of(response)
    code = body.get("code", body.get("errorCode")) if isinstance(body, dict) else None
    return str(code) if isinstance(code, int | str) and not isinstance(code, bool) else ""


def object_of(response: httpx.Response, key: str | None = None) -> Mapping[str, Any]:
    """The answer's object, or the one under `key`; empty when there is none."""
    body = body_of(response)
    if key is not None and isinstance(body, dict):
        body = body.get(key)
    return body if isinstance(body, dict) else {}


def rows_of(response: httpx.Response, key: str) -> list[Mapping[str, Any]]:
    """The list of objects under `key` that were not deleted; Uncertain when there is none."""
    rows = object_of(response).get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise not_understood(response)
    return [row for row in rows if not row.get("deleteFlag")]


def id_of(record: Mapping[str, Any], *names: str) -> str:
    """The first of these that holds an id, as text; empty when none does."""
    for name in names:
        value = record.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return str(value)
        if isinstance(value, str) and value.isascii() and value.isdecimal():
            return value
    return ""


def says_done(response: httpx.Response) -> bool:
    """Whether a 2xx is the documented answer to a change: an object with a `message`."""
    return isinstance(object_of(response).get("message"), str)


def request_id(response: httpx.Response) -> str:
    """No id is documented; a proxy's is better than none."""
    return str(response.headers.get("x-request-id", ""))[:80]


def _words(response: httpx.Response) -> str:
    body = body_of(response)
    text = body.get("errorMsg") if isinstance(body, dict) else body
    return readable(text)[:MAX_TEXT] if isinstance(text, str) else ""
