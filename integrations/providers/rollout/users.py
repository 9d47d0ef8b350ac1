"""The people who have a login in the CRM behind Rollout: GET /users of the contract, which can only be paged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integrations.providers.base import Exchange, ProviderUser
from integrations.providers.plain import told

from .calls import Calls, Clocks
from .index import Listing

USERS = Listing("users", "/users", lambda _record: ())


def list_users(exchange: Exchange, config: Mapping[str, str]) -> Sequence[ProviderUser]:
    """All of them, as the CRM has them; at most 20 pages. Raises RolloutError."""
    return [_user(record) for record in Calls(exchange, Clocks()).short_list(USERS)]


def _user(record: Mapping[str, Any]) -> ProviderUser:
    name = " ".join(part for part in (told(record, "firstName"), told(record, "lastName")) if part)
    return ProviderUser(record["id"], name, told(record, "email"))
