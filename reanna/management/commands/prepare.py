"""`manage.py prepare`: what must be in the database before web, worker and scheduler start. Safe to repeat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from reanna import secrets_file

ADMIN = "admin"


class Command(BaseCommand):
    """Migrations, the schedule, the first admin user, connections to the sandbox and demo tours."""

    help = "Bring the database up to date and make what a first start needs (manage.py up runs this)."
    requires_system_checks = ()  # migrate checks

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="no demo tours; the connections are made")

    def handle(self, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=1, stdout=self.stdout)
        call_command("ensure_schedule", stdout=self.stdout)
        ensure_admin(Path(settings.DATA_DIR))
        call_command("seed_demo", no_demo=options["no_demo"], stdout=self.stdout)


def ensure_admin(data_dir: Path) -> None:
    """Make the user `admin` if there is none; the password waits in the secrets file until `up` shows it."""
    users = get_user_model()
    if users.objects.filter(username=ADMIN).exists():
        return
    users.objects.create_superuser(ADMIN, password=secrets_file.keep_admin_password(data_dir))
