"""Files of tours: what the first pass says of them, and what becomes of good ones."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.models import Agent, AuditEvent, Contact, ImportItem, ImportRun, Operation, Tour, TourStop
from integrations.operations.imports.runs import Imported, Watcher, import_file
from tests import factories as make
from tests.tour_files import DATA, shared_sample, tours_file

SMALL = DATA / "tours-small.csv"


class Heard:
    """What an import said."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.watcher = Watcher(
            error=lambda problem: self.errors.append(str(problem)),
            warning=lambda problem: self.warnings.append(str(problem)),
        )


def run_import(path: Path, heard: Heard | None = None, **kwargs: Any) -> Imported:
    watcher = (heard or Heard()).watcher
    return import_file(path, "tours", actor="ann", via="command", clock=lambda: 0.0, watcher=watcher, **kwargs)


def _said(path: Path) -> list[str]:
    heard = Heard()
    done = run_import(path, heard)
    assert done.run is None
    assert Tour.objects.count() == 0
    return heard.errors


def _state() -> tuple[Any, ...]:
    """All that an import may write, but the run itself."""
    written = (Agent, Contact, Tour, TourStop, Operation, ImportItem)
    rows = [list(model.objects.order_by("pk").values()) for model in written]
    return (*rows, AuditEvent.objects.exclude(verb="import.tours").count())


@pytest.mark.django_db
def test_a_small_file_is_stored_as_it_says() -> None:
    done = run_import(SMALL)

    assert done.run is not None
    assert (done.tally.created, done.tally.stops_created, done.run.state) == (3, 4, "done")
    stop = TourStop.objects.get(tour__reference="S-1", sequence=1)
    assert (stop.street, stop.state, stop.postal_code) == ('12 Elm St, Unit "B"', "CA", "95838")
    assert (stop.latitude, stop.longitude) == (Decimal("38.631913"), Decimal("-121.434879"))
    assert (stop.list_price, stop.bedrooms, stop.bathrooms, stop.living_area) == (59222, 2, 1, 836)
    assert (stop.appointment_start, stop.appointment_end) == (
        datetime(2026, 9, 14, 21, tzinfo=UTC),
        datetime(2026, 9, 14, 21, 30, tzinfo=UTC),
    )
    assert (stop.appointment_status, stop.showing_method) == ("confirmed", "virtual")
    assert TourStop.objects.get(tour__reference="S-1", sequence=2).bathrooms == Decimal("1.5")
    assert str(stop.tour.buyer) == "Sofía Núñez"


@pytest.mark.django_db
def test_empty_cells_and_formulas_are_stored_as_they_are() -> None:
    run_import(SMALL)

    stop = TourStop.objects.select_related("tour__buyer").get(tour__reference="S-2")
    assert (stop.latitude, stop.list_price, stop.bedrooms, stop.property_type) == (None, None, None, "")
    buyer = stop.tour.buyer
    assert (buyer.first_name, buyer.last_name, buyer.phone) == ('=HYPERLINK("http://x.example")', "", "")


@pytest.mark.django_db
def test_one_agent_under_two_spellings_is_one() -> None:
    run_import(SMALL)

    assert sorted(Agent.objects.values_list("email", flat=True)) == ["ann@brokerage.example", "omar@brokerage.example"]


@pytest.mark.django_db
def test_the_same_file_again_writes_nothing() -> None:
    make.ConnectionFactory()
    run_import(SMALL)
    before = _state()

    done = run_import(SMALL)

    assert _state() == before
    assert (done.tally.created, done.tally.updated, done.tally.unchanged) == (0, 0, 3)


@pytest.mark.django_db
def test_what_the_file_does_not_speak_of_stays(tmp_path: Path) -> None:
    run_import(tours_file(tmp_path / "a.csv", {}))
    Tour.objects.update(status="in_progress", notes="Bring water")
    TourStop.objects.update(outcome="showed", access_instructions="Key box")

    run_import(tours_file(tmp_path / "b.csv", {"title": "Other"}))

    tour, stop = Tour.objects.get(), TourStop.objects.get()
    assert (tour.title, tour.status, tour.notes) == ("Other", "in_progress", "Bring water")
    assert (stop.outcome, stop.access_instructions) == ("showed", "Key box")


