"""Text that others wrote, as it may stand among our own words."""

from __future__ import annotations

# Embeddings, overrides and isolates of the bidirectional algorithm: one that is not closed turns round what we write
# behind it. Marks (U+200E, U+200F) stay: they change no other text.
# https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
FORCED = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))


def undirected(text: str) -> str:
    """The text without the characters that force a direction of writing on what follows."""
    return text.translate(FORCED)


def told(record: object, name: str) -> str:
    """What a record of a CRM has under that name, trimmed and undirected; empty for anything but text."""
    value = record.get(name) if isinstance(record, dict) else None
    return undirected(value).strip() if isinstance(value, str) else ""
