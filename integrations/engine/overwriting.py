"""Before a record is changed: did someone change it in the CRM since we last wrote it? Then a person decides.

Costs one read an update. What was acknowledged is kept on the link (`acked_body`), only the fields that can be read
back; where it is not known, nothing is compared. ADR 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from integrations.models import Attempt
from integrations.providers.base import Exchange, Found, Kind, Lookup, RefFacts, Wanted
from integrations.providers.comparing import Comparing

from .settling import MESSAGE_LENGTH, Ending
from .trying import Try
from .verdict import Fact

LONGEST_VALUE = 120
_BEFORE_DIFFERENCE = 12


def changed_there(attempt: Try, kind: Kind, wanted: Wanted, exchange: Exchange) -> Ending | None:
    """The question for a person when a field is neither as acknowledged nor as wanted now. None: the write may go on.

    Not asked of what is created, in doubt by a write of ours (it is looked up), or should not stand any more: a cancel
    always goes through. Raises what reading raises, Gone among it.
    """
    ref, acked = attempt.ref, attempt.ref.acked_body
    if not isinstance(kind, Comparing) or wanted.absent or _doubts_our_own(attempt):
        return None
    if ref.external_id is None or not isinstance(acked, dict):
        return None
    record = kind.current(exchange, wanted, RefFacts(ref.external_id, ref.marker))
    not_ours = set(kind.differs(wanted.body, record))
    foreign = [name for name in kind.differs(acked, record) if name in not_ours]
    if not foreign:
        return None
    return attempt.ending(Fact.CHANGED_AT_PROVIDER, message=_told(foreign, record, wanted.body))


def seen(attempt: Try, kind: Kind, wanted: Wanted, found: Lookup, exchange: Exchange) -> Lookup:
    """What a look-up found, read in full where its answer does not show all and nobody here remembers what was sent.

    So after a restored backup what stands as wanted is not written once more. Raises what reading raises.
    """
    if not isinstance(found, Found) or found.same is not None or wanted.absent or not isinstance(kind, Comparing):
        return found
    if _doubts_our_own(attempt) or not attempt.claim.operation.in_doubt:
        return found
    record = kind.current(exchange, wanted, RefFacts(found.external_id, attempt.ref.marker))
    return replace(found, same=True) if not kind.differs(wanted.body, record) else found


def _doubts_our_own(attempt: Try) -> bool:
    """In doubt by what it sent itself; after a restored backup it is in doubt by what nobody here remembers."""
    operation = attempt.claim.operation
    return operation.in_doubt and Attempt.objects.filter(operation=operation, sent_ms__isnull=False).exists()


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
