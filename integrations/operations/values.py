"""One value as someone typed it, to the value a model field stores. Pure; raises ValidationError and nothing else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models

from integrations.models import validators
from integrations.models.localtime import to_instant
from integrations.texts import undirected

_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2}))?(Z|[+-]\d{2}:\d{2})?", re.ASCII | re.IGNORECASE
)
_YEARS = range(1990, 2101)
_COORDINATES = frozenset({"latitude", "longitude"})
_TRUE, _FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0", ""})
MAX_TEXT, MAX_TAGS, MAX_TAG = 5000, 50, 80
_SHOWN = 60

Field = Any  # a Django model field; their generic types say nothing here


def given(data: Mapping[str, Any], key: str) -> bool:
    """Whether there is a value that says something."""
    return data.get(key) not in (None, "")


def clean_value(field: Field, raw: Any, *, required: bool = False, zone: ZoneInfo | None = None) -> Any:
    """The value `field` stores for `raw`. Nothing given: the field's empty value, or an error when it is required.

    Raises ValidationError with messages for people.
    """
    if isinstance(raw, str):
        raw = _text(raw, many_lines=isinstance(field, models.TextField))
    if raw is None or raw == "":
        return _empty(field, required=required)
    value = _typed(field, raw, zone)
    if value is not None:
        _check(field, value)
    return value


def _empty(field: Field, *, required: bool) -> Any:
    if isinstance(field, models.JSONField) and not required:
        return []
    if isinstance(field, models.BooleanField):
        return False
    if required or not (field.blank or field.has_default()):
        raise ValidationError("This must be given.", code="required")
    if field.has_default() and field.choices:
        return field.get_default()
    return None if field.null else ""


def _typed(field: Field, raw: Any, zone: ZoneInfo | None) -> Any:
    if field.choices:
        return _choice(field, raw)
    match field:
        case models.BooleanField():
            return _flag(raw)
        case models.DateTimeField():
            return _moment(raw, zone)
        case models.DecimalField():
            return _decimal(field, raw)
        case models.IntegerField():
            return _whole(raw)
        case models.JSONField():
            return _tags(raw)
        case _:
            if not isinstance(raw, str):
                raise ValidationError("This must be text.", code="text")
            return _as_stored(field, raw)


def _as_stored(field: Field, text: str) -> str:
    if isinstance(field, models.EmailField):
        _length(field, text)
        return text.lower()  # one spelling for one address: what is compared without case is stored without case
    if field.name == "state" and len(text) == field.max_length:
        return text.upper()
    return text


def _check(field: Field, value: Any) -> None:
    """The field's own rules; the first that is broken speaks."""
    if isinstance(value, str):
        if field.name != "state":  # its validator says more than its length does
            _length(field, value)
        _check_text(field, value)
        return
    for validator in field.validators:
        validator(value)


def _length(field: Field, text: str) -> None:
    limit = field.max_length or MAX_TEXT
    if len(text) > limit:
        raise ValidationError(f"This is {len(text)} characters long; {limit} fit.", code="max_length")


@lru_cache(maxsize=4096)
def _check_text(field: Field, text: str) -> None:
    # Cached: rows of one tour repeat its buyer, agent and zone, and addresses and numbers are costly to parse.
    ours = [validator for validator in field.validators if getattr(validator, "__module__", "") == validators.__name__]
    theirs = [item for item in field.validators if item not in ours and not isinstance(item, MaxLengthValidator)]
    for validator in (*ours, *theirs):
        validator(text)


def _text(raw: str, *, many_lines: bool) -> str:
    """Trimmed, in Unicode's composed form, undirected. Control characters and halves of surrogate pairs are refused."""
    if raw.isascii() and raw.isprintable():
        return raw.strip()
    text = unicodedata.normalize("NFC", undirected(raw.replace("\r\n", "\n") if many_lines else raw)).strip()
    for character in text:
        if unicodedata.category(character) not in ("Cc", "Cs") or (many_lines and character in "\n\t"):
            continue
        raise ValidationError(f"This contains the control character U+{ord(character):04X}.", code="control_character")
    return text


