"""Wall time in a tour's zone to an instant, refusing what a clock cannot show once."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError


def to_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant of a naive wall time.

    Raises ValidationError when clocks skip that time (spring) or show it twice (autumn): which instant was meant
    cannot be known, so a person must say.
    """
    if wall.tzinfo is not None:
        raise ValueError("wall time must be naive")
    first = wall.replace(tzinfo=zone, fold=0)
    second = wall.replace(tzinfo=zone, fold=1)
    instant = first.astimezone(UTC)
    shown = f"{wall:%Y-%m-%d %H:%M}"
    if instant.astimezone(zone).replace(tzinfo=None) != wall:
        raise ValidationError(f"{shown} does not exist in {zone.key}: clocks skip it that day.", code="time_missing")
    if first.utcoffset() != second.utcoffset():
        raise ValidationError(f"{shown} occurs twice in {zone.key}: clocks go back that day.", code="time_twice")
    return instant


def wall_time(instant: datetime, zone: ZoneInfo) -> datetime:
    """What a clock in `zone` shows at `instant`, naive."""
    return instant.astimezone(zone).replace(tzinfo=None)
