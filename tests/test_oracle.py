"""The oracle itself: what it counts, and that it does not overlook what it is there to find.

A small run of the real thing at some CRMs is right in its eyes; then one thing is broken, and it must say so.
"""

from __future__ import annotations

import copy
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as ours
from django.db import transaction
from django.test import override_settings

from integrations.models import Feedback, Tour, TourStop
from integrations.operations.feedback import save_feedback
from integrations.operations.validation import FeedbackInput
from tests.crm import (
    Crm,
    base_urls,
    make_connection,
    make_followupboss_connection,
    make_hubspot_connection,
    make_lofty_connection,
    make_rollout_connection,
    make_tour,
    move,
)
from tests.evidence import Database, Row
from tests.oracle import Findings, judge
from tests.oracle.figures import busiest, utilisation
from tests.oracle.vendors import VENDORS, crm_of
from tests.redis_server import RedisServer
from tests.sandbox_server import SandboxServer

# The database is set up for those who ask for it by this mark; `ran` fills and empties it once for all.
pytestmark = pytest.mark.django_db

SAID_AT = datetime(2026, 9, 18, 23, 0, tzinfo=UTC)
RUN = {
    "gohighlevel": make_connection,
    "followupboss": make_followupboss_connection,
    "hubspot": make_hubspot_connection,
    "lofty": make_lofty_connection,
    "rollout": make_rollout_connection,
}
"""The CRMs of the run, and how each is connected."""
PEOPLE = {
    "gohighlevel": "/contacts/", "followupboss": "/v1/people", "lofty": "/v1.0/leads", "rollout": "/api/people",
    "hubspot": "/crm/v3/objects/contacts",
}  # fmt: skip
STARTS = {
    "gohighlevel": "startTime", "followupboss": "start", "lofty": "startAt", "rollout": "startsAt",
    "hubspot": "hs_meeting_start_time",
}  # fmt: skip


def request(seq: int, t: float, *, body: Any = None, effect: Any = None, **more: Any) -> Row:
    row = {"seq": seq, "t": t, "wall": 1000.0 + t, "provider": "gohighlevel", "account": "loc_demo", "method": "GET"}
    row |= {"path": "/contacts/", "query": {}, "headers": {}, "body": body, "status": 200, "effect": effect}
    return row | {"fault": None} | more


# --- figures -------------------------------------------------------------------------------------------------------


def test_the_busiest_window_does_not_hold_its_end() -> None:
    assert busiest([], 10.0) == 0
    assert busiest([0.0, 9.999, 10.0, 10.001], 10.0) == 3
    assert busiest([0.0, 10.0, 20.0], 10.0) == 1
    assert busiest([0.0, 0.5, 1.0], 1.0) == 2


def test_a_steady_stream_at_half_the_limit_is_half_used() -> None:
    times = [number * 0.2 for number in range(300)]
    assert utilisation(times, [(0.0, 60.0)], limit=100, window_s=10.0) == pytest.approx(0.5, abs=0.01)
    assert utilisation(times, [(0.0, 60.0)], limit=10, window_s=1.0) == pytest.approx(0.5, abs=0.01)


def test_windows_without_work_at_their_end_or_within_what_is_excluded_do_not_count() -> None:
    busy = [number * 0.1 for number in range(200)]
    times = [*busy, 60.0]

    def used(work: list[tuple[float, float]], **options: Any) -> float | None:
        return utilisation(times, work, limit=100, window_s=10.0, **options)

    assert used([(0.0, 19.95)]) == pytest.approx(1.0, abs=0.01)
    assert used([(0.0, 60.0)], excluded=[(20.0, 60.0)]) == pytest.approx(1.0, abs=0.01)
    assert used([(0.0, 60.0)]) < 0.6  # type: ignore[operator]
    assert utilisation([], [], limit=100, window_s=10.0) is None


