"""/api/connections. Secrets go in and never come out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.engine.clock import db_now
from integrations.models import Connection
from integrations.operations import connections, deletion, verification
from integrations.operations.verification import Tried
from integrations.providers import registry

from .agent_users import AgentUsers
from .connection_parts import (
    PLAIN,
    TARGETS,
    ConnectionChanged,
    ConnectionFilters,
    ConnectionGiven,
    ConnectionPlan,
    ConnectionShown,
    ConnectionStory,
    TestShown,
)
from .lists import Filters
from .paging import Pages
from .problems import Conflict, Errors, invalid, refused, renamed
from .tour_parts import WhyGiven


def _all() -> QuerySet[Connection]:
    return Connection.objects.defer("secrets")  # read one by one, for they may be unreadable


@extend_schema_view(
    list=extend_schema(description="CRMs, newest first."),
    retrieve=extend_schema(responses=ConnectionStory, description="One CRM."),
)
class Connections(ListModelMixin, AgentUsers):
    """The CRMs tours go to."""

    scopes = {
        "list": "connections:read",
        "retrieve": "connections:read",
        "create": "connections:write",
        "partial_update": "connections:write",
        "pause": "connections:write",
        "resume": "connections:write",
        "disable": "connections:write",
        "test": "connections:write",
        "test_new": "connections:write",
        "plan": "connections:read",
        "plan_new": "connections:read",
        "destroy": "records:delete",
        "agents": "connections:read",
        "users": "connections:write",
        "map_agent": "connections:write",
        "unmap_agent": "connections:write",
    }
    refusing = ("users",)
    unconditional = ("test", "plan", "map_agent", "unmap_agent")
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
        request=ConnectionGiven,
        responses={201: ConnectionStory},
        description="A new CRM, once it says that this works; its tours are planned.",
    )
    def create(self, request: Request) -> Response:
        provider, data = self._provider(self.body(ConnectionGiven))
        untested = _flag("untested", data)
        by, flat = self.who(), _flat(provider, data)
        with _naming(provider):
            test = _tested(provider, flat, None, untested=untested)
            made = connections.create_connection(
                provider,
                flat | dict(test.renewed),
                now=timezone.now(),
                actor=by.actor,
                via=by.via,
                paused=test.error,
                verified_at=test.verified_at,
            )
        return self._told(made.pk, 201)

    @extend_schema(
        request=ConnectionChanged, responses=ConnectionStory, description="Change what is given. Needs If-Match."
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        data = self.body(ConnectionChanged)
        connection = _all().get(pk=int(pk))
        self.must_match(connection)
        untested, forget = _flag("untested", data), _forgotten(connection.provider, data.get("forget_secrets", []))
        by, flat = self.who(), _flat(connection.provider, data)
        with _naming(connection.provider):
            test = _tested(connection.provider, flat, connection, untested=untested, forget=forget)
            connections.update_connection(
                connection.pk,
                flat | dict(test.renewed),
                actor=by.actor,
                via=by.via,
                forget_secrets=forget,
                seen_at=connection.updated_at,
            )
        if test.error:
            connections.pause(connection.pk, actor=by.actor, via=by.via, reason=test.error)
        if test.verified_at is not None:
            verification.note_verified(connection.pk, test.verified_at)
        return self._told(connection.pk)

    @extend_schema(request=WhyGiven, responses=ConnectionStory, description="Nothing is sent until it is resumed.")
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        return self._press(connections.pause, pk)

    @extend_schema(request=WhyGiven, responses=ConnectionStory, description="Send again.")
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        return self._press(connections.resume, pk)

    @extend_schema(
        request=WhyGiven,
        responses=ConnectionStory,
        description="Nothing is sent nor planned any more; what stands in the CRM stays there.",
    )
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, pk: str) -> Response:
        return self._press(connections.disable, pk)

    @extend_schema(
        request=WhyGiven,
        responses=ConnectionStory,
        description="Ask the CRM whether what is stored works. 409: it does not, and why.",
    )
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        by = self.who(self.reason(self.body(WhyGiven)))
        verification.verify_now(int(pk), by)
        return self._told(int(pk))

    @extend_schema(
        request=ConnectionGiven,
        responses=TestShown,
        description="Ask the CRM whether this would work. Nothing is saved.",
        operation_id="connections_test_new",
    )
    @action(detail=False, methods=["post"], url_path="test")
    def test_new(self, request: Request) -> Response:
        provider, data = self._provider(self.body(ConnectionGiven))
        _flag("untested", data)
        flat = _flat(provider, data)
        with _naming(provider):
            done = verification.try_out(provider, flat, None) or Tried()
        field = _names(provider).get(done.correct, done.correct)
        return Response({"works": not done.error, "field": field or None, "message": done.error})

    @extend_schema(
        request=ConnectionGiven,
        responses=ConnectionPlan,
        description="What saving this would do. Does nothing, and asks no CRM.",
        operation_id="connections_plan_new",
    )
    @action(detail=False, methods=["post"], url_path="plan")
    def plan_new(self, request: Request) -> Response:
        provider, data = self._provider(self.body(ConnectionGiven))
        return self._planned(provider, data, None)

    @extend_schema(
        request=ConnectionChanged,
        responses=ConnectionPlan,
        description="What this change would do. Does nothing, and asks no CRM.",
    )
    @action(detail=True, methods=["post"])
    def plan(self, request: Request, pk: str) -> Response:
        connection = _all().get(pk=int(pk))
        data = self.body(ConnectionChanged)
        _forgotten(connection.provider, data.get("forget_secrets", []))
        return self._planned(connection.provider, data, connection)

    @extend_schema(
        request=None,
        responses={204: None},
        description="Delete a connection that was never used; disable another. Needs If-Match.",
    )
    def destroy(self, request: Request, pk: str) -> Response:
        by = self.who()
        with transaction.atomic():
            self.must_match(_all().select_for_update().get(pk=int(pk)))
            deletion.delete_connection(int(pk), actor=by.actor, via=by.via)
        return Response(status=204)

    def _provider(self, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The provider of a new connection, and the rest of the body. Raises a 400."""
        provider = data.pop("provider", "")
        if provider not in registry.slugs():
            raise refused("provider", f"Choose one of {', '.join(registry.slugs())}.")
        return provider, data

    def _planned(self, provider: str, data: dict[str, Any], connection: Connection | None) -> Response:
        _flag("untested", data)
        flat = _flat(provider, data)
        with _naming(provider):
            reach, handover = connections.planned(provider, flat, connection)
        told = {
            "tours_joining": reach.joining,
            "tours_leaving": reach.leaving,
            "showings_handed_over": handover.handed_over if handover else 0,
            "showings_waiting_for_a_user": handover.waiting if handover else 0,
            "operations_sent_without_user": handover.sent if handover else 0,
        }
        return Response(told)

    def _press(self, verb: Callable[..., bool], pk: str) -> Response:
        by = self.who(self.reason(self.body(WhyGiven)))
        connection = _all().get(pk=int(pk))
        self.may_match(connection)
        seen_at = connection.updated_at if self.conditional else None
        verb(connection.pk, actor=by.actor, via=by.via, reason=by.reason, seen_at=seen_at)
        return self._told(connection.pk)

    def _told(self, pk: int, status: int = 200) -> Response:
        return self.shown(_all().get(pk=pk), status)


