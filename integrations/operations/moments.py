"""Times as staff read them: a clock in a named zone, its abbreviation, and how far away it is. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86_400


def at_ms(ms: int) -> datetime:
    """An instant from Unix milliseconds, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def clock(instant: datetime, zone: ZoneInfo, *, now: datetime | None = None) -> str:
    """`14:32:10 PDT`; with the date before it when `now` is given and falls on another day in that zone."""
    local = instant.astimezone(zone)
    text = f"{local:%H:%M:%S} {local.tzname()}"
    return text if now is not None and now.astimezone(zone).date() == local.date() else f"{local:%Y-%m-%d} {text}"


def span(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """`Mon 14 Sep 2026, 14:30–15:00 PDT`; the second date only where it differs."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%a} {last.day} {last:%b %H:%M}"
    same = first.tzname() == last.tzname()
    return f"{day(start, zone)}, {first:%H:%M}{'' if same else ' ' + str(first.tzname())}–{until} {last.tzname()}"


def day(instant: datetime, zone: ZoneInfo) -> str:
    """`Mon 14 Sep 2026`."""
    local = instant.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y}"


def duration(seconds: float) -> str:
    """The two largest units: `2 min 5 s`, `3 h 12 min`, `4 d 1 h`. Never negative."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for name, size in (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND)):
        count, left = divmod(left, size)
        if count or (parts and len(parts) < 2):
            parts.append(f"{count} {name}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 ")) or "0 s"


def until(ms: int, zone: ZoneInfo, now_ms: int) -> str:
    """`not before 14:32:10 PDT (in 2 min 5 s)`."""
    return f"not before {clock(at_ms(ms), zone, now=at_ms(now_ms))} (in {duration((ms - now_ms) / 1000)})"


def ago(ms: int, zone: ZoneInfo, now_ms: int) -> str:
    """`14:32:10 PDT (2 min 5 s ago)`."""
    return f"{clock(at_ms(ms), zone, now=at_ms(now_ms))} ({duration((now_ms - ms) / 1000)} ago)"
