"""`manage.py restore_mode --since TIME`: after a backup was restored, nothing is sent before `--go`."""

from __future__ import annotations

import getpass
import re
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from integrations.operations import restoring
from integrations.operations.audit import Who
from integrations.operations.refusals import NotPossible

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Command(BaseCommand):
    help = "After a backup was restored: look everything up before it is sent again, and send nothing before --go."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since", metavar="TIME", help="when the backup was made, for example 2026-09-14T02:00 (UTC)"
        )
        parser.add_argument("--until", metavar="TIME", help="when sending had ended (default: now)")
        parser.add_argument(
            "--window", metavar="LENGTH", help="instead of --since: so long ago, for example 90m, 6h, 2d"
        )
        parser.add_argument("--yes", action="store_true", help="do it without asking")
        parser.add_argument("--go", action="store_true", help="sending goes on")

    def handle(self, *args: Any, **options: Any) -> None:
        who = Who(getpass.getuser(), "command")
        if options["go"]:
            if not options["yes"] and not self._agreed("Send again?"):
                self.stdout.write("Nothing was changed.")
            elif restoring.go(who):
                self.stdout.write("Sending goes on. What is in doubt is looked up first.")
            else:
                self.stdout.write("Sending was not stopped.")
            return
        since, until = _window(options, timezone.now())
        try:
            self._show(restoring.plan(since, until))
            if not options["yes"] and not self._agreed("Put it in doubt, and stop sending until somebody says go?"):
                self.stdout.write("Nothing was changed.")
                return
            restoring.restore(since, until, who)
        except NotPossible as error:
            raise CommandError(str(error)) from None
        self.stdout.write("Done. Nothing is sent until `manage.py restore_mode --go`, or the button on every page.")

    def _agreed(self, question: str) -> bool:
        try:
            return input(f"{question} Type yes: ").strip().lower() == "yes"
        except EOFError:
            raise CommandError("Nobody is there to ask; add --yes to do it.") from None

    def _show(self, plan: restoring.Plan) -> None:
        self.stdout.write(f"From {plan.since:%Y-%m-%d %H:%M} to {plan.until:%Y-%m-%d %H:%M} UTC:")
        counts = ", ".join(f"{number} {state}" for state, number in plan.operations.items()) or "none"
        self.stdout.write(f"  open operations put in doubt: {counts}")
        for label, number in plan.refs.items():
            self.stdout.write(f"  records looked up in {label}: {number}")
        if not plan.refs:
            self.stdout.write("  records looked up: none")
        self.stdout.write("  sending stops until somebody says go; the CRMs' limits are counted anew")


def _window(options: dict[str, Any], now: datetime) -> tuple[datetime, datetime]:
    until = _moment(options["until"], "--until") if options["until"] else now
    if bool(options["since"]) == bool(options["window"]):
        raise CommandError("Say either --since, when the backup was made, or --window, how long ago that is.")
    if options["since"]:
        return _moment(options["since"], "--since"), until
    found = re.fullmatch(r"(\d{1,5})([mhd])", options["window"].strip())
    if found is None:
        raise CommandError("--window is a number with m, h or d, for example 90m, 6h or 2d.")
    return now - timedelta(**{_UNITS[found[2]]: int(found[1])}), until


def _moment(text: str, name: str) -> datetime:
    try:
        moment = parse_datetime(text.strip())
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{name} is no time: write it like 2026-09-14T02:00 (UTC), or with an offset.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
