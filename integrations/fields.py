"""Encrypted model fields.

The one file that imports the field library, so that it can be replaced: it keeps Fernet tokens (`FERNET_KEYS`,
HKDF on) in a binary column. Two defects of the library are mended here: it encrypts *expressions* as if they were
values (`bulk_update` would silently store the text of the SQL), and it has no JSON field.
"""

from __future__ import annotations

import json
from typing import Any

import fernet_fields
from cryptography.fernet import InvalidToken
from django.db import models

__all__ = ["EncryptedJSONField", "EncryptedTextField", "InvalidToken"]


class _ExpressionSafe:
    """Hands database expressions (`F`, `Case` from `bulk_update`) through untouched."""

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if hasattr(value, "resolve_expression"):
            return value
        return super().get_db_prep_save(value, connection)  # type: ignore[misc]  # the field stands beside us in the MRO


class EncryptedTextField(_ExpressionSafe, fernet_fields.EncryptedTextField):
    """Text encrypted at rest; only `isnull` look-ups are possible."""


class EncryptedJSONField(_ExpressionSafe, fernet_fields.EncryptedField, models.JSONField):
    """A JSON value encrypted as a whole; types survive the round trip, key look-ups are refused."""

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        text = json.dumps(value, cls=self.encoder)
        return connection.Database.Binary(self.fernet.encrypt(text.encode()))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value is None:
            return None
        return json.loads(self.fernet.decrypt(bytes(value)), cls=self.decoder)

    def get_transform(self, lookup_name: str) -> None:
        """No key look-ups: the database sees only ciphertext."""
