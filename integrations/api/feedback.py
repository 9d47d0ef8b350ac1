"""/api/feedback."""

from __future__ import annotations

from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import django_filters
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_serializer, extend_schema_view
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.models import AuthorRole, Feedback, InterestLevel, TourStop
from integrations.operations.feedback import save_feedback
from integrations.operations.validation import FeedbackInput, clean_feedback

from .base import Endpoint
from .examples import NEW_FEEDBACK
from .fields import Given, Id, Instant, Moment, Shown, Zoned
from .lists import Filters, IdFilter, since
from .paging import Pages
from .problems import Conflict, invalid, refused, renamed

VALUES = (
    "channel", "interest_level", "overall_rating", "price_opinion", "second_showing", "offer_likelihood", "likes",
    "dislikes", "comments", "share_with_seller",
)  # fmt: skip


def _phrases(**more: Any) -> Any:
    return serializers.ListField(child=serializers.CharField(max_length=80), max_length=50, **more)


class FeedbackShown(Shown):
    """What one person said after a showing. `submitted_at` is on a clock of `time_zone`, the tour's."""

    stop_id = Id()
    tour_id = Id(source="stop.tour_id")
    time_zone = serializers.CharField(source="stop.tour.time_zone")
    submitted_at = Zoned("stop.tour.time_zone")
    likes = _phrases()
    dislikes = _phrases()
    created_at = Instant()
    updated_at = Instant()

    class Meta:
        model = Feedback
        fields = (
            "id", "tour_id", "stop_id", "time_zone", "author_role", "submitted_at", *VALUES, "created_at", "updated_at",
        )  # fmt: skip


class FeedbackChanged(Given):
    """What of an answer is corrected."""

    likes = _phrases(required=False)
    dislikes = _phrases(required=False)

    class Meta:
        model = Feedback
        fields = VALUES


@extend_schema_serializer(examples=[NEW_FEEDBACK])
class FeedbackGiven(FeedbackChanged):
    """A new answer about a stop."""

    stop_id = Id()
    submitted_at = Moment()

    class Meta:
        model = Feedback
        fields = ("stop_id", "author_role", "submitted_at", *VALUES)


class FeedbackFilters(django_filters.FilterSet):
    """Filters of the list."""

    tour = IdFilter(field_name="stop__tour_id")
    stop = IdFilter(field_name="stop_id")
    author_role = django_filters.ChoiceFilter(choices=AuthorRole.choices)
    interest_level = django_filters.ChoiceFilter(choices=InterestLevel.choices)
    agent = IdFilter(field_name="stop__tour__agent_id")
    office = IdFilter(field_name="stop__tour__agent__office_id")
    updated_since = since()

    class Meta:
        model = Feedback
        fields: ClassVar[list[str]] = []


def _all() -> QuerySet[Feedback]:
    return Feedback.objects.select_related("stop__tour")


@extend_schema_view(
    list=extend_schema(description="Answers, newest first."), retrieve=extend_schema(description="One answer.")
)
class Answers(ListModelMixin, Endpoint):
    """What was said after showings."""

    scopes = {
        "list": "feedback:read",
        "retrieve": "feedback:read",
        "create": "feedback:write",
        "partial_update": "feedback:write",
    }
    queryset = _all()
    serializer_class = FeedbackShown
    pagination_class = Pages
    filter_backends = (Filters,)
    filterset_class = FeedbackFilters

    @extend_schema(request=FeedbackGiven, responses={201: FeedbackShown}, description="A new answer; the CRMs follow.")
    def create(self, request: Request) -> Response:
        data = self.body(FeedbackGiven)
        stop = TourStop.objects.select_related("tour").filter(pk=data.pop("stop_id", None)).first()
        if stop is None:
            raise refused("stop_id", "There is no such stop.")
        cleaned = self._cleaned(data, ZoneInfo(stop.tour.time_zone))
        by = self.who()
        with transaction.atomic():
            TourStop.objects.select_for_update().get(pk=stop.pk)
            same = {"author_role": cleaned.author_role, "submitted_at": cleaned.submitted_at}
            if Feedback.objects.filter(stop=stop, **same).exists():
                raise Conflict("There is an answer of this role at this time already; change that one.", "exists")
            saved = save_feedback(stop.pk, cleaned, actor=by.actor, via=by.via)
        return self.shown(_all().get(pk=saved.feedback.pk), 201)

    @extend_schema(
        request=FeedbackChanged, responses=FeedbackShown, description="Correct what is given. Needs If-Match."
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        data = self.body(FeedbackChanged)
        by = self.who()
        with transaction.atomic():
            said = _all().select_for_update(of=("self",)).get(pk=int(pk))
            self.must_match(said)
            key = {"author_role": said.author_role, "submitted_at": said.submitted_at}
            cleaned = self._cleaned({**data, **key}, ZoneInfo(said.stop.tour.time_zone))
            save_feedback(said.stop_id, cleaned, actor=by.actor, via=by.via)
        return self.shown(_all().get(pk=int(pk)))

    def _cleaned(self, data: dict[str, Any], zone: ZoneInfo) -> FeedbackInput:
        try:
            return clean_feedback(data, zone=zone)
        except ValidationError as error:
            raise invalid(renamed(error, {})) from None
