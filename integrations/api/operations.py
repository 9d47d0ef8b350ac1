"""/api/operations: what is sent, what waits and why, and what a person may do about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

import django_filters
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.utils.functional import cached_property
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.engine.clock import db_now
from integrations.engine.kinds import KINDS
from integrations.models import (
    CLAIMABLE,
    Attempt,
    Connection,
    Operation,
    OperationDependency,
    State,
    Tour,
)
from integrations.operations import counting, left_out, operation_state, operations, wording
from integrations.operations.expected import Expected, Forecast
from integrations.operations.moments import at_ms
from integrations.operations.tour_search import about_tours
from integrations.operations.tour_state import gate_mode

from .base import Endpoint
from .examples import ARRIVED
from .fields import Id, Instant, Millis, Shown, utc
from .lists import Filters, IdFilter, MomentFilter, TextFilter
from .paging import Pages
from .problems import Conflict, invalid, refused, renamed
from .tour_parts import WhyGiven

MOST_TRIES = 100
MOST_HELD_UP = 100


class TryShown(Shown):
    """One try. `outcome` is empty while its answer is awaited; `request_id` is the CRM's."""

    number = serializers.IntegerField(source="token")
    started_at = Millis(source="started_ms")
    sent_at = Millis(source="sent_ms")
    ended_at = Millis(source="ended_ms")

    class Meta:
        model = Attempt
        fields = (
            "number", "version", "calls", "started_at", "sent_at", "ended_at", "outcome", "status", "request_id",
            "message",
        )  # fmt: skip


class OperationShown(Shown):
    """One effect on a CRM. `due_at`: not before then; `actions`: what a person may do, each an address below it."""

    connection_id = Id()
    connection_label = serializers.CharField(source="connection.label")
    entity_id = Id()
    state_words = serializers.SerializerMethodField()
    reason_words = serializers.SerializerMethodField()
    blocked_by = serializers.SerializerMethodField()
    due_at = Millis(source="due_ms")
    sent_at = Millis(source="sent_ms")
    settled_at = Millis(source="settled_ms")
    actions = serializers.SerializerMethodField()
    created_at = Instant()
    updated_at = Instant()

    class Meta:
        model = Operation
        fields = (
            "id", "kind", "connection_id", "connection_label", "entity_type", "entity_id", "version", "state",
            "state_words", "reason", "reason_words", "message", "in_doubt", "cancel_requested", "attempts",
            "blocked_by", "due_at", "sent_at", "settled_at", "actions", "created_at", "updated_at",
        )  # fmt: skip

    @extend_schema_field({"type": "string"})
    def get_state_words(self, operation: Operation) -> str:
        """The state as staff read it."""
        return wording.state(operation.state)

    @extend_schema_field({"type": "string"})
    def get_reason_words(self, operation: Operation) -> str:
        """The reason as staff read it."""
        return wording.reason(operation.reason)

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_blocked_by(self, operation: Operation) -> list[str]:
        """The operations it waits for."""
        return [str(edge.needs_id) for edge in operation.dependencies.all()]

    @extend_schema_field({"type": "array", "items": {"type": "string", "enum": list(wording.VERBS)}})
    def get_actions(self, operation: Operation) -> list[str]:
        """What applies to it now."""
        return [verb.slug for verb in _allowed(operation)]


class ChoiceShown(serializers.Serializer[Any]):
    """Something that may be done to it now, and what will happen then."""

    action = serializers.ChoiceField(choices=wording.ACTIONS)
    label = serializers.CharField()  # type: ignore[assignment]  # a field of that name
    says = serializers.ListField(child=serializers.CharField())
    danger = serializers.BooleanField()


class OperationStory(OperationShown):
    """One operation with its newest tries, what may be done to it, and what waits for it.

    `expected_at`: about when its turn comes, by the CRM's limits.
    """

    not_before = serializers.SerializerMethodField()
    expected_at = serializers.SerializerMethodField()
    ahead = serializers.SerializerMethodField()
    choices = serializers.SerializerMethodField()
    holds_up = serializers.SerializerMethodField()
    tries = serializers.SerializerMethodField()

    class Meta:
        model = Operation
        fields = (*OperationShown.Meta.fields, "not_before", "expected_at", "ahead", "choices", "holds_up", "tries")

    @cached_property
    def _expected(self) -> Expected | None:
        operation: Operation = self.instance  # type: ignore[assignment]  # one, never a list
        return Forecast.of([operation], db_now(), gate_mode()).at(operation)

    @extend_schema_field({"type": "string", "format": "date-time", "nullable": True})
    def get_not_before(self, _operation: Operation) -> str | None:
        """Nothing is sent before; exact."""
        return utc(at_ms(self._expected.not_before_ms)) if self._expected else None

    @extend_schema_field({"type": "string", "format": "date-time", "nullable": True})
    def get_expected_at(self, _operation: Operation) -> str | None:
        """About when its turn comes."""
        return utc(at_ms(self._expected.at_ms)) if self._expected else None

    @extend_schema_field({"type": "integer", "nullable": True})
    def get_ahead(self, _operation: Operation) -> int | None:
        """About how many operations go first; 1000 means that many or more."""
        return self._expected.ahead if self._expected else None

    @extend_schema_field(ChoiceShown(many=True))
    def get_choices(self, operation: Operation) -> list[dict[str, Any]]:
        """What applies to it now, and what will happen."""
        return [
            {"action": verb.slug, "label": verb.label, "says": list(verb.says), "danger": verb.danger}
            for verb in _allowed(operation)
        ]

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_holds_up(self, operation: Operation) -> list[str]:
        """The operations that wait for it."""
        waiting = operation.dependants.filter(settled=False, operation__state__in=CLAIMABLE).order_by("id")
        return [str(pk) for pk in waiting.values_list("operation_id", flat=True)[:MOST_HELD_UP]]

    @extend_schema_field(TryShown(many=True))
    def get_tries(self, operation: Operation) -> Any:
        """Newest first."""
        return TryShown(operation.tries.order_by("-id")[:MOST_TRIES], many=True).data


