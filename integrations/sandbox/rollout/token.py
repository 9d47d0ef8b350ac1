"""The JSON Web Tokens that Rollout's clients make themselves.

https://rollout.com/docs/getting-started/getting-your-api-key: HS512 over the client secret, with ``iss`` (the client
id), ``sub`` (the consumer), ``iat`` and ``exp``. That a token may live for an hour at most is the sandbox's own rule:
the vendor's examples use 15 minutes and one hour.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from integrations.sandbox.messages import MalformedError, parse_json

MAX_LIFETIME_S = 3600


class TokenError(Exception):
    """A token that is not good; the text says why."""


@dataclass(frozen=True)
class Claims:
    """Who a token says it is from: ``iss`` and ``sub``."""

    client_id: str
    consumer: str


def claimed(token: str) -> Claims | None:
    """What a token says of itself, good or not; None when it says nothing that can be read."""
    try:
        payload = _object(token.split(".")[1], "payload")
        return Claims(_text(payload, "iss"), _text(payload, "sub"))
    except (IndexError, TokenError):
        return None


def verified(token: str, secret_of: Callable[[str], str | None], now: float) -> Claims:
    """The claims of a good token; ``now`` is seconds since the epoch. Raises TokenError."""
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenError("it does not have three parts")
    header, payload = _object(parts[0], "header"), _object(parts[1], "payload")
    if header.get("alg") != "HS512":
        raise TokenError("its algorithm is not HS512")
    claims = Claims(_text(payload, "iss"), _text(payload, "sub"))
    secret = secret_of(claims.client_id)
    if secret is None:
        raise TokenError("its issuer is unknown")
    signed = hmac.new(secret.encode(), f"{parts[0]}.{parts[1]}".encode("ascii"), hashlib.sha512).digest()
    if not hmac.compare_digest(signed, _bytes(parts[2], "signature")):
        raise TokenError("its signature is wrong")
    _number(payload, "iat")
    expires = _number(payload, "exp")
    if expires <= now:
        raise TokenError("it has expired")
    if expires > now + MAX_LIFETIME_S:
        raise TokenError("it expires more than an hour from now")
    return claims


def _bytes(part: str, what: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise TokenError(f"its {what} is not base64url") from None


def _object(part: str, what: str) -> Mapping[str, object]:
    try:
        document = parse_json(_bytes(part, what))
    except MalformedError:
        document = None
    if not isinstance(document, dict):
        raise TokenError(f"its {what} is not a JSON object")
    return document


def _text(payload: Mapping[str, object], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise TokenError(f"its claim {name} is missing")
    return value


def _number(payload: Mapping[str, object], name: str) -> float:
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenError(f"its claim {name} is missing")
    return value
