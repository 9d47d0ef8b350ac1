"""What can be done to a tour at one press, as on its page in the admin: what makes sense now, with time to undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.models import AuditEvent, Tour, TourStop
from integrations.operations import deletion, one_click, tours, undo
from integrations.operations.moments import at_ms
from integrations.operations.one_click import BULK_VERBS, STOP_VERBS, TOUR_VERBS, Pressed, Verb
from integrations.operations.tour_saving import lock_tours

from .base import ID, Endpoint
from .examples import PRESS
from .fields import Id, utc
from .problems import refused
from .tour_parts import TourShown, WhyGiven

_ALL = {f"{slug}-all": verb for slug, verb in BULK_VERBS.items()}
_OF_TOUR = {**TOUR_VERBS, **_ALL}


def _choices(verbs: dict[str, Verb]) -> list[tuple[str, str]]:
    return [(slug, slug) for slug in verbs]


class TourPressGiven(WhyGiven):
    """confirm-all: every pending stop. showed-all: every stop that is over and of which nothing is said yet."""

    verb = serializers.ChoiceField(choices=_choices(_OF_TOUR))


@extend_schema_serializer(examples=[PRESS])
class StopPressGiven(WhyGiven):
    """One verb for one stop."""

    verb = serializers.ChoiceField(choices=_choices(STOP_VERBS))


class UndoGiven(serializers.Serializer[Any]):
    """`change`: as the press answered it."""

    change = Id()


class PressShown(serializers.Serializer[Any]):
    """What a press did. `change`: to undo it by; null when it was so already. Nothing is sent before `not_before`."""

    changed = serializers.BooleanField()
    change = Id(allow_null=True)
    stop_ids = serializers.ListField(child=Id(), help_text="The stops it changed.")
    connections_told = serializers.IntegerField(help_text="How many CRMs will be told.")
    not_before = serializers.DateTimeField(allow_null=True)
    tour = TourShown()


class UndoneShown(serializers.Serializer[Any]):
    """`undone`: false when it had been undone already."""

    undone = serializers.BooleanField()
    tour = TourShown()


class StandsShown(serializers.Serializer[Any]):
    """An appointment that stands in a CRM."""

    stop_id = Id()
    connection = serializers.CharField(help_text="Its label.")
    external_id = serializers.CharField()


class PressPlan(serializers.Serializer[Any]):
    """What a press would do now. `why_not`: why it does not apply; `cancelled`: what it cancels in the CRMs."""

    possible = serializers.BooleanField()
    why_not = serializers.CharField(allow_blank=True)
    stop_ids = serializers.ListField(child=Id(), help_text="The stops it would change.")
    cancelled = StandsShown(many=True)
    undo_s = serializers.IntegerField(help_text="For so many seconds nothing is sent and it can be undone.")


def _verb(name: str) -> OpenApiParameter:
    verbs = STOP_VERBS if name == "stop" else _OF_TOUR
    return OpenApiParameter("verb", {"type": "string", "enum": list(verbs)}, required=True)


class TourPresses(Endpoint):
    """The views. With If-Match each is done only if the tour is as the caller saw it."""

    def told(self, tour_id: int, status: int = 200) -> Response:
        """The tour as it is now."""
        raise NotImplementedError  # the endpoint of tours, which this is mixed into, has it

    def stored(self, tour_id: int) -> Tour:
        """The tour with all that is shown of it."""
        raise NotImplementedError  # as above

    def guarded(self, tour_id: int, act: Callable[[], Any]) -> Any:
        """`act` on the tour as the caller saw it, if they say so. Raises 404, 412."""
        with transaction.atomic():
            if not lock_tours(pk=tour_id):
                raise NotFound
            if self.conditional:
                self.may_match(self.stored(tour_id))
            return act()

    def stop_of(self, pk: str, stop_id: str) -> TourStop:
        """Raises 404."""
        stop = TourStop.objects.select_related("tour").filter(pk=int(stop_id), tour=int(pk)).first()
        if stop is None:
            raise NotFound("This tour has no such stop.")
        return stop

    @extend_schema(
        request=WhyGiven,
        responses=TourShown,
        description="As `press` with `cancel`: its appointments are cancelled once the time to undo is over.",
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        return self._pressed_short(int(pk), one_click.CANCEL_TOUR)

    @extend_schema(
        request=WhyGiven,
        responses=TourShown,
        description="As `press` with `complete`: its summary follows once the time to undo is over.",
    )
    @action(detail=True, methods=["post"])
    def complete(self, request: Request, pk: str) -> Response:
        return self._pressed_short(int(pk), one_click.COMPLETE)

    def _pressed_short(self, tour_id: int, verb: Verb) -> Response:
        by = self.who(self.reason(self.body(WhyGiven)))
        now = timezone.now()
        self.guarded(tour_id, lambda: one_click.press_tour(tour_id, verb.slug, by, now=now))
        return self.told(tour_id)

    @extend_schema(request=TourPressGiven, responses=PressShown, description="Do it as the page’s button does.")
    @action(detail=True, methods=["post"])
    def press(self, request: Request, pk: str) -> Response:
        data = self.body(TourPressGiven)
        slug, by = _chosen(data, _OF_TOUR), self.who(self.reason(data))
        now = timezone.now()
        if slug in _ALL:
            bulk = slug.removesuffix("-all")
            return self._pressed(int(pk), lambda: one_click.press_all(int(pk), bulk, by, now=now))
        return self._pressed(int(pk), lambda: one_click.press_tour(int(pk), slug, by, now=now))

    @extend_schema(request=StopPressGiven, responses=PressShown, description="Do it as the page’s button does.")
    @action(detail=True, methods=["post"], url_path=f"stops/(?P<stop_id>{ID})/press")
    def stop_press(self, request: Request, pk: str, stop_id: str) -> Response:
        data = self.body(StopPressGiven)
        slug, by, stop = _chosen(data, STOP_VERBS), self.who(self.reason(data)), self.stop_of(pk, stop_id)
        now = timezone.now()
        return self._pressed(int(pk), lambda: one_click.press_stop(int(pk), stop.pk, slug, by, now=now))

    def _pressed(self, tour_id: int, act: Callable[[], Pressed]) -> Response:
        done: Pressed = self.guarded(tour_id, act)
        answer = self.told(tour_id)
        answer.data = {
            "changed": done.event_id is not None,
            "change": None if done.event_id is None else str(done.event_id),
            "stop_ids": [str(stop.pk) for stop in done.stops] if done.event_id else [],
            "connections_told": done.crms,
            "not_before": utc(at_ms(done.until_ms)) if done.until_ms else None,
            "tour": answer.data,
        }
        return answer

    @extend_schema(
        request=UndoGiven,
        responses=UndoneShown,
        description="Take back the tour’s newest change of a status or outcome, as long as no CRM was told of it.",
    )
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, pk: str) -> Response:
        change = self.body(UndoGiven).get("change")
        if change is None:
            raise refused("change", "This must be given.", "required")
        if not AuditEvent.objects.filter(pk=change, object_type="tour", object_id=int(pk)).exists():
            raise refused("change", "This tour has no such change.")
        done: undo.Undone = self.guarded(int(pk), lambda: undo.undo(change, self.who()))
        answer = self.told(int(pk))
        answer.data = {"undone": done.changed, "tour": answer.data}
        return answer

    @extend_schema(parameters=[_verb("tour")], responses=PressPlan, description="What a press would do. Does nothing.")
    @action(detail=True, methods=["get"])
    def plan(self, request: Request, pk: str) -> Response:
        verb = _OF_TOUR[_chosen(request.query_params, _OF_TOUR)]
        tour = Tour.objects.get(pk=int(pk))
        stops, now = list(tour.stops.order_by("sequence")), timezone.now()
        for stop in stops:
            stop.tour = tour
        if verb in _ALL.values():
            chosen = one_click.bulk(verb, stops, now)
            return Response(_plan("" if chosen else "There is no stop it is meant for.", chosen, verb))
        already = f"It is {verb.value} already." if tour.status == verb.value else ""
        return Response(_plan(already or one_click.why_not_tour(verb, tour, stops, now), [], verb, stops))

    @extend_schema(parameters=[_verb("stop")], responses=PressPlan, description="What a press would do. Does nothing.")
    @action(detail=True, methods=["get"], url_path=f"stops/(?P<stop_id>{ID})/plan")
    def stop_plan(self, request: Request, pk: str, stop_id: str) -> Response:
        verb = STOP_VERBS[_chosen(request.query_params, STOP_VERBS)]
        stop = self.stop_of(pk, stop_id)
        return Response(_plan(one_click.why_not(verb, stop, timezone.now()), [stop], verb, [stop]))

    @extend_schema(
        request=WhyGiven, responses=TourShown, description="Put it away: it is over or cancelled. Nothing is sent."
    )
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, pk: str) -> Response:
        by = self.who(self.reason(self.body(WhyGiven)))
        now = timezone.now()
        self.guarded(
            int(pk), lambda: tours.archive_tour(int(pk), now=now, actor=by.actor, via=by.via, reason=by.reason)
        )
        return self.told(int(pk))

    @extend_schema(request=WhyGiven, responses=TourShown, description="Bring it back, as it was. Nothing is sent.")
    @action(detail=True, methods=["post"])
    def unarchive(self, request: Request, pk: str) -> Response:
        by = self.who(self.reason(self.body(WhyGiven)))
        self.guarded(int(pk), lambda: tours.unarchive_tour(int(pk), actor=by.actor, via=by.via, reason=by.reason))
        return self.told(int(pk))

    @extend_schema(
        request=None,
        responses={204: None},
        description="Delete it, if no CRM, no operation and no feedback knows of it. Needs If-Match.",
    )
    def destroy(self, request: Request, pk: str) -> Response:
        by = self.who()
        with transaction.atomic():
            self._must_be_as_seen(pk)
            deletion.delete_tour(int(pk), actor=by.actor, via=by.via)
        return Response(status=204)

    @extend_schema(
        request=None,
        responses={204: None},
        description="Delete a stop that no CRM can know of. Needs If-Match, with the tour’s ETag.",
    )
    @action(detail=True, methods=["delete"], url_path=f"stops/(?P<stop_id>{ID})")
    def stop_delete(self, request: Request, pk: str, stop_id: str) -> Response:
        stop, by = self.stop_of(pk, stop_id), self.who()
        with transaction.atomic():
            self._must_be_as_seen(pk)
            deletion.delete_stop(stop.pk, actor=by.actor, via=by.via)
        return Response(status=204)

    def _must_be_as_seen(self, pk: str) -> None:
        if not lock_tours(pk=int(pk)):
            raise NotFound
        self.must_match(self.stored(int(pk)))


def _chosen(data: Any, verbs: dict[str, Verb]) -> str:
    slug = data.get("verb")
    if not isinstance(slug, str) or slug not in verbs:
        raise refused("verb", f"Choose one of {', '.join(verbs)}.")
    return slug


def _plan(why_not: str, changed: list[TourStop], verb: Verb, stops: list[TourStop] | None = None) -> dict[str, Any]:
    standing = one_click.stands_at(stops or []) if verb.ends and not why_not else []
    return {
        "possible": not why_not,
        "why_not": why_not,
        "stop_ids": [str(stop.pk) for stop in changed] if not why_not else [],
        "cancelled": [
            {"stop_id": str(stop.pk), "connection": label, "external_id": external_id}
            for stop, label, external_id in standing
        ],
        "undo_s": one_click.undo_seconds(),
    }
