"""A person's hand on a connection's circuit: force it open or closed, disable it, have it only count.

It is in force for all processes with the next request, and stored, so that it outlasts a Redis that forgets. What
shares a limit shares its circuit: then it is set for all those connections.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from django.core.exceptions import ValidationError
from django.db import transaction

from integrations import wiring
from integrations.gate import BreakerState, GateAway
from integrations.models import Connection
from integrations.tasks import ring_after_commit

from . import audit
from .audit import Who
from .refusals import NotPossible

Setting = Literal["forced_open", "closed", "disabled", "metrics_only", "automatic"]

LONGEST_MS = 30 * 86_400_000
_STOPS = ("circuit_open", "host_open", "forced_open")


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


def set_circuit(connection_id: int, setting: Setting, until_ms: int | None, who: Who) -> BreakerState:
    """Put it in force, store it, write it down; the circuit afterwards. `until_ms`: its end (None: until taken back).

    Raises ValidationError (`reason`, `until`), NotPossible when Redis cannot be reached: then nothing was changed.
    """
    if not who.reason.strip():
        raise ValidationError({"reason": ["Say why; whoever wonders later reads it on this page."]})
    now_ms = time.time_ns() // 1_000_000
    if until_ms is not None and not now_ms < until_ms <= now_ms + LONGEST_MS:
        raise ValidationError({"until": ["It must end after now and within 30 days."]})
    connection = Connection.objects.defer("secrets").get(pk=connection_id)
    try:
        scope = wiring.scope(connection)
        mode = None if setting == "automatic" else setting
        state = wiring.gate().control(scope, mode, until_ms)
    except GateAway:
        raise NotPossible("Redis cannot be reached, so nothing was changed. Pausing the connection works.") from None
    except (LookupError, ValueError) as error:
        raise NotPossible(f"This connection cannot be used: {error}") from None
    stored = None
    if setting not in ("automatic", "closed"):
        stored = {
            "mode": setting,
            "until_ms": until_ms,
            "since_ms": now_ms,
            "by": who.actor,
            "reason": who.reason[:200],
        }
    with transaction.atomic():
        ids = [row.pk for row in wiring.connections_of(scope)]
        for row in Connection.objects.select_for_update().defer("secrets").filter(pk__in=ids).order_by("pk"):
            before, row.circuit_mode = row.circuit_mode, stored
            row.save(update_fields=["circuit_mode"])
            audit.record(
                f"connection.circuit_{setting}",
                row,
                actor=who.actor,
                via=who.via,
                reason=who.reason,
                before={"circuit": (before or {}).get("mode", "automatic")},
                after={"circuit": setting, "until_ms": until_ms},
            )
            if setting != "forced_open":
                ring_after_commit(row.pk)
        if setting != "forced_open":
            Connection.objects.filter(pk__in=ids, hold_reason__in=_STOPS).update(hold_until_ms=0)
    wiring.save_scope_facts(scope, state, None)
    return state


def concerned(connection: Connection) -> list[str]:
    """The other connections that share this one's circuit; empty when none does."""
    try:
        rows = wiring.connections_of(wiring.scope(connection))
    except (LookupError, ValueError):
        return []
    return [f"{row.label} shares this circuit" for row in rows if row.pk != connection.pk]
