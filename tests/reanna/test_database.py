"""What each connection to PostgreSQL is told."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.reanna.running import ROOT, clean_environ

SHOW = "import json; from reanna.settings import local; print(json.dumps(local.DATABASES['default'].get('OPTIONS')))"


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", "-c idle_in_transaction_session_timeout=30000 -c jit=off"),
        ("?options=-c%20lock_timeout%3D5000", "-c lock_timeout=5000"),
    ],
)
def test_who_stands_still_in_a_transaction_is_ended_unless_the_address_says_else(query: str, options: str) -> None:
    environ = clean_environ() | {
        "DATABASE_URL": f"postgres://someone:word@127.0.0.1:5432/name{query}",
        "SECRET_KEY": "k" * 50,
        "FERNET_KEYS": "key",
    }
    done = subprocess.run(
        [sys.executable, "-c", SHOW], check=True, cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert json.loads(done.stdout) == {"options": options}
