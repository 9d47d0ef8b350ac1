"""THE way to a provider: a connection's facts → its adapter and a guarded HTTP client."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Protocol

import httpx

from integrations.gate import Reason, Scope, Window
from integrations.providers import consent, registry
from integrations.providers.accounts import ProviderAccount
from integrations.providers.auth import CredentialStore, OAuth2, sign_in
from integrations.providers.base import Exchange, Kind, LookupStore, Manifest, ProviderUser
from integrations.providers.consent import Asked
from integrations.providers.errors import CircuitOpen, RateLimited, Uncertain
from integrations.providers.limit_headers import learned
from integrations.providers.retry_after import retry_after
from integrations.providers.sign_in import OAuthSignIn
from integrations.providers.token_call import Grant, TokenCall
from integrations.transport import (
    Admitting,
    DirectWire,
    GateUnreachable,
    GuardedTransport,
    Refused,
    Tally,
    TransportRefusal,
    counting,
    within,
)

SPARE_SOCKETS = 4
ASK_AGAIN_S = 5.0
_WHY = {
    Reason.RATE_LIMITED: "its limit is used up for the moment",
    Reason.NOT_BEFORE: "it asked us to wait",
    Reason.CIRCUIT_OPEN: "it keeps failing and is left alone for a while",
    Reason.HOST_OPEN: "it keeps failing for several accounts and is left alone for a while",
    Reason.FORCED_OPEN: "a person stopped all requests to it",
    Reason.DAY_USED: "its limit for a day is used up",
    Reason.COLD: "its limits are being counted anew after Redis forgot",
    Reason.AWAY: "Redis cannot be reached, and only a trickle is sent",
}
_STOPPED = frozenset({Reason.CIRCUIT_OPEN, Reason.HOST_OPEN, Reason.FORCED_OPEN})


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """What it takes to talk for one connection; secrets come from the store. `secrets_version` tells old from new.

    `sign_in_url`: where tokens are renewed, when that is elsewhere than `base_url`.
    """

    id: int
    provider: str
    account_key: str
    config: Mapping[str, str]
    limit_overrides: Mapping[str, Any]
    secrets_version: int
    base_url: str
    sign_in_url: str = ""


class LinkSettings(Protocol):
    """The figures a link needs (`integrations.conf.Settings`), seconds."""

    @property
    def connect_timeout_s(self) -> float: ...

    @property
    def total_deadline_s(self) -> float: ...

    @property
    def worker_threads(self) -> int: ...


class UnknownKindError(LookupError):
    """This provider does not know this kind of operation."""


class Link:
    """An open way to one account: manifest, kinds and `http`. Shared by threads."""

    def __init__(
        self,
        facts: ConnectionFacts,
        store: CredentialStore,
        gate: Admitting,
        settings: LinkSettings,
        lookups: LookupStore | None = None,
    ) -> None:
        self.facts = facts
        self.manifest: Manifest = registry.manifest(facts.provider)
        self.scope = scope_of(facts.provider, facts.account_key, facts.config, facts.limit_overrides, facts.base_url)
        self._lookups = lookups
        self._wire = DirectWire(connections=settings.worker_threads + SPARE_SOCKETS, ssl_context=_ssl_context())
        self.http = httpx.Client(
            base_url=facts.base_url,
            headers={
                "User-Agent": "REanna-Router",
                "Accept-Encoding": "identity",
                **self.manifest.headers,
                **{
                    header: text
                    for header, name in self.manifest.config_headers.items()
                    if (text := facts.config.get(name))
                },
            },
            transport=GuardedTransport(
                self._wire,
                gate,
                self.scope,
                deadline_s=settings.total_deadline_s,
                retry_after=retry_after,
                learned=partial(learned, self.manifest.limit_headers, self.scope.windows),
                narrowed=_narrowing(self.manifest, self.scope),
            ),
            # The transport's deadline bounds all the rest.
            timeout=httpx.Timeout(None, connect=settings.connect_timeout_s, pool=settings.connect_timeout_s),
            follow_redirects=False,
            trust_env=False,
        )
        way = (self.manifest.sign_in, facts.provider, facts.config, store, self.http)
        self.http.auth = sign_in(*way, base_url=facts.sign_in_url)

    def kind(self, name: str) -> Kind:
        """The adapter of one kind of operation. Raises UnknownKindError."""
        try:
            return self.manifest.kinds[name]
        except KeyError:
            raise UnknownKindError(f"{self.manifest.label} has no {name!r}") from None

    def exchange(self, before_write: Callable[[], None]) -> Exchange:
        """The way out for one operation: any reads, at most one write."""
        return Exchange(self.http, before_write, self._lookups)

    def asking(self) -> Asking:
        """The way out for who only wants to know something, outside of any operation."""
        return Asking(self)

    def users(self, *, within_s: float) -> Sequence[ProviderUser]:
        """Who has a login at the provider; all requests for it take `within_s` seconds at most.

        Raises UnknownKindError when the provider cannot be asked, else as `Asking.get` and what the answers say.
        """
        read = self.manifest.users
        if read is None:
            raise UnknownKindError(f"{self.manifest.label} cannot be asked for its users")
        with within(within_s), _in_words(self.facts.provider):
            return read(self.exchange(_never_write), self.facts.config)

    def verify(self, *, within_s: float) -> None:
        """Asks the provider whether credentials and account fit, within so many seconds. Raises as `users`."""
        check = self.manifest.verify
        if check is None:
            raise UnknownKindError(f"{self.manifest.label} cannot be asked whether credentials fit")
        with within(within_s), _in_words(self.facts.provider):
            check(self.exchange(_never_write), self.facts.config)

    def accounts(self, base_url: str, *, within_s: float) -> Sequence[ProviderAccount]:
        """The accounts a connection could be for; `base_url`: where the manifest says they are listed. As `users`."""
        known = self.manifest.accounts
        if known is None:
            raise UnknownKindError(f"{self.manifest.label} cannot be asked for accounts")
        with within(within_s):
            return known.read(self.asking(), base_url)

    def redeem(self, asked: Asked, code: str, secrets: Mapping[str, str], *, within_s: float) -> Grant:
        """The tokens for a code that a person's consent brought. Raises as `TokenCall.ask` and `Asking.get`."""
        spec, facts = self.manifest.sign_in, self.facts
        if not isinstance(spec, OAuthSignIn):
            raise UnknownKindError(f"{self.manifest.label} gives no tokens for codes")
        client_id = facts.config.get("client_id", "")
        call = TokenCall(facts.provider, self.http, spec, client_id, base_url=facts.sign_in_url)
        with within(within_s), _in_words(facts.provider):
            return consent.redeem(call, spec, asked, code, secrets)

    def use(self) -> AbstractContextManager[Tally]:
        """Count what passes over this link in this thread while the block lasts."""
        return counting()

    def renew_token(self) -> bool:
        """Renew the access token now; False when this connection has none that is renewed. Raises as `OAuth2`."""
        if not isinstance(self.http.auth, OAuth2):
            return False
        self.http.auth.renew()
        return True

    def retire(self) -> None:
        """Close the sockets when nothing is on its way any more."""
        self._wire.retire()


