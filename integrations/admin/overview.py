"""What the first page says: what waits, since when, what is held, and what to do first when there is nothing yet."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Count, Min
from django.urls import reverse

from integrations.engine.clock import db_now
from integrations.models import CLAIMABLE, Connection, ConnectionState, GateMode, Operation, Tour

from . import moments, wording
from .entities import UTC

_ORDER = (
    "needs_person",
    "dead",
    "unknown",
    "retryable",
    "waiting",
    "pending",
    "leased",
    "ignored",
    "cancelled",
    "superseded",
    "succeeded",
)


@dataclass(frozen=True, slots=True)
class StateCount:
    state: str
    words: str
    number: int
    url: str


@dataclass(frozen=True, slots=True)
class Held:
    """A connection that does not send now, and why."""

    label: str
    url: str
    why: str


@dataclass(frozen=True, slots=True)
class Overview:
    """`banner`: the gate is not in its normal mode. `oldest`: since when the oldest due operation waits."""

    now: str
    counts: list[StateCount]
    oldest: str
    banner: str
    held: list[Held]
    connections: int
    has_tours: bool


def load() -> Overview:
    """Five queries, however much there is."""
    now_ms = db_now()
    operations_url = reverse("admin:integrations_operation_changelist")
    numbers = dict(Operation.objects.order_by().values_list("state").annotate(Count("pk")))
    due = Operation.objects.filter(state__in=CLAIMABLE, blockers=0, due_ms__lte=now_ms)
    oldest_ms = due.aggregate(oldest=Min("due_ms"))["oldest"]
    gate = GateMode.objects.first()
    rows = list(Connection.objects.only("label", "state", "state_reason", "hold_reason", "hold_until_ms"))
    return Overview(
        now=moments.clock(moments.at_ms(now_ms), UTC),
        counts=[
            StateCount(state, wording.state(state), numbers[state], f"{operations_url}?{urlencode({'state': state})}")
            for state in _ORDER
            if state in numbers
        ],
        oldest=moments.ago(oldest_ms, UTC, now_ms) if oldest_ms is not None else "",
        banner=_banner(gate, now_ms),
        held=[held for held in (_held(row, now_ms) for row in rows) if held],
        connections=len(rows),
        has_tours=Tour.objects.exists(),
    )


def _banner(gate: GateMode | None, now_ms: int) -> str:
    if gate is None or gate.mode == GateMode.Mode.NORMAL:
        return ""
    since = f" Since {moments.ago(gate.since_ms, UTC, now_ms)}." if gate.since_ms else ""
    detail = f" {gate.detail}" if gate.detail else ""
    return f"{wording.reason(f'gate_{gate.mode}')}. Nothing is lost: operations wait.{since}{detail}"


def _held(row: Connection, now_ms: int) -> Held | None:
    why = ""
    if row.state != ConnectionState.ACTIVE:
        why = f"{row.get_state_display()}. {row.state_reason}".strip()
    elif row.hold_until_ms > now_ms:
        why = f"{wording.reason(row.hold_reason)}; {moments.until(row.hold_until_ms, UTC, now_ms)}"
    return Held(row.label, reverse("admin:integrations_connection_change", args=[row.pk]), why) if why else None
