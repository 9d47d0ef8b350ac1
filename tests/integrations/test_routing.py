"""Which connections a tour goes to, and what staff read about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.models import ConnectionScope, ConnectionState
from integrations.routing import TourFacts, connections_for
from tests import factories as make

SYNC_FROM = datetime(2026, 1, 1, tzinfo=UTC)
TOUR = TourFacts(starts_at=datetime(2026, 9, 14, 21, tzinfo=UTC), agent_id=7, office_id=3)


@dataclass(frozen=True)
class Target:
    scope: str = "brokerage"
    office_id: int | None = None
    agent_id: int | None = None
    sync_from: datetime = SYNC_FROM
    state: str = "active"


@pytest.mark.parametrize(
    ("target", "included", "reason"),
    [
        (Target(), True, "This connection serves the whole brokerage."),
        (Target("office", office_id=3), True, "This connection serves the agent’s office."),
        (Target("office", office_id=4), False, "This connection belongs to another office than the agent’s."),
        (Target("agent", agent_id=7), True, "This connection serves the tour’s agent."),
        (Target("agent", agent_id=8), False, "This connection belongs to another agent."),
        (
            Target(state="paused"),
            True,
            "This connection serves the whole brokerage; it is paused, so changes wait until it is resumed.",
        ),
        (
            Target(state="auth_needed"),
            True,
            "This connection serves the whole brokerage; it needs someone to sign in, and changes wait until then.",
        ),
        (Target(state="disabled"), False, "This connection is disabled."),
        (
            Target(sync_from=datetime(2026, 10, 1, tzinfo=UTC)),
            False,
            "The tour starts before this connection’s “sync tours from”, 2026-10-01.",
        ),
        (
            Target(sync_from=TOUR.starts_at + timedelta(minutes=1)),
            False,
            "The tour starts before this connection’s “sync tours from”, 2026-09-14 21:01 UTC.",
        ),
        (Target(sync_from=TOUR.starts_at), True, "This connection serves the whole brokerage."),
    ],
)
def test_a_route_and_its_reason(target: Target, included: bool, reason: str) -> None:
    (route,) = connections_for(TOUR, [target])

    assert (route.connection, route.included, route.reason) == (target, included, reason)


def test_an_agent_without_office_is_in_no_office() -> None:
    (route,) = connections_for(TourFacts(TOUR.starts_at, 7, None), [Target("office", office_id=3)])

    assert not route.included


def test_routes_stand_in_the_order_of_the_connections() -> None:
    targets = [Target(state="disabled"), Target(), Target("agent", agent_id=8)]

    assert [route.connection for route in connections_for(TOUR, targets)] == targets


@pytest.mark.django_db
def test_records_are_taken_as_they_are(django_assert_num_queries: object) -> None:
    tour = make.TourFactory(agent=make.AgentFactory(office=make.OfficeFactory()))
    connection = make.ConnectionFactory(scope="office", office=tour.agent.office)

    with django_assert_num_queries(0):  # type: ignore[operator]
        (route,) = connections_for(tour, [connection])

    assert route.included


@given(
    scope=st.sampled_from(ConnectionScope.values),
    state=st.sampled_from(ConnectionState.values),
    office=st.one_of(st.none(), st.integers(1, 3)),
    agent=st.one_of(st.none(), st.integers(1, 3)),
    hours=st.integers(-2, 2),
)
def test_every_route_has_a_sentence(scope: str, state: str, office: int | None, agent: int | None, hours: int) -> None:
    target = Target(scope, office, agent, TOUR.starts_at + timedelta(hours=hours), state)
    (route,) = connections_for(TourFacts(TOUR.starts_at, 2, 2), [target])

    assert route.reason.endswith(".")
    assert not (route.included and (state == "disabled" or hours > 0))
