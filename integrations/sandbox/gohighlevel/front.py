"""The front of GoHighLevel's API: routes, tokens, versions, OAuth, locations."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from integrations.sandbox import consent
from integrations.sandbox import settings as reading
from integrations.sandbox.holdings import Tab
from integrations.sandbox.journal import digest
from integrations.sandbox.limits import Limit, Usage
from integrations.sandbox.messages import MalformedError, Request
from integrations.sandbox.store import Account, Data, Token
from integrations.sandbox.vendor import Reply, SettingError

from . import activities, calendars, contacts, locations
from .contacts import Call
from .shapes import ERROR_NAMES, SLUG, TOKEN, VendorError, iso, problems
from .showing import TABS

DEFAULT_ZONE = "America/Los_Angeles"
ACCESS_TOKEN_S = 86_399
SETTINGS = frozenset({"token", "calendar", "duplicates", "oauth", "timezone", "name", "users"})
OAUTH_SETTINGS = frozenset({"client_id", "client_secret", "refresh_token", "access_token", "expires_in"})
OPEN_FORM_FIELDS = frozenset({"grant_type", "client_id", "user_type", "redirect_uri"})
INVALID_TOKEN = "Invalid token: access token is invalid"  # noqa: S105 - the vendor's sentence, no secret
PLAIN, CALENDARS = "2021-07-28", "2021-04-15"


class Route(NamedTuple):
    """One endpoint: its method, path, version, and what does it."""

    method: str
    path: re.Pattern[str]
    version: str
    run: Callable[..., Reply]


def _route(method: str, path: str, version: str, run: Callable[..., Reply]) -> Route:
    return Route(method, re.compile(re.sub(r"\{\w+\}", "([^/]+)", path) + r"/?\Z"), version, run)


# The first that fits is taken, so fixed paths stand before those with an id.
ROUTES = (
    _route("POST", "/contacts/upsert", PLAIN, contacts.upsert),
    _route("GET", "/contacts/search/duplicate", PLAIN, contacts.search_duplicate),
    _route("GET", "/contacts/{id}/appointments", PLAIN, calendars.of_contact),
    _route("POST", "/contacts/{id}/tags", PLAIN, contacts.add_tags),
    _route("DELETE", "/contacts/{id}/tags", PLAIN, contacts.remove_tags),
    _route("GET", "/contacts/{id}/notes", PLAIN, activities.list_notes),
    _route("POST", "/contacts/{id}/notes", PLAIN, activities.create_note),
    _route("GET", "/contacts/{id}/notes/{note}", PLAIN, activities.fetch_note),
    _route("PUT", "/contacts/{id}/notes/{note}", PLAIN, activities.update_note),
    _route("DELETE", "/contacts/{id}/notes/{note}", PLAIN, activities.delete_note),
    _route("GET", "/contacts/{id}/tasks", PLAIN, activities.list_tasks),
    _route("POST", "/contacts/{id}/tasks", PLAIN, activities.create_task),
    _route("GET", "/contacts/{id}/tasks/{task}", PLAIN, activities.fetch_task),
    _route("PUT", "/contacts/{id}/tasks/{task}", PLAIN, activities.update_task),
    _route("PUT", "/contacts/{id}/tasks/{task}/completed", PLAIN, activities.complete_task),
    _route("DELETE", "/contacts/{id}/tasks/{task}", PLAIN, activities.delete_task),
    _route("POST", "/contacts", PLAIN, contacts.create),
    _route("GET", "/contacts/{id}", PLAIN, contacts.fetch),
    _route("PUT", "/contacts/{id}", PLAIN, contacts.update),
    _route("POST", "/calendars/events/appointments", CALENDARS, calendars.create),
    _route("GET", "/calendars/events/appointments/{id}", CALENDARS, calendars.fetch),
    _route("PUT", "/calendars/events/appointments/{id}", CALENDARS, calendars.edit),
    _route("GET", "/calendars", CALENDARS, calendars.list_calendars),
    _route("GET", "/calendars/{id}", CALENDARS, calendars.fetch_calendar),
    _route("GET", "/locations/{id}/customFields", PLAIN, locations.list_fields),
    _route("POST", "/locations/{id}/customFields", PLAIN, locations.create_field),
    _route("GET", "/locations/{id}/customFields/{field}", PLAIN, locations.fetch_field),
    _route("GET", "/locations/{id}/tags", PLAIN, locations.list_tags),
    _route("GET", "/locations/{id}", PLAIN, locations.fetch),
    _route("GET", "/users", PLAIN, locations.list_users),
)


class GoHighLevel:
    """The vendor, as the sandbox runs it."""

    slug = SLUG
    label = "GoHighLevel"
    # "per app per Location": https://github.com/GoHighLevel/highlevel-api-docs, docs/oauth
    limits: Sequence[Limit] = (Limit("burst", 100, 10), Limit("daily", 200_000, 86_400))
    tabs: Sequence[Tab] = TABS
    secret_settings = frozenset({"oauth"})
    consent_path = "/v2/oauth/chooselocation"

    def configure(self, data: Data, account: str, settings: Mapping[str, object], now: float) -> None:
        """Create or change a location; settings left out keep their value."""
        reading.known(settings, SETTINGS)
        held = data.account(self.slug, account)
        config: dict[str, object] = {"duplicates": False, "timezone": DEFAULT_ZONE, "name": account, "calendar": None}
        config |= held.config if held else {}
        config |= {name: reading.text(settings[name], name) for name in ("calendar", "name") if name in settings}
        if "timezone" in settings:
            config["timezone"] = reading.zone(settings["timezone"])
        if "users" in settings:
            config["users"] = reading.users(settings["users"])
        if "duplicates" in settings:
            if not isinstance(settings["duplicates"], bool):
                raise SettingError("duplicates", "must be true or false")
            config["duplicates"] = settings["duplicates"]
        if "token" in settings:
            self._set_token(data, account, "private", reading.text(settings["token"], "token"), None, "token")
        if settings.get("oauth") is not None:
            config["oauth"] = self._set_oauth(data, account, settings["oauth"], config.get("oauth"), now)
        data.put_account(Account(self.slug, account, config))
        self.refill(data, account, now)

    def refill(self, data: Data, account: str, now: float) -> None:
        """The location's users."""
        held = data.account(self.slug, account)
        if held is not None and "users" in held.config:
            reading.put_users(data, self.slug, account, held.config["users"], iso(now))

    def sharing(self, data: Data, account: str) -> list[str]:
        """Each location has limits of its own."""
        return [account]

    def identify(self, data: Data, request: Request) -> str | None:
        """The location of the bearer token, or of the refresh token or code; dead ones name their location too."""
        if request.path.rstrip("/") == "/oauth/token":
            form = _form(request)
            if code := form.get("code"):
                return consent.account_of(data, self.slug, code)
            secret = form.get("refresh_token", "")
        else:
            secret = _bearer(request)
        token = data.token(self.slug, digest(secret)) if secret else None
        return token.account if token else None

    def answer(self, data: Data, request: Request, now: float) -> Reply:
        """Do what the request asks; every answer carries a ``traceId``."""
        try:
            reply = self._answer(data, request, now)
        except VendorError as error:
            reply = Reply(error.status, error.document())
        document = reply.document if isinstance(reply.document, dict) else {}
        return Reply(reply.status, {**document, "traceId": str(uuid.uuid4())}, reply.effect)

    def failure(self, status: int, message: str) -> dict[str, object]:
        """An error from in front of the application."""
        document: dict[str, object] = {"statusCode": status, "message": message}
        if status in ERROR_NAMES:
            document["error"] = ERROR_NAMES[status]
        return {**document, "traceId": str(uuid.uuid4())}

    def rate_headers(self, usage: Sequence[Usage]) -> dict[str, str]:
        """The five headers."""
        burst, daily = usage
        return {
            "X-RateLimit-Limit-Daily": str(daily.limit.limit),
            "X-RateLimit-Daily-Remaining": str(daily.remaining),
            "X-RateLimit-Interval-Milliseconds": str(int(burst.limit.seconds * 1000)),
            "X-RateLimit-Max": str(burst.limit.limit),
            "X-RateLimit-Remaining": str(burst.remaining),
        }

    def recorded_body(self, request: Request) -> object:
        """JSON as JSON, a form as an object, else text; nothing secret of the token endpoint."""
        if request.path.startswith("/oauth/"):
            fields = _form(request)
            if not fields:
                return digest(request.text) if request.body else None
            return {name: value if name in OPEN_FORM_FIELDS else digest(value) for name, value in fields.items()}
        if not request.body:
            return None
        try:
            return request.json
        except MalformedError:
            return request.text

    def _answer(self, data: Data, request: Request, now: float) -> Reply:
        if request.path.rstrip("/") == "/oauth/token":
            if request.method != "POST":
                raise VendorError(404, f"Cannot {request.method} /oauth/token")
            return self._grant(data, request, now)
        for route in ROUTES:
            matched = route.path.match(request.path)
            if matched and route.method == request.method:
                call = self._call(data, request, route, now)
                return route.run(call, *(unquote(part) for part in matched.groups()))
        raise VendorError(404, f"Cannot {request.method} {request.path}")

    def _call(self, data: Data, request: Request, route: Route, now: float) -> Call:
        secret = _bearer(request)
        token = data.token(self.slug, digest(secret)) if secret else None
        alive = (
            token is not None
            and token.live
            and token.kind != "refresh"
            and (token.expires is None or token.expires > now)
        )
        account = data.account(self.slug, token.account) if token is not None and alive else None
        if account is None:
            raise VendorError(401, INVALID_TOKEN)
        strict = 400 if route.version == CALENDARS else 422
        version = request.headers.get("version")
        if version != route.version:
            what = "version header was not found" if version is None else "version header is invalid"
            raise VendorError(strict, what if strict == 400 else [what])
        try:
            query = request.query
            body = request.json if request.body and request.media_type == "application/json" else {}
        except MalformedError as error:
            raise VendorError(400, str(error)) from None
        if not isinstance(body, dict):
            message = "the body must be an object"
            raise VendorError(strict, message if strict == 400 else [message])
        return Call(data, account, body, query, now)

    def _grant(self, data: Data, request: Request, now: float) -> Reply:
        """POST /oauth/token — form-encoded; a refresh token works once, and so does a code."""
        if request.media_type != "application/x-www-form-urlencoded":
            raise VendorError(422, ["the body must be application/x-www-form-urlencoded"])
        try:
            form = request.form
        except MalformedError as error:
            raise VendorError(400, str(error)) from None
        found = problems(form, TOKEN, ("client_id", "client_secret", "grant_type"))
        if found:
            raise VendorError(422, found)
        grant, given = form["grant_type"], form.get("refresh_token", "")
        if grant == "refresh_token" and not given:
            raise VendorError(422, ["refresh_token should not be empty"])
        token = data.token(self.slug, digest(given)) if grant == "refresh_token" else None
        location = token.account if token is not None and token.kind == "refresh" and token.live else None
        if grant == "authorization_code":
            location = consent.account_of(data, self.slug, form.get("code", ""))
        if location is None:
            raise VendorError(400, f"Invalid grant: {grant} is invalid")
        account = data.account(self.slug, location)
        oauth = account.config.get("oauth") if account else None
        client = (digest(form["client_id"]), digest(form["client_secret"]))
        if not isinstance(oauth, dict) or client != (oauth["client_id"], oauth["client_secret"]):
            raise VendorError(401, "Invalid client: client credentials are invalid")
        if grant == "authorization_code" and consent.redeem(data, self.slug, form, now) is None:
            raise VendorError(400, f"Invalid grant: {grant} is invalid")
        data.kill_tokens(self.slug, location, "refresh")
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        lifetime = oauth["expires_in"]
        data.put_token(self.slug, digest(access), Token(location, "access", now + lifetime, live=True))
        data.put_token(self.slug, digest(refresh), Token(location, "refresh", None, live=True))
        document = {
            "access_token": access, "token_type": "Bearer", "expires_in": lifetime, "refresh_token": refresh,
            "scope": "contacts.readonly contacts.write calendars.readonly calendars/events.write",
            "userType": "Location", "locationId": location, "companyId": f"company_{location}",
            "userId": f"user_{location}", "isBulkInstallation": False,
        }  # fmt: skip
        return Reply(200, document, {"kind": "token", "id": location, "op": "update"})

    def _set_oauth(self, data: Data, account: str, given: object, held: object, now: float) -> dict[str, object]:
        """Take an app's credentials. The same seeds again change nothing: a refresh token that was used stays dead."""
        if not isinstance(given, dict):
            raise SettingError("oauth", "must be an object")
        reading.known(given, OAUTH_SETTINGS, "oauth.")
        before: dict[str, object] = held if isinstance(held, dict) else {}
        kept: dict[str, object] = {"expires_in": ACCESS_TOKEN_S, **before}
        for name in ("client_id", "client_secret", "refresh_token", "access_token"):
            if name in given:
                kept[name] = digest(reading.text(given[name], f"oauth.{name}"))
            elif name not in kept and name.startswith("client_"):
                raise SettingError(f"oauth.{name}", "is missing")
        if "expires_in" in given:
            lifetime = given["expires_in"]
            if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not 0 < lifetime <= 10_000_000:
                raise SettingError("oauth.expires_in", "must be a number of seconds above 0")
            kept["expires_in"] = lifetime
        if "refresh_token" in given and kept["refresh_token"] != before.get("refresh_token"):
            self._set_token(data, account, "refresh", given["refresh_token"], None, "oauth.refresh_token")
        if "access_token" in given and kept["access_token"] != before.get("access_token"):
            lifetime = kept["expires_in"]
            expires = now + (lifetime if isinstance(lifetime, int | float) else ACCESS_TOKEN_S)
            self._set_token(data, account, "access", given["access_token"], expires, "oauth.access_token")
        return kept

    def _set_token(self, data: Data, account: str, kind: str, secret: str, expires: float | None, field: str) -> None:
        hashed = digest(secret)
        held = data.token(self.slug, hashed)
        if held is not None and (held.account != account or held.kind != kind):
            raise SettingError(field, "is in use for something else already")
        data.kill_tokens(self.slug, account, kind)
        data.put_token(self.slug, hashed, Token(account, kind, expires, live=True))


def _bearer(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _form(request: Request) -> dict[str, str]:
    if request.media_type != "application/x-www-form-urlencoded":
        return {}
    try:
        return request.form
    except MalformedError:
        return {}
