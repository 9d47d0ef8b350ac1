"""The people who can own records in a HubSpot account.

GET /crm/v3/owners (scope crm.objects.owners.read), page by page; queues are nobody.
https://github.com/HubSpot/HubSpot-public-api-spec-collection (CRM/Crm Owners, v3)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integrations.providers.base import Exchange, ProviderUser
from integrations.providers.plain import told

from .answers import check, id_of, next_page, not_understood, rows_of

PAGE = 100


def list_users(exchange: Exchange, config: Mapping[str, str]) -> Sequence[ProviderUser]:
    """All owners of the account. Raises ProviderError."""
    found: list[ProviderUser] = []
    after = ""
    while True:
        query = {"limit": str(PAGE), **({"after": after} if after else {})}
        response = exchange.read("GET", "/crm/v3/owners", params=query)
        check(response)
        rows = rows_of(response)
        if not all(id_of(row) for row in rows):
            raise not_understood(response)
        found += [_user(row) for row in rows if row.get("type") != "QUEUE"]
        after = next_page(response)
        if not after:
            return found


def _user(row: Mapping[str, Any]) -> ProviderUser:
    name = " ".join(part for part in (told(row, "firstName"), told(row, "lastName")) if part)
    return ProviderUser(id_of(row), name, told(row, "email"))
