"""Stored secrets move to the newest key while everything goes on.

A ciphertext is exchanged only where the one that was read still stands, so a token renewed meanwhile is never written
over. Transactions are short and hold nothing while something is encrypted; stopped at any point, the next run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.apps import apps

from integrations import sealing
from integrations.fields import Unreadable, master_keys
from integrations.models.ciphertexts import Ciphertext, batches, encrypted_fields, exchange

BATCH = 100
PASSES = 3
"""What a process that has not got the new key yet writes meanwhile is met again so often at most."""
Told = Callable[[int, int], None]
"""How many of how many so far."""


@dataclass
class Standing:
    """Where the stored secrets stand. Rows by name (`connection 12`); never what is in them."""

    newest: int = 0
    older: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    exchanged: int = 0

    @property
    def all(self) -> int:
        """How many there are."""
        return self.newest + len(self.older) + len(self.unreadable)


def standing(told: Told = lambda done, total: None) -> Standing:
    """Decrypts each with the newest key alone: what needs another still, and what none opens."""
    found, keys = Standing(), master_keys()
    for batch in _all(told):
        for each in batch:
            why = _why_not(each, keys)
            if why:
                found.unreadable[_name(each)] = why
            elif _why_not(each, keys[:1]):
                found.older.append(_name(each))
            else:
                found.newest += 1
    return found


def rotate(*, bind: bool = False, told: Told = lambda done, total: None) -> Standing:
    """Encrypts with the newest key what is not; how it stands then. `bind`: also what earlier versions wrote."""
    exchanged = 0
    for _ in range(PASSES):
        for batch in _all(told):
            exchanged += exchange(list(_anew(batch, bind=bind)))
        found = standing()
        if not found.older:
            break
    found.exchanged = exchanged
    return found


def _all(told: Told) -> Iterator[list[Ciphertext]]:
    models = apps.get_models(include_auto_created=True)
    fields = encrypted_fields(models)
    total = sum(each.model._base_manager.exclude(**{f"{each.name}__isnull": True}).count() for each in fields)
    done = 0
    for each in fields:
        for batch in batches(each, BATCH):
            yield batch
            done += len(batch)
            told(done, total)


def _anew(batch: list[Ciphertext], *, bind: bool) -> Iterator[tuple[Ciphertext, bytes]]:
    keys = master_keys()
    for each in batch:
        if sealing.is_under(each.stored, keys[0]):
            continue
        try:
            stored = sealing.bind(each.stored, each.place, keys) if bind else each.stored
            yield each, sealing.seal(sealing.unseal(stored, each.place, keys), each.place, keys)
        except Unreadable:
            continue  # left as it is, and named by `standing`


def _why_not(each: Ciphertext, keys: tuple[sealing.MasterKey, ...]) -> str:
    try:
        sealing.unseal(each.stored, each.place, keys)
    except Unreadable as error:
        return str(error)
    return ""


def _name(each: Ciphertext) -> str:
    return f"{each.field.model._meta.model_name} {each.pk}"
