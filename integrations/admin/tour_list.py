"""The list of tours: when, whose, and how each stands in the CRMs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property

from integrations.models import Tour
from integrations.operations.standing import (
    PERSON,
    WAITING,
    Standing,
    at_risk,
    settled,
    standings,
    unsettled,
)

from .spans import spans


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

    @cached_property
    def spans(self) -> dict[str, Any] | None:
        """When there are tours; read by the list's page."""
        return spans(self)


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
                return at_risk(queryset, timezone.now())
            case "person":
                return unsettled(queryset, PERSON)
            case "waiting":
                return unsettled(queryset, WAITING)
            case "settled":
                return settled(queryset)
        return queryset
