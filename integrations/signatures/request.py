"""What a signature is judged by, and the verdict. Nothing here raises, whatever was sent."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)
_MILLISECONDS = re.compile(r"[0-9]{1,14}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came. Names of headers in lower case; `uri` is the address the provider called."""

    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    uri: str = ""

    def header(self, name: str) -> str:
        """The header's value without the blanks around it; empty when it is not there."""
        return self.headers.get(name.lower(), "").strip()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the signature is right, why not, and the moment it vouches for (Unix seconds), if it signs one."""

    right: bool
    reason: str = ""
    at: float | None = None


RIGHT = Verdict(True)
MISSING = Verdict(False, "no_signature")
WRONG = Verdict(False, "wrong_signature")
NO_TIME = Verdict(False, "no_time")

Verify = Callable[[Request, Sequence[str], Mapping[str, Any]], Verdict]
"""(request, secrets that count, options of the source) → verdict."""


def same(given: str, wanted: Iterable[str]) -> bool:
    """Whether the text given is one of those wanted; takes as long for any of the same number."""
    mine = given.encode("utf-8", "surrogatepass")
    hits = [hmac.compare_digest(mine, one.encode()) for one in wanted]
    return any(hits)


def seconds(text: str) -> int | None:
    """Unix seconds in ASCII digits; None for anything else."""
    return int(text) if _SECONDS.fullmatch(text) else None


def milliseconds(text: str) -> float | None:
    """Unix milliseconds in ASCII digits, as seconds; None for anything else."""
    return int(text) / 1000 if _MILLISECONDS.fullmatch(text) else None


def from_base64(text: str) -> bytes | None:
    """What a base64 text stands for; None when it is none."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
