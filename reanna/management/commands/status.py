"""`manage.py status [--json]`: what runs, what waits, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError
from django.utils import timezone

from integrations import public
from reanna.stack import runfile


class Command(BaseCommand):
    """Processes, operations by state and connection, the oldest that is due, the gate."""

    help = "Show what runs, what waits and why."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs: one JSON object")

    def handle(self, **options: Any) -> None:
        try:
            found = public.engine_status(timezone.now())
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                "The database cannot be read, or has no tables yet; start the product once: python3 manage.py up"
            ) from error
        processes = [
            {name: note[name] for name in ("name", "pid", "command", "address") if name in note}
            for note in runfile.running(Path(settings.DATA_DIR))
        ]
        status = {**found, "processes": processes}
        self.stdout.write(json.dumps(status, indent=1) if options["json"] else in_words(status))


def in_words(status: dict[str, Any]) -> str:
    """The status for a person, a line for each matter."""
    running = ", ".join(f"{each['name']} (pid {each['pid']})" for each in status["processes"])
    gate = status["gate"]
    since = f" since {gate['since']}" if gate["since"] else ""
    lines = [
        f"processes   {running or 'none of this data folder (start: python3 manage.py up)'}",
        *(f"worker      {each['name']}, {_heard(each)}" for each in status["workers"]),
        f"gate        {gate['mode']}{since} {gate['detail']}".rstrip(),
        f"operations  {_counts(status['operations'])}",
        *(_connection(each) for each in status["connections"]),
        f"oldest due  {_oldest(status['oldest_due'])}",
    ]
    return "\n".join(lines)


def _heard(worker: dict[str, Any]) -> str:
    return f"{'alive' if worker['alive'] else 'silent'}, last heard {worker['seen']}"


def _counts(operations: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in operations.items()) or "none"


def _connection(each: dict[str, Any]) -> str:
    held = f", held until {each['held_until']} ({each['held']})" if each["held"] else ""
    return f"connection  {each['label']}: {each['state']}{held}; {_counts(each['operations'])}"


def _oldest(due: dict[str, Any] | None) -> str:
    if due is None:
        return "nothing is due"
    reason = f" ({due['reason']})" if due["reason"] else ""
    return f"operation {due['id']}, {due['state']}{reason}, due {due['due']}, {due['late_s']} s ago"
