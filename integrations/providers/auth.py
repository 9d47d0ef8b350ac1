"""Signing in at a provider: a token or key that stays, a token that is renewed, or one that we mint ourselves.

A refresh token is often good for one use only: whoever renews must be alone (a lease in the store) and must store the
new pair in one step, or the connection is lost until a person signs in again.
"""

from __future__ import annotations

import base64
import json
import random as random_module
import threading
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import httpx
import jwt
from jwt.algorithms import HMACAlgorithm

from integrations import failpoints

from .errors import CREDENTIALS_EXTENSION, AuthError, RateLimited, RefreshBusy
from .sign_in import BasicSignIn, JwtSignIn, OAuthSignIn, SignIn
from .token_call import Grant, TokenCall

BUSY_RETRY_S = 1.0
REST_S = 30.0
"""So long nobody tries to renew again after it failed."""
INTERRUPTED = "a renewal was interrupted after it was asked for, and its answer is lost with the refresh token"
EARLY = timedelta(seconds=30)
MINTED_MARGIN = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The stored secrets of one connection. `version` rises with each change; `expires_at` None: not known."""

    secrets: Mapping[str, str] = field(repr=False)
    version: int
    expires_at: datetime | None = None


class CredentialStore(Protocol):
    """Where the secrets live."""

    def load(self) -> Credentials: ...

    def refresh_lease(self) -> AbstractContextManager[bool]:
        """The sole right to renew, for the length of the block. False: another holds it."""
        ...

    def refresh_wait(self) -> float:
        """Seconds until one who did not get the lease may ask for it again."""
        ...

    def refresh_begins(self, version: int) -> bool:
        """Puts on record, before a byte leaves, that the refresh token of this version is being used.

        True: it was used before, and nobody ever stored what came of it.
        """
        ...

    def refresh_failed(self, rest_s: float) -> None:
        """Nobody gets the lease for so long, unless the credentials are replaced."""
        ...

    def save(self, secrets: Mapping[str, str], expires_at: datetime | None, *, version: int) -> bool:
        """Replace all secrets in one step. False, and nothing written, when they are no longer at `version`."""
        ...


def renew_at(expires_at: datetime, *, margin: timedelta, random: Callable[[], float]) -> datetime:
    """When to renew ahead of time: within the last `margin`, spread so that connections do not all renew at once."""
    return expires_at - margin * (0.5 + 0.5 * random())


class LastingToken(httpx.Auth):
    """A token that stays until a person replaces it. Raises AuthError when there is none."""

    def __init__(self, provider: str, store: CredentialStore, scheme: str) -> None:
        self._provider = provider
        self._store = store
        self._scheme = scheme
        self._token = ""
        self._version = 0

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if not self._token:
            credentials = self._store.load()
            self._version = credentials.version
            self._token = _sendable(self._provider, credentials.secrets.get("token", ""))
        _sign(request, self._token, self._version, self._scheme)
        yield request


class BasicKey(httpx.Auth):
    """A key that stays until a person replaces it, as user name of HTTP Basic. Raises AuthError when there is none."""

    def __init__(self, provider: str, store: CredentialStore, spec: BasicSignIn) -> None:
        self._provider = provider
        self._store = store
        self._spec = spec
        self._headers: dict[str, str] = {}
        self._version = 0

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if not self._headers:
            credentials = self._store.load()
            user = _sendable(self._provider, credentials.secrets.get(self._spec.user, ""))
            more = {header: credentials.secrets.get(name, "") for header, name in self._spec.headers.items()}
            self._version = credentials.version
            self._headers = {header: _sendable(self._provider, secret) for header, secret in more.items() if secret}
            self._headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:'.encode()).decode()}"
        request.headers.update(self._headers)
        request.extensions[CREDENTIALS_EXTENSION] = self._version
        yield request


class OAuth2(httpx.Auth):
    """Bearer tokens got with a refresh token or as the client itself, by one holder at a time across all processes.

    A 401 renews once and sends again; a second 401 is the adapter's to judge (AuthError). Token requests go through the
    same guarded client. Raises AuthError when the provider definitely refuses to renew, RefreshBusy while another is at
    it or when the answer was lost, RateLimited, and what the transport raises when nothing was sent.
    """

    def __init__(
        self,
        provider: str,
        store: CredentialStore,
        http: httpx.Client,
        endpoint: OAuthSignIn,
        client_id: str,
        *,
        base_url: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._provider = provider
        self._store = store
        self._call = TokenCall(provider, http, endpoint, client_id, base_url=base_url, now=now)
        self._endpoint = endpoint
        self._now = now
        self._held: Credentials | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._current()
        _sign(request, token, self._version())
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            renewed = self.renew(token)
            _sign(request, renewed, self._version())
            yield request

    def renew(self, stale: str | None = None) -> str:
        """A token other than `stale` (default: the stored one): one renewed elsewhere meanwhile, else a new one."""
        if stale is None:
            stale = _access(self._store.load())
        with self._store.refresh_lease() as mine:
            # Read after the lease is ours: it shows what the last holder stored.
            credentials = self._store.load()
            if _access(credentials) in ("", stale):
                if not mine:
                    wait = self._store.refresh_wait()
                    raise RefreshBusy(self._provider, "the access token is being renewed", retry_after_s=wait)
                credentials = self._renewed(credentials)
        self._held = credentials
        return _sendable(self._provider, _access(credentials))

    def _version(self) -> int | None:
        return self._held.version if self._held else None

    def _current(self) -> str:
        if self._held is None:
            self._held = self._store.load()
        token, expires_at = _access(self._held), self._held.expires_at
        if not token or (expires_at is not None and self._now() >= expires_at - EARLY):
            return self.renew(token)
        return _sendable(self._provider, token)

    def _renewed(self, old: Credentials) -> Credentials:
        """Ask for a new pair and store it."""
        unheard = self._store.refresh_begins(old.version)
        try:
            grant = self._ask(old)
        except AuthError as error:
            # Another may have renewed with this refresh token, or a person given new ones, while we were refused.
            stored = self._store.load()
            if stored.version != old.version and _access(stored):
                return stored
            if unheard and self._spends(old):
                raise AuthError(
                    self._provider, f"{INTERRUPTED}; {error.message}", error.status, credentials_version=old.version
                ) from None
            raise
        except (RefreshBusy, RateLimited) as error:
            self._store.refresh_failed(max(REST_S, error.retry_after_s or 0.0))
            raise
        failpoints.reach("in_token_refresh")
        # Without a new refresh token the old one stays good (RFC 6749 §6).
        refresh = grant.refresh_token or old.secrets.get("refresh_token", "")
        secrets = {**old.secrets, "access_token": grant.access_token}
        if not self._endpoint.granted_to_client(old.secrets):
            secrets["refresh_token"] = refresh
        if self._store.save(secrets, grant.expires_at, version=old.version):
            return Credentials(secrets, old.version + 1, grant.expires_at)
        # A person gave new credentials while we asked; theirs hold.
        return self._store.load()

    def _spends(self, old: Credentials) -> bool:
        """Whether asking uses up what was asked with."""
        return self._endpoint.rotates and not self._endpoint.granted_to_client(old.secrets)

    def _ask(self, old: Credentials) -> Grant:
        if self._endpoint.granted_to_client(old.secrets):
            named = {name: old.secrets[secret] for name, secret in self._endpoint.by_client.items()}
            fields = {"grant_type": "client_credentials", **named}
            return self._call.ask(fields, old.secrets, refused="no access token is given", version=old.version)
        refresh = old.secrets.get("refresh_token", "")
        # Without one there is nothing to ask with: the call says what is missing.
        fields = {"grant_type": "refresh_token", "refresh_token": refresh}
        secrets = old.secrets if refresh else {}
        return self._call.ask(fields, secrets, refused="the access token cannot be renewed", version=old.version)


class _VendorsSecret(HMACAlgorithm):
    """HMAC with a secret as long as the vendor made it: a warning would name nothing a person here could change."""

    def check_key_length(self, key: bytes) -> str | None:
        return None


_HASHES = {"HS256": HMACAlgorithm.SHA256, "HS384": HMACAlgorithm.SHA384, "HS512": HMACAlgorithm.SHA512}


def _signed(claims: Mapping[str, object], secret: str, algorithm: str) -> str:
    """A JWT in compact form. Raises jwt.PyJWTError for a secret that is none, such as a public key."""
    jws = jwt.PyJWS()
    jws.unregister_algorithm(algorithm)
    jws.register_algorithm(algorithm, _VendorsSecret(_HASHES[algorithm]))
    return jws.encode(json.dumps(claims, separators=(",", ":")).encode(), secret, algorithm=algorithm)


class MintedJwt(httpx.Auth):
    """A JWT that we sign ourselves, shared by the threads of one link and minted anew ahead of its end.

    A 401 mints once anew, with the secret as it is stored now, and sends again (a clock, a secret that was replaced); a
    second 401 is the adapter's to judge. Raises AuthError when something to sign with is missing.
    """

    def __init__(
        self,
        provider: str,
        store: CredentialStore,
        spec: JwtSignIn,
        config: Mapping[str, str],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._provider = provider
        self._store = store
        self._spec = spec
        self._config = config
        self._now = now
        self._random = random
        self._lock = threading.Lock()
        self._token = ""
        self._version: int | None = None
        self._renew_at = datetime.min.replace(tzinfo=UTC)
        self.expires_at: datetime | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token, version = self._current()
        _sign(request, token, version)
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            _sign(request, *self._current(refused=token))
            yield request

    def _current(self, refused: str | None = None) -> tuple[str, int | None]:
        """The token in use and the version of the secret that signed it; a new one when its time has come.

        `refused`: a token that a provider did not take; another thread may have replaced it already.
        """
        with self._lock:
            if not self._token or self._token == refused or self._now() >= self._renew_at:
                self._mint()
            return self._token, self._version

    def _mint(self) -> None:
        spec, credentials, now = self._spec, self._store.load(), self._now()
        issuer, subject = self._config.get(spec.issuer, ""), self._config.get(spec.subject, "")
        secret = credentials.secrets.get(spec.secret, "")
        if not (issuer and subject and secret):
            message = f"{spec.issuer}, {spec.subject} or {spec.secret} is missing"
            raise AuthError(self._provider, message, credentials_version=credentials.version)
        issued = int(now.timestamp())
        expires = issued + spec.lifetime_s
        claims = {"iss": issuer, "sub": subject, "iat": issued, "exp": expires, "jti": uuid.uuid4().hex}
        try:
            self._token = _signed(claims, secret, spec.algorithm)
        except jwt.PyJWTError:
            # Not quoted: its text may hold what was given as a secret.
            message = f"{spec.secret} cannot sign"
            raise AuthError(self._provider, message, credentials_version=credentials.version) from None
        self._version = credentials.version
        self.expires_at = datetime.fromtimestamp(expires, UTC)
        self._renew_at = renew_at(self.expires_at, margin=MINTED_MARGIN, random=self._random)


def sign_in(
    spec: SignIn,
    provider: str,
    config: Mapping[str, str],
    store: CredentialStore,
    http: httpx.Client,
    *,
    base_url: str = "",
) -> httpx.Auth:
    """The way of signing in that a manifest names, for one connection; `http` is for token requests, at `base_url`."""
    if isinstance(spec, JwtSignIn):
        return MintedJwt(provider, store, spec, config)
    if isinstance(spec, BasicSignIn):
        return BasicKey(provider, store, spec)
    secrets = store.load().secrets
    if secrets.get("refresh_token") or spec.granted_to_client(secrets):
        return OAuth2(provider, store, http, spec, config.get("client_id", ""), base_url=base_url)
    return LastingToken(provider, store, spec.scheme)


def _sign(request: httpx.Request, token: str, version: int | None, scheme: str = "Bearer") -> None:
    request.headers["Authorization"] = f"{scheme} {token}"
    request.extensions[CREDENTIALS_EXTENSION] = version


def _access(credentials: Credentials) -> str:
    return credentials.secrets.get("access_token", "")


def _sendable(provider: str, token: str) -> str:
    """The token, if it can stand in a header. Raises AuthError without quoting it."""
    if not token:
        raise AuthError(provider, "no access token is stored")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise AuthError(provider, "the stored access token has characters no token can have")
    return token
