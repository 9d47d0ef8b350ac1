"""/api/tours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.models import Tour, TourStop
from integrations.operations import tours
from integrations.operations.tour_saving import lock_stops, lock_tours
from integrations.operations.values import clean_value

from .base import ID
from .lists import Filters
from .paging import Pages
from .problems import Conflict, refused, renamed
from .tour_filters import TourFilters
from .tour_parts import (
    StopMoved,
    StopOutcomeGiven,
    StopStatusGiven,
    TourChanged,
    TourGiven,
    TourShown,
    tour_input,
)
from .tour_presses import TourPresses


def _all() -> QuerySet[Tour]:
    stops = TourStop.objects.select_related("tour").order_by("sequence")
    return Tour.objects.select_related("agent", "buyer").prefetch_related(
        Prefetch("stops", queryset=stops), "further_buyers"
    )


@extend_schema_view(
    list=extend_schema(description="Tours, by their start, the latest first."),
    retrieve=extend_schema(description="One tour with its stops."),
)
class Tours(ListModelMixin, TourPresses):
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
        "press": "tours:write",
        "stop_press": "tours:write",
        "undo": "tours:write",
        "plan": "tours:read",
        "stop_plan": "tours:read",
        "archive": "tours:write",
        "unarchive": "tours:write",
        "destroy": "records:delete",
        "stop_delete": "tours:write",
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
        return self.told(saved.tour.pk, 201)

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
        return self.told(int(pk))

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
        zone = ZoneInfo(self.stop_of(pk, stop_id).tour.time_zone)
        start, end = (_moment(name, data, zone) for name in ("start", "end"))
        if end <= start:
            raise refused("end", "The appointment must end after it starts.")
        return self._of_stop(lambda stop, **by: tours.move_stop(stop, start=start, end=end, **by), pk, stop_id, data)

    def stored(self, tour_id: int) -> Tour:
        """With all that is shown of it."""
        return _all().get(pk=tour_id)

    def _of_stop(self, verb: Callable[..., bool], pk: str, stop_id: str, data: dict[str, Any]) -> Response:
        return self._press(verb, self.stop_of(pk, stop_id).pk, int(pk), data)

    def _press(self, verb: Callable[..., bool], record_id: int, tour_id: int, data: dict[str, Any]) -> Response:
        by = self.who(self.reason(data))
        self.guarded(tour_id, lambda: verb(record_id, actor=by.actor, via=by.via, reason=by.reason))
        return self.told(tour_id)

    def told(self, tour_id: int, status: int = 200) -> Response:
        """As it is now."""
        return self.shown(self.stored(tour_id), status)


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
