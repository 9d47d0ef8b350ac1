"""Before a record is changed: did someone change it in the CRM since we last wrote it? Then a person decides.

Costs one read an update. What was acknowledged is kept on the link (`acked_body`), only the fields that can be read
back; where it is not known, nothing is compared. ADR 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.providers.base import Exchange, Kind, RefFacts, Wanted
from integrations.providers.comparing import Comparing

from .settling import MESSAGE_LENGTH, Ending
from .trying import Try
from .verdict import Fact

LONGEST_VALUE = 120
_BEFORE_DIFFERENCE = 12


def changed_there(attempt: Try, kind: Kind, wanted: Wanted, exchange: Exchange) -> Ending | None:
    """The question for a person when a field is neither as acknowledged nor as wanted now. None: the write may go on.

    Not asked of what is created, in doubt (it is looked up), or should not stand any more: a cancel always goes
    through. Raises what reading raises, Gone among it.
    """
    ref, acked = attempt.ref, attempt.ref.acked_body
    if not isinstance(kind, Comparing) or wanted.absent or attempt.claim.operation.in_doubt:
        return None
    if ref.external_id is None or not isinstance(acked, dict):
        return None
    record = kind.current(exchange, wanted, RefFacts(ref.external_id, ref.marker))
    not_ours = set(kind.differs(wanted.body, record))
    foreign = [name for name in kind.differs(acked, record) if name in not_ours]
    if not foreign:
        return None
    return attempt.ending(Fact.CHANGED_AT_PROVIDER, message=_told(foreign, record, wanted.body))


def acknowledged_body(attempt: Try, kind: Kind, wanted: Wanted) -> Mapping[str, Any] | None:
    """What the provider holds now, of the fields that can be read back; None: not known."""
    if not isinstance(kind, Comparing):
        return None
    if wanted.absent and attempt.sent_ms is None:
        return attempt.ref.acked_body  # only confirmed, left as it is
    return {name: wanted.body[name] for name in kind.compared if name in wanted.body}


def _told(names: list[str], record: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """Each field with their value and ours; as much of each as fits beside the others."""
    room = min(LONGEST_VALUE, max(16, (MESSAGE_LENGTH // len(names) - 40) // 2))
    pairs = [(name, str(record[name]), str(body.get(name, ""))) for name in names]
    told = [f"{name}: there “{_around(theirs, ours, room)}”, ours “{_around(ours, theirs, room)}”"
            for name, theirs, ours in pairs]  # fmt: skip
    return "; ".join(told)[:MESSAGE_LENGTH]


def _around(text: str, other: str, room: int) -> str:
    """The part of a long text where it begins to differ from another."""
    same = next((at for at, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))
    begin = max(0, same - _BEFORE_DIFFERENCE) if len(text) > room else 0
    part = text[begin : begin + room]
    return f"{'…' if begin else ''}{part}{'…' if begin + room < len(text) else ''}"
