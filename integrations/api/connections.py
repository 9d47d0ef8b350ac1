"""/api/connections. Secrets go in and never come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.engine.clock import db_now
from integrations.fields import InvalidToken
from integrations.models import Connection, ConnectionScope, ConnectionState
from integrations.operations import connections, wording
from integrations.operations.moments import at_ms
from integrations.providers import registry

from .base import Endpoint
from .examples import NEW_CONNECTION
from .fields import Given, Id, Instant, Shown, utc
from .lists import Filters, IdFilter, since
from .paging import Pages
from .problems import Errors, invalid, refused, renamed
from .tour_parts import WhyGiven

_PLAIN = ("label", "scope", "sync_from", "assigns", "limit_overrides")
_TARGETS = ("office_id", "agent_id")


class HeldShown(serializers.Serializer[Any]):
    """Why nothing is sent right now, and until when."""

    reason = serializers.CharField()
    words = serializers.CharField()
    until = serializers.DateTimeField()


class ConnectionShown(Shown):
    """A CRM."""

    office_id = Id(allow_null=True)
    agent_id = Id(allow_null=True)
    sync_from = Instant()
    last_verified_at = Instant(allow_null=True)
    config = serializers.DictField(child=serializers.CharField(allow_blank=True))
    limit_overrides = serializers.DictField(child=serializers.IntegerField())
    held = serializers.SerializerMethodField()
    created_at = Instant()
    updated_at = Instant()

    class Meta:
        model = Connection
        fields = (
            "id", "provider", "label", "scope", "office_id", "agent_id", "sync_from", "assigns", "config",
            "limit_overrides", "state", "state_reason", "held", "last_verified_at", "created_at",
            "updated_at",
        )  # fmt: skip

    @extend_schema_field(HeldShown(allow_null=True))
    def get_held(self, connection: Connection) -> dict[str, str] | None:
        """What the gate said about the whole connection."""
        if connection.hold_until_ms <= self.context.get("now_ms", 0):
            return None
        reason, until = connection.hold_reason, utc(at_ms(connection.hold_until_ms))
        return {"reason": reason, "words": wording.reason(reason), "until": until}


class ConnectionStory(ConnectionShown):
    """A CRM. `secrets_set`: which secrets are stored, never what; null when they cannot be read any more."""

    secrets_set = serializers.SerializerMethodField()

    class Meta:
        model = Connection
        fields = (*ConnectionShown.Meta.fields, "secrets_set")

    @extend_schema_field({"type": "array", "items": {"type": "string"}, "nullable": True})
    def get_secrets_set(self, connection: Connection) -> list[str] | None:
        """The names of the secrets there are."""
        try:
            return sorted(name for name, value in connection.secrets.items() if value)
        except InvalidToken:
            return None


class _Parts(Given):
    office_id = Id(required=False, allow_null=True)
    agent_id = Id(required=False, allow_null=True)
    config = serializers.DictField(
        child=serializers.CharField(allow_blank=True), required=False, help_text="The provider's fields, by name."
    )
    secrets = serializers.DictField(
        child=serializers.CharField(allow_blank=True),
        required=False,
        write_only=True,
        help_text="The provider's secret fields, by name; an empty one keeps what is stored.",
    )
    limit_overrides = serializers.DictField(child=serializers.IntegerField(min_value=1), required=False)


@extend_schema_serializer(examples=[NEW_CONNECTION])
class ConnectionGiven(_Parts):
    """A new CRM. `sync_from`: now, unless given with its offset."""

    sync_from = serializers.CharField(required=False, max_length=40)

    class Meta:
        model = Connection
        fields = ("provider", *_PLAIN, *_TARGETS, "config", "secrets")


class ConnectionChanged(_Parts):
    """What of a CRM is to change. `forget_secrets`: the names of secrets to remove."""

    sync_from = serializers.CharField(required=False, max_length=40)
    forget_secrets = serializers.ListField(child=serializers.CharField(max_length=40), required=False, max_length=20)

    class Meta:
        model = Connection
        fields = (*_PLAIN, *_TARGETS, "config", "secrets", "forget_secrets")


class ConnectionFilters(django_filters.FilterSet):
    """Filters of the list."""

    provider = django_filters.ChoiceFilter(choices=[(slug, slug) for slug in registry.slugs()])
    state = django_filters.ChoiceFilter(choices=ConnectionState.choices)
    scope = django_filters.ChoiceFilter(choices=ConnectionScope.choices)
    office = IdFilter(field_name="office_id", help_text="Serves this office alone.")
    agent = IdFilter(field_name="agent_id", help_text="Serves this agent alone.")
    updated_since = since()

    class Meta:
        model = Connection
        fields: ClassVar[list[str]] = []


def _all() -> QuerySet[Connection]:
    return Connection.objects.defer("secrets")  # read one by one, for they may be unreadable


@extend_schema_view(
    list=extend_schema(description="CRMs, newest first."),
    retrieve=extend_schema(responses=ConnectionStory, description="One CRM."),
)
class Connections(ListModelMixin, Endpoint):
    """The CRMs tours go to."""

    scopes = {
        "list": "connections:read",
        "retrieve": "connections:read",
        "create": "connections:write",
        "partial_update": "connections:write",
        "pause": "connections:write",
        "resume": "connections:write",
    }
    queryset = _all()
    serializer_class = ConnectionShown
    pagination_class = Pages
    filter_backends = (Filters,)
    filterset_class = ConnectionFilters
    one_transaction = False  # what joins or leaves a connection is planned in many short transactions

    def get_serializer_class(self) -> type[ConnectionShown]:
        return ConnectionShown if self.action == "list" else ConnectionStory

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "now_ms": db_now()}

    @extend_schema(
        request=ConnectionGiven, responses={201: ConnectionStory}, description="A new CRM; its tours are planned."
    )
    def create(self, request: Request) -> Response:
        data = self.body(ConnectionGiven)
        provider = data.pop("provider", "")
        if provider not in registry.slugs():
            raise refused("provider", f"Choose one of {', '.join(registry.slugs())}.")
        by, flat = self.who(), _flat(provider, data)
        try:
            made = connections.create_connection(provider, flat, now=timezone.now(), actor=by.actor, via=by.via)
        except ValidationError as error:
            raise invalid(renamed(error, _names(provider))) from None
        return self._told(made.pk, 201)

    @extend_schema(
        request=ConnectionChanged, responses=ConnectionStory, description="Change what is given. Needs If-Match."
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        data = self.body(ConnectionChanged)
        connection = _all().get(pk=int(pk))
        self.must_match(connection)
        by, flat = self.who(), _flat(connection.provider, data)
        try:
            connections.update_connection(
                connection.pk,
                flat,
                actor=by.actor,
                via=by.via,
                forget_secrets=_forgotten(connection.provider, data.get("forget_secrets", [])),
                seen_at=connection.updated_at,
            )
        except ValidationError as error:
            raise invalid(renamed(error, _names(connection.provider))) from None
        return self._told(connection.pk)

    @extend_schema(request=WhyGiven, responses=ConnectionStory, description="Nothing is sent until it is resumed.")
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        return self._press(connections.pause, pk)

    @extend_schema(request=WhyGiven, responses=ConnectionStory, description="Send again.")
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        return self._press(connections.resume, pk)

    def _press(self, verb: Callable[..., bool], pk: str) -> Response:
        by = self.who(self.reason(self.body(WhyGiven)))
        verb(int(pk), actor=by.actor, via=by.via, reason=by.reason)
        return self._told(int(pk))

    def _told(self, pk: int, status: int = 200) -> Response:
        return self.shown(_all().get(pk=pk), status)


def _names(provider: str) -> dict[str, str]:
    """The provider's fields as the API calls them."""
    return {
        field.name: f"{'secrets' if field.secret else 'config'}.{field.name}"
        for field in registry.manifest(provider).fields
    }


def _flat(provider: str, data: dict[str, Any]) -> dict[str, Any]:
    """As the verbs take it. Raises a 400 for a field the provider does not have."""
    names, errors = _names(provider), Errors()
    flat = {name: data[name] for name in (*_PLAIN, *_TARGETS) if name in data}
    for part in ("config", "secrets"):
        for name, value in data.get(part, {}).items():
            if names.get(name) != f"{part}.{name}":
                errors[f"{part}.{name[:40]}"] = ["This provider has no such field here."]
            flat[name] = value
    if errors:
        raise invalid(errors)
    return flat


def _forgotten(provider: str, given: Any) -> list[str]:
    known = {field.name for field in registry.manifest(provider).fields if field.secret}
    if not isinstance(given, list) or not all(isinstance(name, str) and name in known for name in given):
        raise refused("forget_secrets", f"This must be a list of: {', '.join(sorted(known))}.")
    return given
