"""/api/agents and /api/offices."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.core.exceptions import ValidationError
from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_serializer, extend_schema_view
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.models import Agent, Office
from integrations.operations import deletion
from integrations.operations.agents import save_agent, save_office

from .base import Endpoint
from .examples import NEW_AGENT, NEW_OFFICE
from .fields import Given, Id, Instant, Shown
from .lists import Filters, IdFilter, TextFilter, since
from .paging import Pages
from .problems import invalid, refused, renamed


class OfficeShown(Shown):
    """An office of the brokerage."""

    created_at = Instant()
    updated_at = Instant()

    class Meta:
        model = Office
        fields = ("id", "name", "created_at", "updated_at")


class OfficeOfAgent(Shown):
    """The office, as far as an agent shows it."""

    class Meta:
        model = Office
        fields = ("id", "name")


class AgentShown(Shown):
    """A person who shows homes. `active`: false is put away."""

    office = OfficeOfAgent(allow_null=True)
    created_at = Instant()
    updated_at = Instant()

    class Meta:
        model = Agent
        fields = ("id", "name", "email", "mls_id", "office", "active", "created_at", "updated_at")


class AgentChanged(Given):
    """What of an agent is to change. `active`: false puts the agent away, true brings them back."""

    office_id = Id(required=False, allow_null=True)
    active = serializers.BooleanField(required=False)

    class Meta:
        model = Agent
        fields = ("name", "email", "mls_id", "office_id", "active")


@extend_schema_serializer(examples=[NEW_AGENT])
class AgentMade(AgentChanged):
    """A new agent."""


@extend_schema_serializer(examples=[NEW_OFFICE])
class OfficeGiven(Given):
    """An office."""

    class Meta:
        model = Office
        fields = ("name",)


class AgentFilters(django_filters.FilterSet):
    """Filters of the list."""

    email = django_filters.CharFilter(field_name="email", lookup_expr="iexact", max_length=254)
    mls_id = TextFilter(field_name="mls_id")
    office = IdFilter(field_name="office_id")
    active = django_filters.BooleanFilter(field_name="active")
    text = TextFilter(field_name="name", lookup_expr="icontains", help_text="A part of the name.")
    updated_since = since()

    class Meta:
        model = Agent
        fields: ClassVar[list[str]] = []


class OfficeFilters(django_filters.FilterSet):
    """Filters of the list."""

    text = TextFilter(field_name="name", lookup_expr="icontains", help_text="A part of the name.")
    updated_since = since()

    class Meta:
        model = Office
        fields: ClassVar[list[str]] = []


class _Kept(ListModelMixin, Endpoint):
    """What managers keep: made, changed, and deleted while nothing hangs on it."""

    scopes = {
        "list": "agents:read",
        "retrieve": "agents:read",
        "create": "agents:write",
        "partial_update": "agents:write",
        "destroy": "records:delete",
    }
    pagination_class = Pages
    filter_backends = (Filters,)

    def given(self, data: dict[str, Any]) -> dict[str, Any]:
        """A body as the verb takes it. Raises a 400."""
        return data

    def save(self, data: dict[str, Any], **which: Any) -> Any:
        """The verb."""
        raise NotImplementedError  # agents and offices have their own

    def saved(self, data: dict[str, Any], status: int, **which: Any) -> Response:
        """What the verb made of a body."""
        try:
            record = self.save(self.given(data), who=self.who(), **which)
        except ValidationError as error:
            raise invalid(renamed(error, {"office": "office_id"})) from None
        return self.shown(self.get_queryset().get(pk=record.pk), status)

    def seen(self, pk: str) -> Any:
        """The record as the caller saw it, locked. Raises 404, 412, 428."""
        record = self.get_queryset().model._default_manager.select_for_update().get(pk=int(pk))
        self.must_match(record)
        return record


@extend_schema_view(
    list=extend_schema(description="Agents, newest first."), retrieve=extend_schema(description="One agent.")
)
class Agents(_Kept):
    """Agents. A tour that names a new one makes one too."""

    queryset = Agent.objects.select_related("office")
    serializer_class = AgentShown
    filterset_class = AgentFilters

    def given(self, data: dict[str, Any]) -> dict[str, Any]:
        """The office itself instead of its id."""
        flat = dict(data)
        if "office_id" in flat:
            office_id = flat.pop("office_id")
            flat["office"] = Office.objects.filter(pk=office_id).first() if office_id is not None else None
            if office_id is not None and flat["office"] is None:
                raise refused("office_id", f"There is no office {office_id}.")
        return flat

    def save(self, data: dict[str, Any], **which: Any) -> Agent:
        """As `save_agent`."""
        return save_agent(data, **which)

    @extend_schema(request=AgentMade, responses={201: AgentShown}, description="A new agent.")
    def create(self, request: Request) -> Response:
        return self.saved(self.body(AgentMade), 201)

    @extend_schema(
        request=AgentChanged,
        responses=AgentShown,
        description="Change what is given; tours of an agent who moved, or has another name, follow. Needs If-Match.",
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        data = self.body(AgentChanged)
        with transaction.atomic():
            return self.saved(data, 200, agent_id=self.seen(pk).pk)

    @extend_schema(
        request=None,
        responses={204: None},
        description="Delete an agent without tours and connections; set another to `active: false`. Needs If-Match.",
    )
    def destroy(self, request: Request, pk: str) -> Response:
        by = self.who()
        with transaction.atomic():
            deletion.delete_agent(self.seen(pk).pk, actor=by.actor, via=by.via)
        return Response(status=204)


@extend_schema_view(
    list=extend_schema(description="Offices, newest first."), retrieve=extend_schema(description="One office.")
)
class Offices(_Kept):
    """Offices of the brokerage."""

    queryset = Office.objects.all()
    serializer_class = OfficeShown
    filterset_class = OfficeFilters

    def save(self, data: dict[str, Any], **which: Any) -> Office:
        """As `save_office`."""
        return save_office(data, **which)

    @extend_schema(request=OfficeGiven, responses={201: OfficeShown}, description="A new office.")
    def create(self, request: Request) -> Response:
        return self.saved(self.body(OfficeGiven), 201)

    @extend_schema(request=OfficeGiven, responses=OfficeShown, description="Another name. Needs If-Match.")
    def partial_update(self, request: Request, pk: str) -> Response:
        data = self.body(OfficeGiven)
        with transaction.atomic():
            return self.saved(data, 200, office_id=self.seen(pk).pk)

    @extend_schema(
        request=None,
        responses={204: None},
        description="Delete an office without agents and connections. Needs If-Match.",
    )
    def destroy(self, request: Request, pk: str) -> Response:
        by = self.who()
        with transaction.atomic():
            deletion.delete_office(self.seen(pk).pk, actor=by.actor, via=by.via)
        return Response(status=204)
