"""Claims in the database, and that they are what the pure state machine says."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.engine import claims, states
from integrations.engine.clock import StepWatch, db_now
from integrations.models import Attempt, Connection, ConnectionState, Operation, State
from tests.crm import Crm, make_connection, make_tour

LEASE_MS = 60_000


def add(connection: Connection, entity_id: int = 1, **values: object) -> Operation:
    """An operation row as it may stand."""
    state = values.pop("state", "pending")
    fields = {
        "op_key": f"{connection.pk}:{entity_id}:{values.get('version', 1)}:{Operation.objects.count()}",
        "connection": connection,
        "kind": "contact.link",
        "entity_type": "contact",
        "entity_id": entity_id,
        "version": 1,
        "due_ms": 0,
        "state": state,
        **values,
    }
    return Operation.objects.create(**fields)


@pytest.fixture
def connection(db: None) -> Connection:
    return make_connection()


def claim(connection: Connection, limit: int = 20) -> list[claims.Claim]:
    return claims.claim(connection.pk, "me", limit, LEASE_MS, monotonic=100.0)


@pytest.mark.parametrize("state", ["pending", "waiting", "retryable", "unknown"])
def test_what_is_due_is_claimed_with_a_growing_token_and_an_end(connection: Connection, state: str) -> None:
    operation = add(connection, state=state, token=7)
    (claimed,) = claim(connection)
    operation.refresh_from_db()
    assert (operation.state, operation.token, operation.attempts, operation.lease_owner) == ("leased", 8, 1, "me")
    assert claimed.lease_end == 160.0
    assert abs(operation.lease_until_ms - db_now() - LEASE_MS) < 5_000


@pytest.mark.parametrize("state", ["needs_person", *sorted(states.TERMINAL)])
def test_what_is_at_an_end_or_asks_a_person_is_not_claimed(connection: Connection, state: str) -> None:
    add(connection, state=state)
    assert claim(connection) == []


def test_what_is_due_later_is_not_claimed(connection: Connection) -> None:
    add(connection, due_ms=db_now() + 60_000)
    assert claim(connection) == []


def test_what_is_blocked_is_not_claimed(connection: Connection) -> None:
    add(connection, blockers=1)
    assert claim(connection) == []


def test_a_held_connection_is_skipped(connection: Connection) -> None:
    add(connection)
    Connection.objects.update(hold_until_ms=db_now() + 60_000)
    assert claim(connection) == []


@pytest.mark.parametrize("state", [ConnectionState.PAUSED, ConnectionState.AUTH_NEEDED, ConnectionState.DISABLED])
def test_a_connection_that_may_not_send_is_skipped(connection: Connection, state: str) -> None:
    add(connection)
    Connection.objects.update(state=state)
    assert claim(connection) == []


def test_the_order_is_priority_then_due_then_age(connection: Connection) -> None:
    last = add(connection, 1, priority=150, due_ms=0)
    second = add(connection, 2, priority=50, due_ms=9)
    first = add(connection, 3, priority=50, due_ms=8)
    assert [item.operation.pk for item in claim(connection)] == [first.pk, second.pk, last.pk]


def test_a_second_claim_finds_nothing(connection: Connection) -> None:
    add(connection)
    assert len(claim(connection)) == 1
    assert claim(connection) == []


def test_a_sibling_of_a_leased_row_is_not_claimed(connection: Connection) -> None:
    add(connection, 5, version=1)
    claim(connection)
    add(connection, 5, version=2)
    assert claim(connection) == []


def test_one_of_two_due_siblings_is_claimed(connection: Connection) -> None:
    older = add(connection, 5, version=1)
    add(connection, 5, version=2)
    assert [item.operation.pk for item in claim(connection)] == [older.pk]


def test_a_suspect_is_claimed_alone(connection: Connection) -> None:
    suspect = add(connection, 1, strikes=2, priority=1)
    add(connection, 2)
    assert [item.operation.pk for item in claim(connection)] == [suspect.pk]


def test_a_suspect_further_down_ends_the_batch(connection: Connection) -> None:
    first = add(connection, 1, priority=1)
    add(connection, 2, strikes=2, priority=2)
    add(connection, 3, priority=3)
    assert [item.operation.pk for item in claim(connection)] == [first.pk]


def test_handing_back_refunds_and_keeps_doubt(connection: Connection) -> None:
    plain, doubted = add(connection, 1), add(connection, 2, state="unknown", in_doubt=True, sent_ms=3, attempts=2)
    assert claims.hand_back(claim(connection)) == 2
    plain.refresh_from_db()
    doubted.refresh_from_db()
    assert (plain.state, plain.attempts) == ("pending", 0)
    assert (doubted.state, doubted.attempts, doubted.in_doubt, doubted.sent_ms) == ("unknown", 2, True, 3)


def test_handing_back_nothing_asks_nothing(connection: Connection, django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    with django_assert_num_queries(0):
        assert claims.hand_back([]) == 0


def test_a_heartbeat_extends_only_its_own(connection: Connection) -> None:
    add(connection, 1)
    claim(connection)
    Operation.objects.update(lease_until_ms=5)
    assert claims.extend("someone else", LEASE_MS) == 0
    assert claims.extend("me", LEASE_MS) == 1
    assert Operation.objects.get().lease_until_ms > db_now()


def test_a_lost_lease_is_recovered_and_its_attempt_closed(connection: Connection) -> None:
    operation = add(connection, due_ms=7)
    (claimed,) = claim(connection)
    Operation.objects.update(in_doubt=True, sent_ms=1000, entered=True)
    Attempt.objects.create(
        operation=operation, connection=connection, token=claimed.token, version=1, started_ms=1, sent_ms=1000
    )
    (changed,) = claims.recover(db_now() + 2 * LEASE_MS, settle_ms=25_000)
    assert (changed.state, changed.reason, changed.due_ms) == ("unknown", "worker_lost", 7)
    assert Attempt.objects.get().outcome == "worker_lost"


@pytest.mark.parametrize("sent", [{}, {"in_doubt": True, "sent_ms": 1_000}])
def test_what_a_lost_worker_held_goes_before_what_became_due_meanwhile(
    connection: Connection, sent: dict[str, Any]
) -> None:
    """Also what was sent: its answer has settled long since, and looking it up is not the work of the last in line."""
    lost = add(connection, 1, due_ms=7)
    claim(connection)
    Operation.objects.update(**sent)
    add(connection, 2, due_ms=8)
    claims.recover(db_now() + 2 * LEASE_MS, settle_ms=25_000)
    assert [item.operation.pk for item in claim(connection, limit=1)] == [lost.pk]


def test_a_running_lease_is_left_alone(connection: Connection) -> None:
    add(connection)
    claim(connection)
    assert claims.recover(db_now(), settle_ms=0) == []


def test_entering_needs_the_row(connection: Connection) -> None:
    add(connection, strikes=1)
    (claimed,) = claim(connection)
    claims.enter(claimed)
    assert Operation.objects.get().entered
    Operation.objects.update(token=99)
    with pytest.raises(claims.LeaseLost):
        claims.enter(claimed)


def test_an_empty_claim_costs_few_queries(connection: Connection, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    with django_assert_max_num_queries(5):
        claim(connection)


def test_a_full_claim_costs_the_same_for_one_and_for_twenty(
    connection: Connection, django_assert_max_num_queries
) -> None:  # type: ignore[no-untyped-def]
    for number in range(20):
        add(connection, number)
    with django_assert_max_num_queries(7):
        assert len(claim(connection)) == 20


ROWS = st.builds(
    states.Row,
    state=st.sampled_from(sorted(State.values)),
    in_doubt=st.booleans(),
    blockers=st.integers(0, 2),
    token=st.integers(0, 50),
    sent_ms=st.none() | st.integers(1, 10**12),
    attempts=st.integers(0, 6),
    strikes=st.integers(0, 1),
    due_ms=st.integers(0, 4 * 10**12),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(row=ROWS)
def test_the_database_claims_exactly_what_the_state_machine_claims(connection: Connection, row: states.Row) -> None:
    """The SQL and `states.claim` are two tellings of one rule."""
    Operation.objects.all().delete()
    columns = claims.columns_of(row)
    lease = db_now() + LEASE_MS if row.state == "leased" else None
    operation = add(connection, **{**columns, "lease_until_ms": lease})
    claimed = claim(connection)
    operation.refresh_from_db()
    if states.claimable(row, db_now()):
        expected = states.claim(row, db_now(), LEASE_MS)
        actual = claims.row_of(operation)
        assert len(claimed) == 1
        for name in ("state", "token", "attempts", "in_doubt", "sent_ms", "entered", "strikes", "blockers"):
            assert getattr(actual, name) == getattr(expected, name), name
    else:
        assert claimed == []
        assert operation.state == row.state


def test_a_wall_clock_that_was_set_is_noticed() -> None:
    times = {"wall": 1000.0, "mono": 5.0}
    watch = StepWatch(lambda: times["wall"], lambda: times["mono"])
    times.update(wall=1010.0, mono=15.0)
    assert not watch.stepped()
    times.update(wall=1012.5)
    assert watch.stepped()


def test_a_process_whose_clock_was_set_hands_back_what_it_claimed(crm: Crm, tomorrow: datetime) -> None:
    crm.plan(make_tour(tomorrow))
    walls = iter([1000.0, *[5000.0] * 50])
    crm.engine.watch = StepWatch(lambda: next(walls), lambda: 0.0)
    crm.drain_once()
    assert crm.requests() == []
    assert set(Operation.objects.values_list("state", flat=True)) == {"pending"}
