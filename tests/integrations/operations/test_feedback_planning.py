"""From an answer to the operations that tell the CRMs of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from integrations.models import ConnectionState, Operation, OperationDependency, TourStop
from integrations.operations import planning, routes
from integrations.operations.feedback import save_all, save_feedback
from integrations.operations.validation import FeedbackInput
from integrations.providers import registry
from tests import factories as make

pytestmark = pytest.mark.django_db

BY = {"actor": "ann", "via": "api"}
AT = make.START + timedelta(hours=5)


def said(role: str = "buyer", **values: Any) -> FeedbackInput:
    return FeedbackInput(role, AT, {"interest_level": "interested", **values})


def planned(*, fields: bool = False) -> list[tuple[str, int, str]]:
    """What is planned; the buyer's fields only when asked for, for every answer concerns them."""
    rows = (
        Operation.objects.order_by("pk") if fields else Operation.objects.exclude(kind="contact.fields").order_by("pk")
    )
    return list(rows.values_list("kind", "version", "state"))


def test_an_answer_plans_its_note_behind_the_buyers_link() -> None:
    make.ConnectionFactory()
    save_feedback(make.TourStopFactory().pk, said(), **BY)
    assert planned() == [("contact.link", 1, "pending"), ("feedback.note", 1, "pending")]
    edge = OperationDependency.objects.get(operation__kind="feedback.note")
    assert (edge.operation.kind, edge.operation.blockers, edge.needs.kind) == ("feedback.note", 1, "contact.link")


def test_a_linked_buyer_blocks_nothing() -> None:
    connection, stop = make.ConnectionFactory(), make.TourStopFactory()
    make.ExternalRefFactory(
        connection=connection, entity_type="contact", entity_id=stop.tour.buyer_id, resource="contact"
    )
    make.OperationFactory(
        connection=connection, kind="contact.link", entity_type="contact", entity_id=stop.tour.buyer_id,
        state="succeeded",
    )  # fmt: skip
    save_feedback(stop.pk, said(), **BY)
    assert Operation.objects.get(kind="feedback.note").blockers == 0


@pytest.mark.parametrize("values", [{"second_showing": "yes"}, {"interest_level": "very_interested"}])
def test_a_call_for_action_plans_a_task_too(values: dict[str, Any]) -> None:
    make.ConnectionFactory()
    save_feedback(make.TourStopFactory().pk, said(**values), **BY)
    assert [kind for kind, *_ in planned()] == ["contact.link", "feedback.note", "feedback.task"]


def test_the_same_again_plans_nothing() -> None:
    make.ConnectionFactory()
    stop = make.TourStopFactory()
    answer = save_feedback(stop.pk, said(second_showing="yes"), **BY).feedback
    before = planned()
    save_feedback(stop.pk, said(second_showing="yes"), **BY)
    assert planning.plan_feedback([answer]) == []
    assert planned() == before


def test_a_newer_version_takes_the_place_of_an_unsent_one() -> None:
    make.ConnectionFactory()
    stop = make.TourStopFactory()
    save_feedback(stop.pk, said(), **BY)
    save_feedback(stop.pk, said(comments="more"), **BY)
    assert planned()[1:] == [("feedback.note", 1, "superseded"), ("feedback.note", 2, "pending")]


def test_an_answer_goes_where_its_tour_goes() -> None:
    here = make.ConnectionFactory()
    make.ConnectionFactory(state=ConnectionState.DISABLED)
    make.ConnectionFactory(sync_from=datetime(2030, 1, 1, tzinfo=UTC))
    make.ConnectionFactory(scope="agent", agent=make.AgentFactory())
    save_feedback(make.TourStopFactory().pk, said(), **BY)
    assert set(Operation.objects.values_list("connection", flat=True)) == {here.pk}


def test_a_provider_without_such_kinds_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    make.ConnectionFactory()
    full = registry.manifest("gohighlevel")
    bare = {name: full.kinds[name] for name in ("contact.link", "appointment.sync")}
    monkeypatch.setattr(registry, "manifest", lambda slug: replace(full, kinds=bare))
    save_feedback(make.TourStopFactory().pk, said(second_showing="yes"), **BY)
    assert planned(fields=True) == []


def test_each_answer_gives_what_is_told_of_its_buyer_a_new_version() -> None:
    make.ConnectionFactory()
    stop = make.TourStopFactory()
    save_feedback(stop.pk, said(), **BY)
    save_feedback(stop.pk, said("buyer_agent"), **BY)
    fields = [row for row in planned(fields=True) if row[0] == "contact.fields"]
    assert fields == [("contact.fields", 2, "superseded"), ("contact.fields", 3, "pending")]


def test_a_tour_that_joins_a_connection_brings_its_feedback() -> None:
    answer = make.FeedbackFactory()
    connection = make.ConnectionFactory()
    assert planned() == []
    routes.follow(connection.pk, before=None)
    assert sorted(kind for kind, *_ in planned()) == ["appointment.sync", "contact.link", "feedback.note"]
    assert Operation.objects.get(kind="feedback.note").entity_id == answer.pk


def test_many_answers_cost_as_many_queries_as_few() -> None:
    make.ConnectionFactory()

    def cost(number: int) -> int:
        stops = [TourStop.objects.select_related("tour").get(pk=make.TourStopFactory().pk) for _ in range(number)]
        with CaptureQueriesContext(database) as queries:
            save_all([(stop, said(second_showing="yes")) for stop in stops], **BY)
        return len(queries)

    few = cost(3)
    assert cost(30) == few
    assert Operation.objects.filter(kind="feedback.note").count() == 33
