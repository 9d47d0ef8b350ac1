"""What people set in a circuit's place: the database says it, Redis is told.

It is stored first, as not told yet. Whoever stored it tells Redis at once; if that process dies, or Redis cannot be
reached from it, the next look of any process that sends (`gatemode.TEND_S`) tells it. Of two settings Redis keeps the
later one, in whatever order it hears of them.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from integrations import wiring
from integrations.gate import BreakerState, GateAway, Scope
from integrations.models import Connection

HOLDS = ("circuit_open", "host_open", "forced_open")
"""Why a connection is held by its circuit: over when a person says otherwise."""


def put_in_force(scope: Scope) -> BreakerState | None:
    """Tell Redis what was set last for these connections; the circuit afterwards. None: it cannot be told now."""
    rows = wiring.connections_of(scope)
    last = max((row.circuit_mode for row in rows if row.circuit_mode), key=_since, default=None)
    if last is None:
        return None
    mode = None if last["mode"] == "automatic" else last["mode"]
    try:
        state = wiring.gate().control(scope, mode, last["until_ms"], since_ms=last["since_ms"])
    except GateAway:
        return None
    with transaction.atomic():
        same = Connection.objects.filter(pk__in=[row.pk for row in rows], circuit_mode__since_ms=last["since_ms"])
        told = same.update(circuit_mode={**last, "told": True})
        if told and mode != "forced_open":
            Connection.objects.filter(pk__in=[row.pk for row in rows], hold_reason__in=HOLDS).update(hold_until_ms=0)
    wiring.save_scope_facts(scope, state, None)
    return state


def tend() -> int:
    """Tell Redis what it was not told; how many settings. One query when there are none."""
    scopes = set()
    for connection in Connection.objects.filter(circuit_mode__told=False).defer("secrets"):
        try:
            scopes.add(wiring.scope(connection))
        except (LookupError, ValueError):
            continue  # it sends nothing: what keeps it from being used is told wherever it is
    return sum(put_in_force(scope) is not None for scope in scopes)


def _since(mode: dict[str, Any]) -> int:
    return int(mode["since_ms"])
