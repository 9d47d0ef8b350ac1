"""The way of a person through the vendor's consent page, and of the code that comes back (RFC 6749 §4.1, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from .sign_in import OAuthSignIn
from .token_call import Grant, TokenCall


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request for consent and the call for its token have in common."""

    redirect_uri: str
    verifier: str = field(repr=False)


def address(spec: OAuthSignIn, base_url: str, client_id: str, asked: Asked, state: str) -> str:
    """Where the browser is sent. Raises ValueError for a provider without such a page."""
    if spec.consent is None:
        raise ValueError("this provider has no consent page")
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": asked.redirect_uri,
        "scope": " ".join(spec.consent.scopes),
        "state": state,
    }
    if spec.consent.pkce:
        query |= {"code_challenge": challenge(asked.verifier), "code_challenge_method": "S256"}
    return f"{base_url.rstrip('/')}{spec.consent.path}?{urlencode(query)}"


def challenge(verifier: str) -> str:
    """RFC 7636 §4.2, S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def redeem(call: TokenCall, spec: OAuthSignIn, asked: Asked, code: str, secrets: Mapping[str, str]) -> Grant:
    """The tokens for a code. Raises as `TokenCall.ask`."""
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked.redirect_uri}
    if spec.consent is not None and spec.consent.pkce:
        fields["code_verifier"] = asked.verifier
    return call.ask(fields, secrets, refused="the code is not taken")
