"""What can go wrong with a provider.

    ProviderError                provider, status, request_id, advice (what a person should do)
     ├─ AuthError                401 after a refresh, 403: the connection needs a person
     ├─ RefreshBusy              another process is renewing the token: try again in a moment
     ├─ RateLimited              429: not processed; `retry_after_s`
     ├─ NotReady                 "ask again shortly", outside the breaker; `retry_after_s`
     ├─ CircuitOpen              not asked at all: it keeps failing (only for callers outside the engine)
     ├─ NotProcessed             503 and answers the adapter lists as "nothing was done": try again
     ├─ Rejected                 a definite permanent 4xx: the same request will never pass
     │   └─ Gone                 404 on a record we had linked
     └─ Uncertain                500, 502, 504, an answer not understood: it may or may not have happened

Which error becomes which state of an operation is one table: `engine/verdict.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from integrations.texts import readable

from .retry_after import retry_after

if TYPE_CHECKING:
    import httpx

MAX_TEXT = 300
CREDENTIALS_EXTENSION = "reanna.credentials"
"""Request extension: the version of the credentials that signed the request."""


@dataclass(eq=False)
class ProviderError(Exception):
    """Carries what a person needs; `message` is the provider's own words, cut short, never a request of ours.

    `credentials_version`: which of the connection's credentials were refused, so that newer ones are left alone.
    """

    provider: str
    message: str
    status: int | None = None
    request_id: str = ""
    retry_after_s: float | None = None
    credentials_version: int | None = None

    advice: ClassVar[str] = "Look at the operation's attempts."

    def __str__(self) -> str:
        status = f" {self.status}" if self.status else ""
        return f"{self.provider}{status}: {self.message}"


class AuthError(ProviderError):
    advice = "Sign in again or give a new key on the connection's page."


class RefreshBusy(ProviderError):
    advice = "Nothing to do: another process is renewing the access token."


class RateLimited(ProviderError):
    advice = "Nothing to do: sending goes on when the provider allows it."


class NotReady(ProviderError):
    advice = "Nothing to do: the provider is still preparing this account."


class CircuitOpen(ProviderError):
    advice = "Nothing to do: it is asked again when it has had time to recover."


class NotProcessed(ProviderError):
    advice = "Nothing to do: it is tried again."


class Rejected(ProviderError):
    advice = "Correct the record the provider complains about, then retry."


class Gone(Rejected):
    advice = "The record was deleted at the provider: recreate it or leave it out."


class Uncertain(ProviderError):
    advice = "Nothing to do: the provider is asked whether it arrived before anything is sent again."


def body_of(response: httpx.Response) -> object:
    """The parsed JSON body, or None when it is not JSON (a garbled answer is for the caller to judge)."""
    try:
        return response.json()
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return None


def words_of(response: httpx.Response) -> str:
    """The provider's explanation: `message`, `errorMessage` or `error`, text or list, cut to 300 characters."""
    body = body_of(response)
    if isinstance(body, dict):
        for key in ("message", "errorMessage", "error"):
            value = body.get(key)
            if isinstance(value, list):
                value = "; ".join(str(item) for item in value)
            if value:
                return readable(str(value))[:MAX_TEXT]
    return response.reason_phrase or "no explanation"


def error_for(provider: str, response: httpx.Response, *, request_id: str = "", linked: bool = False) -> ProviderError:
    """The error of a non-2xx answer under HTTP's own meaning. `linked`: the request named a record we had stored."""
    status = response.status_code
    kinds: dict[int, type[ProviderError]] = {
        401: AuthError,
        403: AuthError,
        404: Gone if linked else Rejected,
        408: NotProcessed,
        410: Gone if linked else Rejected,
        425: NotProcessed,
        429: RateLimited,
        503: NotProcessed,
    }
    kind = kinds.get(status) or (Rejected if 400 <= status < 500 else Uncertain)
    used = response.request.extensions.get(CREDENTIALS_EXTENSION) if kind is AuthError else None
    return kind(provider, words_of(response), status, request_id, retry_after(response.headers), used)
