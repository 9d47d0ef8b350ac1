"""A secret as the database keeps it: encrypted for one column of one row, under a key that is named.

    reanna1:<key id>:<Fernet token>

Each place has a key of its own, derived from the master key, so a ciphertext that is carried elsewhere does not
decrypt there. The key id tells a key that is missing from a ciphertext that is wrong, and what is left to rotate.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PREFIX = b"reanna1:"
EARLIER_PREFIX = b"gAAAA"
"""How a bare Fernet token begins, as installations had them before secrets were bound to their rows."""
_SHAPE = re.compile(rb"reanna1:([0-9a-f]{8}):([\w=-]+)", re.ASCII)


class Unreadable(InvalidToken):
    """The stored secret cannot be decrypted; `str()` says why and what to do, in a sentence for staff."""

    words = "The stored credentials cannot be decrypted: check FERNET_KEYS, or give them again."

    def __str__(self) -> str:
        return self.words


class WrittenElsewhere(Unreadable):
    """The key is there, and this is not what was written here."""

    words = (
        "The stored credentials cannot be decrypted: they were written for another record, or changed. Give them again."
    )


class Unbound(Unreadable):
    """An earlier version wrote it, for no place in particular: it is not believed, for it may come from anywhere."""

    words = (
        "The stored credentials cannot be decrypted: an earlier version wrote them. "
        "Run manage.py rotate_keys --bind, or give them again."
    )


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One key of FERNET_KEYS. `fernet`: as the field library derives it; earlier versions encrypted with it."""

    fernet: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        """Names the key, and tells nothing of it."""
        return _derived(self.fernet, b"id", 4).hex().encode()

    def at(self, place: str) -> Fernet:
        """The key of one place."""
        return Fernet(base64.urlsafe_b64encode(_derived(self.fernet, b"place " + place.encode(), 32)))


@lru_cache(maxsize=1024)
def _derived(master: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt=b"reanna sealing", info=info).derive(base64.urlsafe_b64decode(master))


def seal(value: bytes, place: str, keys: Sequence[MasterKey]) -> bytes:
    """Encrypted for this place with the first key."""
    return PREFIX + keys[0].id + b":" + keys[0].at(place).encrypt(value)


def unseal(stored: bytes, place: str, keys: Sequence[MasterKey]) -> bytes:
    """What was sealed at this place, with any of the keys. Raises Unreadable."""
    shape = _SHAPE.fullmatch(stored)
    if shape is None:
        raise Unbound if stored.startswith(EARLIER_PREFIX) and _opened_unbound(stored, keys) is not None else Unreadable
    named = [key for key in keys if key.id == shape[1]]
    for key in named:
        try:
            return key.at(place).decrypt(shape[2])
        except InvalidToken:
            continue
    raise WrittenElsewhere if named else Unreadable


def is_under(stored: bytes, key: MasterKey) -> bool:
    """Whether it says that it was sealed with this key."""
    return stored.startswith(PREFIX + key.id + b":")


def bind(stored: bytes, place: str, keys: Sequence[MasterKey]) -> bytes:
    """What an earlier version wrote, sealed for this place; anything else as it is. Raises Unreadable."""
    if stored.startswith(PREFIX):
        return stored
    value = _opened_unbound(stored, keys)
    if value is None:
        raise Unreadable
    return seal(value, place, keys)


def unbind(stored: bytes, place: str, keys: Sequence[MasterKey]) -> bytes:
    """As an earlier version reads it. Raises Unreadable."""
    return Fernet(keys[0].fernet).encrypt(unseal(stored, place, keys))


def _opened_unbound(stored: bytes, keys: Sequence[MasterKey]) -> bytes | None:
    for key in keys:
        try:
            return Fernet(key.fernet).decrypt(stored)
        except InvalidToken:
            continue
    return None
