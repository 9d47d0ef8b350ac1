"""The front of Follow Up Boss: routes, keys, limits in contexts, and accounts that have expired."""

from __future__ import annotations

import base64
import binascii
import math
import re
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

from . import activities, catalog, people
from .collection import Call
from .shapes import SLUG, VendorError, iso
from .showing import TABS

SETTINGS = frozenset({
    "api_key", "system_key", "timezone", "user", "users", "appointment_types", "appointment_outcomes",
    "custom_fields", "sees", "shares_calendar", "expired",
})  # fmt: skip
DEFAULTS: Mapping[str, object] = {
    "timezone": "America/Los_Angeles", "user": "1", "users": [], "appointment_types": [], "appointment_outcomes": [],
    "custom_fields": [], "sees": "everybody", "shares_calendar": True, "expired": False,
}  # fmt: skip
CATALOGS = {
    "appointment_types": catalog.TYPE, "appointment_outcomes": catalog.OUTCOME, "custom_fields": catalog.FIELD,
}  # fmt: skip
NUMBER = re.compile(r"[1-9][0-9]{0,17}\Z")
EVENTS = "/v1/events"
# https://docs.followupboss.com/reference/rate-limiting; notes and people by two public clients.
LIMITS = (
    Limit("global", 250, 10), Limit("unregistered", 125, 10), Limit("notes", 10, 10), Limit("PUT.people", 25, 10),
)  # fmt: skip


class Route(NamedTuple):
    """One endpoint: its method, path, and what does it."""

    method: str
    path: re.Pattern[str]
    run: Callable[..., Reply]


def _route(method: str, path: str, run: Callable[..., Reply]) -> Route:
    return Route(method, re.compile("/v1" + path.replace("{id}", "([^/]+)") + r"/?\Z"), run)


# The first that fits is taken, so fixed paths stand before those with an id. There is no list of notes.
ROUTES = (
    _route("GET", "/identity", catalog.identity),
    _route("POST", "/events", people.send_event),
    _route("GET", "/people", people.PEOPLE.list),
    _route("POST", "/people", people.create),
    _route("GET", "/people/checkDuplicate", people.check_duplicate),
    _route("GET", "/people/{id}", people.PEOPLE.fetch),
    _route("PUT", "/people/{id}", people.update),
    _route("DELETE", "/people/{id}", people.PEOPLE.delete),
    _route("POST", "/notes", activities.create_note),
    _route("GET", "/notes/{id}", activities.NOTES.fetch),
    _route("PUT", "/notes/{id}", activities.update_note),
    _route("DELETE", "/notes/{id}", activities.NOTES.delete),
    _route("GET", "/tasks", activities.TASKS.list),
    _route("POST", "/tasks", activities.create_task),
    _route("GET", "/tasks/{id}", activities.TASKS.fetch),
    _route("PUT", "/tasks/{id}", activities.update_task),
    _route("DELETE", "/tasks/{id}", activities.TASKS.delete),
    _route("GET", "/appointments", activities.APPOINTMENT_LIST.list),
    _route("POST", "/appointments", activities.create_appointment),
    _route("GET", "/appointments/{id}", activities.APPOINTMENTS.fetch),
    _route("PUT", "/appointments/{id}", activities.update_appointment),
    _route("DELETE", "/appointments/{id}", activities.APPOINTMENTS.delete),
    _route("GET", "/appointmentTypes", catalog.TYPES.list),
    _route("GET", "/appointmentOutcomes", catalog.OUTCOMES.list),
    _route("GET", "/customFields", catalog.FIELDS.list),
    _route("GET", "/users", catalog.USERS.list),
    _route("GET", "/users/{id}", catalog.USERS.fetch),
)


