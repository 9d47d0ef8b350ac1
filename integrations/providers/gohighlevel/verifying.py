"""Whether a token works for a location, with no right that the connection does not need anyway.

GET /contacts/search/duplicate (scope contacts.readonly) of apps/contacts.json,
https://github.com/GoHighLevel/highlevel-api-docs/blob/main/apps/contacts.json. Reading the location itself would take
a further scope.
"""

from __future__ import annotations

from collections.abc import Mapping

from integrations.providers.base import Exchange

from .answers import CONTACTS, check

NOBODY = "nobody@reanna.invalid"


def verify(exchange: Exchange, config: Mapping[str, str]) -> None:
    """Looks for an address that nobody can have. Raises ProviderError."""
    query = {"locationId": config["location_id"], "email": NOBODY}
    check(exchange.read("GET", "/contacts/search/duplicate", headers=CONTACTS, params=query))
