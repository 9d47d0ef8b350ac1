"""The composing app: loads the Celery app in every process, so that doorbells reach our broker."""

from django.apps import AppConfig


class ReannaConfig(AppConfig):
    name = "reanna"
    verbose_name = "REanna Router"

    def ready(self) -> None:
        from reanna import celery  # noqa: F401  makes it the current app before any task is sent
