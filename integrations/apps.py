"""The app's registration with Django."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = "Tours and CRMs"

    def ready(self) -> None:
        from integrations import checks  # noqa: F401  registers the system checks
