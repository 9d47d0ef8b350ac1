"""Choosing one of many records: the admin's searched lists, safe against what a browser would never send."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import site
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple

DIGITS = 18


class OneOf(AutocompleteSelect):
    """One record, for a foreign key."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, _only_ids(value), attr)


class SomeOf(AutocompleteSelectMultiple):
    """Several records, for a many-to-many field."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, _only_ids(value), attr)


def _only_ids(values: list[str]) -> list[str]:
    """Django looks every value up again when a form is shown with its errors, also what is no id at all."""
    return [value for value in values if value == "" or is_id(str(value))]


def one_of(field: Any) -> OneOf:
    """A searched list for a foreign key of ours."""
    return OneOf(field, site)


def some_of(field: Any) -> SomeOf:
    """A searched list for a many-to-many field of ours."""
    return SomeOf(field, site)


def is_id(text: str) -> bool:
    """Whether this can be a record's id: a database refuses what is longer, and what is no number."""
    return text.isascii() and text.isdigit() and len(text) <= DIGITS
