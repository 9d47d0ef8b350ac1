"""Which CRM accounts a consumer has connected: the credentials API, which is another host than the CRM API's.

https://rollout.com/docs/getting-started/making-api-requests. For pages where a connection is set up; no operation needs
it.
"""

from __future__ import annotations

from collections.abc import Mapping

from integrations.providers.accounts import Getter, ProviderAccount
from integrations.providers.base import Exchange
from integrations.providers.errors import ProviderError, body_of
from integrations.providers.plain import told

from .calls import Calls, Clocks, checked
from .errors import RolloutGoneError, named, not_understood


def verify(exchange: Exchange, config: Mapping[str, str]) -> None:
    """One person of the CRM, as every operation needs the list of people. Raises RolloutError."""
    Calls(exchange, Clocks()).get("/people", {"limit": "1"})


def list_credentials(http: Getter, base_url: str) -> list[ProviderAccount]:
    """The consumer's credentials; none when Rollout does not know the consumer yet (404).

    Raises RolloutError: RolloutAuthError, RolloutRateLimitError, RolloutServerError, RolloutCircuitOpenError.
    """
    try:
        response = http.get(f"{base_url.rstrip('/')}/credentials")
        checked(response, linked=True)
    except RolloutGoneError:
        return []
    except ProviderError as error:
        raise named(error) from None
    body = body_of(response)
    if not isinstance(body, list) or not all(isinstance(one, dict) and isinstance(one.get("id"), str) for one in body):
        raise not_understood(response)
    return [ProviderAccount(one["id"], told(one, "appKey"), told(one, "label"), told(one, "createdAt")) for one in body]
