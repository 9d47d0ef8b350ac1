"""Encrypted model fields.

The one file that imports the field library, so that it can be replaced. Of the library we use the field, its setting
(`FERNET_KEYS`, newest first) and how it derives keys. What it lacks stands here: a ciphertext is bound to its row (see
`sealing`), expressions are not encrypted as if they were values (`bulk_update` would silently store the text of the
SQL), and there is a JSON field.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import fernet_fields
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import models
from django.db.models.query_utils import DeferredAttribute

from integrations import sealing
from integrations.sealing import Unreadable

__all__ = ["EncryptedJSONField", "Sealed", "Unreadable", "master_keys"]

SEAL = "seal_id"
"""The column whose value, made before the row is inserted, names the row a ciphertext belongs to."""


def master_keys() -> tuple[sealing.MasterKey, ...]:
    """The keys of FERNET_KEYS as they are now: the first encrypts, all decrypt."""
    return _master_keys(tuple(settings.FERNET_KEYS))


@lru_cache(maxsize=8)
def _master_keys(keys: tuple[str, ...]) -> tuple[sealing.MasterKey, ...]:
    return tuple(sealing.MasterKey(fernet_fields.hkdf.derive_fernet_key(key)) for key in keys)


@dataclass(frozen=True, slots=True)
class Sealed:
    """What the column holds. Only the row it belongs to can open it."""

    stored: bytes = field(repr=False)


class _Opening(DeferredAttribute):
    """Decrypts when the attribute is first read, for only then the row is known. Raises Unreadable."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is not None and self.field.attname not in instance.__dict__:
            instance.refresh_from_db(fields=[self.field.attname, SEAL])  # in one query
        value = super().__get__(instance, cls)
        if isinstance(value, Sealed):
            value = self.field.unsealed(value.stored, instance)
            instance.__dict__[self.field.attname] = value
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class EncryptedJSONField(fernet_fields.EncryptedField, models.JSONField):
    """A JSON value encrypted as a whole; types survive the round trip, look-ups (but for `isnull`) are refused.

    Its model has the column `seal_id` and `SealedQuerySet` (`models.base.SealedRecord`). A list never decrypts; a value
    that cannot be raises Unreadable when it is read, and is saved back as it was when it is not.
    """

    descriptor_class = _Opening

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """A row without a name of its own could not be told from another."""
        found: list[CheckMessage] = super().check(**kwargs)
        if SEAL not in {each.name for each in self.model._meta.get_fields()}:
            found.append(Error(f"{self.model.__name__} is no SealedRecord.", obj=self, id="integrations.E004"))
        return found

    def place(self, seal_id: Any) -> str:
        """Which column of which row."""
        return f"{self.model._meta.label_lower}/{self.name}/{seal_id}"

    def sealed(self, value: Any, seal_id: Any) -> Sealed:
        """The value encrypted for one row."""
        text = json.dumps(value, cls=self.encoder)
        return Sealed(sealing.seal(text.encode(), self.place(seal_id), master_keys()))

    def unsealed(self, stored: bytes, instance: Any) -> Any:
        """The value that was written for this row. Raises Unreadable."""
        text = sealing.unseal(stored, self.place(getattr(instance, SEAL)), master_keys())
        return json.loads(text, cls=self.decoder)

    def is_plain(self, value: Any) -> bool:
        """Whether a value has yet to be sealed."""
        return not (value is None or isinstance(value, Sealed) or hasattr(value, "resolve_expression"))

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        """Sealed for its row. What was never read is left as it stands."""
        value = model_instance.__dict__.get(self.attname)
        return self.sealed(value, getattr(model_instance, SEAL)) if self.is_plain(value) else value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if self.is_plain(value):
            raise TypeError(f"{self.name} is sealed for its row: store it with save() or update(), one row at a time")
        return connection.Database.Binary(value.stored) if isinstance(value, Sealed) else value

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Sealed | None:
        return None if value is None else Sealed(bytes(value))

    def value_from_object(self, obj: Any) -> str | None:
        """What goes through every field of a row alike meets the ciphertext."""
        return self.value_to_string(obj)

    def value_to_string(self, obj: Any) -> str | None:
        """For `dumpdata`: the ciphertext, which `loaddata` takes back into the same row."""
        value = self.pre_save(obj, False)
        return None if value is None else value.stored.decode()

    def to_python(self, value: Any) -> Any:
        """What `dumpdata` wrote is stored as it is."""
        if isinstance(value, str) and value.encode().startswith(sealing.PREFIX):
            return models.Value(value.encode(), output_field=models.BinaryField())
        return value

    def get_transform(self, lookup_name: str) -> None:
        """No key look-ups: the database sees only ciphertext."""
