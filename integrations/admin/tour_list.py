"""The list of tours: when, whose, and how each stands in the CRMs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.db.models import Case, Count, Exists, IntegerField, OuterRef, QuerySet, When
from django.http import HttpRequest
from django.utils import timezone

from integrations.models import OPEN, Operation, State, Tour, TourStop
from integrations.operations.at_risk import tours_at_risk

PERSON = (State.DEAD, State.NEEDS_PERSON)
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
    rows = Operation.objects.filter(entity_type="stop", entity_id__in=list(tour_of), state__in=(*OPEN, State.DEAD))
    counted: dict[int, list[int]] = {}
    for stop_id, state, number in rows.order_by().values_list("entity_id", "state").annotate(Count("pk")):
        counted.setdefault(tour_of[stop_id], [0, 0])[0 if state in PERSON else 1] += number
    return {pk: Standing(*numbers) for pk, numbers in counted.items()}


class TourList(ChangeList):
    """The page's tours with how they stand, fetched together."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Tour]) -> list[Any]:
        """A filter's own order (at risk first) goes before the list's, unless a column was chosen."""
        usual = super().get_ordering(request, queryset)
        return usual if ORDER_VAR in self.params else [*queryset.query.order_by, *usual]

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        found = standings(row.pk for row in rows)
        for row in rows:
            row.standing = found.get(row.pk, Standing())
        self.result_list = rows


class WhenFilter(admin.SimpleListFilter):
    """Near in time, whatever the tour's zone."""

    title = "start"
    parameter_name = "when"
    _SPANS = {"day": ("Next 24 hours", 0, 1), "week": ("Next 7 days", 0, 7), "last": ("Last 7 days", -7, 0)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, words) for name, (words, _, _) in self._SPANS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Tour]) -> QuerySet[Tour]:
        span = self._SPANS.get(self.value() or "")
        if span is None:
            return queryset
        now = timezone.now()
        return queryset.filter(
            starts_at__gte=now + timedelta(days=span[1]), starts_at__lt=now + timedelta(days=span[2])
        )


class SyncFilter(admin.SimpleListFilter):
    """How a tour's showings stand in the CRMs. "At risk" brings what a person must look at to the top."""

    title = "in the CRMs"
    parameter_name = "sync"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("risk", "At risk in the next 24 hours"),
            ("person", "Failed, or needs a person"),
            ("waiting", "Waiting"),
            ("settled", "Nothing open"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Tour]) -> QuerySet[Tour]:
        match self.value():
            case "risk":
                ids = [found.tour_id for found in tours_at_risk(timezone.now(), most=MOST_AT_RISK)]
                places = [When(pk=pk, then=place) for place, pk in enumerate(ids)]
                order = Case(*places, default=len(ids), output_field=IntegerField())
                return queryset.filter(pk__in=ids).order_by(order)
            case "person":
                return queryset.filter(pk__in=_tours_with(PERSON))
            case "waiting":
                return queryset.filter(pk__in=_tours_with(WAITING))
            case "settled":
                return queryset.exclude(Exists(_tours_with((*PERSON, *WAITING)).filter(tour=OuterRef("pk"))))
        return queryset


def _tours_with(states: Iterable[State]) -> QuerySet[TourStop, Any]:
    """Ids of tours with a showing in one of these states at some CRM."""
    held = Operation.objects.filter(entity_type="stop", state__in=list(states))
    return TourStop.objects.filter(pk__in=held.values("entity_id")).order_by().values("tour_id")
