"""What a run left behind is read, never written, and searched for what must not stand there."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.evidence import Database, log_trouble, seen


def test_a_secret_is_found_by_name_and_place() -> None:
    places = [("log", b"... pit-secret ..."), ("other", b"nothing")]

    assert seen({"token": "pit-secret", "key": "other-secret"}, places) == ["token in log"]


def test_errors_and_tracebacks_in_the_logs_are_trouble_unless_expected(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    lines = ["t worker: INFO fine", "t worker: 2026 ERROR kombu: no redis", "t web: Traceback (most recent call last):"]
    (tmp_path / "logs" / "worker.log").write_text("\n".join(lines))

    assert log_trouble(tmp_path) == lines[1:]
    assert log_trouble(tmp_path, expected=("no redis",)) == lines[2:]


def test_a_sqlite_file_is_read_but_never_written_and_searched_whole(tmp_path: Path) -> None:
    file = tmp_path / "some.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE t AS SELECT 'pit-secret' AS word")
    connection.close()
    database = Database(file)

    assert database.rows("SELECT * FROM t") == [{"word": "pit-secret"}]
    assert seen({"token": "pit-secret"}, database.texts()) == ["token in some.sqlite3"]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.rows("DELETE FROM t")
