"""Ciphertexts as they stand in the database, read and exchanged without being decrypted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections, models, transaction

from integrations.fields import EncryptedJSONField


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """What one encrypted column of one row held when it was read."""

    field: EncryptedJSONField
    pk: int
    seal_id: UUID
    stored: bytes

    @property
    def place(self) -> str:
        """What it is bound to."""
        return self.field.place(self.seal_id)


def encrypted_fields(every: Sequence[type[models.Model]]) -> list[EncryptedJSONField]:
    """Every encrypted column of these models."""
    return [field for model in every for field in model._meta.local_fields if isinstance(field, EncryptedJSONField)]


def batches(field: EncryptedJSONField, size: int, *, using: str = "default") -> Iterator[list[Ciphertext]]:
    """Every ciphertext of a column in the order of its rows, read as it goes on; no transaction is held."""
    rows = field.model._base_manager.using(using).exclude(**{f"{field.name}__isnull": True}).order_by("pk")
    after: Any = None
    while True:
        left = rows if after is None else rows.filter(pk__gt=after)
        found = list(left.values_list("pk", "seal_id", field.name)[:size])
        if not found:
            return
        yield [Ciphertext(field, pk, seal_id, sealed.stored) for pk, seal_id, sealed in found]
        after = found[-1][0]


def exchange(changes: Sequence[tuple[Ciphertext, bytes]], *, using: str = "default") -> int:
    """Store new ciphertexts, all in one short transaction, where the old ones still stand; in how many places."""
    database = connections[using]
    quote, binary = database.ops.quote_name, database.Database.Binary
    changed = 0
    with transaction.atomic(using=using), database.cursor() as cursor:
        for old, new in changes:
            meta = old.field.model._meta
            table, column, key = quote(meta.db_table), quote(old.field.column), quote(meta.pk.column)
            cursor.execute(
                f"UPDATE {table} SET {column} = %s WHERE {key} = %s AND {column} = %s",  # noqa: S608  names of ours
                [binary(new), old.pk, binary(old.stored)],
            )
            changed += cursor.rowcount
    return changed
