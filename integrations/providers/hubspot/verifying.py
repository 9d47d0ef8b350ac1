"""Whether a token works, and for which account.

GET /account-info/v3/details needs no scope of its own:
https://github.com/HubSpot/HubSpot-public-api-spec-collection (Account/Account Info, v3).
"""

from __future__ import annotations

from collections.abc import Mapping

from integrations.providers.base import Exchange
from integrations.providers.errors import Rejected

from .answers import SLUG, check, not_understood, object_of, request_id, text_id


def verify(exchange: Exchange, config: Mapping[str, str]) -> None:
    """Raises ProviderError: Rejected when the token is another account's."""
    response = exchange.read("GET", "/account-info/v3/details")
    check(response)
    account = text_id(object_of(response).get("portalId"))
    if not account:
        raise not_understood(response)
    if account != config["portal_id"].strip():
        words = f"the token belongs to account {account}"
        raise Rejected(SLUG, words, response.status_code, request_id(response))
