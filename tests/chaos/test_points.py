"""A sample of the table of `tests/chaos/points.py`, with every point and every action in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from tests.chaos.points import sample, shard, table
from tests.reanna.running import ROOT, clean_environ

CELLS, SEED = 16, 7


def test_where_ever_a_process_dies_there_is_one_effect(tmp_path: Path) -> None:
    """In a process of its own: what forks must not have had threads, or a database, before."""
    database = "postgres" if connection.vendor == "postgresql" else "sqlite"
    out = tmp_path / "told.json"
    arguments = ["--database", database, "--sample", str(CELLS), "--seed", str(SEED), "--json", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.points", *arguments],
        check=False,
        cwd=ROOT,
        env=clean_environ(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(out.read_text())["cells"] == CELLS


def test_the_table_has_every_kind_point_and_action() -> None:
    cells = table()
    assert len(cells) == len(set(cells)) == 8 * 10 * 3 + 9 * 9 * 3
    assert {cell.point for cell in sample(cells, 30, SEED)} == {cell.point for cell in cells}


def test_the_parts_of_the_table_are_the_table() -> None:
    cells = table()
    parts = [shard(cells, f"{part}/4") for part in (1, 2, 3, 4)]
    assert sorted(map(str, cells)) == sorted(str(cell) for part in parts for cell in part)
    for wrong in ("0/4", "5/4"):
        with pytest.raises(ValueError, match="the parts are 1/4 to 4/4"):
            shard(cells, wrong)
