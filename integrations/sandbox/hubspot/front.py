"""The front of HubSpot's API: routes, tokens, OAuth, limits."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from integrations.sandbox import settings as reading
from integrations.sandbox.holdings import Tab
from integrations.sandbox.journal import digest
from integrations.sandbox.limits import Limit, Usage
from integrations.sandbox.messages import MalformedError, Request
from integrations.sandbox.store import Account, Data
from integrations.sandbox.vendor import Reply, SettingError

from . import account as accounts
from . import oauth, objects
from .objects import Call
from .search import Search
from .shapes import SLUG, VendorError, invalid, iso
from .showing import TABS

SETTINGS = frozenset({"token", "oauth", "users", "timezone", "name", "properties", "search_lag_s", "search_per_s"})
DEFAULTS: Mapping[str, object] = {
    "timezone": "America/Los_Angeles", "properties": [], "search_lag_s": 3.0, "search_per_s": 5,
}  # fmt: skip


class Route(NamedTuple):
    """One endpoint: its method, path, and what does it."""

    method: str
    path: re.Pattern[str]
    run: Callable[..., Reply]


def _route(method: str, path: str, run: Callable[..., Reply]) -> Route:
    return Route(method, re.compile(re.sub(r"\{\w+\}", "([^/]+)", path) + r"\Z"), run)


class HubSpot:
    """The vendor, as the sandbox runs it."""

    slug = SLUG
    label = "HubSpot"
    # Of the smallest plans: https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
    limits: Sequence[Limit] = (Limit("burst", 100, 10), Limit("daily", 250_000, 86_400))
    tabs: Sequence[Tab] = TABS
    secret_settings = frozenset({"oauth"})
    consent_path = "/oauth/authorize"

    def __init__(self) -> None:
        search = Search().run
        # The first that fits is taken, so fixed paths stand before those with an id.
        self._routes = (
            _route("POST", "/crm/v3/objects/contacts/merge", objects.merge),
            _route("POST", "/crm/v3/objects/{of}/search", search),
            _route("POST", "/crm/v3/objects/{of}/batch/read", objects.batch_read),
            _route("POST", "/crm/v3/objects/{of}", objects.create),
            _route("GET", "/crm/v3/objects/{of}/{id}", objects.fetch),
            _route("PATCH", "/crm/v3/objects/{of}/{id}", objects.update),
            _route("DELETE", "/crm/v3/objects/{of}/{id}", objects.archive),
            _route("GET", "/crm/objects/2026-03/contacts/{id}/associations/{of}", objects.associated),
            _route("GET", "/crm/v3/owners", accounts.list_owners),
            _route("GET", "/crm/v3/properties/{of}", accounts.list_properties),
            _route("POST", "/crm/v3/properties/{of}", accounts.create_property),
            _route("GET", "/crm/v3/properties/{of}/{name}", accounts.fetch_property),
            _route("GET", "/account-info/v3/details", accounts.details),
        )

    def configure(self, data: Data, account: str, settings: Mapping[str, object], now: float) -> None:
        """Create or change an account; settings left out keep their value."""
        reading.known(settings, SETTINGS)
        if not re.fullmatch(r"[0-9]{1,15}", account):
            raise SettingError("account", "must be a number, as HubSpot numbers its accounts")
        held = data.account(self.slug, account)
        config: dict[str, object] = {**DEFAULTS, "name": account, **(held.config if held else {})}
        if "name" in settings:
            config["name"] = reading.text(settings["name"], "name")
        if "timezone" in settings:
            config["timezone"] = reading.zone(settings["timezone"])
        if "users" in settings:
            config["users"] = reading.users(settings["users"])
        if "properties" in settings:
            config["properties"] = reading.names(settings["properties"], "properties")
        bounds = {"search_lag_s": (0, 86_400), "search_per_s": (1, 1_000_000)}
        config |= {name: reading.number(settings[name], name, *bounds[name]) for name in bounds if name in settings}
        if "token" in settings:
            token = reading.text(settings["token"], "token")
            oauth.set_token(data, account, "private", token, None, "token")
        if settings.get("oauth") is not None:
            config["oauth"] = oauth.set_app(data, account, settings["oauth"], config.get("oauth"), now)
        data.put_account(Account(self.slug, account, config))
        self.refill(data, account, now)

    def refill(self, data: Data, account: str, now: float) -> None:
        """The account's owners and its own properties."""
        held = data.account(self.slug, account)
        if held is None:
            return
        if "users" in held.config:
            reading.put_users(data, self.slug, account, held.config["users"], iso(now))
        names = held.config["properties"]
        for name in names if isinstance(names, list) else []:
            accounts.put_property(data, account, str(name))

    def sharing(self, data: Data, account: str) -> list[str]:
        """Each account has limits of its own."""
        return [account]

    def identify(self, data: Data, request: Request) -> str | None:
        """The account of the bearer token, or of the refresh token or code; dead ones name their account too."""
        if request.path == oauth.PATH:
            return oauth.account_of(data, request)
        secret = _bearer(request)
        token = data.token(self.slug, digest(secret)) if secret else None
        return token.account if token else None

    def answer(self, data: Data, request: Request, now: float) -> Reply:
        """Do what the request asks."""
        try:
            return self._answer(data, request, now)
        except VendorError as error:
            return Reply(error.status, error.document())

    def failure(self, status: int, message: str) -> dict[str, object]:
        """An error from in front of the application; of a 429 the policy of the rolling ten seconds."""
        document: dict[str, object] = {"status": "error", "message": message, "correlationId": str(uuid.uuid4())}
        if status == 429:
            told = "You have reached your ten_secondly_rolling limit."
            return {**document, "message": told, "errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"}
        return document

    def rate_headers(self, usage: Sequence[Usage]) -> dict[str, str]:
        """The five headers."""
        burst, daily = usage
        return {
            "X-HubSpot-RateLimit-Daily": str(daily.limit.limit),
            "X-HubSpot-RateLimit-Daily-Remaining": str(daily.remaining),
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(int(burst.limit.seconds * 1000)),
            "X-HubSpot-RateLimit-Max": str(burst.limit.limit),
            "X-HubSpot-RateLimit-Remaining": str(burst.remaining),
        }

    def recorded_body(self, request: Request) -> object:
        """JSON as JSON, a form as an object, else text; nothing secret of the token endpoint."""
        if request.path == oauth.PATH:
            return oauth.recorded(request)
        if not request.body:
            return None
        try:
            return request.json
        except MalformedError:
            return request.text

    def _answer(self, data: Data, request: Request, now: float) -> Reply:
        if request.path == oauth.PATH and request.method == "POST":
            return oauth.grant(data, request, now)
        for route in self._routes:
            matched = route.path.match(request.path)
            if matched and route.method == request.method:
                call = self._call(data, request, now)
                return route.run(call, *(unquote(part) for part in matched.groups()))
        raise VendorError(404, "OBJECT_NOT_FOUND", f"no such endpoint: {request.method} {request.path}")

    def _call(self, data: Data, request: Request, now: float) -> Call:
        secret = _bearer(request)
        token = data.token(self.slug, digest(secret)) if secret else None
        if token is not None and token.expires is not None and token.expires <= now:
            message = f"The OAuth token used to make this call expired {int(now - token.expires)} second(s) ago."
            raise VendorError(401, "EXPIRED_AUTHENTICATION", message)
        alive = token is not None and token.live and token.kind != "refresh"
        account = data.account(self.slug, token.account) if token is not None and alive else None
        if account is None:
            message = "Authentication credentials not found. This API supports OAuth 2.0 authentication."
            raise VendorError(401, "INVALID_AUTHENTICATION", message)
        try:
            query = request.query
            body = request.json if request.body else {}
        except MalformedError as error:
            raise invalid(f"Invalid input JSON: {error}") from None
        if not isinstance(body, dict) or (request.body and request.media_type != "application/json"):
            raise invalid("Invalid input JSON: the body must be an object, and application/json")
        return Call(data, account, body, query, now)


def _bearer(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""
