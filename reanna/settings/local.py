"""One machine, started by `manage.py up`."""

from .base import *  # noqa: F403  settings are one namespace by Django's design

SESSION_COOKIE_SECURE = False
CSRF_COOKIE_SECURE = False
