"""How single values look in the API: ids are texts, times carry the zone they are meant in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from integrations.operations.moments import at_ms

ID_PATTERN = "^[0-9]{1,18}$"
ID_SCHEMA = {"type": "string", "pattern": ID_PATTERN, "example": "42"}
MOMENT = "ISO 8601. Without an offset it is wall time in the tour's zone."


def whole_id(value: Any) -> int | None:
    """The number behind an id, or None when it is none."""
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


@extend_schema_field(ID_SCHEMA)
class Id(serializers.Field):  # type: ignore[type-arg]  # not generic at run time
    """A record's id: 64 bits do not fit in a number of JavaScript."""

    def to_representation(self, value: Any) -> str:
        return str(value)

    def to_internal_value(self, data: Any) -> int:
        """Only for documentation: bodies are read by `reading.taken`."""
        return int(data)


@extend_schema_field({"type": "string", "format": "date-time"})
class Zoned(serializers.Field):  # type: ignore[type-arg]  # not generic at run time
    """A time on a clock of the tour's zone, with its offset. `zone`: where the zone's name stands on the record."""

    def __init__(self, zone: str = "time_zone", **kwargs: Any) -> None:
        self._zone = zone.split(".")
        super().__init__(read_only=True, **kwargs)

    def get_attribute(self, instance: Any) -> Any:
        value = super().get_attribute(instance)
        name = instance
        for part in self._zone:
            name = getattr(name, part)
        return None if value is None else value.astimezone(ZoneInfo(name))

    def to_representation(self, value: datetime) -> str:
        return value.isoformat()


@extend_schema_field({"type": "string", "format": "date-time", "nullable": True})
class Millis(serializers.Field):  # type: ignore[type-arg]  # not generic at run time
    """Unix milliseconds of the engine as a UTC time; 0 is no time."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **kwargs)

    def to_representation(self, value: int) -> str | None:
        return utc(at_ms(value)) if value else None


def utc(instant: datetime) -> str:
    """An instant in UTC."""
    return instant.astimezone(UTC).isoformat()


@extend_schema_field({"type": "string", "format": "date-time"})
class Instant(serializers.Field):  # type: ignore[type-arg]  # not generic at run time
    """A time in UTC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, value: datetime) -> str:
        return utc(value)


class Moment(serializers.CharField):
    """A time as it is given."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"help_text": MOMENT, "max_length": 40, **kwargs})


class Shown(serializers.ModelSerializer[Any]):
    """A record as the API shows it; never taken in."""

    serializer_field_mapping = {**serializers.ModelSerializer.serializer_field_mapping, models.BigAutoField: Id}

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for field in fields.values():
            field.read_only, field.required = True, False
        return fields


class Given(serializers.ModelSerializer[Any]):
    """A body, documented by the model's fields. Times are given as texts."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.DateTimeField: Moment,
    }
