"""What `manage.py test` says at the end, and with which exit code."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reanna.testing import cluster, commands, legs
from reanna.testing.legs import Result

OK = Result("sqlite", "ok", 12.0, "3 passed, 0 failed, 1 skipped", passed=3, skipped=1)
SKIPPED = Result("postgres", "skipped", 0.0, "PostgreSQL is not installed")
FAILED = Result("lint", "failed", 1.0, "failed: mypy")


def test_all_legs_well_is_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.report([OK], [], strict=True) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "tests: 3 passed, 0 failed, 1 skipped"


def test_a_skipped_leg_is_said_loudly_and_fails_only_in_ci(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.report([OK, SKIPPED], [], strict=False) == 0
    assert "SKIPPED: postgres\n" in capsys.readouterr().out
    assert commands.report([OK, SKIPPED], [], strict=True) == 1
    assert "SKIPPED: postgres (a failure in CI)\n" in capsys.readouterr().out


def test_a_failed_leg_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.report([FAILED, OK], ["postgres"], strict=False) == 1
    said = capsys.readouterr().out
    assert "FAILED: lint\n" in said
    assert "postgres  not run\n" in said


def test_counts_come_from_the_report(tmp_path: Path) -> None:
    report = tmp_path / "x.xml"
    report.write_text('<testsuites><testsuite tests="10" failures="2" errors="1" skipped="3"/></testsuites>')
    assert legs._counts(report) == (4, 3, 3)
    assert legs._counts(tmp_path / "absent.xml") == (0, 0, 0)


def test_lines_and_branches_are_told_apart() -> None:
    totals = {"covered_lines": 95, "num_statements": 100, "covered_branches": 17, "num_branches": 20}
    assert legs.shares(totals) == (95.0, 85.0)
    assert legs.shares(totals | {"covered_branches": 0, "num_branches": 0}) == (95.0, 100.0)


def test_arguments_that_are_not_ours_go_to_pytest() -> None:
    options, rest = commands._parse(["tests/x", "-k", "window", "--leg", "postgres", "--co"])
    assert options.leg == ["postgres"]
    assert rest == ["tests/x", "-k", "window", "--co"]


def test_the_suite_is_not_led_by_the_persons_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://production")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "reanna.settings.production")
    environ = legs.Run(tmp_path, strict=False, measure=False).environ()
    assert "DATABASE_URL" not in environ
    assert environ["DJANGO_SETTINGS_MODULE"] == "reanna.settings.test"


def test_a_leg_beside_others_is_told_after_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = legs.Run(tmp_path, strict=False, measure=False)

    def slow(its: legs.Run) -> Result:
        assert its.output is not None
        its.output.write(b"what pytest says\n")
        return OK

    with run.beside("stack", slow):
        run.leg("lint", lambda _run: FAILED)

    assert run.results == [FAILED, OK]
    assert capfd.readouterr().out == "\n=== lint ===\n\n=== stack ===\nwhat pytest says\n\n"


@pytest.mark.skipif(cluster.programs() is None, reason="PostgreSQL is not installed")
def test_the_temporary_server_takes_a_connection_and_leaves_nothing() -> None:
    import psycopg

    bin_folder = cluster.programs()
    assert bin_folder is not None
    with cluster.running(bin_folder) as url:
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT current_user, inet_server_port(), pg_backend_pid()").fetchone()
            assert row is not None
            assert row[0] == "reanna"
            folder = connection.execute("SHOW data_directory").fetchone()
        assert folder is not None
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url.replace("reanna:", "reanna:wrong"))
    assert not Path(folder[0]).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(row[2], 0)


@pytest.mark.skipif(cluster.programs() is None, reason="PostgreSQL is not installed")
def test_a_server_that_cannot_start_says_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bin_folder = cluster.programs()
    assert bin_folder is not None
    broken = tmp_path / "bin"
    broken.mkdir()
    for name in ("initdb", "postgres"):
        (broken / name).write_text("#!/bin/sh\necho no space left; exit 3\n")
        (broken / name).chmod(0o755)
    monkeypatch.setattr(cluster, "_as", lambda _user: {})

    with pytest.raises(cluster.ClusterError, match="initdb ended with 3:\nno space left"), cluster.running(broken):
        pass
