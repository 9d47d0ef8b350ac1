"""The one row that says whether the gate's memory can be reached; staff and `status` read it."""

from __future__ import annotations

from integrations.models import GateMode

from .clock import db_now
from .verdict import Fact

_MODES = {Fact.GATE_AWAY: GateMode.Mode.AWAY, Fact.GATE_COLD: GateMode.Mode.COLD}
_SAYS_NOTHING = frozenset(
    {Fact.NO_CHANGE, Fact.NOTHING_TO_DO, Fact.SETTLING, Fact.HANDED_BACK, Fact.CANCEL_ASKED, Fact.NEEDS_MISSING}
    | {Fact.DEFECT_UNSENT, Fact.NO_LOOKUP, Fact.REFRESH_BUSY, Fact.AGENT_UNMAPPED}
)


def note(fact: Fact, detail: str = "") -> None:
    """Writes the mode a try met, when it differs from the one on record."""
    if fact in _SAYS_NOTHING:
        return
    mode = _MODES.get(fact, GateMode.Mode.NORMAL)
    if mode is GateMode.Mode.NORMAL:
        detail = ""  # what the provider said is the operation's story, not the gate's
    changed = GateMode.objects.filter(pk=1).exclude(mode=mode).update(mode=mode, since_ms=db_now(), detail=detail[:200])
    if not changed and mode is not GateMode.Mode.NORMAL:
        GateMode.objects.get_or_create(pk=1, defaults={"mode": mode, "since_ms": db_now(), "detail": detail[:200]})
