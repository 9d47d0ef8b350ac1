"""Celery's part in sending: the doorbell. A message names a connection, never the work.

Losing one costs at most one sweep; ringing twice costs one empty claim.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from celery import current_app, shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.db import connection as database
from django.db import transaction
from kombu.exceptions import OperationalError

from integrations import failpoints, reach
from integrations.engine import process

log = logging.getLogger(__name__)

QUIET_AFTER_FAILURE_S = 5.0
IMPORTS_TASK = "integrations.work_on_imports"
BULK_TASK = "integrations.work_on_bulk"
DELIVERIES_TASK = "integrations.work_on_deliveries"
"""By name: the tasks stand above this module (`jobs.py`), whoever rings for them below."""


@shared_task(name="integrations.drain")
def drain(connection_id: int) -> None:
    """Works one quantum of a connection."""
    process.runner().drain(connection_id)


@worker_ready.connect
def _start_engine(**_kwargs: Any) -> None:
    process.runner().start()


@worker_shutting_down.connect
def _stop_engine(**_kwargs: Any) -> None:
    threading.Thread(target=process.runner().stop, name="engine-stop").start()


class Doorbell:
    """Rings for a connection after commit; never raises at the person saving, never holds them for long.

    After a failure the process skips ringing for 5 s: all rings of a commit together cost at most the broker's one
    second.
    """

    def __init__(self) -> None:
        self._quiet_until = 0.0
        self.missed = 0

    def ring(self, connection_id: int) -> bool:
        """Sends the message. False when the broker could not take it; the sweeper will find the work."""
        return self._send(lambda: drain.apply_async(args=[connection_id], retry=False, expires=60))

    def ring_for_imports(self) -> bool:
        """The same for files that were handed in (`operations/imports/work.py`)."""
        return self._send(lambda: current_app.send_task(IMPORTS_TASK, retry=False, expires=60))

    def ring_for_bulk(self) -> bool:
        """The same for verbs on many operations (`operations/bulk.py`)."""
        return self._send(lambda: current_app.send_task(BULK_TASK, retry=False, expires=60))

    def ring_for_deliveries(self) -> bool:
        """The same for webhooks that came in (`operations/inbox.py`)."""
        return self._send(lambda: current_app.send_task(DELIVERIES_TASK, retry=False, expires=60))

    def _send(self, send: Callable[[], Any]) -> bool:
        if time.monotonic() < self._quiet_until or not reach.redis.allow():
            self.missed += 1
            return False
        try:
            failpoints.reach("on_commit_publish")
            send()
        except (OperationalError, OSError) as error:
            reach.redis.failed()
            log.warning("the doorbell did not ring (%s); the work will be found all the same", type(error).__name__)
        except Exception:  # it was saved: whatever keeps the bell from ringing is not the saver's concern
            log.exception("the doorbell did not ring; the work will be found all the same")
        else:
            reach.redis.answered()
            return True
        self._quiet_until = time.monotonic() + QUIET_AFTER_FAILURE_S
        self.missed += 1
        return False


doorbell = Doorbell()


class _Ring:
    """What is called on commit; known by its type, so that a commit rings once for each connection."""

    def __init__(self, connection_id: int) -> None:
        self.connection_id = connection_id

    def __call__(self) -> None:
        doorbell.ring(self.connection_id)


def ring_for_imports() -> None:
    """Rings after commit: a file is there to be worked on."""
    transaction.on_commit(lambda: doorbell.ring_for_imports() and None)


def ring_for_bulk() -> None:
    """Rings after commit: a plan for many operations was confirmed."""
    transaction.on_commit(lambda: doorbell.ring_for_bulk() and None)


def ring_for_deliveries() -> None:
    """Rings after commit: a webhook was stored, or is to be worked on again."""
    transaction.on_commit(lambda: doorbell.ring_for_deliveries() and None)


def ring_after_commit(connection_id: int) -> None:
    """Rings once per connection and commit; at once when no transaction is open."""
    for _sids, callback, _robust in database.run_on_commit:
        if isinstance(callback, _Ring) and callback.connection_id == connection_id:
            return
    transaction.on_commit(_Ring(connection_id))
