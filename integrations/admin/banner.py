"""What stands above every page while sending is not as usual: what happened, since when, what is sent, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import CharField, Value
from django.urls import reverse

from integrations.models import Connection, ConnectionState, GateMode
from integrations.models.clock import db_now
from integrations.operations import moments

from .entities import UTC

Mode = GateMode.Mode


@dataclass(frozen=True, slots=True)
class Banner:
    """`since`: "14:03 UTC (5 min ago)", or empty when it is not known."""

    title: str
    since: str
    sent: str
    todo: str
    detail: str = ""
    go_url: str = ""
    links: Sequence[tuple[str, str]] = ()


NAMED = 3
_WAITS = "Nothing is lost: what is saved meanwhile waits as operations."
_BRING_BACK = (
    "Bring Redis back: “manage.py status” names its process, and under “manage.py up” it is started again by itself. "
    "Then everything goes on without a press of a button."
)
_COUNTS_ANEW = (
    "Redis is back, and the CRMs’ limits are counted anew",
    "Nothing for a minute at most; then everything that waits.",
    "Nothing.",
)
_PAUSED = (
    "A backup was restored: nothing is sent until a person says go",
    f"Nothing. {_WAITS} What is open, and what may have been touched since the backup, is looked up first.",
    "Bring in again what the backup lacks (tours, changes, feedback), see that it is as it should be, then say go.",
)
_WORDS = {
    Mode.AWAY: (
        "Redis cannot be reached",
        f"Nothing just now; if it lasts, a trickle begins by itself within a minute or so. {_WAITS}",
        _BRING_BACK,
    ),
    Mode.TRICKLE: (
        "Redis cannot be reached: only a trickle is sent",
        f"One request at a time to each CRM, at most a tenth of its limit. {_WAITS}",
        _BRING_BACK,
    ),
    Mode.BACK: _COUNTS_ANEW,
    Mode.COLD: _COUNTS_ANEW,
}


def load() -> Banner | None:
    """One query; None when all is well. What stops every CRM is told before what stops some."""
    gate = GateMode.objects.filter(pk=1).values_list("paused_ms", "since_ms", "mode", "detail", _as("gate"))
    refused = Connection.objects.filter(state=ConnectionState.AUTH_NEEDED).order_by()
    rows = list(gate.union(refused.values_list("pk", "pk", "state", "label", _as("connection")), all=True))
    for paused_ms, since_ms, mode, detail, what in rows:
        if what == "gate":
            told = of(GateMode(pk=1, paused_ms=paused_ms, since_ms=since_ms, mode=mode, detail=detail))
            if told is not None:
                return told
    return _refused(sorted((label, pk) for pk, _, _, label, what in rows if what == "connection"))


def _as(what: str) -> Value:
    return Value(what, output_field=CharField())


def _refused(connections: Sequence[tuple[str, int]]) -> Banner | None:
    """One for all connections that somebody has to sign in again."""
    if not connections:
        return None
    names = ", ".join(f"“{label}”" for label, _ in connections[:NAMED])
    more = f" and {len(connections) - NAMED} more" if len(connections) > NAMED else ""
    return Banner(
        f"Sign-in needed: {names}{more}",
        "",
        f"Nothing to {'it' if len(connections) == 1 else 'them'}; every other CRM is sent to. {_WAITS}",
        "Sign in again, or give new credentials, on the connection’s page. Then what waited is sent by itself.",
        links=[
            (label, reverse("admin:integrations_connection_change", args=[pk])) for label, pk in connections[:NAMED]
        ],
    )


def of(row: GateMode | None) -> Banner | None:
    """The same for a page that has read the mode already."""
    if row is not None and row.paused_ms:
        title, sent, todo = _PAUSED
        return Banner(title, _since(row.paused_ms), sent, todo, go_url=reverse("admin:integrations_connection_go"))
    if row is None or row.mode not in _WORDS:
        return None
    title, sent, todo = _WORDS[Mode(row.mode)]
    return Banner(title, _since(row.since_ms), sent, todo, row.detail if row.detail != title else "")


def _since(since_ms: int) -> str:
    return moments.ago(since_ms, UTC, db_now()) if since_ms else ""
