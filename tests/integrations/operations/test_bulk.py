"""One verb on many operations: the frozen choice, the plan, the work in pieces."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.engine.clock import db_now
from integrations.models import AuditEvent, BulkItem, BulkRun, Connection, Operation
from integrations.operations import bulk, housekeeping
from integrations.operations.audit import Who
from integrations.operations.refusals import NotPossible
from tests.factories import ConnectionFactory, OperationDependencyFactory, OperationFactory

pytestmark = pytest.mark.django_db
OLGA = Who("olga", "admin", "the CRM is back")


def dead(number: int, crm: Connection | None = None, **values: Any) -> list[Operation]:
    crm = crm or ConnectionFactory()
    start = Operation.objects.count() + 1
    fields = {"state": "dead", "reason": "attempts_used_up", **values}
    return Operation.objects.bulk_create(
        [
            OperationFactory.build(connection=crm, op_key=f"bulk {key}", entity_id=key, **fields)
            for key in range(start, start + number)
        ]
    )


def made(verb: str = "retry") -> BulkRun:
    return bulk.make(Operation.objects.all(), verb, OLGA, chosen="All.")


def states() -> list[str]:
    return list(Operation.objects.order_by("pk").values_list("state", flat=True))


def test_a_plan_alone_changes_nothing() -> None:
    dead(3)
    run = made()
    assert bulk.look(run).number == 3
    assert (run.state, run.total, states()) == ("planned", 3, ["dead"] * 3)
    assert AuditEvent.objects.count() == 0


def test_the_plan_says_what_happens_to_each_at_each_crm_and_what_is_left_and_why() -> None:
    one, other = ConnectionFactory(label="A"), ConnectionFactory(label="B")
    dead(2, one)
    dead(1, one, in_doubt=True)
    dead(1, one, state="succeeded", reason="")
    dead(1, other, reason="gone_at_provider")
    dead(1, other, state="leased", lease_until_ms=db_now() + 60_000)
    plan = bulk.look(made())
    told = [(group.connection, group.number, group.effect.words) for group in (*plan.acting, *plan.left)]
    assert told == [
        ("A", 1, "Looked up in the CRM first; sent only if it is not there"),
        ("A", 2, "Sent again when its turn comes, as the record is then"),
        ("A", 1, "At an end already"),
        ("B", 1, "Being sent this very moment"),
        ("B", 1, "It asks for a decision of its own, on its page"),
    ]
    assert plan.requests == 3


def test_the_plan_says_how_long_it_takes_by_the_limits(settings: Any) -> None:
    settings.REDIS_URL = "unix:///tmp/nobody-listens-here.sock"
    crm = ConnectionFactory(limit_overrides={"burst": 10})
    dead(25, crm)
    dead(10, crm, state="pending", reason="")
    plan = bulk.look(made())
    assert (plan.requests, plan.lasts_ms) == (25, 30_000)  # behind ten that wait: the 35th request, ten in ten seconds


def test_the_choice_is_frozen() -> None:
    dead(2)
    run = made()
    later = dead(1)[0]
    bulk.confirm(run.pk, OLGA)
    assert states() == ["pending", "pending", "dead"]
    later.refresh_from_db()
    assert later.redrive_no == 0


def test_what_changed_since_the_plan_is_judged_as_it_is_then() -> None:
    first, second = dead(2)
    run = made()
    Operation.objects.filter(pk=first.pk).update(state="succeeded")
    bulk.confirm(run.pk, OLGA)
    assert states() == ["succeeded", "pending"]
    told = run.items.order_by("pk").values_list("operation_id", "outcome", "detail")
    assert list(told) == [
        (first.pk, "left", "At an end already"),
        (second.pk, "done", "Sent again when its turn comes, as the record is then"),
    ]


def test_each_is_audited_with_the_reason_and_the_run_itself_once() -> None:
    dead(2)
    run = made()
    bulk.confirm(run.pk, OLGA)
    trail = AuditEvent.objects.order_by("pk").values_list("verb", "actor", "via", "reason")
    each = ("retry", "olga", "admin", f"the CRM is back (bulk {run.pk})")
    assert list(trail) == [("bulk.retry", "olga", "admin", "the CRM is back"), each, each]


def test_a_double_click_begins_nothing_twice() -> None:
    dead(2)
    run = made()
    assert [bulk.confirm(run.pk, OLGA), bulk.confirm(run.pk, OLGA)] == [True, False]
    assert list(Operation.objects.values_list("redrive_no", flat=True)) == [1, 1]
    assert AuditEvent.objects.count() == 3


def test_without_a_reason_nothing_begins() -> None:
    dead(1)
    run = made()
    with pytest.raises(NotPossible, match="Say why"):
        bulk.confirm(run.pk, Who("olga", "admin", "  "))
    assert states() == ["dead"]


@pytest.mark.parametrize(("most", "says"), [(0, "No operation"), (1, "at a time; narrow")])
def test_none_and_too_many_are_refused(most: int, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST", 1)
    dead(2 * most)
    with pytest.raises(NotPossible, match=says):
        made()
    assert BulkRun.objects.count() == 0


def test_cancel_leaves_what_may_have_arrived() -> None:
    dead(1, state="pending", reason="")
    dead(1, state="unknown", reason="answer_lost", in_doubt=True)
    dead(1, state="leased", reason="", lease_until_ms=db_now() + 60_000)
    bulk.confirm(made("cancel").pk, OLGA)
    assert states() == ["cancelled", "unknown", "leased"]
    assert Operation.objects.get(state="leased").cancel_requested
    assert sorted(BulkItem.objects.values_list("outcome", flat=True)) == ["done", "done", "left"]


def test_skip_goes_on_without_what_failed() -> None:
    crm = ConnectionFactory()
    (failed,) = dead(1, crm)
    (doubted,) = dead(1, crm, in_doubt=True)
    waits, waits_in_doubt = dead(2, crm, state="pending", reason="", blockers=1)
    OperationDependencyFactory(operation=waits, needs=failed)
    OperationDependencyFactory(operation=waits_in_doubt, needs=doubted)
    run = bulk.make(Operation.objects.filter(state="pending"), "skip", OLGA, chosen="")
    assert [(group.number, group.effect.acts) for group in (*bulk.look(run).acting, *bulk.look(run).left)] == [
        (1, True),
        (1, False),
    ]
    bulk.confirm(run.pk, OLGA)
    assert list(Operation.objects.filter(state="pending").order_by("pk").values_list("blockers", flat=True)) == [0, 1]


def test_many_are_left_to_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    dead(bulk.AT_ONCE + 1)
    run = made()
    bulk.confirm(run.pk, OLGA)
    assert set(states()) == {"dead"}
    bulk.work_on_all()
    run.refresh_from_db()
    assert (run.state, set(states())) == ("done", {"pending"})
    assert bulk.outcomes(run) == {"done": bulk.AT_ONCE + 1}


def test_stopping_leaves_the_rest_untouched() -> None:
    dead(bulk.AT_ONCE + 1)
    run = made()
    bulk.confirm(run.pk, OLGA)
    bulk._piece(run.pk, "w1", 0)
    assert bulk.stop(run.pk, OLGA)
    bulk.work_on_all()
    assert not bulk.stop(run.pk, OLGA)
    run.refresh_from_db()
    acted = states().count("pending")
    assert 0 < acted <= bulk.PIECE
    assert (run.state, bulk.outcomes(run)[""]) == ("stopped", bulk.AT_ONCE + 1 - acted)


def test_one_worker_has_it_in_hand_and_a_lost_ones_work_goes_on() -> None:
    dead(bulk.AT_ONCE + 1)
    run = made()
    bulk.confirm(run.pk, OLGA)
    bulk._piece(run.pk, "w1", 0)
    before = bulk.outcomes(run)
    bulk.work_on(run.pk)
    assert bulk.outcomes(run) == before
    BulkRun.objects.filter(pk=run.pk).update(until_ms=db_now() - 1)
    bulk.work_on(run.pk)
    assert set(Operation.objects.values_list("redrive_no", flat=True)) == {1}


def test_a_worker_that_is_stopped_ends_between_two_pieces() -> None:
    dead(bulk.AT_ONCE + 1)
    run = made()
    bulk.confirm(run.pk, OLGA)
    bulk.work_on_all(stopping=lambda: True)
    assert set(states()) == {"dead"}


def test_one_that_cannot_be_done_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = dead(2, state="pending", reason="")
    run = made("cancel")
    real = bulk._ACTS["cancel"]

    def cancel(pk: int, who: Who) -> Operation:
        if pk == first.pk:
            Operation.objects.filter(pk=pk).update(in_doubt=True)  # as a worker that is faster
        return real(pk, who)

    monkeypatch.setitem(bulk._ACTS, "cancel", cancel)  # type: ignore[arg-type]  # a dict behind its Mapping
    bulk.confirm(run.pk, OLGA)
    assert states() == ["pending", "cancelled"]
    assert run.items.get(operation=first).detail.startswith("This may have reached the CRM already")


@pytest.mark.django_db(transaction=True)
def test_what_a_worker_has_locked_is_left_for_the_next_round() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks no rows")
    first, second = dead(2)
    run = made()
    BulkRun.objects.filter(pk=run.pk).update(state="running", actor="olga", via="admin", reason="x")
    locked, go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Operation.objects.select_for_update().get(pk=first.pk)
            locked.set()
            go.wait(10)
        connection.close()

    worker = threading.Thread(target=hold)
    worker.start()
    assert locked.wait(10)
    piece = bulk._piece(run.pk, "w1", 0)
    assert piece is not None
    assert (piece.done, states()) == (1, ["dead", "pending"])
    go.set()
    worker.join()
    bulk._piece(run.pk, "w1", 0)
    assert states() == ["pending", "pending"]
    assert second.pk > first.pk


def test_many_cost_no_more_queries_to_look_at() -> None:
    def asked(number: int) -> int:
        dead(number, crm)
        run = made()
        with CaptureQueriesContext(connection) as queries:
            assert bulk.look(run).number == run.total
        return len(queries)

    crm = ConnectionFactory()
    assert asked(300) == asked(1)


def test_plans_are_forgotten_after_a_day_and_ended_ones_with_the_attempts() -> None:
    dead(2)
    planned, running, fresh = made(), made(), made()
    BulkRun.objects.exclude(pk=fresh.pk).update(created_at=timezone.now() - timedelta(days=2))
    BulkRun.objects.filter(pk=running.pk).update(state="running")
    housekeeping.purge(timezone.now())
    assert set(BulkRun.objects.values_list("pk", flat=True)) == {running.pk, fresh.pk}
    BulkRun.objects.filter(pk=running.pk).update(state="done", created_at=timezone.now() - timedelta(days=4000))
    housekeeping.purge(timezone.now())
    assert set(BulkItem.objects.values_list("run_id", flat=True)) == {fresh.pk}
    assert planned.pk not in BulkRun.objects.values_list("pk", flat=True)
