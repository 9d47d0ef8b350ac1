"""The marker of a record: how it is found in a CRM when its id there is not known.

Nobody can guess it, and yet a restored backup makes the same one again: it is derived, under `SECRET_KEY`, from which
record it is for and when that was first planned. A record entered anew under a number that was used before has another.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from operator import or_

from django.db.models import Q
from django.utils.crypto import salted_hmac

from integrations.models import Operation

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 12


def markers_of(operations: Sequence[Operation]) -> dict[int, str]:
    """Operation id → the marker of the record it is about; 58 bits without look-alikes. One query.

    The operations are of one connection.
    """
    if not operations:
        return {}
    ids: dict[tuple[str, str], list[int]] = {}
    for each in operations:
        ids.setdefault((each.entity_type, each.kind), []).append(each.entity_id)
    which = reduce(or_, (Q(entity_type=name, kind=kind, entity_id__in=pks) for (name, kind), pks in ids.items()))
    rows = Operation.objects.filter(which, connection_id=operations[0].connection_id).order_by("-pk")
    first = {  # the oldest is the one that stays
        (kind, entity_type, entity_id): created_at
        for kind, entity_type, entity_id, created_at in rows.values_list(
            "kind", "entity_type", "entity_id", "created_at"
        )
    }
    found = {}
    for each in operations:
        about = (each.kind, each.entity_type, each.entity_id)
        found[each.pk] = _marker(each.connection_id, about, first.get(about, each.created_at))
    return found


def _marker(connection_id: int, about: tuple[str, str, int], planned_at: datetime) -> str:
    of = (connection_id, *about)
    value = ":".join([*map(str, of), planned_at.astimezone(UTC).isoformat(timespec="microseconds")])
    number = int.from_bytes(salted_hmac("integrations.marker", value, algorithm="sha256").digest())
    letters = []
    for _ in range(LENGTH):
        number, at = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[at])
    return "".join(letters)
