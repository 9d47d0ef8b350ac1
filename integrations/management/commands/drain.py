"""`manage.py drain`: sends what is due, without Celery or a broker."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from integrations.engine import process, sweep
from integrations.engine.clock import db_now


class Command(BaseCommand):
    help = "Sends due operations without Celery or a broker, until stopped; with --once until nothing is due."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="End when nothing is due (what waits stays waiting).")

    def handle(self, *args: Any, **options: Any) -> None:
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        runner = process.runner()
        runner.start()
        if options["once"]:
            while not ended.is_set() and (runner.busy() or self._due()):
                ended.wait(0.1)
        else:
            ended.wait()
        runner.stop()

    def _due(self) -> bool:
        now = db_now()
        return any(when <= now for when in sweep.schedule().values())
