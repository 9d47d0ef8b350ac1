"""Who may use the API, and what was answered to a request that may be sent again."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from .base import Record


class ApiToken(Record):
    """A key of the API: it acts for its owner, within its scopes. Only the SHA-256 of its secret is kept."""

    key_id = models.CharField("id", max_length=8, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    name = models.CharField(max_length=80, help_text="What uses it, for example “Website”.")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name = "API token"
        constraints = [models.CheckConstraint(condition=~Q(digest=""), name="api_token_digest_given")]

    def __str__(self) -> str:
        return f"{self.name} ({self.key_id})"

    def works_at(self, now: datetime) -> bool:
        """Whether it opens anything: neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class IdempotentRequest(models.Model):
    """A request with an Idempotency-Key: written before its work begins, completed with its answer.

    `status` NULL: the work goes on. `turn` tells takers apart: one that took over a lost request from the one before.
    Times are Unix milliseconds, UTC.
    """

    client = models.CharField(max_length=40)
    key = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    created_ms = models.BigIntegerField()
    started_ms = models.BigIntegerField()
    turn = models.PositiveIntegerField(default=1)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "key"], name="idempotent_request_once")]
        indexes = [models.Index(fields=["created_ms"], name="idempotent_request_age")]

    def __str__(self) -> str:
        return f"{self.key} of {self.client}"
