"""The app's registration with Django."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = "Tours and CRMs"

    def ready(self) -> None:
        from django.conf import settings

        from integrations import checks, failpoints  # noqa: F401  registers the system checks

        told = getattr(settings, failpoints.VARIABLE, "")
        if told:
            failpoints.arm_as_told(told)
