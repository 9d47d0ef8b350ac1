"""Leases by name, for work that one process at a time should do. Doubled work must be harmless all the same."""

from __future__ import annotations

from django.db.models import Q

from integrations.models import Lease

from .clock import db_now


def take(name: str, owner: str, for_ms: int) -> bool:
    """Takes or renews the lease; False while another owner's still runs."""
    now = db_now()
    Lease.objects.get_or_create(name=name)
    free = Q(until_ms__lte=now) | Q(owner=owner)
    return Lease.objects.filter(free, name=name).update(owner=owner, until_ms=now + for_ms) == 1


def give_up(name: str, owner: str) -> None:
    """Lets the next owner in at once."""
    Lease.objects.filter(name=name, owner=owner).update(until_ms=0)