@extend_schema_serializer(examples=[ARRIVED])
class ArrivedGiven(serializers.Serializer[Any]):
    """The answer to "did it arrive?"."""

    external_id = serializers.CharField(max_length=120, help_text="The record's id in the CRM.")


class ReasonGiven(serializers.Serializer[Any]):
    """Why; whoever looks for the record in that CRM later reads it."""

    reason = serializers.CharField(max_length=left_out.MAX_REASON)


class OperationFilters(django_filters.FilterSet):
    """Filters of the list."""

    state = django_filters.ChoiceFilter(choices=[("open", "open"), *State.choices], method="in_state")
    connection = IdFilter(field_name="connection_id")
    kind = django_filters.ChoiceFilter(choices=[(kind, kind) for kind in KINDS])
    reason = TextFilter(method="because")
    tour = IdFilter(method="of_tour", help_text="Of this tour, its stops, what was said after them, or its buyer.")
    due_after = MomentFilter(field_name="due_ms", lookup_expr="gte", milliseconds=True)
    due_before = MomentFilter(field_name="due_ms", lookup_expr="lt", milliseconds=True)
    updated_since = MomentFilter(method="changed_since", help_text="Changed at this time or later.")
    entity_type = TextFilter(method="of_type")
    entity_id = IdFilter(field_name="entity_id")

    class Meta:
        model = Operation
        fields: ClassVar[list[str]] = []

    def because(self, rows: Any, _name: str, value: str) -> Any:
        return rows.because(value)

    def changed_since(self, rows: Any, _name: str, value: datetime) -> Any:
        """By the index of changes while those are few; of many the newest are soon met, one by one."""
        changed = Operation.objects.filter(updated_at__gte=value).order_by()
        few = not isinstance(counting.count(changed), counting.MoreThan)
        return rows.filter(pk__in=changed.values("pk")) if few else rows.filter(updated_at__gte=value)

    def of_type(self, rows: Any, _name: str, value: str) -> Any:
        """With the record's id by their index; without it the newest first, not all of that type sorted."""
        if self.form.cleaned_data.get("entity_id") is not None:
            return rows.filter(entity_type=value)
        kinds = [name for name, kind in KINDS.items() if kind.entity_type == value]
        return rows.filter(kind=kinds[0]) if len(kinds) == 1 else rows.of_type(value) if kinds else rows.none()

    def in_state(self, rows: Any, _name: str, value: str) -> Any:
        return rows.open() if value == "open" else rows.filter(state=value)

    def of_tour(self, rows: QuerySet[Operation], _name: str, value: int) -> QuerySet[Operation]:
        return rows.filter(about_tours(Tour.objects.filter(pk=value)))


def _all() -> QuerySet[Operation]:
    edges = OperationDependency.objects.filter(settled=False).select_related("needs").order_by("id")
    labels = Connection.objects.only("label")
    rows: QuerySet[Operation] = Operation.objects.prefetch_related(
        Prefetch("connection", queryset=labels), Prefetch("dependencies", queryset=edges)
    )
    return rows


def _allowed(operation: Operation) -> list[wording.Verb]:
    return operation_state.allowed(operation, [edge.needs.state for edge in operation.dependencies.all()])