def shown(raw: Any) -> str:
    """What was typed, short enough for a message."""
    text = str(raw)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _choice(field: Field, raw: Any) -> Any:
    values = [value for value, _ in field.choices]
    if raw not in values:
        raise ValidationError(f"“{shown(raw)}” is not one of {', '.join(map(str, values))}.", code="choice")
    return str(raw)


def _flag(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    text = str(raw).lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValidationError(f"“{shown(raw)}” is neither yes nor no.", code="flag")


def _number(raw: Any, what: str) -> Decimal:
    text = str(raw) if isinstance(raw, (int, float, Decimal, str)) and not isinstance(raw, bool) else ""
    if not _NUMBER.fullmatch(text):
        raise ValidationError(f"“{shown(raw)}” is not {what}.", code="number")
    return Decimal(text)


def _whole(raw: Any) -> int:
    number = _number(raw, "a whole number")
    if number != number.to_integral_value():
        raise ValidationError(f"“{shown(raw)}” is not a whole number.", code="number")
    return int(number)


def _decimal(field: Field, raw: Any) -> Decimal:
    number = _number(raw, "a number")
    step = Decimal(1).scaleb(-field.decimal_places)
    rounded = number.quantize(step, rounding=ROUND_HALF_EVEN) if abs(number) < Decimal("1e20") else number
    if rounded != number and field.name not in _COORDINATES:
        raise ValidationError(
            f"“{shown(raw)}” has more than {field.decimal_places} decimal places.", code="decimal_places"
        )
    for validator in field.validators:  # ours say what is wrong with the value before Django counts its digits
        if getattr(validator, "__module__", "") == validators.__name__:
            validator(number)
    return rounded


def _moment(raw: Any, zone: ZoneInfo | None) -> datetime | None:
    """Wall time in `zone`, or a time with its own offset, as UTC. None when it is wall time and no zone is known."""
    moment = raw if isinstance(raw, datetime) else _parsed(raw)
    if moment.year not in _YEARS:
        raise ValidationError(
            f"The year must lie between {_YEARS[0]} and {_YEARS[-1]}, not {moment.year}.", code="year"
        )
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    return None if zone is None else to_instant(moment.replace(fold=0), zone)


def _parsed(raw: Any) -> datetime:
    wrong = ValidationError(f"“{shown(raw)}” is not a date and time, for example 2026-09-14T14:30.", code="moment")
    if not isinstance(raw, str) or not _MOMENT.fullmatch(raw):
        raise wrong
    try:
        return datetime.fromisoformat(raw.upper())
    except ValueError:
        raise wrong from None


def _tags(raw: Any) -> list[str]:
    """Short texts, from a list or separated by `|`; empty ones and repetitions are dropped, the order is kept."""
    items = raw.split("|") if isinstance(raw, str) else raw
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise ValidationError("This must be a list of short texts.", code="tags")
    tags = list(dict.fromkeys(tag for tag in (_text(item, many_lines=False) for item in items) if tag))
    if len(tags) > MAX_TAGS:
        raise ValidationError(f"These are {len(tags)} entries; {MAX_TAGS} fit.", code="tags")
    for tag in tags:
        if len(tag) > MAX_TAG:
            raise ValidationError(f"“{shown(tag)}” is longer than {MAX_TAG} characters.", code="tags")
    return tags


def clean_text(raw: Any, longest: int) -> str:
    """One line of text that no model field describes; None is empty. Raises ValidationError."""
    if raw is None:
        return ""
    if not isinstance(raw, str):
        raise ValidationError("This must be text.", code="text")
    text = _text(raw, many_lines=False)
    if len(text) > longest:
        raise ValidationError(f"This is {len(text)} characters long; {longest} fit.", code="max_length")
    return text
