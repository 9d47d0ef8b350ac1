"""Reads the process environment: the only module that does. A bad value fails at start and names the variable."""

from __future__ import annotations

import os
from pathlib import Path

import environ

from reanna.secrets_file import load as load_secrets

BASE_DIR = Path(__file__).resolve().parent.parent
read = environ.Env()


def data_dir() -> Path:
    """Where this installation keeps its state (`REANNA_DATA`, or `var/` beside manage.py)."""
    return Path(os.environ.get("REANNA_DATA") or BASE_DIR / "var").resolve()


def secret(name: str) -> str:
    """`SECRET_KEY` or `FERNET_KEYS`: from the environment, else from the data directory's file, made on first use."""
    value = os.environ.get(name)
    if value:
        return value
    stored = load_secrets(data_dir())[name]
    return stored if isinstance(stored, str) else ",".join(stored)
