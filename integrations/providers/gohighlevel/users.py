"""The people who have a login in a GoHighLevel location.

GET /users/ (Version 2021-07-28, scope users.readonly) of apps/users.json,
https://github.com/GoHighLevel/highlevel-api-docs/blob/main/apps/users.json: one answer, no pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integrations.providers.base import Exchange, ProviderUser
from integrations.providers.plain import told

from .answers import CONTACTS, check, id_of, not_understood, rows_of


def list_users(exchange: Exchange, config: Mapping[str, str]) -> Sequence[ProviderUser]:
    """All users of the location. Raises ProviderError."""
    response = exchange.read("GET", "/users/", headers=CONTACTS, params={"locationId": config["location_id"]})
    check(response)
    rows = rows_of(response, "users")
    if not all(id_of(row) for row in rows):
        raise not_understood(response)
    return [_user(row) for row in rows]


def _user(row: Mapping[str, Any]) -> ProviderUser:
    parts = " ".join(part for part in (told(row, "firstName"), told(row, "lastName")) if part)
    return ProviderUser(id_of(row), told(row, "name") or parts, told(row, "email"))
