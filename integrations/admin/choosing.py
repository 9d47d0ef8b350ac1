"""Choosing one of many records: the admin's searched lists, safe against what a browser would never send."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import site
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple

DIGITS = 18


class _OnlyIds:
    """Django's widgets look every value up again when a form is shown with its errors, also what is no id at all."""

    def optgroups(self, name: str, value: list[str], attr: dict[str, Any] | None = None) -> Any:
        good = [item for item in value if item == "" or is_id(str(item))]
        return super().optgroups(name, good, attr)  # type: ignore[misc]  # the widget stands beside us in the MRO


class OneOf(_OnlyIds, AutocompleteSelect):
    """One record, for a foreign key."""


class SomeOf(_OnlyIds, AutocompleteSelectMultiple):
    """Several records, for a many-to-many field."""


def one_of(field: Any) -> OneOf:
    """A searched list for a foreign key of ours."""
    return OneOf(field, site)


def some_of(field: Any) -> SomeOf:
    """A searched list for a many-to-many field of ours."""
    return SomeOf(field, site)


def is_id(text: str) -> bool:
    """Whether this can be a record's id: a database refuses what is longer, and what is no number."""
    return text.isascii() and text.isdigit() and len(text) <= DIGITS
