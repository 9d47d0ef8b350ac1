"""Which connections a tour goes to, and what staff read about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.models import ConnectionScope, ConnectionState
from integrations.routing import TourFacts, connections_for
from tests import factories as make

SYNC_FROM = datetime(2026, 1, 1, tzinfo=UTC)
TOUR = TourFacts(1, datetime(2026, 9, 14, 21, tzinfo=UTC), agent_id=7, office_id=3, buyer_id=5)


@dataclass(frozen=True)
class Target:
    pk: int = 9
    scope: str = "brokerage"
    office_id: int | None = None
    agent_id: int | None = None
    sync_from: datetime = SYNC_FROM
    state: str = "active"


@pytest.mark.parametrize(
    ("target", "included", "reason"),
    [
        (Target(), True, "This connection serves the whole brokerage."),
        (Target(9, "office", office_id=3), True, "This connection serves the agent’s office."),
        (Target(9, "office", office_id=4), False, "This connection belongs to another office than the agent’s."),
        (Target(9, "agent", agent_id=7), True, "This connection serves the tour’s agent."),
        (Target(9, "agent", agent_id=8), False, "This connection belongs to another agent."),
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
    (route,) = connections_for(TOUR, [target], {})

    assert (route.connection, route.included, route.reason) == (target, included, reason)


@pytest.mark.parametrize("record", [("tour", 1), ("contact", 5)])
def test_what_people_left_out_stays_out_with_their_reason(record: tuple[str, int]) -> None:
    left_out = {(9, *record): "Private sale."}
    here, elsewhere = connections_for(TOUR, [Target(), Target(pk=10)], left_out)

    assert (here.included, here.reason) == (False, "Left out of this CRM: Private sale.")
    assert elsewhere.included


@pytest.mark.parametrize("record", [("tour", 5), ("contact", 1), ("stop", 1)])
def test_another_record_left_out_is_no_reason(record: tuple[str, int]) -> None:
    (route,) = connections_for(TOUR, [Target()], {(9, *record): "Private sale."})

    assert route.included


def test_an_agent_without_office_is_in_no_office() -> None:
    (route,) = connections_for(replace(TOUR, office_id=None), [Target(9, "office", office_id=3)], {})

    assert not route.included


def test_routes_stand_in_the_order_of_the_connections() -> None:
    targets = [Target(state="disabled"), Target(), Target(9, "agent", agent_id=8)]

    assert [route.connection for route in connections_for(TOUR, targets, {})] == targets


@pytest.mark.django_db
def test_records_are_taken_as_they_are(django_assert_num_queries: object) -> None:
    tour = make.TourFactory(agent=make.AgentFactory(office=make.OfficeFactory()))
    connection = make.ConnectionFactory(scope="office", office=tour.agent.office)

    with django_assert_num_queries(0):  # type: ignore[operator]
        (route,) = connections_for(tour, [connection], {})

    assert route.included


@given(
    scope=st.sampled_from(ConnectionScope.values),
    state=st.sampled_from(ConnectionState.values),
    office=st.one_of(st.none(), st.integers(1, 3)),
    agent=st.one_of(st.none(), st.integers(1, 3)),
    hours=st.integers(-2, 2),
)
def test_every_route_has_a_sentence(scope: str, state: str, office: int | None, agent: int | None, hours: int) -> None:
    target = Target(9, scope, office, agent, TOUR.starts_at + timedelta(hours=hours), state)
    (route,) = connections_for(replace(TOUR, agent_id=2, office_id=2), [target], {})

    assert route.reason.endswith(".")
    assert not (route.included and (state == "disabled" or hours > 0))
