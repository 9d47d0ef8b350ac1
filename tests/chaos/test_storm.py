"""`manage.py chaos`, bounded: a few deaths of everything, and the journal shows each record once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from django.db import connection

from tests.chaos.world import inversions
from tests.reanna.running import ROOT, clean_environ

OPERATIONS, KILLS = 120, 4


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: what forks must not have had threads, or a database, before."""
    return subprocess.run(
        [sys.executable, "-m", "tests.chaos", *arguments],
        check=False,
        cwd=ROOT,
        env=clean_environ(),
        capture_output=True,
        text=True,
    )


def test_nothing_is_lost_or_doubled_whatever_dies(tmp_path: Path) -> None:
    database = "postgres" if connection.vendor == "postgresql" else "sqlite"
    out = tmp_path / "told.json"
    # As short a lease as the deadline of a request allows: most of the run is waiting for those of the dead.
    blows = ["--kills", str(KILLS), "--freezes", "0", "--wipes", "1", "--crashes", "1", "--lease", "13"]
    done = chaos("--database", database, "--operations", str(OPERATIONS), "--seed", "5", *blows, "--json", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(out.read_text())
    assert told["operations"] >= OPERATIONS
    assert told["done"] == {"kill": KILLS, "wipe": 1} | ({"crash": 1} if database == "postgres" else {})
    assert told["findings"]["wrong"] == told["inversions"] == []
    for each in told["findings"]["connections"]:
        assert (each["doubled"], each["unleased"], each["refused"]) == (0, 0, 0)
        assert each["right_stops"] == each["live_stops"] > 0
        assert each["busiest"] <= each["limit"]


def test_a_folder_with_files_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "reanna.sqlite3").touch()
    done = chaos("--folder", str(tmp_path), "--operations", "1")
    assert done.returncode == 2
    assert "a run takes place in a folder of its own" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["reanna.sqlite3"]


def test_a_step_back_is_seen() -> None:
    def told(seq: int, at: str) -> dict[str, object]:
        return {"seq": seq, "body": {"startTime": at}, "effect": {"kind": "appointment", "id": "a"}}

    forward = [told(1, "2026-12-01T17:00:00+00:00"), told(2, "2026-12-01T17:15:00+00:00")]
    assert inversions(forward) == []
    assert [line.partition(" moves")[0] for line in inversions(forward[::-1])] == ["request 1"]
