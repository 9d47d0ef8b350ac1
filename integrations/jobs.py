"""The housekeeping that beat rings for. Each holds a database lease, and is harmless when doubled or missed."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from integrations.engine import leases, tokens
from integrations.engine.context import process_name
from integrations.operations import housekeeping, tours

LEASE_MS = 120_000


@shared_task(name="integrations.refresh_tokens")
def refresh_tokens() -> None:
    """Renews access tokens that run out soon."""
    if leases.take("refresh_tokens", process_name(), LEASE_MS):
        tokens.refresh_due(timezone.now())


@shared_task(name="integrations.complete_tours")
def complete_tours() -> None:
    """Completes tours some time after their last live stop."""
    if leases.take("complete_tours", process_name(), LEASE_MS):
        tours.complete_tours(timezone.now())


@shared_task(name="integrations.purge")
def purge() -> None:
    """Deletes what is past its keeping time."""
    if leases.take("purge", process_name(), LEASE_MS):
        housekeeping.purge(timezone.now())
