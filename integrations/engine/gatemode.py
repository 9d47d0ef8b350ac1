"""Keeps the row that says whether Redis decides what is sent: what a try met goes into it, and time moves it on."""

from __future__ import annotations

from integrations import trickle, wiring
from integrations.trickle import Mode

from .verdict import Fact

TEND_S = 2.0
"""How often a process that sends looks whether it is time to go on."""

_MODES = {Fact.GATE_AWAY: Mode.AWAY, Fact.GATE_COLD: Mode.COLD}
_SAYS_NOTHING = frozenset(
    {Fact.NO_CHANGE, Fact.NOTHING_TO_DO, Fact.SETTLING, Fact.HANDED_BACK, Fact.CANCEL_ASKED, Fact.NEEDS_MISSING}
    | {Fact.DEFECT_UNSENT, Fact.NO_LOOKUP, Fact.REFRESH_BUSY, Fact.AGENT_UNMAPPED}
)


def note(fact: Fact, detail: str = "") -> None:
    """Writes the mode a try met, when it differs from the one on record.

    That all is well is written only where the record, as this process read it a second ago at most, says otherwise.
    """
    if fact in _SAYS_NOTHING:
        return
    mode = _MODES.get(fact, Mode.NORMAL)
    if mode is Mode.NORMAL and wiring.gate().obeyed.now().mode == Mode.NORMAL:
        return
    trickle.note(mode, "" if mode is Mode.NORMAL else detail)  # what the provider said is the operation's own story
    wiring.gate().obeyed.forget()


def tend() -> str:
    """Goes one way further when it is time; the mode afterwards. One query and one ping in normal times."""
    gate = wiring.gate()
    return trickle.tend(gate.answers, gate.begin_epoch)
