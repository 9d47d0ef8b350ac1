"""The app's registration with Django."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"
