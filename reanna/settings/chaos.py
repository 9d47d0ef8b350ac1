"""For staged faults (`manage.py chaos`): one machine, and processes that die where REANNA_FAILPOINT says."""

from .base import env
from .local import *  # noqa: F403  settings are one namespace by Django's design

REANNA_FAILPOINT = env.read.str("REANNA_FAILPOINT", default="")
