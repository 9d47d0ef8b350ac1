"""Filters of the list of operations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import TextFilter

from integrations.engine.clock import db_now
from integrations.engine.verdict import VERDICTS
from integrations.models import CLAIMABLE, Connection, Operation, State, Tour
from integrations.operations import wording
from integrations.operations.tour_search import about_tours

from .choosing import is_id

AGES = {"15m": ("15 minutes", 900), "1h": ("1 hour", 3_600), "1d": ("1 day", 86_400), "7d": ("7 days", 604_800)}
"""How old: as the address names it, in words, in seconds."""


class ReasonFilter(admin.SimpleListFilter):
    """The reasons there can be, without asking a million rows which of them they have."""

    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        known = {str(fact) for fact in wording.REASONS} & (
            {verdict.reason for verdict in VERDICTS.values()} | {"attempts_used_up", "worker_lost", "poison"}
        )
        return sorted(((name, wording.reason(name)) for name in known if name), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        value = self.value()
        return queryset.because(value) if value else queryset


class StateFilter(admin.SimpleListFilter):
    """One state, or all that are not at an end."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Not at an end"), *((value, wording.state(value)) for value in State.values)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        value = self.value()
        if value == "open":
            return queryset.open()
        return queryset.filter(state=value) if value in State.values else queryset


class KindFilter(admin.SimpleListFilter):
    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(wording.KINDS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        value = self.value()
        return queryset.filter(kind=value) if value else queryset


class ConnectionFilter(admin.SimpleListFilter):
    """By label alone: a filter that loaded connections would decrypt their secrets."""

    title = "connection"
    parameter_name = "connection"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(pk), label) for pk, label in Connection.objects.values_list("pk", "label").order_by("label")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        value = self.value()
        if not value:
            return queryset
        return queryset.filter(connection_id=int(value)) if is_id(value) else queryset.none()


class DueFilter(admin.SimpleListFilter):
    """What should have gone so long ago and has not, whatever keeps it."""

    title = "overdue for"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, f"More than {words}") for name, (words, _) in AGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        age = AGES.get(self.value() or "")
        if age is None:
            return queryset
        return queryset.unsettled(*CLAIMABLE).filter(due_ms__lt=db_now() - age[1] * 1000)


class PlannedFilter(admin.SimpleListFilter):
    """What was planned so long ago."""

    title = "planned"
    parameter_name = "planned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, f"More than {words} ago") for name, (words, _) in AGES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        age = AGES.get(self.value() or "")
        if age is None:
            return queryset
        return queryset.filter(created_at__lt=timezone.now() - timedelta(seconds=age[1]))


class TourFilter(TextFilter):  # type: ignore[misc]  # the library is not typed
    """All that one tour leads to: its stops, its buyer, what was said, its summary."""

    title = "tour’s reference"
    parameter_name = "tour"
    template = "admin/integrations/operation/tour_filter.html"

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """The field, and what the other filters say: it is sent as a form, and they are links."""
        said = {name for spec in changelist.filter_specs for name in spec.used_parameters} - {self.parameter_name}
        kept = [(name, changelist.params[name]) for name in sorted(said) if name in changelist.params]
        for choice in super().choices(changelist):
            yield {**choice, "kept": kept}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        reference = (self.value() or "").strip()
        return queryset.filter(about_tours(Tour.objects.filter(reference__iexact=reference))) if reference else queryset
