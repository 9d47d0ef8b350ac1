"""Which accounts at a provider a connection could be for: data, and how they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """An account at the provider that a connection could be for. `app`: which CRM it is. Empty text: not told."""

    id: str
    app: str = ""
    label: str = ""
    created: str = ""


class Getter(Protocol):
    """The guarded way out for reads (`gateway.Asking`)."""

    def get(self, url: str, **kwargs: Any) -> httpx.Response:
        """GET; raises ProviderError when there is no answer."""
        ...


@dataclass(frozen=True, slots=True)
class AccountList:
    """How accounts are listed: by `read`, from the address that the settings have under `base_url`.

    `chosen`: the config field that names one; `needs`: the config fields that must be known to ask.
    """

    read: Callable[[Getter, str], Sequence[ProviderAccount]]
    base_url: str
    chosen: str
    needs: tuple[str, ...]
