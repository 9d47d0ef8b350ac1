"""What every record of ours has."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models, transaction

from integrations.fields import EncryptedJSONField


class Record(models.Model):
    """When it was made and last changed (UTC); for people to read, no logic hangs on these."""

    created_at = models.DateTimeField(auto_now_add=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True, editable=False)

    class Meta:
        abstract = True


class SealedQuerySet(models.QuerySet[Any]):
    """Encrypted columns are written for each row by itself."""

    def update(self, **values: Any) -> int:
        """As everywhere; with a secret among the values, one UPDATE a row under the same conditions."""
        fields = [field for field in self.model._meta.fields if isinstance(field, EncryptedJSONField)]
        plain = [field for field in fields if field.is_plain(values.get(field.name))]
        if not plain:
            return super().update(**values)
        changed = 0
        with transaction.atomic(using=self.db, savepoint=False):
            for pk, seal_id in list(self.order_by().values_list("pk", "seal_id")):
                secret = {field.name: field.sealed(values[field.name], seal_id) for field in plain}
                changed += super(SealedQuerySet, self.filter(pk=pk)).update(**values | secret)
        return changed


class SealedRecord(Record):
    """A record with encrypted columns. `seal_id` is what they are bound to: it is there before the row is."""

    seal_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    objects: ClassVar = SealedQuerySet.as_manager()

    class Meta:
        abstract = True
