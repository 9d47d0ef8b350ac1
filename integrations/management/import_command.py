"""What `import_tours` and `import_feedback` share: reading, showing, the way they end."""

from __future__ import annotations

import getpass
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations.operations.imports.reader import Problem, UnreadableFileError
from integrations.operations.imports.runs import Checked, Imported, Watcher, import_file
from integrations.operations.refusals import NotPossible

from .progress import Progress

MAX_WARNINGS = 20


class ImportCommand(BaseCommand):
    """Subclasses name the `kind` and what is counted."""

    kind = ""
    nouns = "records"
    whole = ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="a CSV file in UTF-8")
        parser.add_argument("--skip-bad", action="store_true", help=f"leave out {self.whole} and import the others")
        parser.add_argument("--check", action="store_true", help="check the file only; nothing is stored")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        checking = Progress(self._stderr(), "checking", "B")
        applying = Progress(self._stderr(), "importing", "rows")
        self.warned = 0
        watcher = Watcher(error=self._error, warning=self._warn, checking=checking, applying=applying)
        try:
            done = import_file(
                path,
                self.kind,
                actor=getpass.getuser(),
                via="command",
                clock=time.monotonic,
                skip_bad=options["skip_bad"],
                check_only=options["check"],
                watcher=watcher,
            )
        except (UnreadableFileError, NotPossible) as error:
            raise CommandError(f"{path}: {error}") from None
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
        finally:
            checking.close()
            applying.close()
        self._end(done, skip_bad=options["skip_bad"], check_only=options["check"])

    def _stderr(self) -> Any:
        return self.stderr

    def _error(self, problem: Problem) -> None:
        self.stderr.write(str(problem))

    def _warn(self, problem: Problem) -> None:
        self.warned += 1
        if self.warned <= MAX_WARNINGS:
            self.stderr.write(f"warning: {problem}", style_func=self.style.WARNING)

    def _end(self, done: Imported, *, skip_bad: bool, check_only: bool) -> None:
        checked = done.checked
        if self.warned > MAX_WARNINGS:
            self.stderr.write(f"warning: and {self.warned - MAX_WARNINGS} more", style_func=self.style.WARNING)
        if checked.bad_rows and (check_only or not skip_bad):
            hint = "" if check_only else f" Correct them, or leave out {self.whole} with --skip-bad."
            raise CommandError(f"{checked.bad_rows} of {checked.rows} rows are wrong: nothing was imported.{hint}")
        if done.run is None:
            self.stdout.write(f"{checked.rows} rows checked, all good; nothing was stored.")
            return
        self._summary(done, checked)

    def _summary(self, done: Imported, checked: Checked) -> None:
        run = done.run
        assert run is not None  # noqa: S101  only called after an import
        if done.resumed:
            self.stdout.write(f"An import of this file was interrupted; it went on as import {run.pk}.")
        self.stdout.write(
            f"Import {run.pk}: {run.created_count} {self.nouns} created, {run.updated_count} updated, "
            f"{run.unchanged_count} unchanged."
        )
        if done.tally.stops_created or done.tally.stops_changed:
            self.stdout.write(f"Stops: {done.tally.stops_created} created, {done.tally.stops_changed} changed.")
        if checked.left_out:
            self.stdout.write(f"Left out: {checked.left_out} {self.nouns}, {checked.bad_rows} wrong rows.")
        if run.created_count or run.updated_count:
            self.stdout.write(f"To take it back: manage.py undo_import {run.pk}")