class Asking:
    """Reads for callers outside the engine: that the way out is closed is told in words of `providers/errors.py`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def get(self, url: str, **kwargs: Any) -> httpx.Response:
        """GET, admitted and counted like every request; a path, or a whole address at the same vendor.

        Raises CircuitOpen, RateLimited (the gate says not now), Uncertain (no answer), and what signing in raises.
        """
        with _in_words(self._link.facts.provider):
            return self._link.exchange(_never_write).read("GET", url, **kwargs)


@contextmanager
def _in_words(slug: str) -> Iterator[None]:
    """What closes the way out, as the errors that callers outside the engine know."""
    try:
        yield
    except Refused as refused:
        why = refused.refusal.reason
        kind = CircuitOpen if why in _STOPPED else RateLimited
        raise kind(slug, _WHY[why], retry_after_s=ASK_AGAIN_S) from None
    except GateUnreachable:
        raise Uncertain(slug, "Redis cannot be reached, so nothing may be asked", retry_after_s=ASK_AGAIN_S) from None
    except (TransportRefusal, httpx.TransportError) as error:
        raise Uncertain(slug, f"no answer: {type(error).__name__}", retry_after_s=ASK_AGAIN_S) from None


def _never_write() -> None:
    raise RuntimeError("a write outside of an operation")


# By connection: what the link was built from, and the link.
_links: dict[int, tuple[str, Link]] = {}
_links_lock = threading.Lock()
# A child must not share its parent's sockets; closing them there would end the parent's TLS sessions.
os.register_at_fork(after_in_child=_links.clear)


def open_connection(
    facts: ConnectionFacts,
    store: CredentialStore,
    gate: Admitting,
    settings: LinkSettings,
    lookups: LookupStore | None = None,
) -> Link:
    """The link of this connection: one a process while its facts stay the same, a new one when they change.

    Facts with older secrets (a row read before a token was renewed) get the link that has the newer ones.
    Raises UnknownProviderError, and ValueError for limit overrides that `limits_of` refuses.
    """
    key = _key(facts, gate, settings)
    with _links_lock:
        held = _links.get(facts.id)
        if held is not None and held[0] == key and held[1].facts.secrets_version >= facts.secrets_version:
            return held[1]
        link = Link(facts, store, gate, settings, lookups)
        _links[facts.id] = (key, link)
    if held is not None:
        held[1].retire()
    return link


def close_all() -> None:
    """Close every link of this process; one in use closes when its last request has ended."""
    with _links_lock:
        links = [link for _, link in _links.values()]
        _links.clear()
    for link in links:
        link.retire()


def scope_of(
    provider: str, account_key: str, config: Mapping[str, str], overrides: Mapping[str, Any], base_url: str
) -> Scope:
    """What the gate counts together: one account at one provider, or what it says is wider; and what fails together.

    Raises UnknownProviderError, and ValueError as `limits_of`.
    """
    manifest = registry.manifest(provider)
    shared = manifest.limit_key(config) if manifest.limit_key else account_key
    host = _host(manifest, config, base_url)
    part = account_key if manifest.broker else ""
    return Scope(f"{provider}:{shared}", limits_of(manifest, overrides, config), manifest.breaker, host, part)


def _narrowing(manifest: Manifest, scope: Scope) -> Callable[[httpx.Request], Scope] | None:
    """The scope with the limits alone that a request takes from; None: every request takes from all of them."""
    counted_in = manifest.counted_in
    if counted_in is None:
        return None
    scopes: dict[frozenset[str], Scope] = {}

    def narrowed(request: httpx.Request) -> Scope:
        names = frozenset(counted_in(request.method, request.url.path))
        if names not in scopes:
            scopes[names] = replace(scope, windows=tuple(one for one in scope.windows if one.name in names))
        return scopes[names]

    return narrowed


def _host(manifest: Manifest, config: Mapping[str, str], base_url: str) -> str:
    """What fails together, whichever the account: the provider, the address, and what it passes requests on to."""
    url = httpx.URL(base_url)
    port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
    behind = f":{manifest.upstream(config)}" if manifest.upstream else ""
    return f"{manifest.slug}:{url.host}:{port}{behind}"


def limits_of(
    manifest: Manifest, overrides: Mapping[str, Any], config: Mapping[str, str] | None = None
) -> tuple[Window, ...]:
    """The vendor's windows as it allows them to a connection with this config, lowered where the connection says so.

    Raises ValueError, naming the limit, for one that does not exist, is no whole number ≥ 1, or is above the vendor's.
    """
    windows = {window.name: window for window in manifest.limits}
    for name, limit in overrides.items():
        window = windows.get(name)
        if window is None:
            raise ValueError(f"{manifest.label} has no limit {name!r}; there are: {', '.join(sorted(windows))}")
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= window.limit:
            raise ValueError(f"the limit {name!r} must be a whole number from 1 to {window.limit}, not {limit!r}")
        windows[name] = replace(window, limit=limit)
    allowed = manifest.limits_for(config or {}) if manifest.limits_for else {}
    return tuple(
        replace(window, limit=min(window.limit, allowed.get(window.name, window.limit))) for window in windows.values()
    )


@cache
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _key(facts: ConnectionFacts, gate: Admitting, settings: LinkSettings) -> str:
    """A digest of everything a link is built from, but the secrets."""
    parts = [
        facts.provider, facts.account_key, dict(facts.config), dict(facts.limit_overrides), facts.base_url,
        facts.sign_in_url, id(gate),
        settings.connect_timeout_s, settings.total_deadline_s, settings.worker_threads,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
