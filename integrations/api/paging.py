"""Pages of a list. A cursor names the last record seen by its sort values: what is inserted meanwhile moves nothing."""

from __future__ import annotations

import base64
import json
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from .fields import whole_id
from .problems import refused

LIMIT, MOST = 50, 200
_FORWARD, _BACK = "n", "p"
_LONGEST = 300


class Pages(BasePagination):
    """`limit` 1 to 200, `cursor` from `next` or `previous`. The order is the view's `list_order`: all descending,
    ending with the id, and with an index."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """The page's rows. Raises a 400 for a limit or cursor that is none."""
        self.request = request
        self.names = [name.removeprefix("-") for name in getattr(view, "list_order", ("-id",))]
        limit, (way, seen) = self._limit(), self._cursor(queryset)
        order = [name if way == _BACK else f"-{name}" for name in self.names]
        beyond = self._beyond(seen, "gt" if way == _BACK else "lt") if seen else Q()
        rows = list(queryset.filter(beyond).order_by(*order)[: limit + 1])
        more, rows = len(rows) > limit, rows[:limit]
        if way == _BACK:
            rows.reverse()
        there = bool(seen)
        self.after = rows[-1] if rows and (more if way == _FORWARD else there) else None
        self.before = rows[0] if rows and (there if way == _FORWARD else more) else None
        return rows

    def _limit(self) -> int:
        if "limit" not in self.request.query_params:
            return LIMIT
        number = whole_id(self.request.query_params["limit"])
        if number is None or not 1 <= number <= MOST:
            raise refused("limit", f"This must be a whole number from 1 to {MOST}.")
        return number

    def _cursor(self, queryset: QuerySet[Any]) -> tuple[str, list[Any]]:
        """Which way, and the sort values of the record at the edge of the page before."""
        given = self.request.query_params.get("cursor", "")
        if not given:
            return _FORWARD, []
        try:
            if len(given) > _LONGEST:
                raise ValueError
            way, *values = json.loads(base64.urlsafe_b64decode(given.encode("ascii")))
            fields = [queryset.model._meta.get_field(name) for name in self.names]
            seen = [field.to_python(value) for field, value in zip(fields, values, strict=True)]
            if way not in (_FORWARD, _BACK) or not all(isinstance(value, str) for value in values):
                raise ValueError
            if None in seen or abs(seen[-1]) >= 2**63:
                raise ValueError
        except (ValueError, TypeError, OverflowError, ValidationError, RecursionError):
            raise refused("cursor", "This cursor is none of ours: take it from “next” or “previous”.") from None
        return way, seen

    def _beyond(self, seen: list[Any], side: str) -> Q:
        """Rows past `seen` in the list's order."""
        first = self.names[0]
        past = Q(**{f"{self.names[-1]}__{side}": seen[-1]})
        for name, value in reversed(list(zip(self.names[:-1], seen[:-1], strict=True))):
            past = Q(**{f"{name}__{side}": value}) | (Q(**{name: value}) & past)
        # Said once more by the first column alone, so that its index is used.
        return past if len(self.names) == 1 else Q(**{f"{first}__{side}e": seen[0]}) & past

    def _link(self, way: str, row: Any) -> str | None:
        if row is None:
            return None
        fields = [type(row)._meta.get_field(name) for name in self.names]
        values = [field.value_to_string(row) for field in fields]
        cursor = base64.urlsafe_b64encode(json.dumps([way, *values]).encode()).decode()
        return str(replace_query_param(self.request.build_absolute_uri(), "cursor", cursor))

    def get_paginated_response(self, data: Any) -> Response:
        """The page with the ways on and back."""
        links = {"next": self._link(_FORWARD, self.after), "previous": self._link(_BACK, self.before)}
        return Response({**links, "results": data})

    def get_paginated_response_schema(self, schema: Any) -> dict[str, Any]:
        """What the schema says of it."""
        link = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """`limit` and `cursor`."""
        limit = {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT}
        told = "The page’s place, from “next” or “previous”."
        return [
            {"name": "cursor", "in": "query", "required": False, "description": told, "schema": {"type": "string"}},
            {"name": "limit", "in": "query", "required": False, "description": "Rows a page.", "schema": limit},
        ]