def _flag(name: str, data: dict[str, Any]) -> bool:
    value = data.pop(name, False)
    if not isinstance(value, bool):
        raise refused(name, "This must be true or false.")
    return value


@contextmanager
def _naming(provider: str) -> Iterator[None]:
    """A verb's refusals, each under the name the API gives the field."""
    try:
        yield
    except ValidationError as error:
        raise invalid(renamed(error, _names(provider))) from None


def _tested(
    provider: str, flat: dict[str, Any], connection: Connection | None, *, untested: bool, forget: Sequence[str] = ()
) -> Tried:
    """The test before a save: what passed, or why it is saved paused. Raises what names the field to correct."""
    if untested:
        connections.check_connection(provider, flat, connection)
        return Tried(verification.UNTESTED)
    done = verification.try_out(provider, flat, connection, forget=forget) or Tried()
    if done.error and not done.renewed:
        if done.correct:
            raise refused(_names(provider)[done.correct], done.error, "refused_by_crm")
        raise Conflict(done.error, "not_tested")
    return done


def _names(provider: str) -> dict[str, str]:
    """The provider's fields as the API calls them."""
    return {
        field.name: f"{'secrets' if field.secret else 'config'}.{field.name}"
        for field in registry.manifest(provider).fields
    }


def _flat(provider: str, data: dict[str, Any]) -> dict[str, Any]:
    """As the verbs take it. Raises a 400 for a field the provider does not have."""
    names, errors = _names(provider), Errors()
    flat = {name: data[name] for name in (*PLAIN, *TARGETS) if name in data}
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
