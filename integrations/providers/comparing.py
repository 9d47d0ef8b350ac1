"""Which fields of a record in a CRM are no longer as we wrote them. One rule for every provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from .base import Exchange, Json, RefFacts, Wanted


@runtime_checkable
class Comparing(Protocol):
    """A kind whose record can be read before it is changed, so that what people changed there is not overwritten.

    `compared`: the fields of `Wanted.body` that a read shows under the same names.
    """

    compared: tuple[str, ...]

    def current(self, exchange: Exchange, wanted: Wanted, ref: RefFacts) -> Mapping[str, Json]:
        """The linked record, by one read. Raises Gone when it was deleted."""
        ...

    def differs(self, body: Mapping[str, Json], record: Mapping[str, Json]) -> tuple[str, ...]:
        """Pure: the compared fields that the record shows otherwise than `body`; what it does not tell is none."""
        ...


def different(
    body: Mapping[str, object], record: Mapping[str, object], names: Sequence[str], times: Sequence[str] = ()
) -> tuple[str, ...]:
    """Of these fields, those that `record` shows with another value than `body` has, in order.

    What either does not tell is no difference. Texts are compared without runs of blanks, for CRMs trim and wrap;
    `times`: fields that are compared as moments, where both have an offset.
    """
    return tuple(
        name for name in names if name in body and name in record and _other(body[name], record[name], name in times)
    )


def _other(ours: object, theirs: object, is_time: bool) -> bool:
    if not isinstance(ours, str) or not isinstance(theirs, str):
        return theirs is not None and ours != theirs
    if is_time:
        ours_at, theirs_at = _moment(ours), _moment(theirs)
        return ours_at is not None and theirs_at is not None and ours_at != theirs_at
    return ours.split() != theirs.split()


def _moment(text: str) -> datetime | None:
    """None: no moment, or one without an offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment
