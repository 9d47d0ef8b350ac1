"""`manage.py ensure_schedule`: housekeeping jobs that are missing from the beat table come back."""

from typing import Any

from django.core.management.base import BaseCommand

from reanna import schedule


class Command(BaseCommand):
    help = "Adds housekeeping jobs that are missing from the schedule; intervals and switches set by staff stay."

    def handle(self, *args: Any, **options: Any) -> None:
        added = schedule.ensure()
        self.stdout.write(f"added: {', '.join(added)}" if added else "every job is scheduled")
