"""What our records are called at the provider: a row for each, made before its first request; read as it is then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q

from integrations.models import Connection, ExternalRef, Operation
from integrations.models.clock import DbNow

from .kinds import KINDS
from .markers import markers_of

Name = tuple[str, int, str]
"""Entity type, its id, resource: what a link is found by, within a connection."""


def name_of(operation: Operation) -> Name:
    """The link of the record an operation is about."""
    return operation.entity_type, operation.entity_id, KINDS[operation.kind].resource


def make(operations: Sequence[Operation], connection: Connection) -> dict[Name, ExternalRef]:
    """The links of what these operations are about, those made that were missing. Four queries at most.

    Harmless when two do it at once: a link's marker is the same whoever makes it.
    """
    names = {name_of(operation): operation for operation in operations}
    found = _read(connection, names)
    missing = [operation for name, operation in names.items() if name not in found]
    if not missing:
        return found
    markers = markers_of(missing)
    ExternalRef.objects.bulk_create(
        [
            ExternalRef(
                connection=connection,
                entity_type=operation.entity_type,
                entity_id=operation.entity_id,
                resource=KINDS[operation.kind].resource,
                marker=markers[operation.pk],
            )
            for operation in missing
        ],
        ignore_conflicts=True,
    )
    return found | _read(connection, map(name_of, missing))


def _read(connection: Connection, names: Iterable[Name], **more: Any) -> dict[Name, ExternalRef]:
    ids: dict[tuple[str, str], list[int]] = {}
    for entity_type, entity_id, resource in names:
        ids.setdefault((entity_type, resource), []).append(entity_id)
    which = reduce(or_, (Q(entity_type=each, resource=of, entity_id__in=pks) for (each, of), pks in ids.items()))
    rows = ExternalRef.objects.filter(which, connection=connection).annotate(**more)
    return {(row.entity_type, row.entity_id, row.resource): row for row in rows}


def now(
    operation: Operation, connection: Connection, needs: Mapping[str, tuple[str, int]]
) -> tuple[ExternalRef, dict[str, str | None], int]:
    """The operation's link as it is now, the external ids (by resource) of what it hangs on, and the time. One query.

    Raises ExternalRef.DoesNotExist.
    """
    mine = name_of(operation)
    names = {mine, *((entity_type, pk, resource) for resource, (entity_type, pk) in needs.items())}
    found = _read(connection, names, now_ms=DbNow())
    if mine not in found:
        raise ExternalRef.DoesNotExist(f"no link of {operation.entity_type} {operation.entity_id}")
    ids: dict[str, str | None] = {}
    for resource, (entity_type, pk) in needs.items():
        link = found.get((entity_type, pk, resource))
        ids[resource] = None if link is None else link.external_id
    return found[mine], ids, found[mine].now_ms  # type: ignore[attr-defined]  # as annotated
