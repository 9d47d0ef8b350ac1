"""A PostgreSQL of the bench's own, and programs of ours that run on it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from reanna.testing import cluster

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def migrated(**more: str) -> Iterator[dict[str, str]]:
    """The environment for programs on an empty, migrated database. Raises ClusterError where there is no PostgreSQL."""
    folder = cluster.programs()
    if folder is None:
        raise cluster.ClusterError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with cluster.running(folder) as url:
        environ = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "reanna.settings.test"} | more
        run(environ, "-m", "django", "migrate", "--verbosity", "0")
        yield environ


def run(environ: dict[str, str], *arguments: str) -> str:
    """A Python program to its end; what it printed. Raises CalledProcessError."""
    done = subprocess.run(
        [sys.executable, *arguments], check=True, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def begin(environ: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """A Python program that runs beside us."""
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
