"""/api/left-out: what is kept out of one CRM, and why; leaving out and taking back."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from drf_spectacular.utils import extend_schema, extend_schema_serializer, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.models import Connection, LeftOut
from integrations.operations import left_out
from integrations.operations.left_out import RECORDS

from .base import Endpoint
from .examples import LEAVE_OUT, PLAN_LEAVE_OUT
from .fields import Id, Instant, Shown
from .lists import Filters, IdFilter, MomentFilter
from .paging import Pages
from .problems import invalid, refused, renamed
from .tour_parts import WhyGiven

_RECORDS = [(name, name) for name in RECORDS]


class LeftOutShown(Shown):
    """A record that is kept out of a CRM. A tour or a contact takes all that hangs on it along."""

    connection_id = Id()
    entity_type = serializers.ChoiceField(choices=_RECORDS)
    entity_id = Id()
    created_at = Instant()

    class Meta:
        model = LeftOut
        fields = ("id", "connection_id", "entity_type", "entity_id", "reason", "created_at")


class RecordGiven(serializers.Serializer[Any]):
    """One record at one CRM."""

    connection_id = Id()
    entity_type = serializers.ChoiceField(choices=_RECORDS)
    entity_id = Id()


@extend_schema_serializer(examples=[PLAN_LEAVE_OUT])
class RecordAsked(RecordGiven):
    """One record at one CRM."""


@extend_schema_serializer(examples=[LEAVE_OUT])
class LeftOutGiven(RecordGiven):
    """What to keep out of which CRM, and why; whoever looks for it there later reads that."""

    reason = serializers.CharField(max_length=left_out.MAX_REASON)


class LeftOutDone(serializers.Serializer[Any]):
    """What leaving out did. `changed`: false when it was left out already."""

    changed = serializers.BooleanField()
    appointments_cancelled = serializers.IntegerField(help_text="Cancelled in the CRM.")
    operations_ended = serializers.IntegerField(help_text="That waited, and are not sent.")
    left_out = LeftOutShown()


class LeftOutPlan(serializers.Serializer[Any]):
    """What would be done now: by leaving out, or, when it is left out already, by taking back."""

    left_out = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True)
    appointments_cancelled = serializers.IntegerField()
    operations_ended = serializers.IntegerField()
    appointments_returning = serializers.IntegerField()


class TakenBack(serializers.Serializer[Any]):
    """Whether it was left out until now, and goes there again."""

    changed = serializers.BooleanField()


class LeftOutFilters(django_filters.FilterSet):
    """Filters of the list."""

    connection = IdFilter(field_name="connection_id")
    entity_type = django_filters.ChoiceFilter(choices=_RECORDS)
    entity_id = IdFilter(field_name="entity_id")
    created_since = MomentFilter(field_name="created_at", lookup_expr="gte")

    class Meta:
        model = LeftOut
        fields: ClassVar[list[str]] = []


@extend_schema_view(
    list=extend_schema(description="What is kept out of CRMs, the latest first."),
    retrieve=extend_schema(description="One record that is kept out of a CRM."),
)
class LeftOuts(ListModelMixin, Endpoint):
    """Records kept out of a CRM. One that is taken back is here no more."""

    scopes = {
        "list": "left-out:read",
        "retrieve": "left-out:read",
        "plan": "left-out:read",
        "create": "left-out:write",
        "take_back": "left-out:write",
    }
    queryset = LeftOut.objects.all()
    serializer_class = LeftOutShown
    pagination_class = Pages
    filter_backends = (Filters,)
    filterset_class = LeftOutFilters

    @extend_schema(
        request=LeftOutGiven,
        responses={200: LeftOutDone, 201: LeftOutDone},
        description="Keep a record out of one CRM. Appointments that stand there are cancelled; notes, tasks and "
        "people that are there stay. 200: it was left out already, and nothing was done.",
    )
    def create(self, request: Request) -> Response:
        data = self.body(LeftOutGiven)
        connection_id, entity_type, entity_id = _record(data)
        try:
            done = left_out.leave_out(entity_type, entity_id, connection_id, data.get("reason", ""), self.who())
        except ValidationError as error:
            raise invalid(renamed(error, {})) from None
        row = LeftOut.objects.get(connection=connection_id, entity_type=entity_type, entity_id=entity_id)
        told = {
            "changed": done is not None,
            "appointments_cancelled": done.cancelled if done else 0,
            "operations_ended": done.ended if done else 0,
            "left_out": self.get_serializer(row).data,
        }
        return Response(told, status=201 if done else 200, headers={"ETag": self.etag(row)})

    @extend_schema(request=RecordAsked, responses=LeftOutPlan, description="What would be done. Does nothing.")
    @action(detail=False, methods=["post"])
    def plan(self, request: Request) -> Response:
        connection_id, entity_type, entity_id = _record(self.body(RecordAsked))
        row = LeftOut.objects.filter(connection=connection_id, entity_type=entity_type, entity_id=entity_id).first()
        reach = left_out.Reach(0, 0) if row else left_out.reach_of(entity_type, entity_id, connection_id)
        told = {
            "left_out": row is not None,
            "reason": row.reason if row else "",
            "appointments_cancelled": reach.cancelled,
            "operations_ended": reach.ended,
            "appointments_returning": left_out.returning(entity_type, entity_id, connection_id) if row else 0,
        }
        return Response(told)

    @extend_schema(request=WhyGiven, responses=TakenBack, description="It goes to that CRM again, as it is now.")
    @action(detail=True, methods=["post"], url_path="take-back")
    def take_back(self, request: Request, pk: str) -> Response:
        by = self.who(self.reason(self.body(WhyGiven)))
        row = LeftOut.objects.get(pk=int(pk))
        self.may_match(row)
        return Response({"changed": left_out.take_back(row.entity_type, row.entity_id, row.connection_id, by)})


def _record(data: dict[str, Any]) -> tuple[int, str, int]:
    """(connection, type, id) of a record there is. Raises a 400 naming what is none."""
    missing = [name for name in ("connection_id", "entity_type", "entity_id") if data.get(name) in (None, "")]
    if missing:
        raise invalid({name: ["This must be given."] for name in missing}, "required")
    connection_id, entity_type, entity_id = data["connection_id"], data["entity_type"], data["entity_id"]
    if not isinstance(entity_type, str) or entity_type not in RECORDS:
        raise refused("entity_type", f"Choose one of {', '.join(RECORDS)}.")
    if not Connection.objects.filter(pk=connection_id).exists():
        raise refused("connection_id", f"There is no connection {connection_id}.")
    try:
        left_out.known(entity_type, entity_id)
    except ObjectDoesNotExist:
        raise refused("entity_id", f"There is no {entity_type} {entity_id}.") from None
    return connection_id, entity_type, entity_id
