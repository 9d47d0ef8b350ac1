"""Leases for work that one process at a time should do, and what mode the gate is in."""

from __future__ import annotations

from django.db import models


class Lease(models.Model):
    """`name` is held by `owner` until `until_ms` (database clock)."""

    name = models.CharField(max_length=40, primary_key=True)
    owner = models.CharField(max_length=80, blank=True)
    until_ms = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}: {self.owner or 'free'}"


class WorkerProcess(models.Model):
    """A process that sends; its heartbeat tells staff and `status` that it lives."""

    name = models.CharField(max_length=80, primary_key=True)
    started_ms = models.BigIntegerField()
    seen_ms = models.BigIntegerField()
    note = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.name


class GateMode(models.Model):
    """One row that all processes obey and staff read: whether Redis, the gate's memory, decides what is sent.

    `away`: it does not answer somebody; each process still asks it before each call. `trickle`: the database decides,
    nobody asks Redis. `back`: nobody sends until Redis has begun to count anew. `sealed_ms`: when the trickle was seen
    to be in force. `answered_ms`: when Redis last answered somebody since it was away. `paused_ms`: since when a person
    has to say go (0: not); `restored_ms`: when a backup was last restored. Times are the database's.
    """

    class Mode(models.TextChoices):
        NORMAL = "normal"
        COLD = "cold", "Starting cold"
        AWAY = "away", "Redis away: nothing is sent"
        TRICKLE = "trickle", "Redis away: a trickle is sent"
        BACK = "back", "Redis is back and counts anew"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.NORMAL)
    since_ms = models.BigIntegerField(default=0)
    detail = models.CharField(max_length=200, blank=True)
    sealed_ms = models.BigIntegerField(default=0, db_default=0)
    answered_ms = models.BigIntegerField(default=0, db_default=0)
    paused_ms = models.BigIntegerField(default=0, db_default=0)
    restored_ms = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="gate_mode_single")]

    def __str__(self) -> str:
        return self.get_mode_display()


class TrickleScope(models.Model):
    """What was sent for one account while Redis was away: `book` as in `trickle/book.py`, `owner` has a call out."""

    key = models.CharField(max_length=240, primary_key=True)
    book = models.JSONField(default=dict)
    owner = models.CharField(max_length=80, blank=True)
    until_ms = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.key
