"""From a change to the operations that make the CRMs follow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from integrations.models import Connection, ConnectionState, ExternalRef, Operation, OperationDependency, Tour
from integrations.operations import planning
from tests.crm import Crm, make_connection, make_tour, move


@pytest.fixture
def connection(db: None) -> Connection:
    return make_connection()


def plan(*tours: Tour) -> list[tuple[str, int]]:
    return [(operation.kind, operation.version) for operation in planning.plan_tours(list(tours))]


def test_a_tour_needs_its_buyer_and_each_live_stop(connection: Connection, tomorrow: datetime) -> None:
    assert plan(make_tour(tomorrow, stops=2)) == [
        ("contact.link", 1),
        ("appointment.sync", 1),
        ("appointment.sync", 1),
    ]


def test_planning_twice_adds_nothing(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    plan(tour)
    assert plan(tour) == []


def test_stops_wait_for_the_buyers_link(connection: Connection, tomorrow: datetime) -> None:
    plan(make_tour(tomorrow, stops=2))
    assert list(Operation.objects.filter(kind="appointment.sync").values_list("blockers", flat=True)) == [1, 1]
    assert OperationDependency.objects.filter(needs__kind="contact.link").count() == 2


def test_a_linked_buyer_blocks_nothing(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    ExternalRef.objects.create(
        connection=connection, entity_type="contact", entity_id=tour.buyer_id, resource="contact", external_id="c1"
    )
    Operation.objects.create(
        op_key="x", connection=connection, kind="contact.link", entity_type="contact",
        entity_id=tour.buyer_id, version=1, state="succeeded", due_ms=0,
    )  # fmt: skip
    assert plan(tour) == [("appointment.sync", 1)]
    assert Operation.objects.get(kind="appointment.sync").blockers == 0


def test_the_link_is_as_urgent_as_what_waits_for_it(connection: Connection, tomorrow: datetime) -> None:
    soon = make_tour(datetime.now(UTC) + timedelta(hours=2))
    later = make_tour(tomorrow + timedelta(days=30), buyer=soon.buyer)
    plan(later)
    plan(soon)
    assert Operation.objects.get(kind="contact.link").priority == planning.PRIORITY_SOON


def test_a_stop_that_never_stood_there_and_is_not_live_needs_nothing(
    connection: Connection, tomorrow: datetime
) -> None:
    tour = make_tour(tomorrow)
    tour.stops.update(appointment_status="denied")
    assert plan(tour) == [("contact.link", 1)]


@pytest.mark.parametrize("status", ["draft", "cancelled"])
def test_a_draft_or_cancelled_tour_needs_nothing(connection: Connection, tomorrow: datetime, status: str) -> None:
    assert plan(make_tour(tomorrow, status=status)) == []


def test_a_tour_before_sync_from_is_left_out(connection: Connection) -> None:
    assert plan(make_tour(datetime(2025, 12, 31, tzinfo=UTC))) == []


def test_a_disabled_connection_gets_nothing(connection: Connection, tomorrow: datetime) -> None:
    Connection.objects.update(state=ConnectionState.DISABLED)
    assert plan(make_tour(tomorrow)) == []


def test_a_paused_connection_gets_its_operations_for_later(connection: Connection, tomorrow: datetime) -> None:
    Connection.objects.update(state=ConnectionState.PAUSED)
    assert len(plan(make_tour(tomorrow))) == 2


def test_a_newer_version_supersedes_an_unsent_one_and_takes_its_place(
    connection: Connection, tomorrow: datetime
) -> None:
    tour = make_tour(tomorrow)
    plan(tour)
    move(tour.stops.get(), 10)
    plan(Tour.objects.get(pk=tour.pk))
    old, new = Operation.objects.filter(kind="appointment.sync").order_by("version")
    assert (old.state, old.reason, new.state, new.blockers) == ("superseded", "newer_version", "pending", 1)


def test_a_newer_version_waits_for_one_that_may_be_on_its_way(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    plan(tour)
    Operation.objects.filter(kind="appointment.sync").update(state="unknown", in_doubt=True)
    move(tour.stops.get(), 10)
    plan(Tour.objects.get(pk=tour.pk))
    old, new = Operation.objects.filter(kind="appointment.sync").order_by("version")
    assert old.state == "unknown"
    assert OperationDependency.objects.filter(operation=new, needs=old, settled=False).exists()


def test_the_edges_of_a_superseded_version_move_over(connection: Connection, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    plan(tour)
    old = Operation.objects.get(kind="appointment.sync")
    waiting = Operation.objects.create(
        op_key="w", connection=connection, kind="feedback.note", entity_type="feedback", entity_id=1,
        version=1, due_ms=0, blockers=1,
    )  # fmt: skip
    OperationDependency.objects.create(operation=waiting, needs=old)
    move(tour.stops.get(), 10)
    plan(Tour.objects.get(pk=tour.pk))
    new = Operation.objects.get(kind="appointment.sync", version=2)
    waiting.refresh_from_db()
    assert (waiting.dependencies.get(settled=False).needs_id, waiting.blockers) == (new.pk, 1)


def test_every_connection_of_the_brokerage_gets_its_own(connection: Connection, tomorrow: datetime) -> None:
    make_connection(account_key="loc_b", config={"location_id": "loc_b", "calendar_id": "c"})
    assert len(plan(make_tour(tomorrow))) == 4


def test_planning_many_tours_costs_no_query_for_each_that_is_up_to_date(
    connection: Connection, tomorrow: datetime, django_assert_max_num_queries
) -> None:  # type: ignore[no-untyped-def]
    tours = [make_tour(tomorrow, stops=2) for _ in range(8)]
    plan(*tours)
    with django_assert_max_num_queries(6):
        assert plan(*tours) == []


def test_a_cancelled_tour_is_cancelled_there(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow, stops=2)
    crm.sync(tour)
    tour.status = "cancelled"
    tour.save()
    for stop in tour.stops.all():
        stop.version += 1
        stop.save()
    crm.sync(tour)
    crm.sync(tour)
    assert [row["body"]["appointmentStatus"] for row in crm.requests("PUT")] == ["cancelled", "cancelled"]
