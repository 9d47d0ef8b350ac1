"""Undo: what was there before comes back, and no CRM hears of either."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.engine import claims, links, outbound, snapshots
from integrations.engine.clock import db_now
from integrations.models import Attempt, AuditEvent, Operation, Tour, TourStop
from integrations.operations import one_click, planning, tours, undo
from integrations.operations.audit import Who
from integrations.operations.refusals import NotPossible
from tests import factories as make
from tests.crm import Crm, make_tour

ANN = Who("ann", "admin")
BY = {"actor": "ann", "via": "admin"}


@pytest.fixture
def told(crm: Crm, tomorrow: datetime) -> Crm:
    """A pending stop that stands in the CRM; `seen` requests were made for it."""
    crm.tour = make_tour(tomorrow)
    TourStop.objects.update(appointment_status="pending")
    crm.sync(crm.tour)
    crm.stop = crm.tour.stops.get()
    crm.seen = len(crm.requests())
    return crm


def press(crm: Crm, slug: str = "confirm") -> int:
    pressed = one_click.press_stop(crm.tour.pk, crm.stop.pk, slug, ANN, now=datetime.now(UTC))
    assert pressed.event_id is not None
    return pressed.event_id


def status() -> str:
    return TourStop.objects.get().appointment_status


def methods(crm: Crm) -> list[str]:
    """Our requests since the press: what stands there is read before it is changed."""
    return [row["method"] for row in crm.requests()[crm.seen :]]


def later(crm: Crm) -> None:
    crm.pass_time(11)


def test_a_press_is_not_sent_at_once(told: Crm) -> None:
    press(told)
    assert told.drain() == 0
    operation = told.operation()
    assert (operation.state, operation.reason) == ("pending", "undo_time")
    assert 9_000 < operation.due_ms - db_now() <= 10_000
    later(told)
    assert told.drain() == 1
    assert methods(told) == ["GET", "PUT"]


def test_without_time_to_undo_it_is_due_at_once(told: Crm, settings: Any) -> None:
    settings.REANNA_UNDO_S = 0
    press(told)
    assert told.drain() == 1
    assert methods(told) == ["GET", "PUT"]


def test_what_is_undone_before_it_was_sent_makes_no_request(told: Crm) -> None:
    done = undo.undo(press(told), ANN)
    assert (done.changed, status()) == (True, "pending")
    later(told)
    told.drain()
    assert len(told.requests()) == told.seen
    rows = Operation.objects.filter(kind="appointment.sync").order_by("version")
    assert [(row.version, row.state, row.reason) for row in rows] == [
        (1, "succeeded", ""),
        (2, "superseded", "newer_version"),
        (3, "succeeded", "no_change"),
    ]


def test_what_was_never_in_the_crm_arrives_as_it_was_before(crm: Crm, tomorrow: datetime) -> None:
    crm.tour = make_tour(tomorrow)
    TourStop.objects.update(appointment_status="pending")
    crm.stop = crm.tour.stops.get()
    crm.plan(crm.tour)
    undo.undo(press(crm), ANN)
    later(crm)
    crm.drain()
    bodies = [row["body"]["appointmentStatus"] for row in crm.requests("POST") if "appointments" in row["path"]]
    assert bodies == ["new"]


def test_undo_is_on_record_and_done_once(told: Crm) -> None:
    event = press(told)
    undo.undo(event, ANN)
    assert undo.undo(event, ANN).changed is False
    newest = AuditEvent.objects.latest("id")
    assert (newest.verb, newest.actor, newest.reason) == ("tour.undo", "ann", f"Undo of change {event}")
    assert newest.after == {"stop 1 appointment_status": "pending", "stop 1 version": 3}
    assert AuditEvent.objects.count() == 2


def test_what_was_sent_is_not_undone(told: Crm) -> None:
    event = press(told)
    later(told)
    told.drain()
    with pytest.raises(NotPossible, match=r"^CRM \d+ was told already\. Change it back by hand"):
        undo.undo(event, ANN)
    assert (status(), AuditEvent.objects.count()) == ("confirmed", 1)


def test_only_the_newest_change_is_undone(told: Crm) -> None:
    event = press(told)
    tours.set_tour_status(told.tour.pk, "in_progress", actor="bob", via="admin")
    with pytest.raises(NotPossible, match="This tour was changed again since by bob"):
        undo.undo(event, ANN)
    assert status() == "confirmed"


def versions() -> list[tuple[int, str, str]]:
    rows = Operation.objects.filter(kind="appointment.sync").order_by("version")
    return [(row.version, row.state, row.reason) for row in rows]


def read_for(crm: Crm, claimed: list[claims.Claim]) -> outbound.Read:
    """What a worker reads when a batch is its own."""
    operations = [item.operation for item in claimed]
    return outbound.Read(links.make(operations, crm.connection), snapshots.read(operations, crm.connection))


def test_a_worker_that_has_claimed_and_read_it_writes_nothing(told: Crm) -> None:
    event = press(told)
    later(told)
    claimed = claims.claim(told.connection.pk, "me", 5, 60_000, time.monotonic())
    assert [item.operation.version for item in claimed] == [2]
    read = read_for(told, claimed)
    assert undo.undo(event, ANN).changed
    told.connection.refresh_from_db()
    outbound.work(told.engine, told.connection, told.engine.link(told.connection), claimed[0], read)
    told.drain()
    assert methods(told) == ["GET"], "its batch was read before: it looks what stands there, and writes nothing"
    assert versions()[1:] == [(2, "cancelled", "by_person"), (3, "succeeded", "no_change")]


def test_a_worker_that_has_built_the_request_is_stopped_before_it_sends(
    told: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = press(told)
    later(told)
    real, undone = claims.mark_sent, []

    def undo_first(*args: Any, **kwargs: Any) -> int:
        undone.append(undo.undo(event, ANN).changed)
        return real(*args, **kwargs)

    monkeypatch.setattr(claims, "mark_sent", undo_first)
    told.drain_once()
    monkeypatch.undo()
    told.drain()
    assert (undone, methods(told)) == ([True], ["GET"])
    assert versions()[1:] == [(2, "cancelled", "by_person"), (3, "succeeded", "no_change")]
    assert status() == "pending"


def test_a_worker_that_is_about_to_send_makes_undo_come_too_late(told: Crm) -> None:
    event = press(told)
    later(told)
    tried: list[str] = []

    def observe(point: str) -> None:
        if point == "after_sent_commit":
            with pytest.raises(NotPossible, match="was told already"):
                undo.undo(event, ANN)
            tried.append(point)

    told.engine.observe = observe
    told.drain()
    assert tried == ["after_sent_commit"]
    assert (status(), methods(told)) == ("confirmed", ["GET", "PUT"])


def test_an_older_version_in_hand_does_not_send_what_was_undone(crm: Crm, tomorrow: datetime) -> None:
    crm.tour = make_tour(tomorrow)
    TourStop.objects.update(appointment_status="pending")
    crm.stop = crm.tour.stops.get()
    crm.plan(crm.tour)
    crm.drain_once()
    Operation.objects.filter(kind="appointment.sync").update(state="pending", attempts=0)
    assert not Attempt.objects.filter(operation__kind="appointment.sync", version__gt=1).exists()
    crm.pass_time(1)
    claimed = claims.claim(crm.connection.pk, "me", 5, 60_000, time.monotonic())
    read = read_for(crm, claimed)
    undo.undo(press(crm), ANN)
    outbound.work(crm.engine, crm.connection, crm.engine.link(crm.connection), claimed[0], read)
    later(crm)
    crm.drain()
    sent = [row["body"].get("appointmentStatus") for row in crm.requests() if "appointments" in row["path"]]
    assert "confirmed" not in sent


def test_a_question_to_the_crm_that_is_under_way_is_waited_for(told: Crm) -> None:
    event = press(told)
    newest = told.operation()
    Operation.objects.filter(pk=newest.pk).update(
        state="leased", in_doubt=True, token=7, lease_until_ms=db_now() + 60_000
    )
    with pytest.raises(NotPossible, match="Try again in a few seconds"):
        undo.undo(event, ANN)
    assert status() == "confirmed"


def test_a_cancelled_tour_comes_back_and_no_crm_hears_of_it(told: Crm) -> None:
    pressed = one_click.press_tour(told.tour.pk, "cancel", ANN, now=datetime.now(UTC))
    assert pressed.event_id is not None
    assert pressed.crms == 1
    undo.undo(pressed.event_id, ANN)
    later(told)
    told.drain()
    assert (Tour.objects.get().status, len(told.requests())) == ("scheduled", told.seen)


def test_the_summary_of_a_tour_that_was_not_over_after_all_is_not_sent(told: Crm) -> None:
    Tour.objects.update(starts_at=datetime.now(UTC) - timedelta(hours=1))
    planning.plan_feedback([make.FeedbackFactory(stop=told.stop)])
    told.drain()
    seen = len(told.requests())
    event = one_click.press_tour(told.tour.pk, "complete", ANN, now=datetime.now(UTC)).event_id
    assert event is not None
    assert told.operation("tour.summary").reason == "undo_time"
    undo.undo(event, ANN)
    later(told)
    told.drain()
    assert (Tour.objects.get().status, len(told.requests())) == ("scheduled", seen)


def test_many_at_once_come_back_together(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=3)
    TourStop.objects.filter(sequence__gt=1).update(appointment_status="pending")
    crm.sync(tour)
    seen = len(crm.requests())
    pressed = one_click.press_all(tour.pk, "confirm", ANN, now=datetime.now(UTC))
    assert [stop.sequence for stop in pressed.stops] == [2, 3]
    assert pressed.event_id is not None
    undo.undo(pressed.event_id, ANN)
    later(crm)
    crm.drain()
    assert list(tour.stops.order_by("sequence").values_list("appointment_status", flat=True)) == [
        "confirmed",
        "pending",
        "pending",
    ]
    assert len(crm.requests()) == seen


def test_a_tour_that_no_crm_hears_of_is_undone_at_any_time(db: None) -> None:
    tour = make.TourFactory()
    event = one_click.press_tour(tour.pk, "complete", ANN, now=make.START + timedelta(hours=1)).event_id
    assert event is not None
    undo.undo(event, ANN)
    assert Tour.objects.get().status == "scheduled"


@pytest.mark.parametrize("via", ["system", "admin"])
def test_other_changes_have_no_undo(db: None, via: str) -> None:
    verb = "tour.completed" if via == "system" else "tour.update"
    event = make.AuditEventFactory(object_id=make.TourFactory().pk, verb=verb, via=via)
    with pytest.raises(NotPossible, match="This change has no undo"):
        undo.undo(event.pk, ANN)


def test_an_archived_tour_is_left_alone(db: None) -> None:
    stop = make.TourStopFactory()
    tours.set_stop_status(stop.pk, "denied", **BY)
    event = AuditEvent.objects.get()
    Tour.objects.update(archived_at=make.START)
    with pytest.raises(NotPossible, match="archived"):
        undo.undo(event.pk, ANN)
