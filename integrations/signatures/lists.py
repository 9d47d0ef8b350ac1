"""Schemes whose one header lists several signatures: Stripe, and Standard Webhooks (Svix)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from .public_keys import ed25519_right
from .request import MISSING, NO_TIME, RIGHT, WRONG, Request, Verdict, from_base64, same, seconds

MOST = 20
"""Signatures looked at in one header: a roll of secrets makes two."""


def stripe(request: Request, secrets: Sequence[str], _options: Mapping[str, Any]) -> Verdict:
    """`t=…,v1=…[,v1=…]`: hex over "time.body", the secret as text, its `whsec_` included."""
    header = request.header("stripe-signature")
    if not header:
        return MISSING
    pairs = [item.strip().partition("=") for item in header.split(",")[: MOST + 1]]
    times = [value for name, _, value in pairs if name == "t"]
    at = seconds(times[0]) if len(times) == 1 else None
    if at is None:
        return NO_TIME
    message = times[0].encode() + b"." + request.body
    wanted = [hmac.new(secret.encode(), message, hashlib.sha256).hexdigest() for secret in secrets]
    hits = [same(value, wanted) for name, _, value in pairs if name == "v1"]
    return Verdict(True, at=at) if any(hits) else WRONG


def standard(request: Request, secrets: Sequence[str], _options: Mapping[str, Any]) -> Verdict:
    """Over "id.time.body": `v1` HMAC with the decoded `whsec_` secret, `v1a` Ed25519 with a `whpk_` key."""
    names = "webhook" if request.header("webhook-signature") else "svix"
    header = request.header(f"{names}-signature")
    if not header:
        return MISSING
    message_id, sent = request.header(f"{names}-id"), request.header(f"{names}-timestamp")
    at = seconds(sent)
    if at is None:
        return NO_TIME
    if not message_id or "." in message_id:
        return Verdict(False, "no_id")
    message = f"{message_id}.{sent}.".encode("utf-8", "surrogatepass") + request.body
    given = [item.partition(",") for item in header.split(" ")[:MOST]]
    hits = [_right(version, signature, message, secret) for version, _, signature in given for secret in secrets]
    return Verdict(True, at=at) if any(hits) else WRONG


def _right(version: str, signature: str, message: bytes, secret: str) -> bool:
    public = secret.startswith("whpk_")
    if version == "v1a" and public:
        return ed25519_right(from_base64(secret.removeprefix("whpk_")), signature, message)
    key = from_base64(secret.removeprefix("whsec_"))
    if version != "v1" or public or not key:
        return False
    return same(signature, [base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()])


def unsigned(_request: Request, _secrets: Sequence[str], _options: Mapping[str, Any]) -> Verdict:
    """A provider that signs nothing: its address is the secret."""
    return RIGHT
