"""Writing the audit trail: who did what, from where, to which record.

Secrets never come here: callers hand in the values of a change, and a connection hands in the names of the secret
fields it changed, not their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import models

from integrations.models import AuditEvent

Changes = dict[str, tuple[Any, Any]]
"""Field name → (before, after)."""


@dataclass(frozen=True, slots=True)
class Who:
    """The person (or part of the system) that acts, and through which door: a value of `AuditEvent.Via`."""

    actor: str
    via: str
    reason: str = ""


def record(
    verb: str,
    obj: models.Model,
    *,
    actor: str,
    via: str,
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Append one event about `obj` (a saved record). To be called in the transaction of the change."""
    made = event(verb, obj, Who(actor, via, reason), before=before, after=after)
    made.save()
    return made


def record_all(events: Iterable[AuditEvent]) -> None:
    """Append many events in one statement."""
    AuditEvent.objects.bulk_create(list(events), batch_size=200)


def event(
    verb: str,
    subject: models.Model,
    who: Who,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """An event not yet stored, for `record_all`."""
    return AuditEvent(
        actor=who.actor[:150],
        via=who.via,
        verb=verb,
        object_type=subject._meta.model_name or "",
        object_id=subject.pk,
        object_label=str(subject)[:200],
        before=plain_dict(before),
        after=plain_dict(after),
        reason=who.reason[:500],
    )


def sides(changes: Changes) -> dict[str, dict[str, Any]]:
    """The `before` and `after` of an event from a set of changes."""
    return {
        "before": {name: old for name, (old, _) in changes.items()},
        "after": {name: new for name, (_, new) in changes.items()},
    }


def plain_dict(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if values is None else {name: plain(value) for name, value in values.items()}


def plain_changes(changes: Changes) -> dict[str, Any]:
    """Field → [old, new], as JSON can hold it."""
    return {name: [plain(old), plain(new)] for name, (old, new) in changes.items()}


def plain(value: Any) -> Any:
    """As JSON can hold it: decimals and times as text, a record as its id."""
    match value:
        case None | bool() | int() | str():
            return value
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case models.Model():
            return value.pk
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return str(value)
