"""One run of an import: what it read, made and changed."""

from __future__ import annotations

from django.db import models

from .base import Record


class ImportRun(Record):
    """A file that passed its first reading. Resumable (`next_row`), and the basis of an undo by plan (`ImportItem`).

    `began_at`, `began_row`: when and where the attempt in hand began (None: nobody has it in hand); `updated_at` is its
    sign of life. `detail`: why it stopped. `undone`: what its undo did so far.
    """

    class State(models.TextChoices):
        RUNNING = "running"
        STOPPED = "stopped"
        DONE = "done"
        UNDOING = "undoing", "being taken back"
        UNDONE = "undone", "taken back"

    kind = models.CharField(max_length=10)
    file_name = models.CharField(max_length=255)
    file_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    actor = models.CharField(max_length=150, blank=True)
    rows = models.PositiveIntegerField(default=0)
    next_row = models.PositiveIntegerField(default=0)
    skipped = models.JSONField(default=list, blank=True)
    created_count = models.PositiveIntegerField(default=0)
    updated_count = models.PositiveIntegerField(default=0)
    unchanged_count = models.PositiveIntegerField(default=0)
    bad_count = models.PositiveIntegerField(default=0)
    detail = models.CharField(max_length=300, blank=True)
    began_at = models.DateTimeField(null=True, blank=True, editable=False)
    began_row = models.PositiveIntegerField(default=0, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    undone = models.JSONField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["file_hash"])]

    def __str__(self) -> str:
        return f"{self.kind} from {self.file_name}"


class PlannedUndo(Record):
    """What taking an import back would do, worked out by a worker and frozen: the undo then does nothing else.

    `made_at` None: it is still worked out, `done` of `total` tours so far, by `owner` until `until_ms` (database clock)
    and longer as long as it renews that; or it `failed`, and why. `next_row`: how far the import was then. `says`,
    `names`: the plan in words. `acts`: type of record → ids of those that something is done to.
    """

    run = models.OneToOneField(ImportRun, on_delete=models.CASCADE, related_name="planned_undo")
    asked_by = models.CharField(max_length=150, blank=True)
    next_row = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    owner = models.CharField(max_length=80, blank=True)
    until_ms = models.BigIntegerField(default=0)
    made_at = models.DateTimeField(null=True)
    failed = models.CharField(max_length=200, blank=True)
    says = models.JSONField(default=list)
    names = models.JSONField(default=list)
    acts = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"plan to take back {self.run_id}"


class ImportItem(models.Model):
    """One record an import created or changed; `before` holds the old values of a change (no secrets)."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="items")
    entity_type = models.CharField(max_length=16)
    entity_id = models.BigIntegerField()
    created = models.BooleanField()
    before = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "entity_type", "entity_id"], name="import_item_once"),
        ]

    def __str__(self) -> str:
        return f"{self.entity_type} {self.entity_id}"
