"""Tests: keys of their own, short engine figures, no broker."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("SECRET_KEY", "test-only-" + "k" * 50)
os.environ.setdefault("FERNET_KEYS", "test-only-key-not-used-anywhere-else")
os.environ.setdefault("REANNA_DATA", str(Path(tempfile.gettempdir()) / "reanna-test"))

from .base import *  # noqa: F403  the keys must stand before base reads them
from .base import DATABASES

if DATABASES["default"]["ENGINE"] == "reanna.sqlite":
    # Threads must meet in one file: an in-memory database would give each its own or share one connection.
    _file = Path(tempfile.gettempdir()) / f"reanna-test-{os.getpid()}.sqlite3"
    DATABASES["default"]["NAME"] = ":memory:"  # only the runner makes the file, and it removes it
    DATABASES["default"]["TEST"] = {"NAME": _file}
    DATABASES["default"]["OPTIONS"]["init_command"] = DATABASES["default"]["OPTIONS"]["init_command"].replace(
        "synchronous=FULL", "synchronous=OFF"
    )
else:
    # A test stands in its transaction for as long as it takes.
    DATABASES["default"].setdefault("OPTIONS", {})["options"] = "-c jit=off"

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_BROKER_URL = "memory://"
