"""The Celery app and THE table of scheduled jobs.

A message says "connection 12 may have work", never what the work is; losing one costs at most a sweep.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from celery import Celery, platforms
from celery.apps import beat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reanna.settings.local")


RINGING = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}
"""Seconds. What is not published in this time was not: the sweeper finds the work."""


class Beat(beat.Beat):
    """Celery's beat, whose handler of SIGTERM writes the schedule from wherever the signal came.

    In the midst of a query or an import, that is a second one inside the first, and beat ended with an error. Here the
    signal only ends the loop; what is left to write is written on the way out.
    """

    def install_sync_handler(self, service: Any) -> None:
        """SIGTERM and SIGINT end the scheduler."""

        def end(_signum: int, _frame: object) -> None:
            raise SystemExit

        platforms.signals.update(SIGTERM=end, SIGINT=end)


class App(Celery):
    """Celery with our beat."""

    @cached_property
    def Beat(self) -> type[beat.Beat]:  # noqa: N802 - Celery's name
        """What `celery beat` runs."""
        return self.subclass_with_self(Beat)  # type: ignore[no-any-return]

    def connection_for_write(self, url: str | None = None, **arguments: Any) -> Any:
        """The broker for whoever publishes. Someone who saves a tour waits for it no longer than for the gate."""
        options = {**self.conf.broker_transport_options, **RINGING, **(arguments.pop("transport_options", None) or {})}
        arguments.setdefault("connect_timeout", RINGING["socket_connect_timeout"])
        return super().connection_for_write(url, transport_options=options, **arguments)


app = App("reanna")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["integrations"])
app.autodiscover_tasks(["integrations"], related_name="jobs")


@dataclass(frozen=True)
class Job:
    """One line of the beat table: `every_s` is the interval a new installation starts with; staff may change it."""

    name: str
    task: str
    every_s: int
    about: str


BEAT = (
    Job("refresh-tokens", "integrations.refresh_tokens", 300, "Renews access tokens that run out soon."),
    Job("probe-connections", "integrations.probe_connections", 60, "Asks CRMs whether credentials still fit."),
    Job("complete-tours", "integrations.complete_tours", 300, "Completes tours two hours after their last live stop."),
    Job("imports", "integrations.work_on_imports", 60, "Goes on with imports that nobody has in hand."),
    Job("bulk", "integrations.work_on_bulk", 30, "Goes on with confirmed changes of many operations."),
    Job("webhooks", "integrations.work_on_deliveries", 30, "Works on webhooks that no message was heard for."),
    Job("purge", "integrations.purge", 3600, "Deletes what is past its keeping time."),
)
