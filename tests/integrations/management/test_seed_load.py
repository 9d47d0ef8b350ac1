"""Filling a database: repeatable, in every state, refused where real records are, and never sent."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count, F

from integrations.engine import outbound
from integrations.models import (
    OPEN,
    TERMINAL,
    Attempt,
    AuditEvent,
    Connection,
    Contact,
    ExternalRef,
    Feedback,
    ImportItem,
    Operation,
    OperationDependency,
    State,
    Tour,
    TourStop,
)
from tests.crm import Crm
from tests.factories import ConnectionFactory, ContactFactory

pytestmark = pytest.mark.django_db


def seed(operations: int = 300, **options: Any) -> str:
    out = io.StringIO()
    call_command("seed_load", operations=operations, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


def picture() -> list[tuple[Any, ...]]:
    """What does not hang on ids or on the moment."""
    rows = Operation.objects.order_by("pk").values_list("op_key", "kind", "state", "reason", "version", "attempts")
    return [*rows, *Tour.objects.order_by("pk").values_list("reference", "status", "title")]


def test_as_many_operations_as_asked_for_with_what_they_hang_on() -> None:
    told = seed(operations=300)

    assert Operation.objects.count() == 300
    assert told == f"300 operations of {Tour.objects.count()} tours. Nothing of it is ever sent.\n"
    stops = Operation.objects.filter(entity_type="stop").values("entity_id")
    assert TourStop.objects.filter(pk__in=stops).count() == stops.distinct().count()
    for model in (Contact, Feedback, ExternalRef, ImportItem, Attempt, OperationDependency):
        assert model._default_manager.exists(), model


def test_the_same_seed_makes_the_same_rows_and_another_others() -> None:
    seed(operations=60)
    first = picture()
    AuditEvent.objects.all()._raw_delete("default")  # as on an empty database
    for model in (Attempt, OperationDependency, Operation, ExternalRef, ImportItem, Feedback, TourStop, Tour, Contact):
        model._default_manager.all().delete()
    seed(operations=60)
    assert picture() == first
    seed(operations=60, seed=2)
    assert picture()[len(first) :] != first


def test_rows_keep_the_engines_own_rules() -> None:
    seed(operations=600, open=50)

    rows = Operation.objects.all()
    assert not rows.filter(state__in=TERMINAL, settled_ms=None).exists()
    assert not rows.filter(state__in=OPEN, settled_ms__isnull=False).exists()
    tries = Attempt.objects.values("operation").annotate(n=Count("pk")).filter(n=F("operation__attempts"))
    assert tries.count() == rows.filter(attempts__gt=0).count()
    edges = OperationDependency.objects.filter(settled=False)
    assert set(edges.values_list("operation_id", flat=True)) == set(
        rows.filter(blockers=1).values_list("pk", flat=True)
    )
    assert not edges.filter(needs__state=State.SUCCEEDED).exists()


def test_about_as_much_is_open_as_asked_for() -> None:
    seed(operations=2_000, open=40)
    assert 600 < Operation.objects.open().count() < 1_000


def test_nothing_of_it_is_ever_sent(crm: Crm) -> None:
    Connection.objects.update(state="disabled")  # the sandbox's own
    before = crm.requests()
    seed(operations=100, open=100)
    ours = Connection.objects.filter(account_key__startswith="load_")

    assert set(ours.values_list("state", flat=True)) == {"paused", "disabled"}
    ours.update(state="active")  # even so: there is nothing to sign in with
    assert sum(outbound.drain(crm.engine, each.pk).worked for each in ours) > 0
    assert crm.requests() == before


def test_a_database_with_records_of_its_own_is_refused() -> None:
    ContactFactory()
    with pytest.raises(CommandError, match="holds contacts that this command did not make"):
        seed()
    assert Operation.objects.count() == 0

    seed(operations=20, among_real_data=True)
    assert Operation.objects.count() == 20


def test_a_connection_that_could_be_told_of_the_tours_is_refused_always() -> None:
    ConnectionFactory(label="Main CRM", state="paused")
    with pytest.raises(CommandError, match="“Main CRM” would be told"):
        seed(among_real_data=True)
    assert Tour.objects.count() == 0


def test_what_it_filled_itself_it_fills_further() -> None:
    seed(operations=50)
    seed(operations=50)
    assert Operation.objects.count() == 100
    assert Connection.objects.count() == 4


@pytest.mark.parametrize("option", [{"operations": 0}, {"attempts": 0}, {"open": 101}, {"agents": 0}])
def test_figures_that_cannot_be_are_refused(option: dict[str, int]) -> None:
    with pytest.raises(CommandError, match=f"--{next(iter(option))} must lie between"):
        call_command("seed_load", **option)