class FollowUpBoss:
    """The vendor, as the sandbox runs it. An account is named by its subdomain."""

    slug = SLUG
    label = "Follow Up Boss"
    limits: Sequence[Limit] = LIMITS
    tabs: Sequence[Tab] = TABS
    secret_settings = frozenset({"system_key"})

    def configure(self, data: Data, account: str, settings: Mapping[str, object], now: float) -> None:
        """Create or change an account; settings left out keep their value."""
        reading.known(settings, SETTINGS)
        held = data.account(self.slug, account)
        config = {**DEFAULTS, **(held.config if held else {})}
        if "timezone" in settings:
            config["timezone"] = reading.zone(settings["timezone"])
        if "users" in settings:
            config["users"] = _numbered(reading.users(settings["users"]))
        if "user" in settings:
            config["user"] = _number(settings["user"], "user")
        for name in CATALOGS:
            if name in settings:
                config[name] = reading.names(settings[name], name)
        if settings.get("sees", "assigned") not in ("everybody", "assigned"):
            raise SettingError("sees", "must be everybody or assigned")
        for name in ("shares_calendar", "expired"):
            if not isinstance(settings.get(name, False), bool):
                raise SettingError(name, "must be true or false")
        config |= {name: settings[name] for name in ("sees", "shares_calendar", "expired") if name in settings}
        if "system_key" in settings:
            config["system_key"] = digest(reading.text(settings["system_key"], "system_key"))
        if "api_key" in settings:
            self._set_key(data, account, reading.text(settings["api_key"], "api_key"))
        data.put_account(Account(self.slug, account, config))
        self.refill(data, account, now)

    def refill(self, data: Data, account: str, now: float) -> None:
        """The users, appointment types, outcomes and custom fields of the settings."""
        held = data.account(self.slug, account)
        config = held.config if held else {}
        reading.put_users(data, self.slug, account, config.get("users"), iso(now))
        for name, kind in CATALOGS.items():
            catalog.refill(data, account, kind, config.get(name), now)

    def sharing(self, data: Data, account: str) -> list[str]:
        """Each account has limits of its own."""
        return [account]

    def identify(self, data: Data, request: Request) -> str | None:
        """The account of the key; dead keys name their account too."""
        token = data.token(self.slug, digest(_key(request)))
        return token.account if token else None

    def answer(self, data: Data, request: Request, now: float) -> Reply:
        """Do what the request asks."""
        try:
            return self._answer(data, request, now)
        except VendorError as error:
            return Reply(error.status, error.document())

    def failure(self, status: int, message: str) -> dict[str, object]:
        """An error from in front of the application."""
        return {"errorMessage": message}

    def rate_headers(self, usage: Sequence[Usage]) -> dict[str, str]:
        """The four headers, of the one context that the request is counted in."""
        one = usage[0]
        return {
            "X-RateLimit-Limit": str(one.limit.limit),
            "X-RateLimit-Remaining": str(one.remaining),
            "X-RateLimit-Window": f"{one.limit.seconds:g}",
            "X-RateLimit-Context": "global" if one.limit.name == "unregistered" else one.limit.name,
        }

    def counted_in(self, method: str, path: str, headers: Mapping[str, str], config: Mapping[str, object]) -> list[str]:
        """One context each; POST /events is not limited."""
        if path.startswith(EVENTS):
            return []
        if path.startswith("/v1/notes"):
            return ["notes"]
        if method == "PUT" and path.startswith("/v1/people/"):
            return ["PUT.people"]
        given = headers.get("x-system-key")
        registered = given is not None and config.get("system_key", given) == given and "x-system" in headers
        return ["global" if registered else "unregistered"]

    def refused_headers(self, wait_s: float) -> dict[str, str]:
        """When to come back, in whole seconds."""
        return {"Retry-After": str(max(1, math.ceil(wait_s)))}

    def recorded_body(self, request: Request) -> object:
        """The JSON, or the text when it is none."""
        if not request.body:
            return None
        try:
            return request.json
        except MalformedError:
            return request.text

    def _answer(self, data: Data, request: Request, now: float) -> Reply:
        for route in ROUTES:
            matched = route.path.match(request.path)
            if matched and route.method == request.method:
                call = self._call(data, request, now)
                return route.run(call, *(unquote(part) for part in matched.groups()))
        self._call(data, request, now)
        raise VendorError(404, "Not found")

    def _call(self, data: Data, request: Request, now: float) -> Call:
        token = data.token(self.slug, digest(_key(request)))
        account = data.account(self.slug, token.account) if token is not None and token.live else None
        if account is None:
            raise VendorError(401, "Authentication credentials are not valid.")
        if account.config["expired"] is True and (request.method, request.path) != ("POST", EVENTS):
            raise VendorError(403, "This account has expired.")
        try:
            query = request.query
            body = request.json if request.body else {}
        except MalformedError as error:
            raise VendorError(400, str(error)) from None
        if request.body and request.media_type != "application/json":
            raise VendorError(400, "the body must be application/json")
        if not isinstance(body, dict):
            raise VendorError(400, "the body must be an object")
        host = request.headers.get("host", "")
        return Call(data, account, body, query, now, f"http://{host}/{self.slug}{request.path.rstrip('/')}")

    def _set_key(self, data: Data, account: str, key: str) -> None:
        hashed = digest(key)
        held = data.token(self.slug, hashed)
        if held is not None and held.account != account:
            raise SettingError("api_key", "is in use for another account")
        data.kill_tokens(self.slug, account, "key")
        data.put_token(self.slug, hashed, Token(account, "key", None, live=True))


def _key(request: Request) -> str:
    """The user name of HTTP Basic; any password is taken, as documented."""
    scheme, _, coded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(coded.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _number(value: object, field: str) -> str:
    if not isinstance(value, str) or not NUMBER.match(value):
        raise SettingError(field, "must be a whole number above 0, as a string")
    return value


def _numbered(users: list[dict[str, str]]) -> list[dict[str, str]]:
    for index, user in enumerate(users):
        _number(user["id"], f"users[{index}].id")
    return users
