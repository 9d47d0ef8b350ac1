"""Waiting for SQLite's write lock."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.utils import OperationalError

from reanna.sqlite.base import DatabaseWrapper


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE turn (name TEXT)")
    database.close()
    return path


@pytest.fixture
def wrapper(file: Path, django_db_blocker: Any) -> Iterator[DatabaseWrapper]:
    """A database of its own, with half a second's patience."""
    options: dict[str, Any] = {"timeout": 0.5, "transaction_mode": "IMMEDIATE"}
    settings = {**connections.databases["default"], "NAME": str(file), "OPTIONS": options}
    opened = DatabaseWrapper(settings, "extra")
    with django_db_blocker.unblock():
        yield opened
        opened.close()


def patience_ms(wrapper: DatabaseWrapper) -> int:
    with wrapper.cursor() as cursor:
        return int(cursor.execute("PRAGMA busy_timeout").fetchone()[0])


def begin(wrapper: DatabaseWrapper) -> None:
    wrapper.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)


def test_a_free_lock_is_taken_at_once_and_the_usual_patience_stands_again(wrapper: DatabaseWrapper) -> None:
    begin(wrapper)
    assert wrapper.connection is not None
    assert wrapper.connection.in_transaction
    wrapper.rollback()
    wrapper.set_autocommit(True)
    assert patience_ms(wrapper) == 500


def test_a_lock_that_is_never_free_is_an_error_after_the_longest_wait(wrapper: DatabaseWrapper, file: Path) -> None:
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(OperationalError, match="locked"):
            begin(wrapper)
        assert time.monotonic() - began >= 0.5
        other.execute("ROLLBACK")
    other.close()
    assert patience_ms(wrapper) == 500


def test_a_lock_is_taken_in_the_gap_of_one_who_holds_it_again_and_again(wrapper: DatabaseWrapper, file: Path) -> None:
    stop = threading.Event()

    def hold() -> None:
        other = sqlite3.connect(file, isolation_level=None, timeout=5)
        while not stop.is_set():
            other.execute("BEGIN IMMEDIATE")
            time.sleep(0.05)
            other.execute("COMMIT")
            time.sleep(0.01)  # much less than SQLite's own 100 ms between two looks
        other.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        for _ in range(5):
            begin(wrapper)  # within half a second each, or OperationalError
            wrapper.rollback()
            wrapper.set_autocommit(True)
    finally:
        stop.set()
        holder.join()
