"""The timeline of a tour: one order of what staff did, what was planned and tried, and what the gate held back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from integrations.engine import settling
from integrations.engine.clock import db_now
from integrations.models import Connection, ConnectionHold, Operation, Tour
from integrations.operations import operations, tour_state, tour_trail
from integrations.operations.audit import Who
from tests.crm import Crm, make_tour
from tests.factories import (
    AttemptFactory,
    AuditEventFactory,
    ConnectionFactory,
    OperationFactory,
    TourFactory,
    TourStopFactory,
)

pytestmark = pytest.mark.django_db
ZONE = ZoneInfo("America/Los_Angeles")
START = datetime(2027, 9, 14, 21, 0, tzinfo=UTC)


@pytest.fixture
def tour() -> Tour:
    made: Tour = TourFactory()
    TourStopFactory(tour=made, sequence=1)
    return made


@pytest.fixture
def crm_row() -> Connection:
    made: Connection = ConnectionFactory(label="Main CRM")
    return made


def told(tour: Tour) -> list[tuple[str, str, str]]:
    """(where, who, what), newest first."""
    trail = tour_state.load(Tour.objects.get(pk=tour.pk), db_now()).trail
    return [(change.where, change.who, change.what) for change in trail]


def of_stop(tour: Tour, crm_row: Connection, **values: Any) -> Operation:
    made: Operation = OperationFactory(connection=crm_row, entity_id=tour.stops.get().pk, **values)
    return made


def test_what_was_planned_tried_and_decided_stands_in_one_order(tour: Tour, crm_row: Connection) -> None:
    row = of_stop(tour, crm_row, state="dead", reason="rejected", settled_ms=db_now() + 2_000)
    AttemptFactory(operation=row, started_ms=db_now() + 1_000, outcome="rejected", calls=2)
    Operation.objects.update(created_at=datetime.now(UTC) - timedelta(seconds=5))
    operations.retry(row.pk, Who("olga", "admin", "mended"))
    Operation.objects.update(state="dead", reason="rejected", settled_ms=db_now() + 2_000)
    assert told(tour) == [
        ("Main CRM", "", "Appointment of stop 1: failed (The CRM refused it)"),
        ("Main CRM", "", "Appointment of stop 1 tried: rejected, 2 requests"),
        (
            "Main CRM",
            "olga, Admin",
            "Appointment of stop 1: retry: state Failed → Waiting its turn, reason The CRM refused it → none (mended)",
        ),
        ("Main CRM", "", "planned: Appointment of stop 1"),
    ]


def test_what_one_change_planned_at_a_crm_is_one_line(tour: Tour, crm_row: Connection) -> None:
    for place in range(2, 8):
        OperationFactory(connection=crm_row, entity_id=TourStopFactory(tour=tour, sequence=place).pk)
    Operation.objects.update(created_at=datetime.now(UTC))
    what = (
        "planned: Appointment of stop 2, Appointment of stop 3, Appointment of stop 4, Appointment of stop 5 and 2 more"
    )
    assert told(tour) == [("Main CRM", "", what)]


def test_a_hold_counts_while_something_of_the_tour_waited_there(tour: Tour, crm_row: Connection) -> None:
    of_stop(tour, crm_row)
    now = db_now()
    before, other = now - 3_600_000, ConnectionFactory()
    ConnectionHold.objects.create(connection=crm_row, reason="day_used", began_ms=before, until_ms=before + 1)
    ConnectionHold.objects.create(connection=other, reason="gate_cold", began_ms=now, until_ms=now + 9_000)
    ConnectionHold.objects.create(connection=crm_row, reason="circuit_open", began_ms=now + 1, until_ms=now + 9_000)
    Operation.objects.update(created_at=datetime.now(UTC) - timedelta(seconds=9))
    held = [what.partition(", until about ")[0] for _, _, what in told(tour) if what.startswith("held back")]
    assert held == ["held back: The CRM is not answering properly; sending pauses so that it can recover"]


def test_what_happened_to_the_connection_is_told_from_the_first_plan_on(tour: Tour, crm_row: Connection) -> None:
    pause = {"object_type": "connection", "object_id": crm_row.pk, "verb": "connection.pause"}
    AuditEventFactory(**pause, reason="long ago")
    of_stop(tour, crm_row)
    Operation.objects.update(created_at=datetime.now(UTC) + timedelta(seconds=1))
    assert [where for where, who, _ in told(tour) if who] == []
    Operation.objects.update(created_at=datetime.now(UTC) - timedelta(seconds=60))
    AuditEventFactory(**{**pause, "verb": "connection.update"})
    assert [line for line in told(tour) if line[1]] == [("Main CRM", "ann, Admin", "sending paused (long ago)")]


def test_the_change_that_can_be_undone_is_told_however_much_it_led_to(tour: Tour, crm_row: Connection) -> None:
    AuditEventFactory(object_id=tour.pk, verb="tour.scheduled", after={"status": "scheduled"})
    row = of_stop(tour, crm_row)
    later = db_now() + 60_000
    for token in range(tour_trail.SHOWN + 5):
        AttemptFactory(operation=row, started_ms=later + token, outcome="not_processed", calls=1)
    trail = tour_state.load(tour, db_now()).trail
    assert len(trail) == tour_trail.SHOWN + 1
    assert trail[-1].undo_id or trail[-1].no_undo


def test_three_queries_however_much_happened(tour: Tour, crm_row: Connection, django_assert_num_queries: Any) -> None:
    rows = [of_stop(tour, crm_row, version=version, state="succeeded") for version in range(1, 60)]
    for row in rows:
        AttemptFactory(operation=row, outcome="understood")
        AuditEventFactory(object_type="operation", object_id=row.pk, verb="retry")
    about = tour_trail.About(tour, list(tour.stops.all()), rows, {crm_row.pk: "Main CRM"})
    now_ms = db_now()
    with django_assert_num_queries(2):  # a third where the newest change could be undone
        assert len(tour_trail.latest(about, ZONE, now_ms)) == tour_trail.SHOWN


# --- what is recorded of a hold ---------------------------------------------------------------------------------------


def spells() -> list[tuple[str, int, int]]:
    return list(ConnectionHold.objects.order_by("pk").values_list("reason", "began_ms", "until_ms"))


def test_a_spell_is_one_row_however_often_the_gate_says_no(crm_row: Connection) -> None:
    for now in range(1_000_000, 1_020_000, 500):
        settling.hold(crm_row.pk, "rate_limited", now + 500, now)
    assert [row[:2] for row in spells()] == [("rate_limited", 1_000_000)]
    assert 1_014_000 <= spells()[0][2] <= 1_020_000


def test_another_reason_or_a_long_pause_begins_another(crm_row: Connection) -> None:
    settling.hold(crm_row.pk, "rate_limited", 1_000_500, 1_000_000)
    settling.hold(crm_row.pk, "circuit_open", 1_030_000, 1_000_100)
    settling.hold(crm_row.pk, "circuit_open", 1_030_000 + 2 * settling.SPELL_GAP_MS, 1_031_000 + settling.SPELL_GAP_MS)
    assert [row[0] for row in spells()] == ["rate_limited", "circuit_open", "circuit_open"]


def test_a_hold_that_changes_nothing_writes_nothing(crm_row: Connection) -> None:
    settling.hold(crm_row.pk, "circuit_open", 2_000_000, 1_000_000)
    settling.hold(crm_row.pk, "rate_limited", 1_500_000, 1_000_001)
    assert spells() == [("circuit_open", 1_000_000, 2_000_000)]


@pytest.mark.django_db(transaction=True)
def test_what_the_gate_held_back_is_told_on_the_tours_page(crm: Crm) -> None:
    Connection.objects.update(limit_overrides={"burst": 4})
    crm.connection.refresh_from_db()
    tour = make_tour(START, stops=3)
    crm.sync(tour)
    held = [what for _, _, what in told(tour) if what.startswith("held back: The CRM's rate limit, until about ")]
    assert len(held) == 1
    assert "Buyer tried: taken by the CRM, 3 requests" in [what for _, _, what in told(tour)]
