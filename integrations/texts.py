"""Text that others wrote, as it may be stored and stand among our own words."""

from __future__ import annotations

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
