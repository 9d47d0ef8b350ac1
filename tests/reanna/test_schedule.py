"""The beat table in the database: complete after each start, and staff's to change."""

from __future__ import annotations

import importlib

import pytest
from django.core.management import call_command
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from reanna import schedule
from reanna.celery import BEAT, app

pytestmark = pytest.mark.django_db


def test_every_job_is_added_with_its_interval() -> None:
    assert schedule.ensure() == [job.name for job in BEAT]
    rows = {row.name: (row.task, row.interval.every, row.enabled) for row in PeriodicTask.objects.all()}
    assert rows == {job.name: (job.task, job.every_s, True) for job in BEAT}


def test_a_second_run_adds_nothing_and_wakes_no_beat() -> None:
    schedule.ensure()
    changed = PeriodicTasks.last_change()
    assert schedule.ensure() == []
    assert PeriodicTasks.last_change() == changed


def test_what_staff_changed_stays() -> None:
    schedule.ensure()
    row = PeriodicTask.objects.get(name="purge")
    row.enabled = False
    row.interval = PeriodicTask.objects.get(name="refresh-tokens").interval
    row.save()
    schedule.ensure()
    row.refresh_from_db()
    assert (row.enabled, row.interval.every) == (False, 300)


def test_a_job_that_was_lost_comes_back() -> None:
    schedule.ensure()
    PeriodicTask.objects.get(name="purge").delete()
    call_command("ensure_schedule", verbosity=0)
    assert PeriodicTask.objects.filter(name="purge", enabled=True).exists()


def test_a_task_that_was_renamed_is_mended() -> None:
    schedule.ensure()
    PeriodicTask.objects.filter(name="purge").update(task="integrations.old_name")
    schedule.ensure()
    assert PeriodicTask.objects.get(name="purge").task == "integrations.purge"


def test_every_scheduled_task_exists() -> None:
    importlib.import_module("integrations.jobs")
    assert {job.task for job in BEAT} <= set(app.tasks)
