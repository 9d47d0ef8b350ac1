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
    """One row all processes obey and staff can read: whether the gate's memory (Redis) can be reached."""

    class Mode(models.TextChoices):
        NORMAL = "normal"
        COLD = "cold", "Starting cold"
        AWAY = "away", "Redis away: nothing is sent"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.NORMAL)
    since_ms = models.BigIntegerField(default=0)
    detail = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="gate_mode_single")]

    def __str__(self) -> str:
        return self.get_mode_display()
