"""/api/connections/{id}/agents: who an agent is in that CRM."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import Exists, OuterRef, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.models import Agent, AgentUser, Connection
from integrations.operations import agent_users

from .base import ID, Endpoint
from .examples import MAP_AGENT
from .fields import Id, Shown
from .lists import Filters, IdFilter, TextFilter
from .paging import Pages
from .problems import refused
from .tour_parts import WhyGiven


class UserShown(serializers.Serializer[Any]):
    """A login in the CRM."""

    external_id = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    email = serializers.CharField(allow_blank=True)


class AgentThere(Shown):
    """An agent this connection serves. `user`: who they are there; `waits`: operations that wait for one."""

    agent_id = Id(source="pk")
    user = serializers.SerializerMethodField()
    waits = serializers.SerializerMethodField()

    class Meta:
        model = Agent
        fields = ("agent_id", "name", "email", "active", "user", "waits")

    @extend_schema_field(UserShown(allow_null=True))
    def get_user(self, agent: Agent) -> Any:
        """Who the agent is there."""
        user = self.context["users"].get(agent.pk)
        return UserShown(user).data if user else None

    @extend_schema_field({"type": "integer"})
    def get_waits(self, agent: Agent) -> Any:
        """How many operations wait for a user of this agent."""
        return self.context["held"].get(agent.pk, 0)


class Suggestion(serializers.Serializer[Any]):
    """An agent without a user there, and the one user with the same e-mail address."""

    agent_id = Id()
    external_id = serializers.CharField()


class UsersShown(serializers.Serializer[Any]):
    """Who has a login in the CRM now, and who of the agents they may be."""

    users = UserShown(many=True)
    suggestions = Suggestion(many=True)


@extend_schema_serializer(examples=[MAP_AGENT])
class MapGiven(WhyGiven):
    """Which of the CRM's users the agent is."""

    external_id = serializers.CharField(max_length=agent_users.MAX_ID)


class MappedShown(serializers.Serializer[Any]):
    """What mapping did: operations that go on at once, showings that are handed to the user."""

    changed = serializers.BooleanField()
    operations_released = serializers.IntegerField()
    showings_moved = serializers.IntegerField()
    user = UserShown()


class UnmappedShown(serializers.Serializer[Any]):
    """Whether the agent had a user there."""

    changed = serializers.BooleanField()


class AgentThereFilters(django_filters.FilterSet):
    """Filters of the list."""

    mapped = django_filters.BooleanFilter(method="with_user")
    office = IdFilter(field_name="office_id")
    text = TextFilter(field_name="name", lookup_expr="icontains", help_text="A part of the name.")

    class Meta:
        model = Agent
        fields: ClassVar[list[str]] = []

    def with_user(self, rows: QuerySet[Agent], _name: str, value: bool) -> QuerySet[Agent]:
        known = Exists(AgentUser.objects.filter(agent=OuterRef("pk"), connection=self.request.agents_of))
        return rows.filter(known) if value else rows.exclude(known)


class AgentUsers(Endpoint):
    """The addresses below a connection. The CRM is only asked for those who may map."""

    @extend_schema(
        responses=AgentThere(many=True), description="The agents this connection serves, newest first.", filters=True
    )
    @action(
        detail=True,
        methods=["get"],
        queryset=Agent.objects.all(),
        pagination_class=Pages,
        filter_backends=[Filters],
        filterset_class=AgentThereFilters,
    )
    def agents(self, request: Request, pk: str) -> Response:
        connection = Connection.objects.defer("secrets").get(pk=int(pk))
        held = agent_users.held_up_at(connection)
        known = AgentUser.objects.filter(connection=connection)
        served = agent_users.served(connection, {*held, *known.values_list("agent_id", flat=True)})
        request.agents_of = connection.pk  # type: ignore[attr-defined]  # for the filter
        rows = self.paginate_queryset(self.filter_queryset(served)) or []
        users = {one.agent_id: one for one in known.filter(agent__in=[agent.pk for agent in rows])}
        told = AgentThere(rows, many=True, context={"users": users, "held": held})
        return self.get_paginated_response(told.data)

    @extend_schema(
        responses=UsersShown, description="Ask the CRM who has a login there. 409: it could not be asked, and why."
    )
    @action(detail=True, methods=["get"])
    def users(self, request: Request, pk: str) -> Response:
        connection = Connection.objects.defer("secrets").get(pk=int(pk))
        found = agent_users.read_users(connection)
        mapped = AgentUser.objects.filter(connection=connection).values("agent_id")
        suggested = agent_users.suggestions(agent_users.served(connection).exclude(pk__in=mapped), found)
        told = {
            "users": [{"external_id": user.id, "name": user.name, "email": user.email} for user in found],
            "suggestions": [
                {"agent_id": str(agent_id), "external_id": user.id} for agent_id, user in sorted(suggested.items())
            ],
        }
        return Response(told)

    @extend_schema(
        request=MapGiven,
        responses=MappedShown,
        description="The agent is this user of the CRM from now on: what waited for it goes on, upcoming showings are "
        "handed over. The CRM is asked for its users first.",
    )
    @action(detail=True, methods=["post"], url_path=f"agents/(?P<agent_id>{ID})/map")
    def map_agent(self, request: Request, pk: str, agent_id: str) -> Response:
        data = self.body(MapGiven)
        by, wanted = self.who(self.reason(data)), self.text("external_id", data.get("external_id"), agent_users.MAX_ID)
        connection, agent = self._pair(pk, agent_id)
        if not wanted:
            raise refused("external_id", "This must be given.", "required")
        user = next((one for one in agent_users.read_users(connection) if one.id == wanted), None)
        if user is None:
            raise refused("external_id", "The CRM has no such user.")
        done = agent_users.map_agent(connection.pk, agent.pk, user, by)
        told = {
            "changed": done.changed,
            "operations_released": done.released,
            "showings_moved": done.moved,
            "user": {"external_id": user.id, "name": user.name, "email": user.email},
        }
        return Response(told)

    @extend_schema(
        request=WhyGiven,
        responses=UnmappedShown,
        description="The agent is nobody there. Nothing is sent: what stands keeps its user, what comes waits.",
    )
    @action(detail=True, methods=["post"], url_path=f"agents/(?P<agent_id>{ID})/unmap")
    def unmap_agent(self, request: Request, pk: str, agent_id: str) -> Response:
        by = self.who(self.reason(self.body(WhyGiven)))
        connection, agent = self._pair(pk, agent_id)
        return Response({"changed": agent_users.unmap_agent(connection.pk, agent.pk, by)})

    def _pair(self, pk: str, agent_id: str) -> tuple[Connection, Agent]:
        agent = Agent.objects.filter(pk=int(agent_id)).first()
        if agent is None:
            raise NotFound("There is no such agent.")
        return Connection.objects.defer("secrets").get(pk=int(pk)), agent
