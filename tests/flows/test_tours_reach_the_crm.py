"""The whole product, started as a person would: tours go in on one side, both CRMs have them on the other, once each.

The tests of this file share one running stack and follow one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.evidence import Row, log_trouble
from tests.stack import Stack
from tests.tour_files import many_tours

pytestmark = pytest.mark.stack
TOURS, STOPS, LIVE = 25, 80, 77
# At each CRM a contact a tour and an appointment a stop; at Rollout the type of its appointments before all.
DONE = 2 * (TOURS + LIVE) + 1
BY = "actor='ann', via='admin'"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 tours with 80 stops, 77 of them live."""
    return many_tours(tmp_path_factory.mktemp("file") / "tours.csv", TOURS)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running product without demo tours."""
    with Stack(tmp_path_factory.mktemp("product") / "a data folder") as running:
        yield running


def verb(stack: Stack, code: str) -> None:
    """Do something through the domain's verbs, in another process, as a page would."""
    imports = "from datetime import timedelta; from integrations.models import Tour, TourStop; "
    stack.shell(f"{imports}from integrations.operations.tours import cancel_tour, move_stop; {code}")


def stop_of(stack: Stack, tour: str, sequence: int, provider: str = "gohighlevel") -> Row:
    """A stop with its appointment's id at a CRM."""
    (row,) = stack.database.rows(
        "SELECT s.id, s.appointment_start, r.external_id FROM integrations_tourstop s "  # noqa: S608  our own words
        "JOIN integrations_tour t ON t.id = s.tour_id "
        "LEFT JOIN integrations_externalref r ON r.entity_type = 'stop' AND r.entity_id = s.id "
        "LEFT JOIN integrations_connection c ON c.id = r.connection_id "
        f"WHERE t.reference = '{tour}' AND s.sequence = {sequence} AND c.provider = '{provider}'"
    )
    return row


def writes(rows: list[Row], provider: str) -> list[Row]:
    return [row for row in rows if row["method"] != "GET" and row["provider"] == provider]


def moved(stop: Row, minutes: int) -> str:
    """Python that moves a stop."""
    return (
        f"s = TourStop.objects.get(pk={stop['id']}); d = timedelta(minutes={minutes}); "
        f"move_stop(s.pk, start=s.appointment_start + d, end=s.appointment_end + d, {BY})"
    )


def test_imported_tours_arrive_exactly_once(stack: Stack, file: Path) -> None:
    said = stack.manage("import_tours", str(file)).stdout
    assert f"Import 1: {TOURS} tours created, 0 updated, 0 unchanged.\nStops: {STOPS} created, 0 changed." in said

    assert stack.await_settled(within_s=90) == {"succeeded": DONE}

    found = stack.findings()
    assert found.wrong == []
    assert found.secrets_seen == []
    assert [each.provider for each in found.connections] == ["gohighlevel", "rollout"]
    for each in found.connections:
        assert (each.live_stops, each.right_stops, each.appointments) == (LIVE, LIVE, LIVE)
        assert (each.buyers, each.right_buyers, each.contacts) == (TOURS, TOURS, TOURS)
        assert each.statuses.keys() <= {"200", "201"}
        assert each.busiest <= each.limit
    made = {"contact create": TOURS, "appointment create": LIVE}
    assert found.of("gohighlevel").effects == made
    assert found.of("rollout").effects == {**made, "appointment_type create": 1}
    assert log_trouble(stack.data) == []


def test_status_says_the_same_to_programs(stack: Stack) -> None:
    status: dict[str, Any] = stack.status()

    assert status["operations"] == {"succeeded": DONE}
    assert {each["name"] for each in status["processes"]} == {"up", "redis", "sandbox", "web", "worker", "beat"}


def test_importing_the_same_file_again_plans_and_writes_nothing(stack: Stack, file: Path) -> None:
    before = stack.last_seq()

    said = stack.manage("import_tours", str(file)).stdout

    assert f"Import 2: 0 tours created, 0 updated, {TOURS} unchanged." in said
    assert stack.operations() == {"succeeded": DONE}
    assert stack.journal(before) == []


def test_a_moved_stop_is_one_update_at_each(stack: Stack) -> None:
    before, stop = stack.last_seq(), stop_of(stack, "M-0001", 2)

    verb(stack, moved(stop, 45))
    stack.await_settled(within_s=30)

    for provider in ("gohighlevel", "rollout"):
        there = stop_of(stack, "M-0001", 2, provider)["external_id"]
        (write,) = writes(stack.journal(before), provider)
        assert (write["method"], write["effect"]["op"], write["effect"]["id"]) == ("PUT", "update", there)
    assert stack.findings().wrong == []


def test_a_cancelled_tour_cancels_each_of_its_appointments_once_at_each(stack: Stack) -> None:
    before, places = stack.last_seq(), (1, 2, 3, 4)
    ids = {
        provider: sorted(stop_of(stack, "M-0005", place, provider)["external_id"] for place in places)
        for provider in ("gohighlevel", "rollout")
    }

    verb(stack, f"cancel_tour(Tour.objects.get(reference='M-0005').pk, {BY})")
    stack.await_settled(within_s=30)

    made = {provider: writes(stack.journal(before), provider) for provider in ids}
    assert {provider: sorted(row["effect"]["id"] for row in rows) for provider, rows in made.items()} == ids
    assert {row["body"]["appointmentStatus"] for row in made["gohighlevel"]} == {"cancelled"}
    assert {(row["method"], row["effect"]["op"]) for row in made["rollout"]} == {("DELETE", "delete")}
    assert stack.findings().wrong == []


def test_there_and_back_while_the_answer_to_there_is_lost_ends_where_it_began(stack: Stack) -> None:
    before, stop = stack.last_seq(), stop_of(stack, "M-0002", 1)
    stack.fault("drop_after_effect", match={"method": "PUT"})
    verb(stack, moved(stop, 60))
    stack.await_request(lambda row: row["method"] == "PUT" and row["status"] is None, since=before, within_s=30)
    stack.await_states({"unknown": 1}, within_s=15)

    verb(stack, moved(stop, -60))
    stack.await_settled(within_s=60)

    there, back = writes(stack.journal(before), "gohighlevel")
    assert (there["status"], there["effect"]["op"]) == (None, "update")
    assert (back["status"], back["effect"]["op"]) == (200, "update")
    assert {there["effect"]["id"], back["effect"]["id"]} == {stop["external_id"]}
    assert [row["effect"]["op"] for row in writes(stack.journal(before), "rollout")] == ["update", "update"]
    assert stop_of(stack, "M-0002", 1)["appointment_start"] == stop["appointment_start"]
    assert stack.findings().wrong == []


def test_nothing_of_it_left_trouble_in_the_logs(stack: Stack) -> None:
    assert log_trouble(stack.data) == []
    assert "ended with" not in stack.said()
    assert stack.status()["oldest_due"] is None
