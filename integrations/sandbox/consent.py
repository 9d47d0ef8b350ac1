"""The page on which a person lets an app into an account, and the codes it hands out (RFC 6749 §4.1, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from html import escape
from typing import Protocol, runtime_checkable
from urllib.parse import urlencode, urlsplit

from .journal import digest
from .messages import MalformedError, Request, Response, from_elsewhere
from .pages import HEADERS
from .store import Account, Data, Record
from .style import STYLE

CODE, CODE_S = "oauth_code", 300.0
KEPT = ("client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method")


@runtime_checkable
class Consenting(Protocol):
    """A vendor whose apps are let in on a page of its own."""

    slug: str
    label: str
    consent_path: str


class RefusedError(Exception):
    """The page says why it cannot ask; nobody is sent anywhere."""


def answer(data: Data, vendor: Consenting, request: Request, now: float) -> Response:
    """GET asks; POST sends the browser back to the app, with a code or with a no. Not journaled: no API request."""
    try:
        given = request.form if request.method == "POST" else request.query
        accounts, back = _checked(data, vendor, given, request)
        if request.method != "POST":
            return _page(200, _question(vendor, accounts, given), back)
        state = {"state": given["state"]} if given.get("state") else {}
        if "deny" in given:
            return _away(back, {"error": "access_denied", **state})
        account = given.get("account", "")
        if account not in {one.account for one in accounts}:
            raise RefusedError("this app knows no such account")
        return _away(back, {"code": _code(data, vendor, account, given, now), **state})
    except (RefusedError, MalformedError) as error:
        return _page(400, f"<p>{escape(str(error).capitalize())}.</p>", "")


def redeem(data: Data, slug: str, form: Mapping[str, str], now: float) -> str | None:
    """The account a code lets into, once; None when the code is not good for whoever sends this form."""
    held = data.get(slug, CODE, digest(form.get("code", "")))
    if held is None:
        return None
    doc = held.doc
    proof = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).decode()
    good = (
        not doc["used"]
        and float(str(doc["expires"])) > now
        and doc["redirect_uri"] == form.get("redirect_uri")
        and doc["client_id"] == digest(form.get("client_id", ""))
        and doc["code_challenge"] in ("", proof.rstrip("="))
    )
    data.put(Record(slug, held.account, CODE, held.id, {**doc, "used": True}))
    return held.account if good else None


def account_of(data: Data, slug: str, code: str) -> str | None:
    """Whose code it is, good or not."""
    held = data.get(slug, CODE, digest(code)) if code else None
    return held.account if held else None


def _checked(data: Data, vendor: Consenting, given: Mapping[str, str], request: Request) -> tuple[list[Account], str]:
    if request.method == "POST" and from_elsewhere(request):
        raise RefusedError("this comes from another site's page")
    if request.method == "GET" and given.get("response_type") != "code":
        raise RefusedError("response_type must be code")
    if given.get("code_challenge") and given.get("code_challenge_method") != "S256":
        raise RefusedError("code_challenge_method must be S256")
    back = given.get("redirect_uri", "")
    if urlsplit(back).scheme not in ("http", "https") or not urlsplit(back).netloc:
        raise RefusedError("redirect_uri must be a whole address")
    mine = [one for one in data.accounts() if one.provider == vendor.slug and _is_of(one, given.get("client_id", ""))]
    if not mine:
        raise RefusedError("no account knows an app with this client_id")
    return mine, back


def _is_of(account: Account, client_id: str) -> bool:
    app = account.config.get("oauth")
    return isinstance(app, dict) and app.get("client_id") == digest(client_id)


def _code(data: Data, vendor: Consenting, account: str, given: Mapping[str, str], now: float) -> str:
    code = secrets.token_urlsafe(24)
    doc: dict[str, object] = {
        "client_id": digest(given["client_id"]), "redirect_uri": given["redirect_uri"],
        "code_challenge": given.get("code_challenge", ""), "expires": now + CODE_S, "used": False,
    }  # fmt: skip
    data.put(Record(vendor.slug, account, CODE, digest(code), doc))
    return code


def _question(vendor: Consenting, accounts: list[Account], given: Mapping[str, str]) -> str:
    kept = "".join(f"<input type=hidden name='{name}' value='{escape(given[name])}'>" for name in KEPT if name in given)
    asked = "".join(f"<li>{escape(scope)}</li>" for scope in given.get("scope", "").split())
    choices = "".join(
        f"<button name=account value='{escape(one.account)}'>Approve for {escape(str(one.account))}</button> "
        for one in accounts
    )
    return (
        f"<p>An app asks to be let into an account of {escape(vendor.label)}. It asks for:</p><ul>{asked}</ul>"
        f"<form method=post>{kept}{choices}<button class=danger name=deny value=yes>Deny</button></form>"
    )


def _page(status: int, body: str, back: str) -> Response:
    parts = urlsplit(back)
    origin = f" {parts.scheme}://{parts.netloc}" if back else ""
    # A browser holds form-action against where the answer to the form sends it, too.
    policy = HEADERS["Content-Security-Policy"].replace("form-action 'self'", f"form-action 'self'{origin}")
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Let an app in</title>'
        f"<style>{STYLE}</style></head><body><main><h1>Provider sandbox</h1>{body}</main></body></html>"
    )
    headers = {**HEADERS, "Content-Security-Policy": policy}
    return Response(status, text.encode("utf-8", "replace"), "text/html; charset=utf-8", headers)


def _away(back: str, answered: Mapping[str, str]) -> Response:
    joint = "&" if urlsplit(back).query else "?"
    return Response(303, headers={"Location": f"{back}{joint}{urlencode(answered)}", "Referrer-Policy": "no-referrer"})
