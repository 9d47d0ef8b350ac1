"""`manage.py rotate_keys`: stored secrets move to the first key of FERNET_KEYS while everything goes on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations.management.progress import Progress
from integrations.operations.rotating import Standing, rotate, standing

OLDER, UNREADABLE = 1, 3
SHOWN = 20


class Command(BaseCommand):
    help = "Encrypt every stored secret with the first key of FERNET_KEYS; with --verify only say what is not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--verify", action="store_true", help="change nothing, say whether older keys can go")
        parser.add_argument(
            "--bind", action="store_true", help="also what a version before ciphertexts were bound wrote"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        progress = Progress(self.stderr._out, "Secrets", "rows")  # type: ignore[attr-defined]  # the stream it wraps
        try:
            found = standing(progress) if options["verify"] else rotate(bind=options["bind"], told=progress)
        finally:
            progress.close()
        self._say(found)
        if found.unreadable:
            raise CommandError("Some cannot be read with any key: keep the keys you have.", returncode=UNREADABLE)
        if found.older:
            raise CommandError("Older keys are still needed: run rotate_keys again.", returncode=OLDER)
        self.stdout.write("The first key of FERNET_KEYS opens them all: older keys can be removed.")

    def _say(self, found: Standing) -> None:
        if found.exchanged:
            self.stdout.write(f"{found.exchanged:,} encrypted anew.")
        self.stdout.write(f"{found.newest:,} of {found.all:,} are under the first key of FERNET_KEYS.")
        self._list(f"{len(found.older):,} are under an older key", found.older)
        self._list(
            f"{len(found.unreadable):,} cannot be read", [f"{name}: {why}" for name, why in found.unreadable.items()]
        )

    def _list(self, title: str, lines: list[str]) -> None:
        if not lines:
            return
        self.stdout.write(f"{title}:")
        for line in lines[:SHOWN]:
            self.stdout.write(f"  {line}")
        if len(lines) > SHOWN:
            self.stdout.write(f"  … and {len(lines) - SHOWN:,} more")
