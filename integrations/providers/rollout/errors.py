"""What can go wrong with Rollout, by the names its callers know. One tree with `providers/errors.py`:

    RolloutError (ProviderError)
     ├─ RolloutAuthError         (AuthError)      401 with a token minted anew, 403: a credential that is not ours
     ├─ RolloutRateLimitError    (RateLimited)    429, Rollout's own or the CRM's behind it
     ├─ RolloutNotReadyError     (NotReady)       409: the credential's first sync; our index is being built
     ├─ RolloutRequestError      (Rejected)       another 4xx
     │   └─ RolloutGoneError     (Gone)           404 on a record we had linked
     ├─ RolloutServerError                        5xx
     │   ├─ RolloutUnavailableError (NotProcessed)   503
     │   └─ RolloutUncertainError   (Uncertain)      other 5xx, an answer that is not understood
     └─ RolloutCircuitOpenError  (CircuitOpen)    for callers outside the engine: not asked, because it keeps failing

Each carries provider, status, request id and advice, as every ProviderError does; the engine reads them by their common
class, so none of these names is known outside this folder and those who speak to Rollout by themselves.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields

import httpx

from integrations.providers.errors import (
    AuthError,
    CircuitOpen,
    Gone,
    NotProcessed,
    NotReady,
    ProviderError,
    RateLimited,
    Rejected,
    Uncertain,
    error_for,
)

SLUG = "rollout"
# "retry after 30-60 seconds": https://rollout.com/docs/getting-started/making-api-requests
NOT_READY_S = (30.0, 60.0)


class RolloutError(ProviderError):
    """Anything that goes wrong with Rollout."""


class RolloutAuthError(RolloutError, AuthError):
    """The client secret, the consumer or the credential is refused."""


class RolloutRateLimitError(RolloutError, RateLimited):
    """Too many requests."""


class RolloutNotReadyError(RolloutError, NotReady):
    """What is needed for an answer is still being collected."""


class RolloutRequestError(RolloutError, Rejected):
    """The request will never pass as it is."""


class RolloutGoneError(RolloutRequestError, Gone):
    """A record we had linked is not there any more."""


class RolloutServerError(RolloutError):
    """Rollout, or the CRM behind it, failed."""


class RolloutUnavailableError(RolloutServerError, NotProcessed):
    """It says that nothing was done."""


class RolloutUncertainError(RolloutServerError, Uncertain):
    """Whether it was done is not known."""


class RolloutCircuitOpenError(RolloutError, CircuitOpen):
    """Not asked: it kept failing."""


_OURS: dict[type[ProviderError], type[RolloutError]] = {
    AuthError: RolloutAuthError,
    RateLimited: RolloutRateLimitError,
    NotReady: RolloutNotReadyError,
    Rejected: RolloutRequestError,
    Gone: RolloutGoneError,
    NotProcessed: RolloutUnavailableError,
    Uncertain: RolloutUncertainError,
    CircuitOpen: RolloutCircuitOpenError,
}


def named(error: ProviderError) -> ProviderError:
    """The same error under Rollout's name; one that has none, or has its name already, as it is."""
    kind = _OURS.get(type(error))
    return kind(*(getattr(error, field.name) for field in fields(error))) if kind else error


def error_of(
    response: httpx.Response, *, linked: bool = False, uniform: Callable[[float, float], float] = random.uniform
) -> ProviderError:
    """The error of an answer that is no 2xx. `linked`: the request named a record we had stored.

    409 has one documented meaning at every endpoint: the credential's data is not there yet.
    """
    common = error_for(SLUG, response, request_id=request_id(response), linked=linked)
    if response.status_code == httpx.codes.CONFLICT:
        wait = common.retry_after_s or uniform(*NOT_READY_S)
        return RolloutNotReadyError(SLUG, common.message, 409, common.request_id, wait)
    return named(common)


def not_understood(response: httpx.Response) -> RolloutUncertainError:
    """A 2xx that says nothing we can use."""
    return RolloutUncertainError(SLUG, "the answer is not understood", response.status_code, request_id(response))


def request_id(response: httpx.Response) -> str:
    """No id is documented; a proxy's is better than none."""
    return str(response.headers.get("x-request-id", ""))[:80]
