"""Someone imports a day's tours: they arrive in the CRM once, follow what happens, and can be taken back."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from django.core.management import call_command

from integrations.models import ExternalRef, Operation, TourStop
from integrations.operations import tours
from tests.crm import Crm
from tests.tour_files import shared_sample, tours_file

pytestmark = pytest.mark.django_db

BY = {"actor": "ann", "via": "admin"}


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """Six tours of three stops, one of them cancelled; as in a spreadsheet sorted by time, tours are interleaved."""
    return tours_file(
        tmp_path / "day.csv",
        *(
            {
                "tour_ref": f"D-{tour}",
                "buyer_first_name": f"Bea{tour}",
                "buyer_email": f"bea{tour}@mail.example",
                "buyer_phone": f"+1916555{tour:04}",
                "stop_sequence": str(stop),
                "street": f"{tour}{stop} High St",
                "appointment_start": f"2026-09-14T{13 + stop}:00",
                "appointment_end": f"2026-09-14T{13 + stop}:30",
                "appointment_status": "cancelled" if (tour, stop) == (3, 2) else "confirmed",
            }
            for stop in (1, 2, 3)
            for tour in range(6)
        ),
    )


@pytest.fixture
def first_day_of_the_sample(tmp_path: Path) -> Path:
    with shared_sample("tours.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["starts_at"].startswith("2026-09-14")]
    return tours_file(tmp_path / "sample.csv", *rows)


@pytest.fixture
def arrived(crm: Crm, day: Path) -> Crm:
    """The day is imported and sent."""
    call_command("import_tours", day, verbosity=0)
    crm.drain()
    return crm


def _states() -> set[str]:
    return set(Operation.objects.values_list("state", flat=True))


def _live() -> list[TourStop]:
    return list(TourStop.objects.live())


def test_each_live_stop_is_one_appointment_and_each_buyer_one_contact(arrived: Crm) -> None:
    appointments = arrived.sandbox.effects("appointment")
    contacts = arrived.sandbox.effects("contact")

    assert _states() == {"succeeded"}
    assert len(_live()) == 17
    assert [row["op"] for row in appointments] == ["create"] * len(_live())
    assert {row["id"] for row in appointments} == set(
        ExternalRef.objects.filter(entity_type="stop").values_list("external_id", flat=True)
    )
    assert [row["op"] for row in contacts] == ["create"] * TourStop.objects.values("tour__buyer").distinct().count()


def test_importing_it_again_sends_nothing(arrived: Crm, day: Path) -> None:
    before = len(arrived.sandbox.journal())

    call_command("import_tours", day, verbosity=0)
    arrived.drain()

    assert len(arrived.sandbox.journal()) == before


def test_one_moved_stop_is_one_update(arrived: Crm) -> None:
    stop = _live()[0]
    writes = arrived.writes()
    later = stop.appointment_end

    tours.move_stop(stop.pk, start=later, end=later + (later - stop.appointment_start), **BY)
    arrived.drain()

    assert arrived.writes() == writes + 1
    assert arrived.sandbox.effects("appointment")[-1] == {
        **arrived.sandbox.effects("appointment")[-1],
        "op": "update",
        "id": arrived.ref(stop).external_id,
    }


def test_a_cancelled_tour_cancels_each_appointment_once(arrived: Crm) -> None:
    tour = _live()[0].tour
    live = [stop for stop in _live() if stop.tour_id == tour.pk]
    before = len(arrived.sandbox.effects("appointment"))

    tours.cancel_tour(tour.pk, **BY)
    tours.cancel_tour(tour.pk, **BY)
    arrived.drain()

    effects = arrived.sandbox.effects("appointment")[before:]
    assert sorted(row["id"] for row in effects) == sorted(str(arrived.ref(stop).external_id) for stop in live)


def test_a_day_of_the_shared_sample_arrives_once(crm: Crm, first_day_of_the_sample: Path) -> None:
    call_command("import_tours", first_day_of_the_sample, verbosity=0)
    crm.drain()

    assert _states() == {"succeeded"}
    assert [row["op"] for row in crm.sandbox.effects("appointment")] == ["create"] * len(_live())
