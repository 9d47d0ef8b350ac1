"""A connection: one account at one CRM, whom it serves and how we sign in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from django.db import models
from django.db.models import Q

from integrations.fields import EncryptedJSONField

from .base import Record, SealedRecord
from .people import Agent, Office


class ConnectionScope(models.TextChoices):
    BROKERAGE = "brokerage"
    OFFICE = "office"
    AGENT = "agent"


class ConnectionState(models.TextChoices):
    ACTIVE = "active"
    PAUSED = "paused"
    AUTH_NEEDED = "auth_needed", "Sign-in needed"
    DISABLED = "disabled"


class Connection(SealedRecord):
    """No `choices` on the provider: adding one needs no migration.

    `breaker` is the gate's circuit as last stored, `circuit_mode` what a person put in its place (mode, until, since,
    by, reason). `hold_*` is what the gate last said about the whole connection (circuit open, day used up, Redis away);
    claims skip a held connection, rows are not touched. `refresh_*` is the lease under which one process renews a
    token: whose, until when, the version of the secrets whose refresh token was last used (the intent, on record before
    a byte leaves), and until when nobody tries again after it failed.
    """

    provider = models.CharField(max_length=32)
    label = models.CharField(max_length=80, unique=True)
    scope = models.CharField(max_length=10, choices=ConnectionScope, default=ConnectionScope.BROKERAGE)
    office = models.ForeignKey(Office, on_delete=models.PROTECT, null=True, blank=True, related_name="connections")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, null=True, blank=True, related_name="connections")
    sync_from = models.DateTimeField("sync tours from", help_text="Tours that start before this are left out.")
    assigns = models.BooleanField(
        "assign to the agent’s user",
        default=False,
        help_text="Showings and tasks go to the CRM user of the tour’s agent; those of an agent not mapped wait.",
    )
    account_key = models.CharField(
        max_length=120, editable=False, help_text="The account at the provider; limits are counted per account."
    )
    config = models.JSONField(default=dict, blank=True)
    secrets = EncryptedJSONField(default=dict, blank=True, editable=False)
    secrets_version = models.PositiveIntegerField(default=1, editable=False)
    token_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    limit_overrides = models.JSONField(default=dict, blank=True, help_text='Lower a limit, for example {"burst": 50}.')
    mapping_version = models.PositiveIntegerField(default=1, editable=False)
    state = models.CharField(max_length=12, choices=ConnectionState, default=ConnectionState.ACTIVE)
    state_reason = models.CharField(max_length=200, blank=True, editable=False)
    hold_reason = models.CharField(max_length=20, blank=True, editable=False)
    hold_until_ms = models.BigIntegerField(default=0, editable=False)
    breaker = models.JSONField(null=True, blank=True, editable=False)
    circuit_mode = models.JSONField(null=True, blank=True, editable=False)
    not_before_ms = models.BigIntegerField(default=0, editable=False)
    refresh_owner = models.CharField(max_length=80, blank=True, editable=False)
    refresh_until_ms = models.BigIntegerField(default=0, editable=False)
    refresh_version = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    refresh_rest_ms = models.BigIntegerField(default=0, db_default=0, editable=False)
    probe_due_ms = models.BigIntegerField(default=0, db_default=0, editable=False)
    last_verified_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["label"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "account_key"],
                name="connection_account_once",
                violation_error_message="This account is connected already.",
            ),
            models.CheckConstraint(condition=Q(state__in=ConnectionState.values), name="connection_state_known"),
            models.CheckConstraint(
                condition=Q(scope="brokerage", office__isnull=True, agent__isnull=True)
                | Q(scope="office", office__isnull=False, agent__isnull=True)
                | Q(scope="agent", office__isnull=True, agent__isnull=False),
                name="connection_scope_target",
                violation_error_message="Name the office or the agent this serves; for the whole brokerage, neither.",
            ),
        ]

    def __str__(self) -> str:
        return self.label


class AgentUser(Record):
    """Who an agent of ours is in the CRM of a connection. Name and e-mail address are the CRM's, for people to read."""

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="agent_users")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="users")
    external_id = models.CharField(max_length=120)
    name = models.CharField(max_length=160, blank=True)
    email = models.CharField(max_length=254, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "agent"], name="agent_user_once"),
            models.CheckConstraint(condition=~Q(external_id=""), name="agent_user_given"),
        ]

    def __str__(self) -> str:
        return self.name or self.email or self.external_id


class ConnectionHold(models.Model):
    """A spell in which the gate let nothing of a connection out, for one reason (limit, circuit, cold start …).

    One row a spell, however often the gate was asked; `until_ms` is its end to within a few seconds.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="holds")
    reason = models.CharField(max_length=20)
    began_ms = models.BigIntegerField()
    until_ms = models.BigIntegerField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["connection", "began_ms"], name="hold_spell")]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.reason}"


class LeftOutQuerySet(models.QuerySet["LeftOut"]):
    def reasons(self, **ids: Iterable[int]) -> dict[tuple[int, str, int], str]:
        """(connection id, entity type, entity id) → why, of the records named by type: `tour=[1], contact=[2]`."""
        which = Q(pk__in=())
        for entity_type, pks in ids.items():
            which |= Q(entity_type=entity_type, entity_id__in=pks if isinstance(pks, models.QuerySet) else list(pks))
        rows = self.filter(which).values_list("connection_id", "entity_type", "entity_id", "reason")
        return {(connection, kind, pk): reason for connection, kind, pk, reason in rows}


class LeftOut(Record):
    """A record that people decided to keep out of one CRM, and why. No `choices`: an entity is named as operations do.

    A tour or a contact takes all that hangs on it along; a stop or an answer only itself.
    """

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="left_out")
    entity_type = models.CharField(max_length=16)
    entity_id = models.BigIntegerField()
    reason = models.CharField(max_length=300)

    objects: ClassVar = LeftOutQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "entity_type", "entity_id"], name="left_out_once"),
            models.CheckConstraint(condition=~Q(reason=""), name="left_out_reason_given"),
        ]
        indexes = [models.Index(fields=["entity_type", "entity_id"], name="left_out_entity")]

    def __str__(self) -> str:
        return f"{self.entity_type} {self.entity_id}"
