"""The marker of a record: how it is found in a CRM when its id there is not known.

Nobody can guess it, and yet a restored backup makes the same one again: it is derived, under `SECRET_KEY`, from which
record it is for and when that was first planned. A record entered anew under a number that was used before has another.
"""

from __future__ import annotations

from datetime import UTC

from django.utils.crypto import salted_hmac

from integrations.models import Operation

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 12


def marker_of(operation: Operation) -> str:
    """That of the record an operation is about; 58 bits without look-alikes."""
    same = Operation.objects.filter(
        connection_id=operation.connection_id,
        entity_type=operation.entity_type,
        entity_id=operation.entity_id,
        kind=operation.kind,
    )
    first = same.order_by("pk").values_list("created_at", flat=True).first() or operation.created_at
    of = (operation.connection_id, operation.kind, operation.entity_type, operation.entity_id)
    value = ":".join([*map(str, of), first.astimezone(UTC).isoformat(timespec="microseconds")])
    number = int.from_bytes(salted_hmac("integrations.marker", value, algorithm="sha256").digest())
    letters = []
    for _ in range(LENGTH):
        number, at = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[at])
    return "".join(letters)
