"""How tours stand in the CRMs, counted over the appointments of their showings; lists show it and filter by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, Exists, IntegerField, OuterRef, QuerySet, When

from integrations.models import OPEN, Operation, State, Tour, TourStop

from .at_risk import tours_at_risk

FAILED = (State.DEAD,)
ASKING = (State.NEEDS_PERSON,)
PERSON = (*FAILED, *ASKING)
WAITING = tuple(state for state in OPEN if state not in PERSON)
MOST_AT_RISK = 200


@dataclass(frozen=True, slots=True)
class Standing:
    """How a tour's showings stand in the CRMs: how many operations failed or ask, how many wait."""

    person: int = 0
    waiting: int = 0

    @property
    def state(self) -> str:
        """Whose colour the badge has."""
        return "dead" if self.person else "pending" if self.waiting else "succeeded"

    @property
    def words(self) -> str:
        """One or two counts, or that nothing is open."""
        parts = [f"{self.person} to look at"] if self.person else []
        parts += [f"{self.waiting} waiting"] if self.waiting else []
        return ", ".join(parts) or "Nothing open"


def standings(tour_ids: Iterable[int]) -> dict[int, Standing]:
    """Of each of these tours that has open or failed showings. Two queries."""
    tour_of = dict(TourStop.objects.filter(tour__in=list(tour_ids)).order_by().values_list("pk", "tour_id"))
    rows = Operation.objects.unsettled().filter(entity_type="stop", entity_id__in=list(tour_of))
    counted: dict[int, list[int]] = {}
    for stop_id, state, number in rows.order_by().values_list("entity_id", "state").annotate(Count("pk")):
        counted.setdefault(tour_of[stop_id], [0, 0])[0 if state in PERSON else 1] += number
    return {pk: Standing(*numbers) for pk, numbers in counted.items()}


def unsettled(tours: QuerySet[Tour], states: Iterable[str] = (), **where: Any) -> QuerySet[Tour]:
    """Those that have a showing with an operation in one of these states (none: any) that is open or failed.

    Read from the index that holds such operations alone: what it costs hangs on how many of them there are.
    """
    held = Operation.objects.unsettled(*states).filter(entity_type="stop", **where)
    stops = TourStop.objects.filter(pk__in=held.values("entity_id")).order_by()
    return tours.filter(pk__in=stops.values("tour_id"))


def at_connection(tours: QuerySet[Tour], connection_id: int) -> QuerySet[Tour]:
    """Those that have a showing this connection was told of, looked for tour by tour: that is most of them."""
    told = Operation.objects.filter(entity_type="stop", entity_id=OuterRef("pk"), connection=connection_id)
    stops = TourStop.objects.filter(Exists(told), tour=OuterRef("pk"))
    return tours.filter(Exists(stops))


def settled(tours: QuerySet[Tour]) -> QuerySet[Tour]:
    """Those of whose showings nothing is open and nothing failed."""
    held = Operation.objects.unsettled().filter(entity_type="stop", entity_id=OuterRef("pk"))
    stops = TourStop.objects.filter(Exists(held), tour=OuterRef("pk"))
    return tours.filter(~Exists(stops))


def at_risk(tours: QuerySet[Tour], now: datetime) -> QuerySet[Tour]:
    """Those with a showing in the next 24 hours that some CRM does not hold yet, the gravest first."""
    ids = [found.tour_id for found in tours_at_risk(now, most=MOST_AT_RISK)]
    places = [When(pk=pk, then=place) for place, pk in enumerate(ids)]
    return tours.filter(pk__in=ids).order_by(Case(*places, default=len(ids), output_field=IntegerField()))
