"""Connections as the API shows and takes them."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from integrations.fields import Unreadable
from integrations.models import Connection, ConnectionScope, ConnectionState
from integrations.operations import wording
from integrations.operations.moments import at_ms
from integrations.providers import registry

from .examples import NEW_CONNECTION
from .fields import Given, Id, Instant, Shown, utc
from .lists import IdFilter, since

PLAIN = ("label", "scope", "sync_from", "assigns", "limit_overrides")
TARGETS = ("office_id", "agent_id")


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
        except Unreadable:
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
    untested = serializers.BooleanField(
        required=False, help_text="Save without asking the CRM whether it works; it is paused then."
    )


@extend_schema_serializer(examples=[NEW_CONNECTION])
class ConnectionGiven(_Parts):
    """A new CRM. `sync_from`: now, unless given with its offset."""

    sync_from = serializers.CharField(required=False, max_length=40)

    class Meta:
        model = Connection
        fields = ("provider", *PLAIN, *TARGETS, "config", "secrets", "untested")


class ConnectionChanged(_Parts):
    """What of a CRM is to change. `forget_secrets`: the names of secrets to remove."""

    sync_from = serializers.CharField(required=False, max_length=40)
    forget_secrets = serializers.ListField(child=serializers.CharField(max_length=40), required=False, max_length=20)

    class Meta:
        model = Connection
        fields = (*PLAIN, *TARGETS, "config", "secrets", "forget_secrets", "untested")


class TestShown(serializers.Serializer[Any]):
    """Whether the CRM takes it. `field`: what to correct; null when nothing is to blame. `message`: why not."""

    works = serializers.BooleanField()
    field = serializers.CharField(allow_null=True)
    message = serializers.CharField(allow_blank=True)


class ConnectionPlan(serializers.Serializer[Any]):
    """What saving would do. A tour that leaves is cancelled at the CRM; one that joins is planned there."""

    tours_joining = serializers.IntegerField()
    tours_leaving = serializers.IntegerField()
    showings_handed_over = serializers.IntegerField(help_text="Upcoming ones, given to their agents' users.")
    showings_waiting_for_a_user = serializers.IntegerField(help_text="Of them, those whose agent has no user there.")
    operations_sent_without_user = serializers.IntegerField(help_text="That wait for a user now.")


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
