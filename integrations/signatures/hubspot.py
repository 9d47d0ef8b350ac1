"""HubSpot's older signatures: a plain hash over the secret and the request, without a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from .request import MISSING, RIGHT, WRONG, Request, Verdict, same


def v1(request: Request, secrets: Sequence[str], _options: Mapping[str, Any]) -> Verdict:
    """Hex SHA-256 over secret and body."""
    return _plain_hash(request, secrets, "v1", request.body)


def v2(request: Request, secrets: Sequence[str], _options: Mapping[str, Any]) -> Verdict:
    """Hex SHA-256 over secret, method, address and body."""
    before = (request.method + request.uri).encode("utf-8", "surrogatepass")
    return _plain_hash(request, secrets, "v2", before + request.body)


def _plain_hash(request: Request, secrets: Sequence[str], version: str, message: bytes) -> Verdict:
    given = request.header("x-hubspot-signature")
    wanted = [hashlib.sha256(secret.encode() + message).hexdigest() for secret in secrets]
    right = same(given, wanted)
    if not given:
        return MISSING
    named = request.header("x-hubspot-signature-version") or version
    return RIGHT if right and named == version else WRONG
