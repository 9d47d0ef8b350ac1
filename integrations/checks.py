"""System checks: bad configuration is named at start, with an id and a hint."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from integrations import failpoints


@register()
def encryption_keys_are_real(**kwargs: Any) -> list[CheckMessage]:
    """The field library would fall back to SECRET_KEY: credentials must have keys of their own."""
    keys = list(getattr(settings, "FERNET_KEYS", None) or [])
    if not keys:
        return [
            Error("FERNET_KEYS is empty.", hint="Set FERNET_KEYS to 32 random bytes, base64.", id="integrations.E001")
        ]
    if any(len(key) < 32 for key in keys):
        return [
            Error(
                "A key in FERNET_KEYS is shorter than 32 characters.",
                hint="Use 32 random bytes, base64.",
                id="integrations.E002",
            )
        ]
    if settings.SECRET_KEY in keys:
        return [
            Error("FERNET_KEYS repeats SECRET_KEY.", hint="Credentials need keys of their own.", id="integrations.E003")
        ]
    return []


@register()
def no_failpoint_is_armed(**kwargs: Any) -> list[CheckMessage]:
    """A process that was told to die must not be one that staff rely on: only the chaos settings read the variable."""
    if os.environ.get("REANNA_FAILPOINT") and not hasattr(settings, failpoints.VARIABLE):
        return [
            Error(
                "REANNA_FAILPOINT is set: it makes processes die, and is for tests alone.",
                hint="Unset it.",
                id="integrations.E011",
            )
        ]
    return []


@register()
def engine_figures_fit(**kwargs: Any) -> list[CheckMessage]:
    """A lease must outlive a whole HTTP exchange, or two holders could send the same operation."""
    if settings.REANNA_LEASE_S < settings.REANNA_TOTAL_DEADLINE_S + 5 + settings.REANNA_HEARTBEAT_S / 3:
        return [
            Error(
                "REANNA_LEASE_S is too short for REANNA_TOTAL_DEADLINE_S.",
                hint="The lease must exceed the total deadline by more than 5 s plus a third of the heartbeat.",
                id="integrations.E010",
            )
        ]
    return []