def test_a_record_is_what_all_effects_on_it_made_of_it() -> None:
    made = request(1, 0.0, body={"title": "a", "x": 1}, effect={"kind": "appointment", "id": "A", "op": "create"})
    changed = request(2, 1.0, body={"title": "b"}, effect={"kind": "appointment", "id": "A", "op": "update"})
    gone = request(4, 3.0, effect={"kind": "appointment", "id": "A", "op": "delete"})

    (record,) = crm_of([made, request(3, 2.0), changed])["appointment"].values()
    assert (record.creations, record.writes, record.body, record.deleted) == (1, 2, {"title": "b", "x": 1}, False)
    (record,) = crm_of([made, changed, gone])["appointment"].values()
    assert record.deleted


# --- a run, and everything that can be wrong with it ---------------------------------------------------------------


TABLES = ("connection", "operation", "attempt", "externalref", "leftout", "contact", "tour", "tourstop", "feedback")


@dataclass
class Run:
    """What a run left: the journal, and our database as a file that a test may break."""

    rows: list[Row]
    file: Path
    stop: int
    said: int
    quiet: int

    def judge(self, **options: Any) -> Findings:
        return judge(self.rows, Database(self.file), **options)

    def find(self, vendor: str, kind: str, op: str = "create") -> Row:
        """The first request with such an effect."""
        rows = (row for row in self.rows if row["provider"] == vendor and row["effect"])
        return next(row for row in rows if (row["effect"]["kind"], row["effect"]["op"]) == (kind, op))

    def add(self, vendor: str, **values: Any) -> None:
        """One request more, as the CRM might have seen it a minute later."""
        last = max(self.rows, key=lambda row: int(row["seq"]))
        like = next(row for row in self.rows if row["provider"] == vendor)
        row = {**like, "seq": last["seq"] + 1, "t": last["t"] + 60, "wall": last["wall"] + 60}
        self.rows.append({**row, "method": "GET", "status": 200, "effect": None, "body": None, **values})

    def again(self, vendor: str, kind: str) -> None:
        """Such a record once more, under another id."""
        row = self.find(vendor, kind)
        self.rows.append({**row, "effect": {**row["effect"], "id": f"second-{kind}"}})

    def change(self, sql: str, *values: object) -> None:
        """In our database."""
        with closing(sqlite3.connect(self.file)) as database, database:
            assert database.execute(sql, values).rowcount > 0


def _ran(sandbox: SandboxServer, redis: RedisServer, file: Path) -> Run:
    """Two tours with three stops at each CRM: one stop moved, one cancelled; two answers, one of them for action.

    One tour is over and has its summary.
    """
    starts = datetime.now(UTC).replace(hour=17, minute=0, second=0, microsecond=0) + timedelta(days=1)
    crms = [Crm(sandbox, redis, make()) for make in RUN.values()]
    first, second = make_tour(starts, stops=2), make_tour(starts)
    crms[0].plan(first, second)
    _drain(crms)
    moved, cancelled = first.stops.order_by("sequence")
    cancelled.appointment_status, cancelled.version = "cancelled", 2
    cancelled.save()
    move(moved, 30)
    crms[0].plan(first)
    said = _say(moved, second_showing="yes")
    quiet = _say(second.stops.get(), comments="nice yard")
    _drain(crms)
    Tour.objects.filter(pk=second.pk).update(status="completed", version=2)
    crms[0].plan(second)
    _drain(crms)
    for crm in crms:
        crm.close()
    _dump(file)
    return Run(sandbox.journal(), file, moved.pk, said.pk, quiet.pk)


def _say(stop: TourStop, **values: Any) -> Feedback:
    data = FeedbackInput("buyer", SAID_AT, {"interest_level": "interested", **values})
    return save_feedback(stop.pk, data, actor="ann", via="api").feedback


def _drain(crms: list[Crm]) -> None:
    for crm in crms:
        for _ in range(3):
            crm.drain()
            crm.pass_time(2)


def _dump(file: Path) -> None:
    """Our tables, from whichever database this is."""
    with closing(sqlite3.connect(file)) as copied, copied, ours.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT * FROM integrations_{table}")  # noqa: S608  a name from above
            names = [column[0] for column in cursor.description]
            copied.execute(f"CREATE TABLE integrations_{table} ({', '.join(names)})")
            marks = ", ".join("?" * len(names))
            rows = [[_plain(value) for value in row] for row in cursor.fetchall()]
            copied.executemany(f"INSERT INTO integrations_{table} VALUES ({marks})", rows)  # noqa: S608


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | str | bytes | None) else str(value)


