"""Which CRM accounts a consumer has connected: the credentials API, which is another host than the CRM API's.

https://rollout.com/docs/getting-started/making-api-requests. For pages where a connection is set up; no operation needs
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from integrations.providers.errors import ProviderError, body_of

from .calls import checked
from .errors import RolloutGoneError, named, not_understood


@dataclass(frozen=True, slots=True)
class Credential:
    """One connected CRM account. `app`: which CRM, for example "followupboss"."""

    id: str
    app: str
    label: str


class Getter(Protocol):
    """The guarded way out for reads (`gateway.Asking`)."""

    def get(self, url: str, **kwargs: Any) -> httpx.Response: ...


def list_credentials(http: Getter, base_url: str) -> list[Credential]:
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
    return [Credential(one["id"], _text(one, "appKey"), _text(one, "label")) for one in body]


def _text(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""
