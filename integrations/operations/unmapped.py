"""Operations that wait because their agent has no user in the CRM: how many, and letting them go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from django.db.models import Count, Q, QuerySet

from integrations.engine.clock import db_now
from integrations.engine.kinds import GIVEN
from integrations.engine.verdict import VERDICTS, Fact
from integrations.models import AgentUser, Feedback, Operation, State, Tour, TourStop
from integrations.tasks import ring_after_commit

REASON = VERDICTS[Fact.AGENT_UNMAPPED].reason


def release(tours: QuerySet[Tour] | Iterable[Tour] | None = None, *, connection_id: int | None = None) -> int:
    """Lets go on at once what waits for an agent's user, of these tours (None: of all) at this connection (None: any).

    How many those were. Inside the transaction of the change that they waited for. A row in a worker's hand is waited
    for: one that is put to wait in this very moment is not missed.
    """
    rows = Operation.objects.filter(kind__in=GIVEN, state__in=(State.WAITING, State.LEASED))
    if connection_id is not None:
        rows = rows.filter(connection_id=connection_id)
    if tours is not None:
        stops = TourStop.objects.filter(tour__in=tours)
        answers = Feedback.objects.filter(stop__in=stops)
        of_a_stop = Q(entity_type="stop", entity_id__in=stops.values("pk"))
        rows = rows.filter(of_a_stop | Q(entity_type="feedback", entity_id__in=answers.values("pk")))
    for _ in rows.select_for_update().order_by("pk").values_list("pk").iterator():
        pass
    waiting = rows.filter(state=State.WAITING, reason=REASON)
    for pk in sorted(set(waiting.order_by().values_list("connection_id", flat=True).distinct())):
        ring_after_commit(pk)
    return waiting.update(due_ms=db_now())


def held_up(connection_id: int, *, unmapped_only: bool = False) -> Counter[int]:
    """How many operations of each agent wait for the agent's user there. One query.

    `unmapped_only`: without those of agents who have a user by now, and whose operations go on when they are next due.
    """
    waiting = Operation.objects.filter(connection_id=connection_id, state=State.WAITING, reason=REASON, kind__in=GIVEN)
    stops = TourStop.objects.filter(pk__in=waiting.filter(entity_type="stop").values("entity_id"))
    answers = Feedback.objects.filter(pk__in=waiting.filter(entity_type="feedback").values("entity_id"))
    if unmapped_only:
        mapped = AgentUser.objects.filter(connection_id=connection_id).values("agent_id")
        stops = stops.exclude(tour__agent__in=mapped)
        answers = answers.exclude(stop__tour__agent__in=mapped)
    of_stops = stops.order_by().values_list("tour__agent").annotate(Count("pk"))
    of_answers = answers.order_by().values_list("stop__tour__agent").annotate(Count("pk"))
    found: Counter[int] = Counter()
    for agent_id, number in of_stops.union(of_answers, all=True):
        found[agent_id] += number
    return found
