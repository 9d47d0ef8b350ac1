"""HMAC-SHA256 in one header, as most sign: which header, how it is written, and what exactly is signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .request import MISSING, NO_TIME, WRONG, Request, Verdict, Verify, milliseconds, same, seconds

ENCODINGS = ("hex", "base64")
PARTS = ("{body}", "{base64_body}", "{timestamp}", "{method}", "{uri}")
_NAME = re.compile(r"[A-Za-z0-9-]{1,80}", re.ASCII)
_PART = re.compile(r"(\{[a-z0-9_]*\})")
# HubSpot decodes these before it signs, and no others.
_DECODED = {f"%{ord(sign):02X}": sign for sign in ":/?@!$'()*,;"}
_ESCAPE = re.compile("|".join(_DECODED), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Recipe:
    """`signed` is the text that is signed, with `PARTS` in it. Without `time_header` no time is vouched for."""

    header: str
    encoding: str = "hex"
    prefix: str = ""
    signed: str = "{body}"
    time_header: str = ""
    time_unit: str = "s"
    optional_prefix: bool = False

    def message(self, request: Request) -> bytes:
        """The bytes that are signed for this request."""
        values = {
            "{body}": request.body,
            "{base64_body}": base64.b64encode(request.body) if "{base64_body}" in self.signed else b"",
            "{timestamp}": request.header(self.time_header).encode("utf-8", "surrogatepass"),
            "{method}": request.method.encode(),
            "{uri}": decoded_uri(request.uri).encode("utf-8", "surrogatepass"),
        }
        return b"".join(values.get(part, part.encode()) for part in _PART.split(self.signed))

    def signature(self, request: Request, secret: str) -> str:
        """What the header must say."""
        digest = hmac.new(secret.encode(), self.message(request), hashlib.sha256)
        written = digest.hexdigest() if self.encoding == "hex" else base64.b64encode(digest.digest()).decode()
        return self.prefix + written

    def verify(self, request: Request, secrets: Sequence[str]) -> Verdict:
        """The verdict by any of the secrets."""
        given = request.header(self.header)
        wanted = [self.signature(request, secret) for secret in secrets]
        if self.optional_prefix and not given.startswith(self.prefix):
            wanted = [one.removeprefix(self.prefix) for one in wanted]
        right = same(given, wanted)
        if not given:
            return MISSING
        if not right:
            return WRONG
        if not self.time_header:
            return Verdict(True)
        read = milliseconds if self.time_unit == "ms" else seconds
        at = read(request.header(self.time_header))
        return NO_TIME if at is None else Verdict(True, at=at)


def decoded_uri(uri: str) -> str:
    """The address as HubSpot signs it; others sign addresses without these escapes."""
    return _ESCAPE.sub(lambda found: _DECODED[found[0].upper()], uri)


def by(recipe: Recipe, raw: Recipe | None = None) -> Verify:
    """A scheme of this recipe; of `raw` instead where the source's option `body` says "raw"."""

    def verify(request: Request, secrets: Sequence[str], options: Mapping[str, Any]) -> Verdict:
        chosen = raw if raw is not None and options.get("body") == "raw" else recipe
        return chosen.verify(request, secrets)

    return verify


def generic(request: Request, secrets: Sequence[str], options: Mapping[str, Any]) -> Verdict:
    """By the recipe that the source's options name."""
    return recipe_of(options).verify(request, secrets)


def recipe_of(options: Mapping[str, Any]) -> Recipe:
    """The recipe in a source's options. Raises ValueError, in words for people, when they make none."""
    names = ("header", "encoding", "prefix", "signed", "time_header", "time_unit")
    given = {name: options[name] for name in names if name in options}
    wrong = next((name for name, value in given.items() if not isinstance(value, str)), None)
    if wrong:
        raise ValueError(f"“{wrong}” must be a text.")
    recipe = Recipe(**{"header": "X-Signature", **given})
    if not _NAME.fullmatch(recipe.header) or (recipe.time_header and not _NAME.fullmatch(recipe.time_header)):
        raise ValueError("“header” and “time_header” are names of headers.")
    if recipe.encoding not in ENCODINGS or recipe.time_unit not in ("s", "ms"):
        raise ValueError("“encoding” is hex or base64, “time_unit” s or ms.")
    unknown = [part for part in _PART.findall(recipe.signed) if part not in PARTS]
    if unknown or not {"{body}", "{base64_body}"} & set(_PART.findall(recipe.signed)):
        raise ValueError(f"“signed” holds {{body}} or {{base64_body}}, and no parts but {', '.join(PARTS)}.")
    if bool(recipe.time_header) != ("{timestamp}" in recipe.signed):
        raise ValueError(
            "“time_header” and {timestamp} in “signed” go together: a time that is not signed proves nothing."
        )
    return recipe
