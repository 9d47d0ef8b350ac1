"""What a record of a CRM says under a name."""

from __future__ import annotations

from integrations.texts import readable


def told(record: object, name: str) -> str:
    """What a record of a CRM has under that name, trimmed and readable; empty for anything but text."""
    value = record.get(name) if isinstance(record, dict) else None
    return readable(value).strip() if isinstance(value, str) else ""
