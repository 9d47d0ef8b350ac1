"""HubSpot's tokens: those of private apps stay; an app's last half an hour and are renewed with one that stays.

POST /oauth/v3/token: https://developers.hubspot.com/docs/api-reference/auth-oauth-v3/guide
"""

from __future__ import annotations

import secrets
import uuid

from integrations.sandbox import consent
from integrations.sandbox import settings as reading
from integrations.sandbox.journal import digest
from integrations.sandbox.messages import MalformedError, Request
from integrations.sandbox.store import Data, Token
from integrations.sandbox.vendor import Reply, SettingError

from .shapes import SLUG

PATH = "/oauth/v3/token"
ACCESS_TOKEN_S = 1800
APP_SETTINGS = frozenset({"client_id", "client_secret", "refresh_token", "access_token", "expires_in"})
OPEN_FORM_FIELDS = frozenset({"grant_type", "client_id", "redirect_uri"})


def grant(data: Data, request: Request, now: float) -> Reply:
    """A new access token; for a code a refresh token too, for a refresh token itself: it stays as it is."""
    form = _form(request)
    by_code = form.get("grant_type") == "authorization_code"
    given = form.get("refresh_token", "")
    if not by_code and (form.get("grant_type") != "refresh_token" or not given):
        return _refused("BAD_GRANT_TYPE", "missing or unknown grant type")
    token = None if by_code else data.token(SLUG, digest(given))
    if not by_code and (token is None or token.kind != "refresh" or not token.live):
        return _refused("BAD_REFRESH_TOKEN", "missing or invalid refresh token")
    number = token.account if token else consent.account_of(data, SLUG, form.get("code", ""))
    account = data.account(SLUG, number) if number else None
    app = account.config.get("oauth") if account else None
    client = (digest(form.get("client_id", "")), digest(form.get("client_secret", "")))
    if account is not None and (not isinstance(app, dict) or client != (app["client_id"], app["client_secret"])):
        return _refused("BAD_CLIENT_ID", "missing or invalid client id or secret")
    if by_code and consent.redeem(data, SLUG, form, now) is None:
        return _refused("BAD_AUTH_CODE", "missing or unknown auth code")
    if account is None or not isinstance(app, dict):
        return _refused("BAD_REFRESH_TOKEN", "missing or invalid refresh token")
    if by_code:
        given = secrets.token_urlsafe(32)
        set_token(data, account.account, "refresh", given, None, "refresh_token")
    access, lifetime = secrets.token_urlsafe(32), app["expires_in"]
    data.put_token(SLUG, digest(access), Token(account.account, "access", now + lifetime, live=True))
    document = {
        "access_token": access, "token_type": "bearer", "expires_in": lifetime, "refresh_token": given,
        "token_use": "access_token", "hub_id": int(account.account),
        "scopes": ["crm.objects.contacts.read", "crm.objects.contacts.write", "crm.objects.owners.read"],
    }  # fmt: skip
    return Reply(200, document, {"kind": "token", "id": account.account, "op": "update"})


def account_of(data: Data, request: Request) -> str | None:
    """Whose code or refresh token a request for a token brings, good or not."""
    form = _form(request)
    given = form.get("refresh_token", "")
    token = data.token(SLUG, digest(given)) if given else None
    return token.account if token else consent.account_of(data, SLUG, form.get("code", ""))


def recorded(request: Request) -> object:
    """The form with its secrets hashed."""
    fields = _form(request)
    if not fields:
        return digest(request.text) if request.body else None
    return {name: value if name in OPEN_FORM_FIELDS else digest(value) for name, value in fields.items()}


def set_app(data: Data, account: str, given: object, held: object, now: float) -> dict[str, object]:
    """Take an app's credentials. Raises SettingError."""
    if not isinstance(given, dict):
        raise SettingError("oauth", "must be an object")
    reading.known(given, APP_SETTINGS, "oauth.")
    kept: dict[str, object] = {"expires_in": ACCESS_TOKEN_S, **(held if isinstance(held, dict) else {})}
    for name in ("client_id", "client_secret", "refresh_token", "access_token"):
        if name in given:
            kept[name] = digest(reading.text(given[name], f"oauth.{name}"))
        elif name not in kept and name.startswith("client_"):
            raise SettingError(f"oauth.{name}", "is missing")
    if "expires_in" in given:
        kept["expires_in"] = reading.number(given["expires_in"], "oauth.expires_in", 0.001, 10_000_000)
    if "refresh_token" in given:
        set_token(data, account, "refresh", given["refresh_token"], None, "oauth.refresh_token")
    if "access_token" in given:
        lifetime = kept["expires_in"]
        expires = now + (lifetime if isinstance(lifetime, int | float) else ACCESS_TOKEN_S)
        set_token(data, account, "access", given["access_token"], expires, "oauth.access_token")
    return kept


def set_token(data: Data, account: str, kind: str, secret: str, expires: float | None, field: str) -> None:
    """One of this kind alone is good. Raises SettingError when the secret is something else's."""
    hashed = digest(secret)
    held = data.token(SLUG, hashed)
    if held is not None and (held.account != account or held.kind != kind):
        raise SettingError(field, "is in use for something else already")
    data.kill_tokens(SLUG, account, kind)
    data.put_token(SLUG, hashed, Token(account, kind, expires, live=True))


def _refused(status: str, message: str) -> Reply:
    return Reply(400, {"status": status, "message": message, "correlationId": str(uuid.uuid4())})


def _form(request: Request) -> dict[str, str]:
    if request.media_type != "application/x-www-form-urlencoded":
        return {}
    try:
        return request.form
    except MalformedError:
        return {}
