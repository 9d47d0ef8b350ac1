"""Filters of lists: only what a list names may be asked."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema_field
from rest_framework.request import Request

from integrations.models import Tour
from integrations.operations.values import clean_value

from .fields import ID_SCHEMA, whole_id
from .problems import Errors, invalid

LONGEST_TEXT = 64
_UNESCAPED_PLUS = re.compile(r" (\d\d:\d\d)$")


class Filters(DjangoFilterBackend):
    """Names that are no filter of this list are refused: nothing can be asked about what is not shown."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        filterset_class = self.get_filterset_class(view, queryset)
        known = {"cursor", "limit", *(filterset_class.base_filters if filterset_class else ())}
        errors: Errors = {}
        for name, values in request.query_params.lists():
            if name not in known:
                errors[name[:60].replace("\x00", "")] = ["There is no such filter here."]
            elif len(values) > 1:
                errors[name] = ["This may be given once."]
            elif "\x00" in values[0]:
                errors[name] = ["This contains a character that cannot be searched for."]
        if errors:
            raise invalid(errors, "unknown_filter")
        rows: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return rows


class IdField(forms.CharField):
    """A record's id."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        number = whole_id(text)
        if number is None:
            raise ValidationError("This is no id: a text of digits.")
        return number


@extend_schema_field(ID_SCHEMA)
class IdFilter(django_filters.Filter):
    """Exactly that record's id."""

    field_class = IdField


class TextFilter(django_filters.CharFilter):
    """A short text that is searched for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, max_length=LONGEST_TEXT, **kwargs)


class MomentField(forms.CharField):
    """A time with its offset from UTC."""

    def clean(self, value: Any) -> datetime | None:
        text = super().clean(value)
        if not text:
            return None
        # In an address a “+” that is not escaped arrives as a space.
        found = as_moment(_UNESCAPED_PLUS.sub(r"+\1", text)[:40])
        if found is None:
            raise ValidationError("Give a time with its offset from UTC, for example 2026-01-01T00:00Z.")
        return found


@extend_schema_field({"type": "string", "format": "date-time"})
class MomentFilter(django_filters.Filter):
    """From a time on, or before it, with its offset. `milliseconds`: the column holds Unix milliseconds."""

    field_class = MomentField

    def __init__(self, *args: Any, milliseconds: bool = False, **kwargs: Any) -> None:
        self.milliseconds = milliseconds
        super().__init__(*args, **kwargs)

    def filter(self, qs: Any, value: datetime | None) -> Any:
        return super().filter(qs, int(value.timestamp() * 1000) if value and self.milliseconds else value)


def as_moment(text: str) -> datetime | None:
    """The instant, when the text names one of the years there are tours in."""
    try:
        found = clean_value(Tour._meta.get_field("starts_at"), text)
    except ValidationError:
        return None
    return found if isinstance(found, datetime) else None


def since(name: str = "updated_at") -> MomentFilter:
    """Changed at that time or later."""
    return MomentFilter(field_name=name, lookup_expr="gte", help_text="Changed at this time or later.")


def in_days(queryset: QuerySet[Any], first: date | None, last: date | None) -> QuerySet[Any]:
    """Tours that start on these days, each on a clock of its own zone. One query for the zones there are."""
    rough = queryset
    if first is not None:
        rough = rough.filter(starts_at__gte=_utc(first) - timedelta(hours=15))
    if last is not None:
        rough = rough.filter(starts_at__lt=_utc(last) + timedelta(days=1, hours=15))
    there = Tour.objects.filter(pk__in=rough.order_by().values("pk")).order_by()
    zones = set(there.values_list("time_zone", flat=True).distinct())
    exact = Q(pk__in=())
    for name in sorted(zones):
        zone, here = ZoneInfo(name), Q(time_zone=name)
        if first is not None:
            here &= Q(starts_at__gte=datetime.combine(first, time(0), zone))
        if last is not None:
            here &= Q(starts_at__lt=datetime.combine(last + timedelta(days=1), time(0), zone))
        exact |= here
    return rough.filter(exact)


def _utc(day: date) -> datetime:
    return datetime.combine(day, time(0), ZoneInfo("UTC"))


class DayField(forms.DateField):
    """A day of the years there are tours in."""

    def clean(self, value: Any) -> Any:
        day = super().clean(value)
        if day is not None and not 1990 <= day.year <= 2100:
            raise ValidationError("The year must lie between 1990 and 2100.")
        return day


class DayFilter(django_filters.DateFilter):
    """One end of a span of days; the list applies both together."""

    field_class = DayField

    def filter(self, qs: Any, value: date | None) -> Any:
        return qs
