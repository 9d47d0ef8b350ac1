"""Logs of the stack's processes: all in the file, the important on the terminal, bounded in size."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reanna.stack.logs import SHOWN_LINES, Log


def test_every_line_goes_to_the_file_with_the_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(tmp_path, "worker")
    log.write("2026-11-24 15:30:01,188 INFO celery.apps.worker: celery@vm ready.")
    log.close()

    assert (
        (tmp_path / "worker.log")
        .read_text()
        .endswith(" worker: 2026-11-24 15:30:01,188 INFO celery.apps.worker: celery@vm ready.\n")
    )
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-24 15:30:01,188 WARNING integrations.engine: the provider answered late",
        "2026-11-24 15:30:01,188 ERROR celery: lost",
        "[ERROR] Worker died",
        "Traceback (most recent call last):",
    ],
)
def test_important_lines_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    log = Log(tmp_path, "web")
    log.write(line)
    log.close()

    assert capsys.readouterr().out == f"web      {line}\n"


@pytest.mark.parametrize(
    "line",
    [
        "11065:M 24 Nov 2026 15:29:57.255 # WARNING Memory overcommit must be enabled!",
        "[WARNING] Configuration allows spawning up to 8 Python threads",
        "a tour named ERROR was imported",
    ],
)
def test_advice_on_the_machine_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    log = Log(tmp_path, "redis")
    log.write(line)
    log.close()

    assert capsys.readouterr().out == ""


def test_a_flood_is_cut_and_points_to_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(tmp_path, "worker")
    for number in range(100):
        log.write(f"2026-11-24 15:30:01,188 ERROR engine: failure {number}")
    log.close()

    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == SHOWN_LINES
    assert shown[-1].endswith(f"(more in {tmp_path / 'worker.log'})")
    assert (tmp_path / "worker.log").read_text().count("failure") == 100


def test_the_file_is_rotated_by_size_and_old_ones_go(tmp_path: Path) -> None:
    log = Log(tmp_path, "web", max_bytes=1000)
    for number in range(200):
        log.write(f"line {number:>40}")
    log.close()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["web.log", "web.log.1", "web.log.2", "web.log.3"]
    assert all(path.stat().st_size < 1200 for path in tmp_path.iterdir())
    assert f"{199:>40}" in (tmp_path / "web.log").read_text() + (tmp_path / "web.log.1").read_text()


def test_bytes_that_are_no_text_are_kept_readable(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    log = Log(tmp_path, "web")
    thread = log.follow(os.fdopen(reading, "rb"))
    os.write(writing, b"caf\xe9\nlast line without an end")
    os.close(writing)
    thread.join(timeout=10)
    log.close()

    assert list(log.last) == ["caf\ufffd", "last line without an end"]
