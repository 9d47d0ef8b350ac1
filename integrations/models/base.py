"""What every record of ours has."""

from __future__ import annotations

from django.db import models


class Record(models.Model):
    """When it was made and last changed (UTC); for people to read, no logic hangs on these."""

    created_at = models.DateTimeField(auto_now_add=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True, editable=False)

    class Meta:
        abstract = True
