"""From a tour that is over to the one note that tells it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from integrations.models import Connection, ConnectionState, Feedback, Operation, OperationDependency, Tour, TourStop
from integrations.operations import connections, deletion, planning, routes, tours
from integrations.operations.feedback import save_all, save_feedback
from integrations.operations.imports.runs import import_file
from integrations.operations.imports.undo import undo
from integrations.operations.validation import FeedbackInput, TourInput
from integrations.providers import registry
from tests import factories as make
from tests.tour_files import feedback_file, tours_file

pytestmark = pytest.mark.django_db

BY = {"actor": "ann", "via": "api"}
AT = make.START + timedelta(hours=5)
LATER = make.START + timedelta(days=2)


def said(role: str = "buyer", **values: Any) -> FeedbackInput:
    return FeedbackInput(role, AT, {"interest_level": "interested", **values})


def planned(**where: Any) -> list[tuple[int, str]]:
    """Version and state of each summary, in the order they were planned."""
    rows = Operation.objects.filter(kind="tour.summary", **where).order_by("pk")
    return list(rows.values_list("version", "state"))


def complete(tour: Tour) -> None:
    assert tours.set_tour_status(tour.pk, "completed", **BY)


@pytest.fixture
def crm() -> Connection:
    made: Connection = make.ConnectionFactory()
    return made


@pytest.fixture
def answered(crm: Connection) -> Tour:
    """A scheduled tour with one stop and one answer."""
    made: Tour = make.FeedbackFactory().stop.tour
    return made


# --- when ----------------------------------------------------------------------------------------------------------


def test_an_answered_tour_that_becomes_completed_plans_its_summary_behind_the_buyers_link(answered: Tour) -> None:
    complete(answered)
    operation = Operation.objects.get(kind="tour.summary")
    assert (operation.entity_type, operation.entity_id, operation.version) == ("tour", answered.pk, 2)
    assert (operation.state, operation.blockers, operation.priority) == ("pending", 1, planning.PRIORITY_PAST)
    assert OperationDependency.objects.get(operation=operation).needs.kind == "contact.link"


@pytest.mark.parametrize("status", ["draft", "in_progress", "cancelled"])
def test_an_answered_tour_in_another_state_plans_none(answered: Tour, status: str) -> None:
    tours.set_tour_status(answered.pk, status, **BY)
    assert planned() == []


def test_a_completed_tour_that_nothing_was_said_on_plans_none(crm: Connection) -> None:
    complete(make.TourStopFactory().tour)
    assert planned() == []


def test_the_first_answer_on_a_completed_tour_plans_its_summary(crm: Connection) -> None:
    stop = make.TourStopFactory()
    complete(stop.tour)
    save_feedback(stop.pk, said(), **BY)
    assert planned() == [(3, "pending")]


def test_the_job_that_completes_tours_plans_their_summaries(answered: Tour) -> None:
    unanswered = make.TourStopFactory().tour
    assert tours.complete_tours(LATER) == 2
    assert planned() == [(2, "pending")]
    assert tours.complete_tours(LATER) == 0
    assert planned() == [(2, "pending")]
    unanswered.refresh_from_db()
    assert (unanswered.status, unanswered.version) == ("completed", 2)


def test_saying_it_again_plans_nothing(answered: Tour) -> None:
    complete(answered)
    assert not tours.set_tour_status(answered.pk, "completed", **BY)
    assert planning.plan_summaries([Tour.objects.get()]) == []
    assert planned() == [(2, "pending")]


# --- and again -----------------------------------------------------------------------------------------------------


def test_an_answer_added_or_changed_afterwards_plans_it_again_and_the_same_answer_does_not(answered: Tour) -> None:
    complete(answered)
    stop = answered.stops.get()
    save_feedback(stop.pk, said("buyer_agent"), **BY)
    assert planned() == [(2, "superseded"), (3, "pending")]
    save_feedback(stop.pk, said("buyer_agent", overall_rating=5), **BY)
    assert planned()[2:] == [(4, "pending")]
    save_feedback(stop.pk, said("buyer_agent", overall_rating=5), **BY)
    assert len(planned()) == 3


@pytest.mark.parametrize(
    "change", [{"outcome": "showed"}, {"appointment_status": "cancelled"}, {"street": "9 Elm St"}, {"city": "Davis"}]
)
def test_what_came_of_a_stop_afterwards_plans_it_again(answered: Tour, change: dict[str, Any]) -> None:
    complete(answered)
    assert tours.change_stop_values(answered.stops.get().pk, change, **BY)
    assert planned() == [(2, "superseded"), (3, "pending")]


def test_what_it_does_not_tell_plans_nothing(answered: Tour) -> None:
    complete(answered)
    stop = answered.stops.get()
    tours.change_stop_values(stop.pk, {"access_instructions": "key", "list_price": 5}, **BY)
    tours.archive_tour(answered.pk, now=LATER, **BY)
    tours.unarchive_tour(answered.pk, **BY)
    assert planned() == [(2, "pending")]


def test_archiving_sends_nothing_also_where_nothing_was_ever_planned(answered: Tour) -> None:
    Tour.objects.update(status="completed")
    tours.archive_tour(answered.pk, now=LATER, **BY)
    assert Operation.objects.count() == 0


def test_a_tour_that_goes_back_is_left_until_it_is_completed_again(answered: Tour) -> None:
    complete(answered)
    Operation.objects.update(state="succeeded", blockers=0)
    tours.set_tour_status(answered.pk, "scheduled", **BY)
    tours.set_stop_outcome(answered.stops.get().pk, "showed", **BY)
    save_feedback(answered.stops.get().pk, said("buyer_agent"), **BY)
    assert planned() == [(2, "succeeded")]
    complete(answered)
    assert planned() == [(2, "succeeded"), (3, "pending")]


def test_a_stop_deleted_afterwards_plans_it_again(answered: Tour) -> None:
    extra = make.TourStopFactory(tour=answered, sequence=2, appointment_status="denied")
    complete(answered)
    deletion.delete_stop(extra.pk, **BY)
    assert planned() == [(2, "superseded"), (3, "pending")]


def test_a_tour_that_is_summed_up_cannot_be_deleted(crm: Connection) -> None:
    tour = make.TourFactory(status="completed")
    make.OperationFactory(connection=crm, kind="tour.summary", entity_type="tour", entity_id=tour.pk)
    with pytest.raises(deletion.NotPossible, match="known to a CRM"):
        deletion.delete_tour(tour.pk, **BY)


# --- where ---------------------------------------------------------------------------------------------------------


def test_it_goes_where_its_tour_goes(answered: Tour, crm: Connection) -> None:
    make.ConnectionFactory(state=ConnectionState.DISABLED)
    make.ConnectionFactory(sync_from=datetime(2030, 1, 1, tzinfo=UTC))
    make.ConnectionFactory(scope="agent", agent=make.AgentFactory())
    rollout = make.ConnectionFactory(provider="rollout")
    complete(answered)
    rows = Operation.objects.filter(kind="tour.summary")
    assert set(rows.values_list("connection", flat=True)) == {crm.pk, rollout.pk}


def test_a_provider_without_the_kind_is_told_nothing(answered: Tour, monkeypatch: pytest.MonkeyPatch) -> None:
    full = registry.manifest("gohighlevel")
    bare = {name: full.kinds[name] for name in ("contact.link", "appointment.sync")}
    monkeypatch.setattr(registry, "manifest", lambda slug: replace(full, kinds=bare))
    complete(answered)
    assert planned() == []


def test_a_completed_tour_that_joins_a_connection_brings_its_summary() -> None:
    tour = make.FeedbackFactory().stop.tour
    complete(tour)
    connection = make.ConnectionFactory()
    routes.follow(connection.pk, before=None)
    assert planned() == [(3, "pending")]


def test_one_that_left_and_comes_back_is_planned_again(answered: Tour, crm: Connection) -> None:
    complete(answered)
    Operation.objects.filter(kind="tour.summary").update(state="succeeded", reason="nothing_to_do", blockers=0)
    for since in (datetime(2030, 1, 1, tzinfo=UTC), crm.sync_from):
        before = routes.RoutingFacts.of(Connection.objects.get())
        Connection.objects.update(sync_from=since)
        routes.follow(crm.pk, before=before)
    assert [state for _, state in planned()] == ["succeeded", "pending"]


def test_another_agent_with_another_crm_takes_it_along(answered: Tour, crm: Connection) -> None:
    complete(answered)
    other = make.AgentFactory()
    theirs = make.ConnectionFactory(scope="agent", agent=other)
    tours.save_tour(TourInput(reference=answered.reference, values={}, agent=other.pk), **BY)
    assert planned(connection=theirs) == [(3, "pending")]
    assert planned(connection=crm) == [(2, "superseded"), (3, "pending")]


# --- how much ------------------------------------------------------------------------------------------------------


def _queries(action: Any) -> int:
    with CaptureQueriesContext(database) as queries:
        action()
    return len(queries)


def test_summing_up_many_tours_costs_as_many_queries_as_few(crm: Connection) -> None:
    make.ConnectionFactory(provider="rollout")

    def cost(number: int) -> int:
        for _ in range(number):
            make.FeedbackFactory()
        return _queries(lambda: tours.complete_tours(LATER))

    few = cost(2)
    assert cost(20) == few
    assert Operation.objects.filter(kind="tour.summary").count() == 44


def test_answers_on_many_completed_tours_cost_as_many_queries_as_on_few(crm: Connection) -> None:
    def cost(number: int) -> int:
        made = [make.TourStopFactory(tour=make.TourFactory(status="completed")).pk for _ in range(number)]
        stops = list(TourStop.objects.select_related("tour").filter(pk__in=made))
        return _queries(lambda: save_all([(stop, said()) for stop in stops], **BY))

    few = cost(3)
    assert cost(30) == few
    assert len(planned()) == 33


def test_tours_that_are_not_over_cost_no_query(crm: Connection, django_assert_num_queries: Any) -> None:
    made = [make.FeedbackFactory().stop.tour for _ in range(3)]
    with django_assert_num_queries(0):
        assert planning.plan_summaries(made) == []


def test_batches_of_the_job_are_small(crm: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tours, "_BATCH", 2)
    for _ in range(5):
        make.FeedbackFactory()
    assert tours.complete_tours(LATER) == 5
    assert planned() == [(2, "pending")] * 5


# --- imports and their undo ----------------------------------------------------------------------------------------


def _imported(path: Any, kind: str) -> Any:
    return import_file(path, kind, actor="ann", via="command", clock=lambda: 0.0).run


def test_an_imported_past_tour_is_summed_up_when_the_job_completes_it(crm: Connection, tmp_path: Any) -> None:
    _imported(tours_file(tmp_path / "t.csv", {}, {"stop_sequence": "2"}), "tours")
    _imported(feedback_file(tmp_path / "f.csv", {}, {"stop_sequence": "2"}), "feedback")
    assert planned() == []
    assert tours.complete_tours(LATER) == 1
    assert planned() == [(2, "pending")]


def test_answers_imported_for_a_completed_tour_plan_one_summary_that_belongs_to_the_import(
    crm: Connection, tmp_path: Any
) -> None:
    _imported(tours_file(tmp_path / "t.csv", {}, {"stop_sequence": "2"}), "tours")
    complete(Tour.objects.get())
    path = feedback_file(tmp_path / "f.csv", {}, {"stop_sequence": "2"})
    run = _imported(path, "feedback")
    assert planned(import_run=run) == [(3, "pending")]
    _imported(path, "feedback")
    assert len(planned()) == 1


def test_an_undone_answer_is_forgotten_with_what_its_summary_would_have_told(crm: Connection, tmp_path: Any) -> None:
    _imported(tours_file(tmp_path / "t.csv", {}), "tours")
    complete(Tour.objects.get())
    run = _imported(feedback_file(tmp_path / "f.csv", {}), "feedback")
    assert undo(run.pk, now=LATER, **BY).feedback_deleted == 1
    assert (Feedback.objects.count(), planned()) == (0, [(3, "pending")])


@pytest.mark.parametrize(
    "told", [{"state": "leased", "lease_until_ms": 1}, {"state": "succeeded", "settled_ms": 2**45}]
)
def test_an_answer_that_a_summary_may_have_told_is_left(crm: Connection, tmp_path: Any, told: dict[str, Any]) -> None:
    _imported(tours_file(tmp_path / "t.csv", {}), "tours")
    complete(Tour.objects.get())
    run = _imported(feedback_file(tmp_path / "f.csv", {}), "feedback")
    Operation.objects.filter(kind="tour.summary").update(token=1, blockers=0, **told)
    done = undo(run.pk, now=LATER, **BY)
    assert (done.feedback_deleted, len(done.left), Feedback.objects.count()) == (0, 1, 1)


def test_an_answer_given_after_the_summary_was_sent_can_be_forgotten(
    answered: Tour, crm: Connection, tmp_path: Any
) -> None:
    complete(answered)
    Operation.objects.filter(kind="tour.summary").update(state="succeeded", token=1, blockers=0, settled_ms=1)
    run = _imported(feedback_file(tmp_path / "f.csv", {"tour_ref": answered.reference}), "feedback")
    assert undo(run.pk, now=LATER, **BY).feedback_deleted == 1
    assert planned() == [(2, "succeeded"), (3, "pending")]


def test_an_answer_put_back_is_summed_up_again(crm: Connection, tmp_path: Any) -> None:
    _imported(tours_file(tmp_path / "t.csv", {}), "tours")
    _imported(feedback_file(tmp_path / "f.csv", {}), "feedback")
    complete(Tour.objects.get())
    second = _imported(feedback_file(tmp_path / "g.csv", {"overall_rating": "1"}), "feedback")
    undo(second.pk, now=LATER, **BY)
    assert planned() == [(2, "superseded"), (3, "superseded"), (4, "pending")]


def test_a_connection_that_is_resumed_plans_what_was_completed_meanwhile(answered: Tour, crm: Connection) -> None:
    Connection.objects.update(state=ConnectionState.DISABLED)
    complete(answered)
    assert planned() == []
    connections.resume(crm.pk, **BY)
    assert planned() == [(3, "pending")]
