"""One call to a token endpoint (RFC 6749 §3.2): what is asked, and what the answer means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from integrations.texts import without

from .errors import AuthError, ProviderError, RateLimited, RefreshBusy, body_of, words_of
from .retry_after import retry_after
from .sign_in import OAuthSignIn

LOST_RETRY_S = 5.0
MAX_LIFETIME_S = 10**9


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token endpoint gave. `refresh_token` empty: none. `answer`: all of it."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime | None
    answer: Mapping[str, Any] = field(repr=False)


class TokenCall:
    """Asks a provider's token endpoint, in the name of one client."""

    def __init__(
        self,
        provider: str,
        http: httpx.Client,
        endpoint: OAuthSignIn,
        client_id: str,
        *,
        base_url: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._provider = provider
        self._http = http
        self._endpoint = endpoint
        self._url = base_url.rstrip("/") + endpoint.path
        self._client_id = client_id
        self._now = now

    def ask(
        self, fields: Mapping[str, str], secrets: Mapping[str, str], *, refused: str, version: int | None = None
    ) -> Grant:
        """`fields`: the grant and what goes with it; `secrets`: the client's. `refused`: what a no is called.

        Raises AuthError for a definite no, RefreshBusy when the answer was lost or is not understood, RateLimited, and
        what the transport raises when nothing was sent. No error quotes a secret.
        """
        client_secret = secrets.get("client_secret", "")
        if not (client_secret and self._client_id):
            message = "client id, client secret or refresh token is missing"
            raise AuthError(self._provider, message, credentials_version=version)
        auth = httpx.BasicAuth(self._client_id, client_secret) if self._endpoint.basic else None
        client = {} if auth else {"client_id": self._client_id, "client_secret": client_secret}
        body = {**self._endpoint.extra, **fields, **client}
        coded: dict[str, Any] = {"json": body} if self._endpoint.json else {"data": body}
        request = self._http.build_request("POST", self._url, extensions={"reanna.phase": "token"}, **coded)
        try:
            response = self._http.send(request, auth=auth)
        except httpx.TransportError:
            raise RefreshBusy(self._provider, "the token endpoint did not answer", retry_after_s=LOST_RETRY_S) from None
        if not response.is_success:
            raise self._refusal(response, (*secrets.values(), *fields.values()), refused, version)
        return self._grant(response)

    def _grant(self, response: httpx.Response) -> Grant:
        body = body_of(response)
        answer = body if isinstance(body, dict) else {}
        access, refresh = answer.get("access_token"), answer.get("refresh_token", "")
        if not (isinstance(access, str) and access and isinstance(refresh, str)):
            raise RefreshBusy(
                self._provider,
                "the token endpoint's answer is not understood",
                response.status_code,
                retry_after_s=LOST_RETRY_S,
            )
        expires_at = None
        lifetime = answer.get("expires_in")
        if isinstance(lifetime, int | float) and not isinstance(lifetime, bool) and 0 < lifetime < MAX_LIFETIME_S:
            expires_at = self._now() + timedelta(seconds=float(lifetime))
        return Grant(access, refresh, expires_at, answer)

    def _refusal(
        self, response: httpx.Response, secret: tuple[str, ...], refused: str, version: int | None
    ) -> ProviderError:
        status, wait = response.status_code, retry_after(response.headers)
        words = words_of(response)
        for text in secret:
            words = words.replace(text, "…") if text else words
        words = without(words, secret)
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return RateLimited(self._provider, words, status, retry_after_s=wait)
        definite = 400 <= status < 500 and status not in (408, 425)
        if definite:
            return AuthError(self._provider, f"{refused}: {words}", status, credentials_version=version)
        return RefreshBusy(self._provider, words, status, retry_after_s=wait or LOST_RETRY_S)
