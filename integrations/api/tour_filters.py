"""Filters of the list of tours. How a tour stands in the CRMs is counted as the admin's list counts it."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import django_filters
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from integrations.models import Tour, TourStatus, TourStop
from integrations.operations import counting, standing, tour_search

from .lists import DayFilter, IdFilter, MomentFilter, TextFilter, in_days

SYNC = {
    "waiting": standing.WAITING,
    "person": standing.PERSON,
    "needs_person": standing.ASKING,
    "failed": standing.FAILED,
}


class TourFilters(django_filters.FilterSet):
    """Filters of the list."""

    reference = django_filters.CharFilter(max_length=40, help_text="Exactly this one.")
    day = DayFilter(help_text="Tours that start on this day, on a clock of their own zone.")
    from_day = DayFilter(help_text="Tours that start on this day or later.")
    to_day = DayFilter(help_text="Tours that start on this day or earlier.")
    agent = IdFilter(field_name="agent_id")
    office = IdFilter(field_name="agent__office_id")
    buyer = IdFilter(field_name="buyer_id", help_text="The primary buyer.")
    status = django_filters.ChoiceFilter(choices=TourStatus.choices)
    archived = django_filters.BooleanFilter(field_name="archived_at", lookup_expr="isnull", exclude=True)
    updated_since = MomentFilter(method="changed_since", help_text="The tour or a stop changed at this time or later.")
    connection = IdFilter(method="of_connection", help_text="Tours with a showing this connection was told of.")
    reason = TextFilter(method="with_reason", help_text="An operation of a showing, not at an end, has this reason.")
    sync = django_filters.ChoiceFilter(
        choices=[(name, name) for name in (*SYNC, "risk", "settled")],
        method="in_sync_state",
        help_text="How the appointments of its showings stand. waiting, needs_person or failed: one of them does so; "
        "person: one failed or needs a person; risk: one that starts in the next 24 hours is not in every CRM yet; "
        "settled: nothing is open or failed.",
    )
    text = TextFilter(method="with_text", help_text="Reference, title, the buyer's last name or the agent's name.")

    class Meta:
        model = Tour
        fields: ClassVar[list[str]] = []

    def filter_queryset(self, queryset: QuerySet[Tour]) -> QuerySet[Tour]:
        """All filters, then the days together."""
        rows: QuerySet[Tour] = super().filter_queryset(queryset)
        chosen = self.form.cleaned_data
        day, first, last = (chosen.get(name) for name in ("day", "from_day", "to_day"))
        if day is not None:
            rows = in_days(rows, day, day)
        return rows if first is None and last is None else in_days(rows, first, last)

    def changed_since(self, rows: QuerySet[Tour], _name: str, value: datetime) -> QuerySet[Tour]:
        """By the indexes of changes while those are few; of many the latest tours are soon met, one by one."""
        stops = TourStop.objects.filter(updated_at__gte=value).order_by()
        changed = Tour.objects.filter(updated_at__gte=value).order_by()
        if isinstance(counting.total([counting.count(stops), counting.count(changed)]), counting.MoreThan):
            return rows.filter(Q(updated_at__gte=value) | Exists(stops.filter(tour=OuterRef("pk"))))
        return rows.filter(pk__in=changed.values("pk").union(stops.values("tour_id")))

    def of_connection(self, rows: QuerySet[Tour], _name: str, value: int) -> QuerySet[Tour]:
        return standing.at_connection(rows, value)

    def with_reason(self, rows: QuerySet[Tour], _name: str, value: str) -> QuerySet[Tour]:
        return standing.unsettled(rows, reason=value)

    def in_sync_state(self, rows: QuerySet[Tour], _name: str, value: str) -> QuerySet[Tour]:
        if value == "settled":
            return standing.settled(rows)
        if value == "risk":
            return standing.at_risk(rows, timezone.now())
        return standing.unsettled(rows, SYNC[value])

    def with_text(self, rows: QuerySet[Tour], _name: str, value: str) -> QuerySet[Tour]:
        return tour_search.matching(rows, value)
