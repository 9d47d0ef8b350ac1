"""Reading what comes in: JSON without surprises, and bodies that hold only what they may."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from .fields import Id, whole_id
from .problems import Errors, invalid

DEEPEST = 12


class StrictJSON(BaseParser):
    """UTF-8 JSON of one object; names stand once, numbers are finite, texts are what a database can hold."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Raises ParseError, RequestDataTooBig."""
        raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig
        try:
            data = json.loads(raw.decode(), parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is not JSON that can be read: {str(error)[:120]}") from None
        _check(data, "", 0)
        return data


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"a name stands twice: {twice[:40]!a}")
    return found


def _check(value: Any, path: str, depth: int) -> None:
    if depth > DEEPEST:
        raise ParseError(f"The body is nested more than {DEEPEST} deep.")
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise invalid({path: ["This contains a character that cannot be stored."]}, "character")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check(name, f"{path}.{name}".strip(".").encode("ascii", "backslashreplace").decode()[:80], depth + 1)
            _check(item, f"{path}.{name}".strip("."), depth + 1)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _check(item, f"{path}.{place}".strip("."), depth + 1)


class AlwaysJSON(BaseContentNegotiation):
    """The API speaks JSON whatever is asked for; a body must be JSON too."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """None for another type: 415."""
        kind = (request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


def taken(serializer: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """What a body holds: its names are known, nested parts are what they should be, ids are numbers.

    The values themselves are checked by the verbs' own validation. Raises a 400 that names each field.
    """
    errors: Errors = {}
    found = _object(serializer(), data, "", errors)
    if errors:
        raise invalid(errors)
    return found


def _object(serializer: serializers.Serializer[Any], data: Any, path: str, errors: Errors) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        errors[path.rstrip(".")] = ["This must be an object."]
        return {}
    fields = serializer.fields
    found: dict[str, Any] = {}
    for name, value in data.items():
        if name not in fields:
            errors[f"{path}{name[:60]}"] = ["There is no such field here."]
            continue
        found[name] = _value(fields[name], value, f"{path}{name}", errors)
    return found


def _value(field: Any, value: Any, path: str, errors: Errors) -> Any:
    if isinstance(field, serializers.ListSerializer):
        if not isinstance(value, list):
            errors[path] = ["This must be a list."]
            return []
        most = getattr(field, "max_length", None)
        if most is not None and len(value) > most:
            errors[path] = [f"These are {len(value)} entries; {most} fit."]
            return []
        child = cast("serializers.Serializer[Any]", field.child)
        return [_object(child, item, f"{path}.{place}.", errors) for place, item in enumerate(value)]
    if isinstance(field, serializers.Serializer):
        return _object(field, value, f"{path}.", errors)
    if isinstance(field, Id):
        if value is None and field.allow_null:
            return None
        known = whole_id(value)
        if known is None:
            errors[path] = ["This is no id: a text of digits."]
        return known
    if isinstance(field, serializers.DictField):
        if not isinstance(value, dict):
            errors[path] = ["This must be an object."]
            return {}
        return value
    return value
