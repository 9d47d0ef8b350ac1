"""One verb on many operations: what was chosen, what became of each."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from .base import Record
from .operation import Operation


class BulkRun(Record):
    """A choice of operations that a person saw as a plan and then confirmed, or did not.

    `chosen`: how they were chosen, in words. `actor`, `reason`: who confirmed it and why. `owner` works on it until
    `until_ms` (database clock), and longer as long as it renews that.
    """

    class State(models.TextChoices):
        PLANNED = "planned"
        RUNNING = "running"
        DONE = "done"
        STOPPED = "stopped"

    verb = models.CharField(max_length=16)
    state = models.CharField(max_length=8, choices=State, default=State.PLANNED)
    chosen = models.CharField(max_length=300, blank=True)
    total = models.PositiveIntegerField(default=0)
    made_by = models.CharField(max_length=150)
    actor = models.CharField(max_length=150, blank=True)
    via = models.CharField(max_length=8, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    owner = models.CharField(max_length=80, blank=True)
    until_ms = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["id"], name="bulk_open", condition=Q(state="running"))]

    def __str__(self) -> str:
        return f"{self.verb} of {self.total} operations"


class BulkItem(models.Model):
    """One chosen operation. `outcome` is empty until its turn came; `detail` says what happened, or why nothing did."""

    class Outcome(models.TextChoices):
        DONE = "done"
        LEFT = "left", "left as it was"

    run = models.ForeignKey(BulkRun, on_delete=models.CASCADE, related_name="items")
    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="+")
    outcome = models.CharField(max_length=8, choices=Outcome, blank=True)
    detail = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["run", "operation"], name="bulk_item_once")]
        indexes = [models.Index(fields=["run", "id"], name="bulk_item_open", condition=Q(outcome=""))]

    def __str__(self) -> str:
        return f"operation {self.operation_id}"