@pytest.mark.django_db
def test_a_cancelled_tour_stays_cancelled_when_the_file_comes_again() -> None:
    run_import(SMALL)
    Tour.objects.update(status="cancelled")

    assert run_import(SMALL).tally.unchanged == 3


@pytest.mark.django_db
def test_overlaps_of_one_agent_are_warned_of_and_imported() -> None:
    heard = Heard()

    done = run_import(SMALL, heard)

    assert heard.errors == []
    assert heard.warnings == ["line 3, appointment_start: Ann Agent is at S-1 stop 1 (line 2) when S-2 stop 1 begins."]
    assert done.tally.created == 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "errors"),
    [
        (
            {"buyer_email": "x"},
            ["line 2, buyer_email: “x” is not an e-mail address: An email address must have an @-sign."],
        ),
        ({"tour_ref": ""}, ["line 2, tour_ref: This must be given."]),
        ({"stop_sequence": "zero"}, ["line 2, stop_sequence: “zero” is not a whole number."]),
        ({"time_zone": "Mars/Olympus"}, [
            "line 2, time_zone: “Mars/Olympus” is not an IANA time zone, for example America/Los_Angeles."
        ]),
        ({"title": "a\0b"}, ["line 2, title: This contains the control character U+0000."]),
        ({"appointment_end": "2026-09-14T13:00"}, [
            "line 2, appointment_end: The appointment must end after it starts."
        ]),
        ({"street": "", "latitude": "99", "agent_email": ""}, [
            "line 2, agent_email: This must be given.",
            "line 2, street: This must be given.",
            "line 2, latitude: Latitude must lie between -90 and 90, not 99.",
        ]),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named_with_line_and_field(tmp_path: Path, row: dict[str, str], errors: list[str]) -> None:
    assert _said(tours_file(tmp_path / "a.csv", row)) == errors


@pytest.mark.django_db
def test_a_stop_given_twice_is_named(tmp_path: Path) -> None:
    path = tours_file(tmp_path / "a.csv", {}, {"tour_ref": "B-1"}, {"stop_sequence": "01", "street": "9 Elm St"})

    assert _said(path) == ["line 4, stop_sequence: Stop 1 of A-1 stands on line 2 already."]


@pytest.mark.django_db
def test_rows_of_one_tour_must_agree_on_it(tmp_path: Path) -> None:
    path = tours_file(
        tmp_path / "a.csv",
        {"buyer_email": "Bea@mail.example"},
        {"stop_sequence": "2", "title": "Other", "starts_at": "2026-09-14T15:00"},
    )

    assert _said(path) == [
        "line 3, title: “Other” differs from “Two homes” on line 2 of the same tour.",
        "line 3, starts_at: “2026-09-14T15:00” differs from “2026-09-14T14:00” on line 2 of the same tour.",
    ]


@pytest.mark.django_db
def test_a_wrong_field_is_not_also_called_different(tmp_path: Path) -> None:
    path = tours_file(tmp_path / "a.csv", {"buyer_email": "x"}, {"stop_sequence": "2"}, {"stop_sequence": "3"})

    assert [error.split(":")[0] for error in _said(path)] == ["line 2, buyer_email"]


@pytest.mark.django_db
def test_a_tour_with_a_wrong_row_is_left_out_whole_when_asked(tmp_path: Path) -> None:
    path = tours_file(
        tmp_path / "a.csv",
        {},
        {"tour_ref": "B-1"},
        {"tour_ref": "B-1", "stop_sequence": "2", "list_price": "-5"},
        {"tour_ref": "C-1", "stop_sequence": "x"},
        {"tour_ref": "", "stop_sequence": "2"},
        {"stop_sequence": "2"},
    )

    done = run_import(path, skip_bad=True)

    assert done.run is not None
    assert list(TourStop.objects.values_list("tour__reference", "sequence")) == [("A-1", 1), ("A-1", 2)]
    assert (done.checked.bad_rows, done.checked.left_out, done.run.skipped) == (3, 3, ["B-1", "C-1", ""])


@pytest.mark.django_db
def test_a_row_of_the_wrong_length_spoils_its_tour(tmp_path: Path) -> None:
    path = tours_file(tmp_path / "a.csv", {}, {"tour_ref": "B-1"})
    path.write_text(path.read_text() + "A-1,half a row\n")

    run_import(path, skip_bad=True)

    assert list(Tour.objects.values_list("reference", flat=True)) == ["B-1"]


@pytest.mark.django_db
def test_a_spelling_in_another_form_of_unicode_is_the_same_tour(tmp_path: Path) -> None:
    path = tours_file(
        tmp_path / "a.csv", {"tour_ref": "\u00e9"}, {"tour_ref": "e\u0301", "stop_sequence": "2", "buyer_email": "x"}
    )

    run_import(path, skip_bad=True)

    assert Tour.objects.count() == 0


@pytest.mark.django_db
def test_checking_alone_stores_nothing() -> None:
    done = run_import(SMALL, check_only=True)

    assert (done.run, done.checked.rows, done.checked.tours) == (None, 4, 3)
    assert (Tour.objects.count(), ImportRun.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_a_file_without_rows_does_nothing(tmp_path: Path) -> None:
    done = run_import(tours_file(tmp_path / "a.csv"))

    assert (done.run, done.checked.rows) == (None, 0)


@pytest.mark.django_db
def test_the_damaged_sample_is_named_row_by_row() -> None:
    errors = _said(shared_sample("tours-damaged.csv"))

    assert [error.split(":")[0] for error in errors] == [
        "line 5, buyer_email",
        "line 9, time_zone",
        "line 13, appointment_end",
        "line 15, list_price",
        "line 19, appointment_status",
        "line 22, street",
        "line 26, stop_sequence",
        "line 31, starts_at",
        "line 35, latitude",
        "line 39, buyer_phone",
        "line 43, state",
        "line 49, postal_code",
    ]


@pytest.mark.django_db
def test_the_good_tours_of_the_damaged_sample_can_be_taken() -> None:
    run_import(shared_sample("tours-damaged.csv"), skip_bad=True)

    assert (Tour.objects.count(), TourStop.objects.count()) == (4, 10)


_people = st.fixed_dictionaries(
    {
        "buyer_first_name": st.sampled_from(["Bea", "BEA", "Bo"]),
        "buyer_email": st.sampled_from(["", "a@mail.example", "A@mail.example", "b@mail.example"]),
        "buyer_phone": st.sampled_from(["", "+19165550001", "+19165550002"]),
        "agent_email": st.sampled_from(["ann@brokerage.example", "ANN@brokerage.example", "omar@brokerage.example"]),
        "title": st.sampled_from(["", "One", "Núñez"]),
    }
).filter(lambda row: row["buyer_email"] or row["buyer_phone"])


@pytest.mark.django_db
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tours=st.lists(_people, min_size=1, max_size=6), stops=st.integers(1, 2))
def test_any_good_file_read_again_writes_nothing(tmp_path: Path, tours: list[dict[str, str]], stops: int) -> None:
    rows = [
        {**tour, "tour_ref": f"H-{number}", "stop_sequence": str(stop)}
        for stop in range(1, stops + 1)
        for number, tour in enumerate(tours)
    ]
    path = tours_file(tmp_path / "a.csv", *rows)
    run_import(path)
    before = _state()

    done = run_import(path)

    assert done.tally.unchanged == len(tours)
    assert _state() == before


@pytest.mark.django_db
def test_an_archived_tour_stays_as_it_is_and_the_row_is_told() -> None:
    run_import(SMALL)
    Tour.objects.filter(reference="S-2").update(archived_at=make.START, title="Put away")
    before = _state()
    heard = Heard()

    done = run_import(SMALL, heard)

    assert heard.errors == []
    [line] = [text for text in heard.warnings if "archived" in text]
    assert "S-2 is archived and stays as it is; bring it back to import it." in line
    assert (done.tally.created, done.tally.updated, done.tally.unchanged) == (0, 0, 3)
    assert _state() == before
