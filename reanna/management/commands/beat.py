"""`manage.py beat`: the scheduler; exactly one may run."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand

from reanna.stack import plan


class Command(BaseCommand):
    """Becomes the process itself, so that signals reach it: for servers and containers of your own."""

    help = "Run the scheduler (Celery beat; exactly one)."
    requires_system_checks = ()  # the process that it becomes checks for itself

    def handle(self, **_options: Any) -> None:
        command = plan.beat_command()
        os.chdir(plan.ROOT)
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
