"""Brings the beat table (`celery.BEAT`) into the database, where staff may change intervals and switch jobs off."""

from __future__ import annotations

from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from reanna.celery import BEAT, Job


def ensure() -> list[str]:
    """Adds every job that is missing and mends its task name; interval and enabled stay as staff set them.

    Returns the names of the jobs it added.
    """
    added = [job.name for job in BEAT if _ensure(job)]
    if added:
        PeriodicTasks.update_changed()
    return added


def _ensure(job: Job) -> bool:
    row = PeriodicTask.objects.filter(name=job.name).first()
    if row is not None:
        if (row.task, row.description) != (job.task, job.about):
            row.task, row.description = job.task, job.about
            row.save()
        return False
    interval, _ = IntervalSchedule.objects.get_or_create(every=job.every_s, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name=job.name, task=job.task, interval=interval, description=job.about)
    return True
