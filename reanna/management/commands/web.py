"""`manage.py web`: one web process on this host."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from reanna.stack import plan


class Command(BaseCommand):
    """Becomes the process itself, so that signals reach it: for servers and containers of your own."""

    help = "Run one web process (granian, WSGI)."
    requires_system_checks = ()  # the process that it becomes checks for itself

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine)")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, **options: Any) -> None:
        command = plan.web_command(options["host"], options["port"])
        os.chdir(plan.ROOT)
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
