"""GoHighLevel signs with a private key of its own; everybody verifies with the public one it publishes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from .request import MISSING, RIGHT, WRONG, Request, Verdict, from_base64

GOHIGHLEVEL_ED25519 = "MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg="
GOHIGHLEVEL_RSA = (
    "MIICIjANBgkqhkiG9w0BAQEFAAOCAg8AMIICCgKCAgEAokvo/r9tVgcfZ5DysOSCFrm602qYV0MaAiNnX9O8KxMbiyRKWeL9JpCpVpt4XHIcBOK4"
    "u3cLSqJGOLaPuXw6dO0t6Q/ZVdAV5Phz+ZtzPL16iCGeK9po6D6JHBpbi989mmzMryUnQJezlYJ3DVfBcsedpinheNnyYeFXolrJvcsjDtfAeRx5"
    "ByHQmTnSdFUzuAnC9/GepgLT9SM4nCpvuxmZMxrJt5Rw+VUaQ9B8JSvbMPpez4peKaJPZHBbU3OdeCVx5klVXXZQGNHOs8gF3kvoV5rTnXV0IknL"
    "BXlcKKAQLZcY/Q9rG6Ifi9c+5vqlvHPCUJFT5XUGG5RKgOKUJ062fRtN+rLYZUV+BjafxQauvC8wSWeYja63VSUruvmNj8xkx2zE/Juc+yjLjTXp"
    "IocmaiFeAO6fUtNjDeFVkhf5LNb59vECyrHD2SQIrhgXpO4Q3dVNA5rw576PwTzNh/AMfHKIjE4xQA1SZuYJmNnmVZLIZBlQAF9Ntd03rfadZ+yD"
    "iOXCCs9FkHibELhCHULgCsnuDJHcrGNd5/Ddm5hxGQ0ASitgHeMZ0kcIOwKDOzOU53lDza6/Y09T7sYJPQe7z0cvj7aE4B+Ax1ZoZGPzpJlZtGXC"
    "su9aTEGEnKzmsFqwcSsnw3JB31IGKAykT1hhTiaCeIY/OwwwNUY2yvcCAwEAAQ=="
)
_FRAME = re.compile(r"-----(BEGIN|END) PUBLIC KEY-----|\\n|[\s\"']")


def key_of(text: str) -> Any:
    """The public key in a PEM text, however an environment variable mangled it; None when it holds none."""
    der = from_base64(_FRAME.sub("", text))
    try:
        return serialization.load_der_public_key(der) if der else None
    except ValueError:
        return None


def ed25519_right(raw_key: bytes | None, signature: str, message: bytes) -> bool:
    """Whether that raw public key signed the message; the signature in base64."""
    try:
        key = Ed25519PublicKey.from_public_bytes(raw_key or b"")
        key.verify(from_base64(signature) or b"", message)
    except (InvalidSignature, ValueError):
        return False
    return True


def gohighlevel(request: Request, secrets: Sequence[str], options: Mapping[str, Any]) -> Verdict:
    """Ed25519 in `X-GHL-Signature`; the older RSA one only where the source's option `legacy_rsa` says so.

    Keys given to the source take the place of the published ones.
    """
    newer, older = request.header("x-ghl-signature"), request.header("x-wh-signature")
    if newer:
        keys = [key_of(text) for text in secrets or [GOHIGHLEVEL_ED25519]]
        right = [_ed25519(key, newer, request.body) for key in keys]
    elif older and options.get("legacy_rsa") is True:
        keys = [key_of(text) for text in secrets or [GOHIGHLEVEL_RSA]]
        right = [_rsa(key, older, request.body) for key in keys]
    else:
        return MISSING
    return RIGHT if any(right) else WRONG


def _ed25519(key: Any, signature: str, message: bytes) -> bool:
    raw = key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else None
    return ed25519_right(raw, signature, message)


def _rsa(key: Any, signature: str, message: bytes) -> bool:
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        key.verify(from_base64(signature) or b"", message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
