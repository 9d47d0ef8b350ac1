"""`manage.py worker`: one worker process; run as many as you like, on as many hosts."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from reanna.stack import plan


class Command(BaseCommand):
    """Becomes the process itself, so that signals reach it: for servers and containers of your own."""

    help = "Run one worker process (Celery, threads)."
    requires_system_checks = ()  # the process that it becomes checks for itself

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--threads", type=int, help="default: REANNA_WORKER_THREADS")

    def handle(self, **options: Any) -> None:
        command = plan.worker_command(options["threads"] or settings.REANNA_WORKER_THREADS)
        os.chdir(plan.ROOT)
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
