"""The people who have a login at Follow Up Boss: GET /users (https://docs.followupboss.com/reference/users-get)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from integrations.providers.base import Exchange, ProviderUser
from integrations.providers.plain import told

from .answers import Record, id_of, listed


def list_users(exchange: Exchange, config: Mapping[str, str]) -> Sequence[ProviderUser]:
    """All of them, deleted ones excepted, as the vendor does. Raises ProviderError."""
    return [_user(record) for record in listed(exchange, "/users", {})]


def _user(record: Record) -> ProviderUser:
    parts = " ".join(part for part in (told(record, "firstName"), told(record, "lastName")) if part)
    return ProviderUser(id_of(record), told(record, "name") or parts, told(record, "email"))
