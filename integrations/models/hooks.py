"""Webhooks in: where they come from, what came, and what was refused."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q

from integrations.fields import EncryptedJSONField

from .base import SealedRecord


def new_key() -> str:
    """128 random bits: the public part of a source's address."""
    return secrets.token_hex(16)


class WebhookSource(SealedRecord):
    """One address of ours that a provider calls. No `choices` on the scheme: a new one needs no migration.

    `secrets`: {"current": …, "previous": …}; the previous one counts until `previous_until`, so that what was signed
    before a change of secrets still arrives. `tolerance_s`: how far a signed moment may be from now; 0 asks nothing.
    """

    class Purpose(models.TextChoices):
        STORE = "store", "Keep what comes"
        FEEDBACK = "feedback", "Answers after a showing (Typeform)"

    class State(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"

    key = models.CharField(max_length=32, unique=True, default=new_key, editable=False)
    label = models.CharField(max_length=80, unique=True)
    scheme = models.CharField(max_length=32)
    purpose = models.CharField(max_length=12, choices=Purpose, default=Purpose.STORE)
    mapping = models.JSONField(default=dict, blank=True)
    options = models.JSONField(default=dict, blank=True)
    secrets = EncryptedJSONField(default=dict, blank=True, editable=False)
    secret_set_at = models.DateTimeField(null=True, blank=True, editable=False)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False)
    max_bytes = models.PositiveIntegerField("largest body (bytes)", default=262_144)
    content_types = models.JSONField(default=list, blank=True)
    allowed_ips = models.JSONField("allowed addresses", default=list, blank=True)
    tolerance_s = models.PositiveIntegerField("time tolerance (s)", default=300)
    per_minute = models.PositiveIntegerField("deliveries a minute", default=600)
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)

    class Meta:
        ordering = ["label"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=["active", "paused"]), name="hook_source_state_known"),
            models.CheckConstraint(
                condition=Q(max_bytes__gte=1, max_bytes__lte=10_485_760), name="hook_source_size_range"
            ),
        ]

    def __str__(self) -> str:
        return self.label

    def secrets_at(self, now: datetime) -> list[str]:
        """The secrets that count now, the current one first."""
        found = [self.secrets.get("current", "")]
        if self.previous_until is not None and now < self.previous_until:
            found.append(self.secrets.get("previous", ""))
        return [one for one in found if one]


class Delivery(models.Model):
    """One verified request, as it came: written before it is answered, worked on afterwards.

    `delivery_key`: the provider's id, or the body's digest where it gives none. `content_key` is equal for what must
    count once whatever id it bears. `conflict_of`: the first one of that id, whose body was another. Times are Unix
    milliseconds, UTC.
    """

    class State(models.TextChoices):
        RECEIVED = "received"
        DONE = "done"
        IGNORED = "ignored"
        WAITING = "waiting", "Waits for a person"
        CONFLICT = "conflict", "Same id, another body"
        DEAD = "dead"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    source = models.ForeignKey(WebhookSource, on_delete=models.PROTECT, related_name="deliveries")
    delivery_key = models.CharField("provider’s id", max_length=200)
    content_key = models.CharField(max_length=64)
    body_sha256 = models.CharField(max_length=64)
    body = models.BinaryField()
    headers = models.JSONField(default=dict)
    remote = models.CharField(max_length=45, blank=True)
    conflict_of = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="conflicts")
    received_ms = models.BigIntegerField()
    state = models.CharField(max_length=8, choices=State, default=State.RECEIVED)
    reason = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    due_ms = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["source", "delivery_key"], condition=Q(conflict_of__isnull=True), name="hook_delivery_once"
            ),
            models.UniqueConstraint(fields=["source", "content_key"], name="hook_content_once"),
            models.CheckConstraint(
                condition=Q(state__in=["received", "done", "ignored", "waiting", "conflict", "dead"]),
                name="hook_delivery_state_known",
            ),
        ]
        indexes = [
            models.Index(fields=["source", "received_ms"], name="hook_delivery_rate"),
            models.Index(fields=["due_ms", "id"], condition=Q(state="received"), name="hook_delivery_due"),
            models.Index(fields=["state", "id"], name="hook_delivery_state"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.delivery_key[:40]}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None and kwargs.get("update_fields") is None:
            raise TypeError("What came is never changed: name the fields of its state.")
        super().save(*args, **kwargs)


class RefusedRequest(models.Model):
    """A request that was refused, and why: the newest of each source, and of addresses there are not."""

    source = models.ForeignKey(WebhookSource, on_delete=models.CASCADE, null=True, related_name="refused")
    at_ms = models.BigIntegerField()
    reason = models.CharField(max_length=32)
    status = models.PositiveSmallIntegerField()
    remote = models.CharField(max_length=45, blank=True)
    headers = models.JSONField(default=dict)
    size = models.PositiveIntegerField(default=0)
    body_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["source", "id"], name="hook_refused_newest")]

    def __str__(self) -> str:
        return f"{self.reason} ({self.status})"


class WebhookEvent(models.Model):
    """One event of a delivery, settled by itself. A replay goes on with those that are not done."""

    class State(models.TextChoices):
        DONE = "done"
        IGNORED = "ignored"
        WAITING = "waiting", "Waits for a person"

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="events")
    position = models.PositiveIntegerField()
    kind = models.CharField("type", max_length=80)
    occurred_at = models.CharField(max_length=40, blank=True)
    subject = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=8, choices=State)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["delivery", "position"]
        constraints = [models.UniqueConstraint(fields=["delivery", "position"], name="hook_event_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
