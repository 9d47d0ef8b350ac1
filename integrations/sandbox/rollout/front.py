"""The front of Rollout: routes, tokens, credentials, and data that is not ready yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from integrations.sandbox import settings as reading
from integrations.sandbox.holdings import Tab
from integrations.sandbox.limits import Limit, Usage
from integrations.sandbox.messages import MalformedError, Request
from integrations.sandbox.store import Account, Data
from integrations.sandbox.vendor import Reply, SettingError

from . import activities, catalog, people, token
from .collection import Call, Collection
from .shapes import NOT_READY, SLUG, RolloutError, iso
from .showing import TABS

SETTINGS = frozenset({
    "client_id", "client_secret", "consumer", "app_key", "label", "timezone", "users", "appointment_types",
    "appointment_outcomes", "not_ready", "not_ready_seconds", "order",
})  # fmt: skip
DEFAULTS: Mapping[str, object] = {
    "app_key": "followupboss", "timezone": "America/Los_Angeles", "users": [], "appointment_types": [],
    "appointment_outcomes": [], "not_ready": 0, "ready_at": 0, "order": "newest",
}  # fmt: skip
CREDENTIALS = ("/api/credentials", "/universal/api/credentials")


class Route(NamedTuple):
    """One endpoint: its method, path, and what does it."""

    method: str
    path: re.Pattern[str]
    run: Callable[..., Reply]


def _route(method: str, path: str, run: Callable[..., Reply]) -> Route:
    return Route(method, re.compile("/api" + path.replace("{id}", "([^/]+)") + r"/?\Z"), run)


def _reading(collection: Collection, path: str) -> tuple[Route, Route]:
    return _route("GET", path, collection.list), _route("GET", path + "/{id}", collection.fetch)


def _routes(
    collection: Collection, path: str, create: Callable[[Call], Reply], update: Callable[[Call, str], Reply]
) -> tuple[Route, ...]:
    return (
        *_reading(collection, path),
        _route("POST", path, create),
        _route("PUT", path + "/{id}", update),
        _route("DELETE", path + "/{id}", collection.delete),
    )


ROUTES = (
    *_routes(people.PEOPLE, "/people", people.create, people.update),
    _route("POST", "/people/{id}/tags/apply", people.apply_tags),
    _route("POST", "/people/{id}/tags/delete", people.delete_tags),
    *_routes(activities.NOTES, "/notes", activities.create_note, activities.update_note),
    *_routes(activities.TASKS, "/tasks", activities.create_task, activities.update_task),
    *_routes(activities.APPOINTMENTS, "/appointments", activities.create_appointment, activities.update_appointment),
    *_routes(catalog.TYPES, "/appointment-types", catalog.create_type, catalog.update_type),
    *_routes(catalog.OUTCOMES, "/appointment-outcomes", catalog.create_outcome, catalog.update_outcome),
    *_routes(catalog.FIELDS, "/customFields", catalog.create_field, catalog.update_field),
    *_reading(catalog.USERS, "/users"),
)


class Rollout:
    """The vendor, as the sandbox runs it. An account is a credential: one CRM that a consumer has connected.

    The secret of a client is kept as it is, since a signature cannot be checked against a hash of it.
    """

    slug = SLUG
    label = "Rollout"
    # "about 50 requests per second per tenant", without headers: https://rollout.com/docs
    limits: Sequence[Limit] = (Limit("burst", 50, 1),)
    tabs: Sequence[Tab] = TABS
    secret_settings = frozenset({"client_secret"})

    def configure(self, data: Data, account: str, settings: Mapping[str, object], now: float) -> None:
        """Create or change a credential; settings left out keep their value."""
        reading.known(settings, SETTINGS)
        held = data.account(self.slug, account)
        config = {"label": account, "created": iso(now), **DEFAULTS, **(held.config if held else {})}
        for name in ("client_id", "client_secret", "consumer"):
            if name in settings:
                config[name] = reading.text(settings[name], name)
            elif name not in config:
                raise SettingError(name, "is missing")
        config |= {name: reading.text(settings[name], name) for name in ("app_key", "label") if name in settings}
        if "timezone" in settings:
            config["timezone"] = reading.zone(settings["timezone"])
        if "users" in settings:
            config["users"] = reading.users(settings["users"])
        for name in ("appointment_types", "appointment_outcomes"):
            if name in settings:
                config[name] = reading.names(settings[name], name)
        if "not_ready" in settings:
            config["not_ready"] = int(reading.number(settings["not_ready"], "not_ready", 0, 1_000_000))
        if "not_ready_seconds" in settings:
            seconds = reading.number(settings["not_ready_seconds"], "not_ready_seconds", 0, 3600)
            config["ready_at"] = now + seconds
        if settings.get("order", "newest") not in ("newest", "oldest"):
            raise SettingError("order", "must be newest or oldest")
        config["order"] = settings.get("order", config["order"])
        data.put_account(Account(self.slug, account, config))
        self._share(data, account, config)
        self.refill(data, account, now)

    def refill(self, data: Data, account: str, now: float) -> None:
        """The users, appointment types and outcomes of the settings."""
        held = data.account(self.slug, account)
        config = held.config if held else {}
        reading.put_users(data, self.slug, account, config.get("users"), iso(now))
        catalog.refill(data, account, catalog.TYPE, config.get("appointment_types"), now)
        catalog.refill(data, account, catalog.OUTCOME, config.get("appointment_outcomes"), now)

    def sharing(self, data: Data, account: str) -> list[str]:
        """All credentials of the consumer."""
        held = data.account(self.slug, account)
        if held is None:
            return [account]
        claims = token.Claims(str(held.config["client_id"]), str(held.config["consumer"]))
        return [one.account for one in self._credentials(data, claims)]

    def identify(self, data: Data, request: Request) -> str | None:
        """The credential that the header names; for the list of credentials, the first of the token's consumer."""
        if request.path.rstrip("/") in CREDENTIALS:
            claims = token.claimed(_bearer(request))
            found = self._credentials(data, claims) if claims else []
            return found[0].account if found else None
        given = request.headers.get("x-rollout-credential-id", "")
        return given if data.account(self.slug, given) else None

    def answer(self, data: Data, request: Request, now: float) -> Reply:
        """Do what the request asks."""
        try:
            return self._answer(data, request, now)
        except RolloutError as error:
            return Reply(error.status, error.document())

    def failure(self, status: int, message: str) -> dict[str, object]:
        """An error from in front of the application."""
        return {"errorMessage": message}

    def rate_headers(self, usage: Sequence[Usage]) -> dict[str, str]:
        """None: the vendor documents no headers."""
        return {}

    def recorded_body(self, request: Request) -> object:
        """The JSON, or the text when it is none."""
        if not request.body:
            return None
        try:
            return request.json
        except MalformedError:
            return request.text

    def _answer(self, data: Data, request: Request, now: float) -> Reply:
        if request.path.rstrip("/") in CREDENTIALS and request.method == "GET":
            return self._list_credentials(data, self._claims(data, request, now))
        for route in ROUTES:
            matched = route.path.match(request.path)
            if matched and route.method == request.method:
                call = self._call(data, request, now)
                return route.run(call, *(unquote(part) for part in matched.groups()))
        raise RolloutError(404, "Not found")

    def _call(self, data: Data, request: Request, now: float) -> Call:
        claims = self._claims(data, request, now)
        given = request.headers.get("x-rollout-credential-id")
        if not given:
            raise RolloutError(403, "The header X-Rollout-Credential-Id is missing.")
        account = next((one for one in self._credentials(data, claims) if one.account == given), None)
        if account is None:
            raise RolloutError(403, "The credential does not exist or is not one of this user's.")
        self._check_ready(data, account, now)
        try:
            query = request.query
            body = request.json if request.body else {}
        except MalformedError as error:
            raise RolloutError(400, str(error)) from None
        if request.body and request.media_type != "application/json":
            raise RolloutError(400, "the body must be application/json")
        if not isinstance(body, dict):
            raise RolloutError(400, "the body must be an object")
        host = request.headers.get("host", "")
        return Call(data, account, body, query, now, f"http://{host}/{self.slug}{request.path.rstrip('/')}")

    def _claims(self, data: Data, request: Request, now: float) -> token.Claims:
        secrets = {one.config["client_id"]: str(one.config["client_secret"]) for one in self._accounts(data)}
        try:
            return token.verified(_bearer(request), secrets.get, now)
        except token.TokenError as error:
            raise RolloutError(401, f"Invalid token: {error}.") from None

    def _check_ready(self, data: Data, account: Account, now: float) -> None:
        """After a credential is made the vendor first copies the CRM, and says so: 409."""
        left, ready_at = account.config["not_ready"], account.config["ready_at"]
        if isinstance(left, int) and left > 0:
            data.put_account(Account(self.slug, account.account, {**account.config, "not_ready": left - 1}))
            raise RolloutError(409, NOT_READY)
        if isinstance(ready_at, int | float) and now < ready_at:
            raise RolloutError(409, NOT_READY)

    def _list_credentials(self, data: Data, claims: token.Claims) -> Reply:
        """GET /credentials — the consumer's; 404 when it has none: such a user is not known yet."""
        found = self._credentials(data, claims)
        if not found:
            raise RolloutError(404, "Not found")
        return Reply(200, [
            {"id": one.account, "createdAt": one.config["created"], "appKey": one.config["app_key"],
             "label": one.config["label"], "avatar": "", "data": {}}
            for one in found
        ])  # fmt: skip

    def _accounts(self, data: Data) -> list[Account]:
        return [account for account in data.accounts() if account.provider == self.slug]

    def _credentials(self, data: Data, claims: token.Claims) -> list[Account]:
        """The consumer's credentials, in the order of their ids."""
        wanted = (claims.client_id, claims.consumer)
        return [one for one in self._accounts(data) if (one.config["client_id"], one.config["consumer"]) == wanted]

    def _share(self, data: Data, account: str, config: Mapping[str, object]) -> None:
        """A client has one secret, and a consumer one limit: what was said last holds for all their credentials."""
        for other in self._accounts(data):
            if other.account == account or other.config["client_id"] != config["client_id"]:
                continue
            same = {"client_secret": config["client_secret"]}
            data.put_account(Account(self.slug, other.account, {**other.config, **same}))
            if other.config["consumer"] == config["consumer"] and "limits" in other.config and "limits" not in config:
                data.put_account(Account(self.slug, account, {**config, "limits": other.config["limits"]}))


def _bearer(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""