@pytest.fixture(scope="module")
def ran(
    django_db_setup: None,
    django_db_blocker: Any,
    redis_server: RedisServer,
    sandbox_server: SandboxServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """Run once for all tests of this file; our own database forgets it."""
    sandbox_server.reset(accounts=True)
    sandbox_server.account()
    sandbox_server.followupboss()
    sandbox_server.hubspot()
    sandbox_server.lofty()
    sandbox_server.rollout()
    redis_server.wipe_warm("reanna:gate")
    given = override_settings(REDIS_URL=redis_server.url, REANNA_BASE_URLS=base_urls(sandbox_server))
    with django_db_blocker.unblock(), given, transaction.atomic():
        found = _ran(sandbox_server, redis_server, tmp_path_factory.mktemp("run") / "ours.sqlite3")
        transaction.set_rollback(True)
    return found


@pytest.fixture
def run(ran: Run, tmp_path: Path) -> Run:
    """A copy that may be broken."""
    file = Path(shutil.copy(ran.file, tmp_path / "ours.sqlite3"))
    return replace(ran, rows=copy.deepcopy(ran.rows), file=file)


vendor = pytest.mark.parametrize("vendor", RUN)


def test_a_right_run_is_right_and_counted(run: Run) -> None:
    found = run.judge(secrets={"token": "pit-secret"})
    assert found.wrong == []
    for each in found.connections:
        assert (each.live_stops, each.right_stops, each.appointments) == (2, 2, 2)
        assert (each.buyers, each.right_buyers, each.contacts) == (2, 2, 2)
        assert (each.answers, each.right_answers, each.calls_for_action) == (2, 2, 1)
        assert (each.notes, each.summaries, each.tasks) == (2, 1, 1)
        assert (each.unreferenced, each.doubled, each.refused, each.notified, each.unleased) == (0, 0, 0, 0, 0)
    assert found.of("gohighlevel").effects["appointment update"] == 2
    assert found.of("hubspot").effects["appointment update"] == 2
    assert [found.of(slug).effects["appointment delete"] for slug in ("followupboss", "lofty", "rollout")] == [1, 1, 1]
    assert [found.of(slug).limit for slug in RUN] == [100, 250, 100, 500, 50]


def missing(kind: str) -> Callable[[Run, str], None]:
    def take(run: Run, vendor: str) -> None:
        record = run.find(vendor, kind)["effect"]["id"]
        run.rows = [row for row in run.rows if (row["provider"], (row["effect"] or {}).get("id")) != (vendor, record)]

    return take


def twice(kind: str) -> Callable[[Run, str], None]:
    return lambda run, vendor: run.again(vendor, kind)


def without_summary(run: Run, vendor: str) -> None:
    *_, last = [row for row in run.rows if row["provider"] == vendor and row["effect"]]
    assert last["effect"]["kind"] == "note"
    run.rows.remove(last)


def later(run: Run, vendor: str) -> None:
    row = run.find(vendor, "appointment", "update")
    name = STARTS[vendor]
    told = row["body"].get("properties", row["body"])
    moment = datetime.fromisoformat(told[name]) - timedelta(minutes=1)
    told[name] = moment.isoformat()


def other_status(run: Run, vendor: str) -> None:
    run.change("UPDATE integrations_tourstop SET appointment_status = 'pending' WHERE id = ?", run.stop)


def still_standing(run: Run, vendor: str) -> None:
    run.change("UPDATE integrations_tourstop SET appointment_status = 'cancelled' WHERE id = ?", run.stop)


def another_persons(kind: str) -> Callable[[Run, str], None]:
    def give(run: Run, vendor: str) -> None:
        row = run.find(vendor, kind)
        row["path"] = row["path"].replace(row["path"].split("/")[2], "someone")
        for name in {"personId", "leadId"} & row["body"].keys():
            row["body"][name] = "someone"
        for one in row["body"].get("associations", ()):
            one["to"]["id"] = "someone"

    return give


def needless_task(run: Run, vendor: str) -> None:
    run.change("UPDATE integrations_feedback SET second_showing = 'no' WHERE id = ?", run.said)


def task_not_made(run: Run, vendor: str) -> None:
    run.change("UPDATE integrations_feedback SET offer_likelihood = 'likely' WHERE id = ?", run.quiet)


def tags_taken(run: Run, vendor: str) -> None:
    if vendor == "gohighlevel":
        run.add(vendor, method="DELETE", path="/contacts/c1/tags", body={"tags": ["vip"]})
    elif vendor == "rollout":
        run.add(vendor, method="POST", path="/api/people/p1/tags/delete", body={"tags": ["vip"]})
    else:
        run.add(vendor, method="PUT", path=f"{PEOPLE[vendor]}/c1", body={"tags": []})


def tags_replaced(run: Run, vendor: str) -> None:
    run.add(vendor, method="PUT", path=f"{PEOPLE[vendor].rstrip('/')}/c1", body={"tags": ["ours"]})


def crowded(run: Run, vendor: str) -> None:
    for number in range(VENDORS[vendor].limit + 1):
        run.add(vendor, t=9_000.0 + number / 1000, wall=run.rows[0]["wall"] + 9_000)


def over_the_limit(run: Run, vendor: str) -> None:
    run.add(vendor, status=429)


def told_the_buyer(run: Run, vendor: str) -> None:
    run.find(vendor, "appointment")["effect"]["notified"] = True


def without_an_attempt(run: Run, vendor: str) -> None:
    row = run.find(vendor, "appointment", "update")
    run.add(vendor, **{name: row[name] for name in ("method", "path", "body")})


def not_settled(run: Run, vendor: str) -> None:
    run.change(
        "UPDATE integrations_operation SET state = 'dead', reason = 'rejected' "
        "WHERE kind = 'feedback.note' AND connection_id IN "
        "(SELECT id FROM integrations_connection WHERE provider = ?)",
        vendor,
    )


@vendor
@pytest.mark.parametrize(
    ("breaks", "sentence"),
    [
        (missing("appointment"), "0 appointments"),
        (twice("appointment"), "2 appointments"),
        (twice("appointment"), "1 records stand twice"),
        (later, "start is"),
        (other_status, "status is"),
        (still_standing, "1 appointments stand, none should"),
        (missing("contact"), "0 with this e-mail"),
        (twice("contact"), "2 with this e-mail"),
        (missing("note"), "0 notes of this feedback"),
        (twice("note"), "2 notes of this feedback"),
        (twice("note"), "note second-note in the CRM belongs to no record of ours"),
        (another_persons("note"), "its note belongs to someone"),
        (without_summary, "0 notes of this tour"),
        (missing("task"), "0 tasks of this feedback"),
        (twice("task"), "2 tasks of this feedback"),
        (needless_task, "1 tasks, none is called for"),
        (task_not_made, "0 tasks of this feedback"),
        (tags_taken, "takes tags away"),
        (tags_replaced, "takes tags away"),
        (crowded, "requests within"),
        (over_the_limit, "1 requests over the limit (429)"),
        (told_the_buyer, "1 messages to buyers"),
        (without_an_attempt, "has no attempt of its own"),
        (not_settled, "is dead rejected"),
    ],
)
def test_what_is_broken_is_said(run: Run, vendor: str, breaks: Callable[[Run, str], None], sentence: str) -> None:
    breaks(run, vendor)
    said = run.judge().wrong
    assert any(sentence in each and (vendor in each or each.startswith("operation")) for each in said), said


def test_a_secret_in_the_journal_is_said(run: Run) -> None:
    run.add("rollout", body={"note": "pit-secret"})
    assert "in clear: token in the journal" in run.judge(secrets={"token": "pit-secret"}).wrong


def test_what_staff_left_out_is_not_missed(run: Run) -> None:
    """Of one CRM; the other must still have it."""
    missing("note")(run, "rollout")
    run.change(
        "INSERT INTO integrations_leftout (connection_id, entity_type, entity_id, reason) "
        "SELECT id, 'feedback', ?, 'private' FROM integrations_connection WHERE provider = 'rollout'",
        run.said,
    )
    assert [each for each in run.judge().wrong if "notes of this" in each] == []
