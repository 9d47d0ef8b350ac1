"""A person on the way through a vendor's consent page."""

from __future__ import annotations

from django.db import models

from .connection import Connection


class ConsentRequest(models.Model):
    """One way to the consent page and back: good once, for the browser session that began it, for a few minutes.

    No secret stands here: of `state` and of the session only digests, and what proves that we asked (PKCE) is derived
    from the state with `SECRET_KEY`. `used_ms` 0: nobody came back yet. Times are the database's.
    """

    state_digest = models.CharField(max_length=64, unique=True)
    session_digest = models.CharField(max_length=64)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="consent_requests")
    redirect_uri = models.CharField(max_length=500)
    made_ms = models.BigIntegerField()
    used_ms = models.BigIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["made_ms"], name="consent_made")]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.made_ms}"
