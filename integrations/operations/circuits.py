"""A person's hand on a connection's circuit: force it open or closed, disable it, have it only count.

It is stored, then Redis is told (`engine/hands.py`): in force for all processes with the next request, also if this one
dies in between, and after Redis forgot. What shares a limit shares its circuit: then it is set for all of those.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from django.core.exceptions import ValidationError
from django.db import transaction

from integrations import wiring
from integrations.engine import hands
from integrations.gate import BreakerState
from integrations.models import Connection
from integrations.tasks import ring_after_commit

from . import audit
from .audit import Who
from .refusals import NotPossible

Setting = Literal["forced_open", "closed", "disabled", "metrics_only", "automatic"]

LONGEST_MS = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Verb:
    """Something a person may do to a circuit. `says`: what will happen, one sentence each. `lasts`: it has an end."""

    setting: Setting
    slug: str
    label: str
    says: tuple[str, ...]
    lasts: bool = True
    danger: bool = False


VERBS = (
    Verb(
        "forced_open",
        "force-open",
        "Force open",
        (
            "Nothing is sent to this CRM until then; changes wait as operations and none is lost.",
            "Afterwards single requests try whether it works, and sending grows step by step.",
        ),
        danger=True,
    ),
    Verb(
        "closed",
        "force-close",
        "Force closed",
        (
            "Requests pass again at once, a tenth of the limit first and more step by step.",
            "The circuit of the CRM's host is closed too. If it still fails, both open again.",
        ),
        lasts=False,
    ),
    Verb(
        "disabled",
        "circuit-off",
        "Disable the circuit",
        ("Nothing stops sending when the CRM fails; its limits are kept.", "Failures are not counted."),
        danger=True,
    ),
    Verb(
        "metrics_only",
        "circuit-counts",
        "Only count",
        ("Nothing stops sending when the CRM fails; its limits are kept.", "The page says when it would have stopped."),
    ),
    Verb(
        "automatic",
        "circuit-automatic",
        "Back to automatic",
        ("What was set by hand ends; the circuit opens and closes by itself.",),
        lasts=False,
    ),
)


def set_circuit(connection_id: int, setting: Setting, until_ms: int | None, who: Who) -> BreakerState | None:
    """Store it, write it down, tell Redis; the circuit afterwards. `until_ms`: its end (None: until taken back).

    None: Redis cannot be reached from here; it is told as soon as it can be. Raises ValidationError (`reason`,
    `until`), NotPossible when the connection cannot be used.
    """
    if not who.reason.strip():
        raise ValidationError({"reason": ["Say why; whoever wonders later reads it on this page."]})
    now_ms = time.time_ns() // 1_000_000
    if until_ms is not None and not now_ms < until_ms <= now_ms + LONGEST_MS:
        raise ValidationError({"until": ["It must end after now and within 30 days."]})
    try:
        scope = wiring.scope(Connection.objects.defer("secrets").get(pk=connection_id))
    except (LookupError, ValueError) as error:
        raise NotPossible(f"This connection cannot be used: {error}") from None
    ids = [row.pk for row in wiring.connections_of(scope)]
    with transaction.atomic():
        _store(ids, setting, until_ms, now_ms, who)
    state = hands.put_in_force(scope)
    if state is not None and setting != "forced_open":
        for pk in ids:
            ring_after_commit(pk)
    return state


def _store(ids: Sequence[int], setting: Setting, until_ms: int | None, now_ms: int, who: Who) -> None:
    rows = list(Connection.objects.select_for_update().defer("secrets").filter(pk__in=ids).order_by("pk"))
    before = [row.circuit_mode or {"mode": "automatic", "since_ms": 0} for row in rows]
    stored = {
        "mode": setting,
        "until_ms": until_ms,
        # Later than any before it, also on a clock that went back: Redis keeps the later one.
        "since_ms": max(now_ms, *(old["since_ms"] + 1 for old in before)),
        "by": who.actor,
        "reason": who.reason[:200],
        "told": False,
    }
    for row, old in zip(rows, before, strict=True):
        row.circuit_mode = stored
        row.save(update_fields=["circuit_mode"])
        audit.record(
            f"connection.circuit_{setting}",
            row,
            actor=who.actor,
            via=who.via,
            reason=who.reason,
            before={"circuit": old["mode"]},
            after={"circuit": setting, "until_ms": until_ms},
        )


def concerned(connection: Connection) -> list[str]:
    """The other connections that share this one's circuit; empty when none does."""
    try:
        rows = wiring.connections_of(wiring.scope(connection))
    except (LookupError, ValueError):
        return []
    return [f"{row.label} shares this circuit" for row in rows if row.pk != connection.pk]
