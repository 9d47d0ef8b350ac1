"""Which connections a tour goes to, and why: one pure rule, shown to staff in its own words.

Reads only attributes that are loaded already; no queries, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Generic, Protocol, TypeVar

from integrations.models import ConnectionScope, ConnectionState, Tour

LeftOutReasons = Mapping[tuple[int, str, int], str]
"""(connection id, entity type, entity id) → why people keep it out of that CRM; `LeftOut.objects.reasons` loads it."""


@dataclass(frozen=True, slots=True)
class TourFacts:
    """What routing needs of a tour. `starts_at` is aware; `office_id` is the agent's office."""

    id: int
    starts_at: datetime
    agent_id: int
    office_id: int | None
    buyer_id: int

    @classmethod
    def of(cls, tour: Tour) -> TourFacts:
        """The facts of a tour whose agent is loaded (`select_related("agent")`), or a query is made for it."""
        return cls(tour.pk, tour.starts_at, tour.agent_id, tour.agent.office_id, tour.buyer_id)


class Target(Protocol):
    """What routing reads of a connection: a `Connection`, or any stand-in with these attributes."""

    @property
    def pk(self) -> int: ...
    @property
    def scope(self) -> str: ...
    @property
    def office_id(self) -> int | None: ...
    @property
    def agent_id(self) -> int | None: ...
    @property
    def sync_from(self) -> datetime: ...
    @property
    def state(self) -> str: ...


T = TypeVar("T", bound=Target)


@dataclass(frozen=True, slots=True)
class Route(Generic[T]):
    """One connection, whether the tour goes there, and the sentence staff read."""

    connection: T
    included: bool
    reason: str


def connections_for(tour: TourFacts | Tour, connections: Iterable[T], left_out: LeftOutReasons) -> list[Route[T]]:
    """One route for each connection, in the order given. `left_out`: at least what concerns the tour and its buyer.

    A paused connection, or one that needs a person to sign in, is included: its operations wait for it. A disabled
    one is not. The tour's own status plays no part: a cancelled tour must still be told where it was known.
    """
    facts = tour if isinstance(tour, TourFacts) else TourFacts.of(tour)
    return [_route(facts, connection, left_out) for connection in connections]


def why_left_out(left_out: LeftOutReasons, connection_id: int, *records: tuple[str, int]) -> str:
    """The sentence for the first of these records (entity type, id) that is left out there; empty: none is."""
    for entity_type, entity_id in records:
        reason = left_out.get((connection_id, entity_type, entity_id))
        if reason is not None:
            return f"Left out of this CRM: {reason.rstrip('. ')}."
    return ""


def _route(tour: TourFacts, connection: T, left_out: LeftOutReasons) -> Route[T]:
    if connection.state == ConnectionState.DISABLED:
        return Route(connection, included=False, reason="This connection is disabled.")
    decided = why_left_out(left_out, connection.pk, ("tour", tour.id), ("contact", tour.buyer_id))
    if decided:
        return Route(connection, included=False, reason=decided)
    if connection.scope == ConnectionScope.OFFICE and connection.office_id != tour.office_id:
        return Route(connection, included=False, reason="This connection belongs to another office than the agent’s.")
    if connection.scope == ConnectionScope.AGENT and connection.agent_id != tour.agent_id:
        return Route(connection, included=False, reason="This connection belongs to another agent.")
    if tour.starts_at < connection.sync_from:
        return Route(
            connection,
            included=False,
            reason=f"The tour starts before this connection’s “sync tours from”, {_shown(connection.sync_from)}.",
        )
    return Route(connection, included=True, reason=_why_included(connection))


def _why_included(connection: Target) -> str:
    whose = {
        ConnectionScope.BROKERAGE: "This connection serves the whole brokerage",
        ConnectionScope.OFFICE: "This connection serves the agent’s office",
        ConnectionScope.AGENT: "This connection serves the tour’s agent",
    }[ConnectionScope(connection.scope)]
    if connection.state == ConnectionState.PAUSED:
        return f"{whose}; it is paused, so changes wait until it is resumed."
    if connection.state == ConnectionState.AUTH_NEEDED:
        return f"{whose}; it needs someone to sign in, and changes wait until then."
    return f"{whose}."


def _shown(at: datetime) -> str:
    """A date alone when it is midnight UTC, as most people enter it."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y-%m-%d}" if utc.time() == time(0) else f"{utc:%Y-%m-%d %H:%M} UTC"
