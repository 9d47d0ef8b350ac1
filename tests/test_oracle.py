"""The oracle itself: what it counts, and that it does not overlook what it is there to find."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.evidence import Database, log_trouble, seen
from tests.oracle import busiest, crm_of, judge, utilisation


def request(seq: int, t: float, *, body: Any = None, effect: Any = None, **more: Any) -> dict[str, Any]:
    row = {"seq": seq, "t": t, "wall": 1000.0 + t, "provider": "gohighlevel", "account": "loc_demo", "method": "GET"}
    row |= {"path": "/contacts/", "query": {}, "headers": {}, "body": body, "status": 200, "effect": effect}
    return row | {"fault": None} | more


def test_the_busiest_window_is_ten_seconds_long_and_does_not_hold_its_end() -> None:
    assert busiest([]) == 0
    assert busiest([0.0, 9.999, 10.0, 10.001]) == 3
    assert busiest([0.0, 10.0, 20.0]) == 1


def test_a_steady_stream_at_half_the_limit_is_half_used() -> None:
    times = [number * 0.2 for number in range(300)]

    assert utilisation(times, [(0.0, 60.0)]) == pytest.approx(0.5, abs=0.01)


def test_windows_without_work_at_their_end_or_within_what_is_excluded_do_not_count() -> None:
    busy = [number * 0.1 for number in range(200)]
    times = [*busy, 60.0]

    assert utilisation(times, [(0.0, 19.95)]) == pytest.approx(1.0, abs=0.01)
    assert utilisation(times, [(0.0, 60.0)], excluded=[(20.0, 60.0)]) == pytest.approx(1.0, abs=0.01)
    assert utilisation(times, [(0.0, 60.0)]) < 0.6  # type: ignore[operator]
    assert utilisation(times, []) is None


def test_a_record_is_what_all_effects_on_it_made_of_it() -> None:
    made = request(1, 0.0, body={"title": "a", "x": 1}, effect={"kind": "appointment", "id": "A", "op": "create"})
    changed = request(2, 1.0, body={"title": "b"}, effect={"kind": "appointment", "id": "A", "op": "update"})

    (record,) = crm_of([made, request(3, 2.0), changed])["appointment"].values()

    assert (record.creations, record.writes, record.body) == (1, 2, {"title": "b", "x": 1})


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [request(1, 0.0, method="POST", body={"email": "a@b.example"}, status=500)],
            "request 1 (POST /contacts/) has no attempt of its own",
        ),
        (
            [request(1, 0.0, body={}, effect={"kind": "contact", "id": "C", "op": "create"})],
            "contact C in the CRM belongs to no record of ours",
        ),
        ([request(number, 9.0) for number in range(101)], "101 requests within 10 s"),
        (
            [request(1, 0.0, effect={"kind": "contact", "id": "C", "op": "create", "notified": True}, body={})],
            "1 messages to buyers",
        ),
        ([request(1, 0.0, body={"note": "pit-secret"})], "in clear: token in the journal"),
    ],
)
def test_what_must_not_be_is_said(tmp_path: Path, rows: list[dict[str, Any]], sentence: str) -> None:
    assert sentence in judge(rows, Empty(tmp_path), secrets={"token": "pit-secret"}).wrong


def test_nothing_is_wrong_with_nothing(tmp_path: Path) -> None:
    assert judge([], Empty(tmp_path)).wrong == []


class Empty(Database):
    """A database with one connection and no tours."""

    def rows(self, sql: str) -> list[dict[str, Any]]:
        if "FROM integrations_connection " in sql:
            return [{"id": 1, "account_key": "loc_demo", "sync_from": "2026-01-01 00:00:00"}]
        return []

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "none.sqlite3")


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
