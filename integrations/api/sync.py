"""/api/sync-state: what of a tour is in which CRM, what waits, why and until when; the words staff read too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.engine.clock import db_now
from integrations.models import Tour
from integrations.operations import tour_state
from integrations.operations.moments import at_ms
from integrations.operations.sync_state import TONES, Line

from .base import Endpoint
from .fields import Id, utc


class LineShown(serializers.Serializer[Any]):
    """One record at one CRM. `state` is for programs, `head` and `text` are for people.

    in: it is there. waits, blocked: nobody need act. person, failed: somebody must. cancelled: it stands there as
    cancelled. not_sent: it does not go there.
    """

    state = serializers.ChoiceField(choices=TONES)
    head = serializers.CharField()
    text = serializers.CharField(allow_blank=True)
    until = serializers.DateTimeField(allow_null=True, help_text="Not before then.")
    external_id = serializers.CharField(allow_blank=True, help_text="The record's id in the CRM.")
    operation_id = Id(allow_null=True)
    expected = serializers.DateTimeField(allow_null=True, help_text="About when its turn comes, by the CRM's limits.")
    ahead = serializers.IntegerField(
        allow_null=True, help_text="About how many operations go first; 1000 means that many or more."
    )
    blocked_by = Id(allow_null=True, help_text="The operation it waits for.")


class StopLine(LineShown):
    """A stop's appointment."""

    stop_id = Id()
    sequence = serializers.IntegerField()


class AnswerLine(LineShown):
    """What is told of an answer. `what`: its note or its task."""

    feedback_id = Id()
    stop_id = Id()
    what = serializers.CharField()


class ConnectionSync(serializers.Serializer[Any]):
    """A tour at one CRM. `routed`: whether the tour goes there, `reason`: why, or why not."""

    connection_id = Id()
    label = serializers.CharField()  # type: ignore[assignment]  # a field of that name
    provider = serializers.CharField()
    routed = serializers.BooleanField()
    reason = serializers.CharField()
    buyer = LineShown()
    stops = StopLine(many=True)
    answers = AnswerLine(many=True)
    summary = LineShown(allow_null=True)


class TourSync(serializers.Serializer[Any]):
    """A tour at every CRM, at one moment."""

    tour_id = Id()
    reference = serializers.CharField()
    time_zone = serializers.CharField()
    now = serializers.DateTimeField()
    connections = ConnectionSync(many=True)


class SyncState(Endpoint):
    """Why a tour is, or is not yet, in each CRM."""

    scopes = {"retrieve": "tours:read"}
    queryset = Tour.objects.select_related("agent", "buyer")
    serializer_class = TourSync

    @extend_schema(responses=TourSync, description="What of a tour is in which CRM; what waits, why and until when.")
    def retrieve(self, request: Request, pk: str) -> Response:
        now_ms = db_now()
        state = tour_state.load(self.get_object(), now_ms, timeline=False)
        tour = state.tour
        told = {
            "tour_id": str(tour.pk),
            "reference": tour.reference,
            "time_zone": tour.time_zone,
            "now": utc(at_ms(now_ms)),
            "connections": [_connection(state, place) for place in range(len(state.routes))],
        }
        return Response(told)


def _connection(state: tour_state.TourState, place: int) -> dict[str, Any]:
    route = state.routes[place]
    summary = state.summary[place] if state.summary else None
    return {
        "connection_id": str(route.connection.pk),
        "label": route.connection.label,
        "provider": route.connection.provider,
        "routed": route.included,
        "reason": route.reason,
        "buyer": _line(state.buyer[place]),
        "stops": [
            {"stop_id": str(row.stop.pk), "sequence": row.stop.sequence, **_line(row.lines[place])}
            for row in state.stops
        ],
        "answers": list(_answers(state.stops, place)),
        "summary": None if summary is None else _line(summary),
    }


def _answers(rows: Iterable[tour_state.StopRow], place: int) -> Iterable[Mapping[str, Any]]:
    for row in rows:
        for said in row.said:
            for line in said.lines[place]:
                ids = {"feedback_id": str(said.answer.pk), "stop_id": str(row.stop.pk)}
                yield {**ids, "what": line.what, **_line(line)}


def _line(line: Line) -> dict[str, Any]:
    return {
        "state": line.tone.value,
        "head": line.head,
        "text": line.text,
        "until": None if line.until_ms is None else utc(at_ms(line.until_ms)),
        "external_id": line.external_id,
        "operation_id": None if line.operation_id is None else str(line.operation_id),
        "expected": None if line.expected is None else utc(at_ms(line.expected.at_ms)),
        "ahead": None if line.expected is None else line.expected.ahead,
        "blocked_by": None if line.blocker_id is None else str(line.blocker_id),
    }
