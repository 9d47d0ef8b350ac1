"""Lists: a page at a time by cursor, filtered only by what a list names."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.models import Tour

from .fields import ID_SCHEMA, whole_id
from .problems import Errors, invalid, refused

LONGEST_TEXT = 64


class Pages(CursorPagination):
    """`limit` 1 to 200, `cursor` from `next` or `previous`. The order is the view's, and has an index."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"
    ordering: Any = "-id"

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        return tuple(getattr(view, "list_order", ("-id",)))

    def get_page_size(self, request: Request) -> int:
        """Raises a 400 for anything but 1 to 200."""
        if "limit" not in request.query_params:
            return self.page_size
        number = whole_id(request.query_params["limit"])
        if number is None or not 1 <= number <= self.max_page_size:
            raise refused("limit", f"This must be a whole number from 1 to {self.max_page_size}.")
        return number

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        wrong = refused("cursor", "This cursor is none of ours: take it from “next” or “previous”.")
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFound, ValidationError, ValueError, TypeError, OverflowError):
            raise wrong from None

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.get_next_link(), "previous": self.get_previous_link(), "results": data})

    def get_paginated_response_schema(self, schema: Any) -> dict[str, Any]:
        link = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in found:
            if parameter["name"] == "limit":
                parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": self.max_page_size, "default": 50}
        return found


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
