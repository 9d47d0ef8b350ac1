"""`manage.py undo_import RUN`: shows what taking an import back would do, then does it."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from integrations.models import ImportRun
from integrations.operations.imports.undo import undo, undo_plan
from integrations.operations.imports.undo_plan import UndoPlan
from integrations.operations.refusals import NotPossible

MAX_SHOWN = 20


class Command(BaseCommand):
    help = "Take an import back: what it created is cancelled and archived, what it changed is put back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="the import's number")
        parser.add_argument("--yes", action="store_true", help="do it without asking")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            plan = undo_plan(options["run"])
            self._show(plan, "would be")
            if not options["yes"] and not self._agreed():
                self.stdout.write("Nothing was changed.")
                return
            done = undo(options["run"], now=timezone.now(), actor=getpass.getuser(), via="command")
        except ImportRun.DoesNotExist:
            raise CommandError(f"There is no import {options['run']}.") from None
        except NotPossible as error:
            raise CommandError(str(error)) from None
        self._show(done, "were")

    def _agreed(self) -> bool:
        try:
            return input("Take it back? Type yes: ").strip().lower() == "yes"
        except EOFError:
            raise CommandError("Nobody is there to ask; add --yes to do it.") from None

    def _show(self, plan: UndoPlan, verb: str) -> None:
        self.stdout.write(f"Import {plan.run.pk} of {plan.run.file_name}:")
        self._list(f"{len(plan.cancel)} tours {verb} cancelled and archived", plan.cancel)
        self._list(f"{len(plan.restore)} tours {verb} put back as they were", plan.restore)
        if plan.feedback_deleted or plan.feedback_restored:
            self.stdout.write(f"{plan.feedback_deleted} answers {verb} deleted, {plan.feedback_restored} put back.")
        self._list(f"{len(plan.left)} left alone", plan.left)
        for label, number in plan.appointments.items():
            self.stdout.write(f"{number} appointments in {label} would be cancelled.")
        if plan.contacts_archived:
            self.stdout.write(f"{plan.contacts_archived} buyers {verb} archived.")
        self._list(f"{plan.contacts_kept} buyers left as they are", plan.contacts_left)
        if plan.agents_kept:
            self.stdout.write(f"{plan.agents_kept} agents it created stay.")

    def _list(self, title: str, lines: list[str]) -> None:
        if not lines:
            return
        self.stdout.write(f"{title}:")
        for line in lines[:MAX_SHOWN]:
            self.stdout.write(f"  {line}")
        if len(lines) > MAX_SHOWN:
            self.stdout.write(f"  … and {len(lines) - MAX_SHOWN} more")
