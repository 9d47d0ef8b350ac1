"""Whose key it is: GET /identity names the account and the user (https://docs.followupboss.com/reference/identity-get)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.providers.base import Exchange
from integrations.providers.errors import Rejected
from integrations.providers.plain import told

from .answers import SLUG, get, listed, not_understood, object_of
from .fields import named_fields


def account_key(config: Mapping[str, str]) -> str:
    """The account's own part of its address: `acme` of acme.followupboss.com."""
    return config["subdomain"].strip().casefold()


def verify(exchange: Exchange, config: Mapping[str, str]) -> None:
    """That the key is one of this account, and that the custom fields named are there. Raises ProviderError."""
    response = get(exchange, "/identity")
    account: Any = object_of(response).get("account")
    domain = told(account, "domain")
    if not domain:
        raise not_understood(response)
    if domain.casefold() != account_key(config):
        raise Rejected(SLUG, f"this API key is of the account {domain}, not of {account_key(config)}")
    wanted = named_fields(config)
    known = {told(field, "name") for field in listed(exchange, "/customFields", {})} if wanted else set()
    for label, name in wanted.items():
        if name not in known:
            raise Rejected(SLUG, f"{label}: the account has no custom field named {name}")
