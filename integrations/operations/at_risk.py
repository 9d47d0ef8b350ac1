"""Showings that start soon and are not yet in a CRM as they should be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from integrations.models import ConnectionState, Operation, State, TourStop

SOON = timedelta(hours=24)
# What a person must act on comes before what mends itself.
_GRAVEST = (State.DEAD, State.NEEDS_PERSON, State.UNKNOWN, State.RETRYABLE, State.WAITING, State.PENDING, State.LEASED)
_FAILED = (State.DEAD, State.NEEDS_PERSON)


@dataclass(frozen=True, slots=True)
class AtRisk:
    """A tour with showings that no CRM, or not every CRM, has as it should.

    `next_start`: of the first such showing, aware, UTC. `state`, `reason`: of the gravest of their operations.
    """

    tour_id: int
    reference: str
    title: str
    agent: str
    time_zone: str
    next_start: datetime
    stops: int
    state: str
    reason: str

    @property
    def needs_person(self) -> bool:
        """Whether it will not mend itself."""
        return self.state in _FAILED


def tours_at_risk(now: datetime, *, within: timedelta = SOON, most: int = 50) -> list[AtRisk]:
    """Tours with a live showing between `now` (aware) and `within` from it that some CRM does not hold yet.

    Those that need a person first, then by the time of the showing; at most `most`. Two queries.
    """
    soon = TourStop.objects.live().filter(appointment_start__gte=now, appointment_start__lt=now + within)
    unsettled = (
        Operation.objects.unsettled()
        .filter(entity_type="stop", entity_id__in=soon.values("pk"))
        .exclude(connection__state=ConnectionState.DISABLED)
    )
    worst: dict[int, tuple[int, str, str]] = {}
    for stop_id, state, reason in unsettled.values_list("entity_id", "state", "reason"):
        found = (_GRAVEST.index(State(state)), state, reason)
        worst[stop_id] = min(found, worst.get(stop_id, found))
    rows = TourStop.objects.filter(pk__in=worst).order_by("appointment_start", "pk").select_related("tour__agent")
    tours: dict[int, list[TourStop]] = {}
    for stop in rows:
        tours.setdefault(stop.tour_id, []).append(stop)
    found_tours = [_at_risk(stops, worst) for stops in tours.values()]
    return sorted(found_tours, key=lambda tour: (not tour.needs_person, tour.next_start, tour.tour_id))[:most]


def _at_risk(stops: list[TourStop], worst: dict[int, tuple[int, str, str]]) -> AtRisk:
    tour = stops[0].tour
    _, state, reason = min(worst[stop.pk] for stop in stops)
    return AtRisk(
        tour_id=tour.pk,
        reference=tour.reference,
        title=tour.title,
        agent=tour.agent.name,
        time_zone=tour.time_zone,
        next_start=stops[0].appointment_start,
        stops=len(stops),
        state=state,
        reason=reason,
    )