@extend_schema_view(list=extend_schema(description="Operations, newest first."))
class Operations(ListModelMixin, Endpoint):
    """What is sent to the CRMs. They come from changes of tours, buyers and feedback; nobody makes one."""

    scopes = {
        "list": "operations:read",
        "retrieve": "operations:read",
        "retry": "operations:act",
        "cancel": "operations:act",
        "arrived": "operations:act",
        "not_arrived": "operations:act",
        "skip": "operations:act",
        "recreate": "operations:act",
        "send_ours": "operations:act",
        "keep_theirs": "operations:act",
        "leave_out": "operations:act",
    }
    queryset = _all()
    serializer_class = OperationShown
    pagination_class = Pages
    filter_backends = (Filters,)
    filterset_class = OperationFilters

    def tag(self, record: Any) -> str:
        """Every claim and every settling raises `token` or changes the state."""
        asked = f"{record.redrive_no} {record.cancel_requested} {record.reason}"
        return f"{record.pk} {record.token} {record.state} {asked} {record.updated_at.isoformat()} {record.blockers}"

    @extend_schema(responses=OperationStory, description="One operation with its tries.")
    def retrieve(self, request: Request, pk: str) -> Response:
        return self._told(self.get_object())

    @extend_schema(request=WhyGiven, responses=OperationStory, description=" ".join(wording.RETRY.says))
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        return self._why(wording.RETRY, operations.retry, pk)

    @extend_schema(request=WhyGiven, responses=OperationStory, description=" ".join(wording.CANCEL.says))
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        return self._why(wording.CANCEL, operations.cancel, pk)

    @extend_schema(request=ArrivedGiven, responses=OperationStory, description=" ".join(wording.ARRIVED.says))
    @action(detail=True, methods=["post"])
    def arrived(self, request: Request, pk: str) -> Response:
        given = self.body(ArrivedGiven).get("external_id")
        external_id = self.text("external_id", given, 120)
        if not external_id:
            raise invalid({"external_id": ["Give the record's id in the CRM."]}, "required")
        return self._do(wording.ARRIVED, pk, lambda found: operations.answer_arrived(found, external_id, self.who()))

    @extend_schema(request=WhyGiven, responses=OperationStory, description=" ".join(wording.NOT_ARRIVED.says))
    @action(detail=True, methods=["post"], url_path="not-arrived")
    def not_arrived(self, request: Request, pk: str) -> Response:
        return self._why(wording.NOT_ARRIVED, operations.answer_not_arrived, pk)

    @extend_schema(request=WhyGiven, responses=OperationStory, description=" ".join(wording.SKIP.says))
    @action(detail=True, methods=["post"])
    def skip(self, request: Request, pk: str) -> Response:
        return self._why(wording.SKIP, operations.skip_predecessors, pk)

    @extend_schema(request=WhyGiven, responses=OperationStory, description=" ".join(wording.RECREATE.says))
    @action(detail=True, methods=["post"])
    def recreate(self, request: Request, pk: str) -> Response:
        return self._why(wording.RECREATE, operations.recreate, pk)

    @extend_schema(request=WhyGiven, responses=OperationStory, description=" ".join(wording.SEND_OURS.says))
    @action(detail=True, methods=["post"], url_path="send-ours")
    def send_ours(self, request: Request, pk: str) -> Response:
        return self._why(wording.SEND_OURS, operations.send_ours, pk)

    @extend_schema(request=WhyGiven, responses=OperationStory, description=" ".join(wording.KEEP_THEIRS.says))
    @action(detail=True, methods=["post"], url_path="keep-theirs")
    def keep_theirs(self, request: Request, pk: str) -> Response:
        return self._why(wording.KEEP_THEIRS, operations.keep_theirs, pk)

    @extend_schema(request=ReasonGiven, responses=OperationStory, description=" ".join(wording.LEAVE_OUT.says))
    @action(detail=True, methods=["post"], url_path="leave-out")
    def leave_out(self, request: Request, pk: str) -> Response:
        reason = self.body(ReasonGiven).get("reason")
        why = self.text("reason", reason, left_out.MAX_REASON)
        if not why:
            raise refused("reason", "Say why; whoever looks for it there later reads this.", "required")
        about = Operation.objects.values_list("entity_type", "entity_id", "connection_id").get(pk=int(pk))

        def act(_found: int) -> None:
            left_out.leave_out(*about, why, self.who())

        return self._do(wording.LEAVE_OUT, pk, act, alone=False)

    def _why(self, verb: wording.Verb, act: Callable[..., Operation], pk: str) -> Response:
        by = self.who(self.reason(self.body(WhyGiven)))
        return self._do(verb, pk, lambda found: act(found, by))

    def _do(self, verb: wording.Verb, pk: str, act: Callable[[int], Any], *, alone: bool = True) -> Response:
        """`alone`: the row is locked first; not so where the act takes other locks before it."""
        with transaction.atomic():
            if alone:
                Operation.objects.select_for_update().get(pk=int(pk))
            operation = _all().get(pk=int(pk))
            self.may_match(operation)
            if verb not in _allowed(operation):
                now = wording.state(operation.state).lower()
                raise Conflict(f"“{verb.label}” does not apply: the operation is “{now}” now.", "not_now")
            try:
                act(operation.pk)
            except ValidationError as error:
                if not hasattr(error, "error_dict"):
                    raise
                raise invalid(renamed(error, {})) from None
        return self._told(_all().get(pk=operation.pk))

    def _told(self, operation: Operation) -> Response:
        data = OperationStory(operation, context=self.get_serializer_context()).data
        return Response(data, headers={"ETag": self.etag(operation)})
