"""What beat rings for, and the long work of imports and bulk changes. All of it is harmless when doubled or missed.

Housekeeping holds a database lease; an import is taken in hand through its run.
"""

from __future__ import annotations

import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.utils import timezone

from integrations.engine import leases, probing, tokens
from integrations.engine.context import process_name
from integrations.operations import bulk, housekeeping, idempotency, inbox, tours
from integrations.operations.imports import work
from integrations.tasks import BULK_TASK, DELIVERIES_TASK, IMPORTS_TASK

LEASE_MS = 120_000
_stopping = threading.Event()


@worker_shutting_down.connect
def _stop_imports(**_kwargs: Any) -> None:
    _stopping.set()


@shared_task(name="integrations.refresh_tokens")
def refresh_tokens() -> None:
    """Renews access tokens that run out soon."""
    if leases.take("refresh_tokens", process_name(), LEASE_MS):
        tokens.refresh_due(timezone.now())


@shared_task(name="integrations.probe_connections")
def probe_connections() -> None:
    """Asks the CRMs whose turn it is whether the connections' credentials still fit."""
    if leases.take("probe_connections", process_name(), LEASE_MS):
        probing.probe_due()


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
        idempotency.purge(timezone.now())


@shared_task(name=IMPORTS_TASK)
def work_on_imports() -> None:
    """Works on files that nobody has in hand, one after the other; ends early when the worker is stopped."""
    work.work_on_all(timezone.now(), stopping=_stopping.is_set)


@shared_task(name=BULK_TASK)
def work_on_bulk() -> None:
    """Goes on with confirmed plans for many operations; ends early when the worker is stopped."""
    bulk.work_on_all(stopping=_stopping.is_set)


@shared_task(name=DELIVERIES_TASK)
def work_on_deliveries() -> None:
    """Works on webhooks that are due, whether a bell was heard for them or not."""
    inbox.work_on_all(stopping=_stopping.is_set)
