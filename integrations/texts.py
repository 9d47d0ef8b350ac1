"""Text that others wrote, as it may be stored and stand among our own words."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

SHORTEST_SECRET = 6
HIDDEN = "•••"

# Embeddings, overrides and isolates of the bidirectional algorithm: one that is not closed turns round what we write
# behind it. Marks (U+200E, U+200F) stay: they change no other text.
# https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
FORCED: dict[int, None] = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
_CONTROLS = {code: " " for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_HALVES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_UNREADABLE: dict[int, str | None] = {**_CONTROLS, **_HALVES, **FORCED}


def undirected(text: str) -> str:
    """The text without the characters that force a direction of writing on what follows."""
    return text.translate(FORCED)


def readable(text: str) -> str:
    """Undirected, and without what a database or a page cannot hold.

    JSON may carry U+0000, which PostgreSQL refuses (https://www.postgresql.org/docs/current/datatype-character.html),
    and halves of surrogate pairs, which no UTF-8 can say: a vendor's words must not keep its answer from being stored.
    """
    return text.translate(_UNREADABLE)


def without(text: str, secrets: Iterable[str]) -> str:
    """What a vendor said, without secrets that it may have echoed, in whatever form."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            for form in sorted(_forms(secret), key=len, reverse=True):
                text = _uncut(text.replace(form, HIDDEN), form)
    return text


def _uncut(text: str, form: str) -> str:
    """Without the beginning of a secret at the end of a text that was cut."""
    said = text.removesuffix("…")
    for length in range(len(form) - 1, SHORTEST_SECRET - 1, -1):
        if said.endswith(form[:length]):
            return said[:-length] + HIDDEN
    return text


def _forms(secret: str) -> set[str]:
    """As it is, and as URLs, JSON, HTML, Python, hex and base64 (also inside something longer, as in Basic) do."""
    raw = secret.encode()
    found = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret), raw.hex()}
    once = json.dumps(secret)[1:-1]
    found |= {once, json.dumps(once)[1:-1], repr(secret)[1:-1]}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):  # the characters that its neighbours take part in are left out
            inside = slice(4 if shift else 0, -4 if (shift + len(raw)) % 3 else None)
            found.add(encode(bytes(shift) + raw).decode()[inside])
    return {form for form in found if len(form) >= SHORTEST_SECRET}
