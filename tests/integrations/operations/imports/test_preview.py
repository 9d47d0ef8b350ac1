"""A preview counts what the import will do, and leaves nothing behind."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from django.apps import apps

from integrations.models import Operation
from integrations.operations.imports import runs, samples
from integrations.operations.imports.preview import Preview, preview_file
from integrations.operations.imports.runs import Breath, import_file
from tests.factories import ConnectionFactory
from tests.tour_files import feedback_file, many_tours, tours_file

pytestmark = pytest.mark.django_db


def look(path: Path, kind: str = "tours") -> Preview:
    return preview_file(path, kind, clock=lambda: 0.0)


def bring_in(path: Path, kind: str = "tours") -> None:
    import_file(path, kind, actor="ann", via="command", clock=lambda: 0.0)


def rows() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in apps.get_app_config("integrations").get_models()}


def planned() -> dict[str, int]:
    kinds = list(Operation.objects.values_list("kind", flat=True))
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


@pytest.mark.parametrize("connections", [0, 1, 2])
def test_what_it_counts_is_what_is_planned(tmp_path: Path, connections: int) -> None:
    ConnectionFactory.create_batch(connections)
    path = many_tours(tmp_path / "many.csv", 60)
    before = rows()

    found = look(path)

    assert rows() == before
    bring_in(path)
    counted: dict[str, int] = {}
    for going in found.going:
        for kind, number in going.operations.items():
            counted[kind] = counted.get(kind, 0) + number
    assert (len(found.going), counted) == (connections, planned())
    assert (found.tally.created, found.tally.stops_created) == (60, 192)


def test_a_file_that_was_imported_would_change_nothing(tmp_path: Path) -> None:
    ConnectionFactory()
    path = many_tours(tmp_path / "many.csv", 30)
    bring_in(path)

    found = look(path)

    assert (found.tally.created, found.tally.updated, found.tally.unchanged, found.going) == (0, 0, 30, [])


def test_answers_are_counted_with_what_follows_from_them(tmp_path: Path) -> None:
    ConnectionFactory()
    bring_in(tours_file(tmp_path / "t.csv", {}))
    before = planned()
    path = feedback_file(tmp_path / "f.csv", {"second_showing": "yes"}, {"author_role": "buyer_agent"})

    found = look(path, "feedback")
    bring_in(path, "feedback")

    assert found.going[0].operations == {
        kind: number - before.get(kind, 0) for kind, number in planned().items() if number != before.get(kind, 0)
    }


def test_bad_rows_are_left_out_of_what_is_counted(tmp_path: Path) -> None:
    found = look(tours_file(tmp_path / "t.csv", {"list_price": "-5"}, {"tour_ref": "B-1"}))
    assert (found.checked.bad_rows, found.left_out, found.tally.created) == (1, ["A-1"], 1)


def test_an_import_rests_so_that_others_can_write(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sqlite:
        vendor = "sqlite"

    monkeypatch.setattr(runs, "connection", Sqlite)
    clock = itertools.count(0.0, 0.1)
    rests: list[float] = []
    breath = Breath(lambda: next(clock), rests.append)
    for _ in range(12):
        breath.draw()
    assert rests == [runs.RESTS_S] * 3
    assert runs.RESTS_S > 0.1


def test_it_needs_no_rest_where_rows_are_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Postgres:
        vendor = "postgresql"

    monkeypatch.setattr(runs, "connection", Postgres)
    rests: list[float] = []
    clock = itertools.count(0.0, 10.0)
    breath = Breath(lambda: next(clock), rests.append)
    breath.draw()
    assert rests == []


def test_the_samples_tell_every_column() -> None:
    told = {kind: list(columns) for kind, columns in samples.COLUMNS.items()}
    assert told == {kind: [*form.COLUMNS, *form.OPTIONAL] for kind, form in runs.FORMATS.items()}
