"""The Celery app and THE table of scheduled jobs.

A message says "connection 12 may have work", never what the work is; losing one costs at most a sweep.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reanna.settings.local")

app = Celery("reanna")
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
    Job("complete-tours", "integrations.complete_tours", 300, "Completes tours two hours after their last live stop."),
    Job("purge", "integrations.purge", 3600, "Deletes settled operations and attempts past their keeping time."),
)
