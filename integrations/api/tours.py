"""/api/tours and /api/sync-state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import django_filters
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.models import (
    OPEN,
    Feedback,
    Operation,
    State,
    Tour,
    TourStatus,
    TourStop,
)
from integrations.operations import tours
from integrations.operations.tour_saving import lock_stops, lock_tours
from integrations.operations.values import clean_value

from .base import ID, Endpoint
from .lists import DayFilter, Filters, IdFilter, Pages, TextFilter, in_days
from .problems import Conflict, refused, renamed
from .tour_parts import (
    StopMoved,
    StopOutcomeGiven,
    StopStatusGiven,
    TourChanged,
    TourGiven,
    TourShown,
    WhyGiven,
    tour_input,
)

_WAITING = tuple(state for state in OPEN if state != State.NEEDS_PERSON)
SYNC = {"waiting": _WAITING, "needs_person": (State.NEEDS_PERSON,), "failed": (State.DEAD,)}


def operations_of_tour(**where: Any) -> list[Exists]:
    """Conditions on a tour: there is an operation of it, of a stop, an answer or its buyer, that is so."""
    rows = Operation.objects.filter(**where)
    stops = TourStop.objects.filter(tour=OuterRef(OuterRef("pk")))
    answers = Feedback.objects.filter(stop__tour=OuterRef(OuterRef("pk")))
    return [
        Exists(rows.filter(entity_type="tour", entity_id=OuterRef("pk"))),
        Exists(rows.filter(entity_type="stop", entity_id__in=stops.values("pk"))),
        Exists(rows.filter(entity_type="feedback", entity_id__in=answers.values("pk"))),
        Exists(rows.filter(entity_type="contact", entity_id=OuterRef("buyer_id"))),
    ]


def _any(conditions: list[Exists]) -> Q:
    found = Q()
    for condition in conditions:
        found |= Q(condition)
    return found


class TourFilters(django_filters.FilterSet):
    """Filters of the list."""

    day = DayFilter(help_text="Tours that start on this day, on a clock of their own zone.")
    from_day = DayFilter(help_text="Tours that start on this day or later.")
    to_day = DayFilter(help_text="Tours that start on this day or earlier.")
    agent = IdFilter(field_name="agent_id")
    office = IdFilter(field_name="agent__office_id")
    status = django_filters.ChoiceFilter(choices=TourStatus.choices)
    archived = django_filters.BooleanFilter(field_name="archived_at", lookup_expr="isnull", exclude=True)
    connection = IdFilter(method="of_connection", help_text="Tours this connection was told of.")
    sync = django_filters.ChoiceFilter(
        choices=[(name, name) for name in (*SYNC, "settled")],
        method="in_sync_state",
        help_text="waiting, needs_person or failed: something of it is so; settled: nothing is.",
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

    def of_connection(self, rows: QuerySet[Tour], _name: str, value: int) -> QuerySet[Tour]:
        return rows.filter(_any(operations_of_tour(connection=value)))

    def in_sync_state(self, rows: QuerySet[Tour], _name: str, value: str) -> QuerySet[Tour]:
        if value == "settled":
            return rows.exclude(_any(operations_of_tour(state__in=[*OPEN, State.DEAD])))
        return rows.filter(_any(operations_of_tour(state__in=SYNC[value])))

    def with_text(self, rows: QuerySet[Tour], _name: str, value: str) -> QuerySet[Tour]:
        return rows.filter(
            Q(reference__istartswith=value)
            | Q(title__icontains=value)
            | Q(buyer__last_name__istartswith=value)
            | Q(agent__name__icontains=value)
        )


def _all() -> QuerySet[Tour]:
    stops = TourStop.objects.select_related("tour").order_by("sequence")
    return Tour.objects.select_related("agent", "buyer").prefetch_related(
        Prefetch("stops", queryset=stops), "further_buyers"
    )


@extend_schema_view(
    list=extend_schema(description="Tours, newest first."),
    retrieve=extend_schema(description="One tour with its stops."),
)
class Tours(ListModelMixin, Endpoint):
    """Tours with their stops."""

    scopes = {
        "list": "tours:read",
        "retrieve": "tours:read",
        "create": "tours:write",
        "partial_update": "tours:write",
        "cancel": "tours:write",
        "complete": "tours:write",
        "stop_status": "tours:write",
        "stop_outcome": "tours:write",
        "stop_move": "tours:write",
    }
    queryset = _all()
    serializer_class = TourShown
    pagination_class = Pages
    filter_backends = (Filters,)
    filterset_class = TourFilters
    list_order = ("-starts_at", "-id")

    def tag(self, record: Any) -> str:
        """Tour, stops and further buyers."""
        stops = " ".join(f"{stop.pk}:{stop.updated_at.isoformat()}" for stop in record.stops.all())
        buyers = " ".join(str(buyer.pk) for buyer in record.further_buyers.all())
        return f"{record.pk} {record.updated_at.isoformat()} {stops} {buyers}"

    @extend_schema(request=TourGiven, responses={201: TourShown}, description="A new tour; the CRMs follow.")
    def create(self, request: Request) -> Response:
        data = self.body(TourGiven)
        wanted = tour_input(data)
        by = self.who()
        with transaction.atomic():
            if lock_tours(reference=wanted.reference):
                raise Conflict(f"There is a tour with the reference “{wanted.reference}” already.", "exists")
            try:
                saved = tours.save_tour(wanted, actor=by.actor, via=by.via)
            except ValidationError as error:
                raise refused("", " ".join(renamed(error, {}).popitem()[1])) from None
        return self._told(saved.tour.pk, 201)

    @extend_schema(request=TourChanged, responses=TourShown, description="Change what is given. Needs If-Match.")
    def partial_update(self, request: Request, pk: str) -> Response:
        data = self.body(TourChanged)
        by = self.who()
        with transaction.atomic():
            locked = lock_tours(pk=int(pk))
            if not locked:
                raise NotFound
            stops = lock_stops(locked).get(locked[0].pk, {})
            self.must_match(_all().get(pk=locked[0].pk))
            tours.save_tour(tour_input(data, locked[0], stops), actor=by.actor, via=by.via)
        return self._told(int(pk))

    @extend_schema(request=WhyGiven, responses=TourShown, description="Cancel it; its appointments are cancelled.")
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        return self._press(tours.cancel_tour, int(pk), int(pk), self.body(WhyGiven))

    @extend_schema(request=WhyGiven, responses=TourShown, description="It is over. Its summary follows.")
    @action(detail=True, methods=["post"])
    def complete(self, request: Request, pk: str) -> Response:
        def verb(tour_id: int, **by: Any) -> bool:
            return tours.set_tour_status(tour_id, TourStatus.COMPLETED, **by)

        return self._press(verb, int(pk), int(pk), self.body(WhyGiven))

    @extend_schema(request=StopStatusGiven, responses=TourShown, description="Confirm, deny or cancel a stop.")
    @action(detail=True, methods=["post"], url_path=f"stops/(?P<stop_id>{ID})/status")
    def stop_status(self, request: Request, pk: str, stop_id: str) -> Response:
        data = self.body(StopStatusGiven)
        status = _choice("appointment_status", "status", data)
        return self._of_stop(lambda stop, **by: tours.set_stop_status(stop, status, **by), pk, stop_id, data)

    @extend_schema(request=StopOutcomeGiven, responses=TourShown, description="Showed, or no-show.")
    @action(detail=True, methods=["post"], url_path=f"stops/(?P<stop_id>{ID})/outcome")
    def stop_outcome(self, request: Request, pk: str, stop_id: str) -> Response:
        data = self.body(StopOutcomeGiven)
        outcome = _choice("outcome", "outcome", data)
        return self._of_stop(lambda stop, **by: tours.set_stop_outcome(stop, outcome, **by), pk, stop_id, data)

    @extend_schema(request=StopMoved, responses=TourShown, description="Another time for a stop.")
    @action(detail=True, methods=["post"], url_path=f"stops/(?P<stop_id>{ID})/move")
    def stop_move(self, request: Request, pk: str, stop_id: str) -> Response:
        data = self.body(StopMoved)
        zone = ZoneInfo(self._stop(pk, stop_id).tour.time_zone)
        start, end = (_moment(name, data, zone) for name in ("start", "end"))
        if end <= start:
            raise refused("end", "The appointment must end after it starts.")
        return self._of_stop(lambda stop, **by: tours.move_stop(stop, start=start, end=end, **by), pk, stop_id, data)

    def _stop(self, pk: str, stop_id: str) -> TourStop:
        stop = TourStop.objects.select_related("tour").filter(pk=int(stop_id), tour=int(pk)).first()
        if stop is None:
            raise NotFound("This tour has no such stop.")
        return stop

    def _of_stop(self, verb: Callable[..., bool], pk: str, stop_id: str, data: dict[str, Any]) -> Response:
        return self._press(verb, self._stop(pk, stop_id).pk, int(pk), data)

    def _press(self, verb: Callable[..., bool], record_id: int, tour_id: int, data: dict[str, Any]) -> Response:
        by = self.who(self.reason(data))
        verb(record_id, actor=by.actor, via=by.via, reason=by.reason)
        return self._told(tour_id)

    def _told(self, tour_id: int, status: int = 200) -> Response:
        return self.shown(_all().get(pk=tour_id), status)


def _choice(model_field: str, name: str, data: dict[str, Any]) -> str:
    return str(_cleaned(model_field, name, data))


def _moment(name: str, data: dict[str, Any], zone: ZoneInfo) -> Any:
    return _cleaned("appointment_start", name, data, zone)


def _cleaned(model_field: str, name: str, data: dict[str, Any], zone: ZoneInfo | None = None) -> Any:
    if data.get(name) in (None, ""):
        raise refused(name, "This must be given.", "required")
    try:
        return clean_value(TourStop._meta.get_field(model_field), data[name], required=True, zone=zone)
    except ValidationError as error:
        raise refused(name, " ".join(error.messages)) from None
