"""The front of Lofty's API: routes, keys and tokens, OAuth, the account's settings."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from integrations.sandbox import settings as reading
from integrations.sandbox.holdings import Tab
from integrations.sandbox.journal import digest
from integrations.sandbox.limits import Limit, Usage
from integrations.sandbox.messages import MalformedError, Request
from integrations.sandbox.store import Account, Data, Token
from integrations.sandbox.vendor import Reply, SettingError

from . import activities, leads
from .leads import Call
from .shapes import SLUG, LoftyError, stamp
from .showing import TABS

ACCESS_TOKEN_S = 86_400
FORM = "application/x-www-form-urlencoded"
TOKEN_PATHS = ("/api/user-web/oauth/token", "/oauth/token")
SETTINGS = frozenset({"token", "oauth", "users", "lag_s", "late_writes"})
OAUTH_SETTINGS = frozenset(
    {"client_id", "client_secret", "customer_key", "refresh_token", "access_token", "expires_in"}
)
OPEN_FORM_FIELDS = frozenset({"grant_type", "client_id", "redirect_uri"})
DEFAULTS = {"lag_s": 1.0, "late_writes": False}
KEY, ACCESS, REFRESH, CUSTOMER = "key", "access", "refresh", "customer"


class Route(NamedTuple):
    """One endpoint: its method, path, and what does it."""

    method: str
    path: re.Pattern[str]
    run: Callable[..., Reply]


def _route(method: str, path: str, run: Callable[..., Reply]) -> Route:
    return Route(method, re.compile(re.sub(r"\{\w+\}", "([^/]+)", path) + r"/?\Z"), run)


ROUTES = (
    _route("GET", "/v1.0/me", leads.me),
    _route("GET", "/v1.0/members", leads.members),
    _route("GET", "/v1.0/leads", leads.search),
    _route("POST", "/v1.0/leads", leads.create),
    _route("GET", "/v1.0/leads/{id}", leads.fetch),
    _route("PUT", "/v1.0/leads/{id}", leads.update),
    _route("DELETE", "/v1.0/leads/{id}", leads.delete),
    _route("GET", "/v1.0/notes", activities.list_notes),
    _route("POST", "/v1.0/notes", activities.create_note),
    _route("PUT", "/v1.0/notes/{id}", activities.update_note),
    _route("DELETE", "/v1.0/notes/{id}", activities.delete_note),
    _route("GET", "/v2.0/tasks", activities.list_tasks),
    _route("POST", "/v2.0/tasks", activities.create_task),
    _route("GET", "/v2.0/tasks/{id}", activities.fetch_task),
    _route("PUT", "/v2.0/tasks/{id}", activities.update_task),
    _route("DELETE", "/v2.0/tasks/{id}", activities.delete_task),
    _route("POST", "/v2.0/tasks/{id}/finish", activities.finish_task),
    _route("POST", "/v2.0/calendar", activities.create_event),
    _route("PUT", "/v2.0/calendar/{id}", activities.update_event),
    _route("DELETE", "/v2.0/calendar/{id}", activities.delete_event),
    _route("POST", "/v2.0/calendar/{id}/finish", activities.finish_event),
)


class Lofty:
    """The vendor, as the sandbox runs it. An account is a user, by the e-mail address: keys and tokens are theirs.

    ``lag_s``: how long reads do not show a new lead; ``late_writes``: nor can notes, tasks and appointments be written
    of it, which the documentation leaves open.
    """

    slug = SLUG
    label = "Lofty"
    # An app in production: https://developer.lofty.com/authentication/overview
    limits: Sequence[Limit] = (Limit("minute", 500, 60),)
    tabs: Sequence[Tab] = TABS
    secret_settings = frozenset({"oauth"})

    def configure(self, data: Data, account: str, settings: Mapping[str, object], now: float) -> None:
        """Create or change an account; settings left out keep their value."""
        reading.known(settings, SETTINGS)
        held = data.account(self.slug, account)
        config: dict[str, object] = {**DEFAULTS, **(held.config if held else {})}
        if "users" in settings:
            config["users"] = _members(settings["users"])
        if "lag_s" in settings:
            config["lag_s"] = reading.number(settings["lag_s"], "lag_s", 0, 86_400)
        if "late_writes" in settings:
            if not isinstance(settings["late_writes"], bool):
                raise SettingError("late_writes", "must be true or false")
            config["late_writes"] = settings["late_writes"]
        if "token" in settings:
            self._set_token(data, account, KEY, reading.text(settings["token"], "token"), None, "token")
        if settings.get("oauth") is not None:
            config["oauth"] = self._set_oauth(data, account, settings["oauth"], config.get("oauth"), now)
        data.put_account(Account(self.slug, account, config))
        self.refill(data, account, now)

    def refill(self, data: Data, account: str, now: float) -> None:
        """The team's members."""
        held = data.account(self.slug, account)
        if held is not None and "users" in held.config:
            reading.put_users(data, self.slug, account, held.config["users"], f"{stamp(now).replace(' ', 'T')}+00:00")

    def sharing(self, data: Data, account: str) -> list[str]:
        """All accounts whose users authorized the same app; a key has a limit of its own."""
        mine = data.account(self.slug, account)
        app = _app(mine) if mine else None
        same = [one.account for one in data.accounts() if one.provider == self.slug and app and _app(one) == app]
        return same or [account]

    def identify(self, data: Data, request: Request) -> str | None:
        """The account of the key or token, valid or not; of the refresh token where one is renewed."""
        if request.path.rstrip("/") in TOKEN_PATHS:
            fields = _fields(request)
            secret = fields.get("refresh_token") or fields.get("customer_key", "")
        else:
            secret = _credentials(request)[1]
        token = data.token(self.slug, digest(secret)) if secret else None
        return token.account if token else None

    def answer(self, data: Data, request: Request, now: float) -> Reply:
        """Do what the request asks."""
        try:
            return self._answer(data, request, now)
        except LoftyError as error:
            return Reply(error.status, error.document())

    def failure(self, status: int, message: str) -> dict[str, object]:
        """An error from in front of the application: a 429 has no code."""
        return {"message": message}

    def rate_headers(self, usage: Sequence[Usage]) -> dict[str, str]:
        """Three headers; the reset is milliseconds, as in the documentation's sample and not as in its words."""
        (minute,) = usage
        return {
            "X-RateLimit-Limit": str(minute.limit.limit),
            "X-RateLimit-Remaining": str(minute.remaining),
            "X-RateLimit-Reset": str(int(minute.limit.seconds * 1000)),
        }

    def recorded_body(self, request: Request) -> object:
        """JSON as JSON, a form as an object, else text; nothing secret of the token endpoint."""
        if request.path.rstrip("/") in TOKEN_PATHS:
            fields = _fields(request)
            return {name: value if name in OPEN_FORM_FIELDS else digest(value) for name, value in fields.items()}
        if not request.body:
            return None
        try:
            return request.json
        except MalformedError:
            return request.text

    def _answer(self, data: Data, request: Request, now: float) -> Reply:
        if request.path.rstrip("/") in TOKEN_PATHS:
            return self._grant(data, request, now)
        for route in ROUTES:
            matched = route.path.match(request.path)
            if matched and route.method == request.method:
                call = self._call(data, request, now)
                return route.run(call, *(unquote(part) for part in matched.groups()))
        raise LoftyError(404, "NOT_FOUND", "No such endpoint.")

    def _call(self, data: Data, request: Request, now: float) -> Call:
        account = self._account(data, request, now)
        if request.method != "GET" and request.media_type != "application/json":
            raise LoftyError(400, 20001, "Content-type must be: application/json")
        try:
            query = request.query
            body = request.json if request.body else {}
        except MalformedError as error:
            raise LoftyError(400, "INVALID_PARAMETER", str(error)) from None
        if not isinstance(body, dict):
            raise LoftyError(400, "INVALID_PARAMETER", "the body must be an object")
        return Call(data, account, body, query, now)

    def _account(self, data: Data, request: Request, now: float) -> Account:
        """Whose call it is. A key sent as a bearer token is answered 400, with a number for a code."""
        scheme, secret = _credentials(request)
        token = data.token(self.slug, digest(secret)) if secret else None
        if token is not None and token.kind == KEY and scheme == "bearer":
            raise LoftyError(400, 200058, "User in token does not exist.")
        alive = (
            token is not None
            and token.live
            and (token.kind, scheme) in ((KEY, "token"), (ACCESS, "bearer"))
            and (token.expires is None or token.expires > now)
        )
        account = data.account(self.slug, token.account) if token is not None and alive else None
        if account is None:
            raise LoftyError(401, "BAD_CREDENTIALS", "Invalid API key or access token.")
        return account

    def _grant(self, data: Data, request: Request, now: float) -> Reply:
        """POST …/oauth/token — the client in a Basic header, the rest as a form or a query. Each refresh token is good
        for one use: the documentation says that an answer brings another."""
        if request.method != "POST" or request.media_type != FORM:
            raise LoftyError(400, "INVALID_PARAMETER", f"this takes POST and {FORM}")
        fields = _fields(request)
        grants = {"refresh_token": ("refresh_token", REFRESH), "client_credentials": ("customer_key", CUSTOMER)}
        if fields.get("grant_type") not in grants:
            raise LoftyError(400, "INVALID_PARAMETER", f"grant_type must be one of {', '.join(grants)}")
        name, kind = grants[fields["grant_type"]]
        given = fields.get(name, "")
        token = data.token(self.slug, digest(given)) if given else None
        if token is None or token.kind != kind or not token.live:
            raise LoftyError(400, "INVALID_PARAMETER", f"the {name.replace('_', ' ')} is not valid")
        account = data.account(self.slug, token.account)
        oauth = account.config.get("oauth") if account else None
        if not isinstance(oauth, dict) or _basic(request) != (oauth["client_id"], oauth["client_secret"]):
            raise LoftyError(401, "BAD_CREDENTIALS", "Invalid client.")
        access, lifetime = secrets.token_urlsafe(32), oauth["expires_in"]
        data.put_token(self.slug, digest(access), Token(token.account, ACCESS, now + lifetime, live=True))
        document = {"access_token": access, "expires_in": lifetime, "token_type": "Bearer", "scope": "openApi"}
        if kind == REFRESH:
            data.kill_tokens(self.slug, token.account, REFRESH)
            refresh = secrets.token_urlsafe(32)
            data.put_token(self.slug, digest(refresh), Token(token.account, REFRESH, None, live=True))
            document["refresh_token"] = refresh
        return Reply(200, document, {"kind": "token", "id": token.account, "op": "update"})

    def _set_oauth(self, data: Data, account: str, given: object, held: object, now: float) -> dict[str, object]:
        """Take an app's credentials. The same seeds again change nothing: a refresh token that was used stays dead."""
        if not isinstance(given, dict):
            raise SettingError("oauth", "must be an object")
        reading.known(given, OAUTH_SETTINGS, "oauth.")
        before: dict[str, object] = held if isinstance(held, dict) else {}
        lifetime = reading.number(given.get("expires_in", ACCESS_TOKEN_S), "oauth.expires_in", 1, 10_000_000)
        kept: dict[str, object] = {**before, "expires_in": lifetime}
        for name in ("client_id", "client_secret", "customer_key", "refresh_token", "access_token"):
            if name in given:
                kept[name] = digest(reading.text(given[name], f"oauth.{name}"))
            elif name not in kept and name.startswith("client_"):
                raise SettingError(f"oauth.{name}", "is missing")
        if "customer_key" in given:
            self._set_token(data, account, CUSTOMER, given["customer_key"], None, "oauth.customer_key")
        if "refresh_token" in given and kept["refresh_token"] != before.get("refresh_token"):
            self._set_token(data, account, REFRESH, given["refresh_token"], None, "oauth.refresh_token")
        if "access_token" in given and kept["access_token"] != before.get("access_token"):
            expires = now + lifetime
            self._set_token(data, account, ACCESS, given["access_token"], expires, "oauth.access_token")
        return kept

    def _set_token(self, data: Data, account: str, kind: str, secret: str, expires: float | None, field: str) -> None:
        hashed = digest(secret)
        held = data.token(self.slug, hashed)
        if held is not None and (held.account != account or held.kind != kind):
            raise SettingError(field, "is in use for something else already")
        data.kill_tokens(self.slug, account, kind)
        data.put_token(self.slug, hashed, Token(account, kind, expires, live=True))


def _app(account: Account) -> object:
    oauth = account.config.get("oauth")
    return oauth["client_id"] if isinstance(oauth, dict) else None


def _members(value: object) -> list[dict[str, str]]:
    """Users, whose ids are numbers here."""
    found = reading.users(value)
    for index, user in enumerate(found):
        if not (user["id"].isascii() and user["id"].isdigit() and len(user["id"]) <= 18):
            raise SettingError(f"users[{index}].id", "must be a number")
    return found


def _credentials(request: Request) -> tuple[str, str]:
    """The scheme in lower case, and the secret behind it."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return scheme.lower(), secret.strip()


def _basic(request: Request) -> tuple[str, str]:
    """Digests of the client and its secret."""
    scheme, text = _credentials(request)
    try:
        client, _, secret = base64.b64decode(text if scheme == "basic" else "", validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return digest(client), digest(secret)


def _fields(request: Request) -> dict[str, str]:
    """The parameters of a token request, wherever they stand: the documentation has them in the query."""
    try:
        form = request.form if request.media_type == FORM else {}
        query = request.query
    except MalformedError:
        return {}
    return {**query, **form}
