"""What a vendor's file must offer the sandbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from .holdings import Tab
from .limits import Limit, Usage
from .messages import Request
from .store import Data


@dataclass(frozen=True)
class Reply:
    """A vendor's answer and what it did to the vendor's data.

    ``effect`` is ``{"kind", "id", "op": create|update|delete}`` and may say more
    (``notified``: the buyer got a message).
    """

    status: int
    document: object
    effect: dict[str, object] | None = None


class SettingError(ValueError):
    """A setting of an account that cannot be taken; names the field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Vendor(Protocol):
    """One vendor, as its documentation describes it.

    Methods run inside the request's transaction and must not block.
    """

    slug: str
    label: str
    limits: Sequence[Limit]
    tabs: Sequence[Tab]
    secret_settings: frozenset[str]
    """Settings of an account of which only is told whether they are set."""

    def configure(self, data: Data, account: str, settings: Mapping[str, object], now: float) -> None:
        """Create or change an account. ``now`` is seconds since the epoch. Raises SettingError."""

    def refill(self, data: Data, account: str, now: float) -> None:
        """Put into an account what its settings say it holds from the start, as far as it is not there."""

    def sharing(self, data: Data, account: str) -> list[str]:
        """The accounts that share one rate limit with this one, itself included, always in the same order."""

    def identify(self, data: Data, request: Request) -> str | None:
        """The account a request is made for, as far as its credentials tell, valid or not."""

    def answer(self, data: Data, request: Request, now: float) -> Reply:
        """Do what the request asks. ``now`` is seconds since the epoch."""

    def failure(self, status: int, message: str) -> dict[str, object]:
        """The body of an error that comes from in front of the vendor's application."""

    def rate_headers(self, usage: Sequence[Usage]) -> dict[str, str]:
        """The headers that tell how much of the limits is left."""

    def recorded_body(self, request: Request) -> object:
        """The body as the journal keeps it: parsed where it can be, secrets hashed."""


@runtime_checkable
class Contextual(Protocol):
    """A vendor each of whose limits counts only some requests, and that tells a refused one when to come back."""

    def counted_in(self, method: str, path: str, headers: Mapping[str, str], config: Mapping[str, object]) -> list[str]:
        """The names of the limits that count a request. ``headers`` as the journal has them, secrets hashed."""

    def refused_headers(self, wait_s: float) -> dict[str, str]:
        """The headers of a 429 beside those of every answer."""
