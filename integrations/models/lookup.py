"""What a connection remembers of a vendor's lists that can only be paged (docs/adr/0007-a-vendor-without-search.md)."""

from __future__ import annotations

from django.db import models

from .connection import Connection


class LookupCursor(models.Model):
    """How far one list is known: the adapter's own note, replaced by compare-and-set on `version`.

    `key_id` names the key under which the entries' keys are hashed; with another key they say nothing.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="lookup_cursors")
    resource = models.CharField(max_length=24)
    version = models.PositiveBigIntegerField(default=0)
    key_id = models.CharField(max_length=16)
    note = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "resource"], name="lookup_cursor_once")]

    def __str__(self) -> str:
        return f"{self.resource} of {self.connection_id}"


class LookupEntry(models.Model):
    """One record of a list under one of its keys, a hash; each record also stands under the empty key, once."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+", db_index=False)
    resource = models.CharField(max_length=24)
    external_id = models.CharField(max_length=120)
    key = models.CharField(max_length=32, blank=True)
    generation = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "resource", "key", "external_id"], name="lookup_entry_once"),
        ]
        indexes = [models.Index(fields=["connection", "resource", "external_id"], name="lookup_entry_record")]

    def __str__(self) -> str:
        return f"{self.resource} {self.external_id}"
