"""Forms that check nothing themselves: they carry texts to `operations/validation.py`, so that a rule stands once.

Labels, help and choices come from the model's fields. Times are wall times in the tour's zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.db import models

from integrations.models import TourStop
from integrations.models.localtime import wall_time

Fieldsets = Sequence[tuple[str | None, dict[str, Any]]]
DEFAULT_LENGTH = 200
MAX_TEXT = 10_000


def plain_field(field: Any, *, required: bool | None = None, **changes: Any) -> forms.Field:
    """A text field in the looks of a model field. `required` only marks it; the validation decides."""
    must = not (field.blank or field.has_default()) if required is None else required
    if isinstance(field, models.BooleanField):
        made: forms.Field = forms.BooleanField(required=False)
    else:
        made = forms.CharField(required=False, max_length=MAX_TEXT, widget=_widget(field))
    made.label = changes.get("label", _label(field))
    made.help_text = changes.get("help_text", field.help_text)
    if must:
        made.widget.attrs["aria-required"] = "true"
        made.label = f"{made.label} *"
    return made


def _label(field: Any) -> str:
    name = str(field.verbose_name)
    return name[:1].upper() + name[1:]


def _widget(field: Any) -> forms.Widget:
    if field.choices:
        empty = [("", "—")] if field.blank else []
        return forms.Select(choices=[*empty, *field.choices])
    if isinstance(field, models.DateTimeField):
        return forms.DateTimeInput(attrs={"type": "datetime-local"})
    if isinstance(field, models.TextField):
        return AdminTextareaWidget(attrs={"rows": 3})
    if isinstance(field, (models.IntegerField, models.DecimalField)):
        return AdminTextInputWidget(attrs={"inputmode": "decimal", "class": "vIntegerField"})
    return AdminTextInputWidget()


def shown(record: models.Model, names: Sequence[str], zone: ZoneInfo | None = None) -> dict[str, Any]:
    """The record's values as such a form shows them; times as wall times in `zone`."""
    return {name: _shown(getattr(record, name), zone) for name in names}


def _shown(value: Any, zone: ZoneInfo | None) -> Any:
    match value:
        case None:
            return ""
        case bool():
            return value
        case datetime():
            wall = wall_time(value, zone or ZoneInfo("UTC"))
            return wall.isoformat(timespec="seconds" if wall.second else "minutes")
        case list():
            return " | ".join(str(item) for item in value)
        case _:
            return str(value)


def typed(form: forms.BaseForm, names: Sequence[str]) -> dict[str, Any]:
    """What was typed in these fields."""
    return {name: form.cleaned_data.get(name, "") for name in names}


def fieldsets_of(form: forms.BaseForm, fieldsets: Fieldsets) -> AdminForm:
    """For the admin's own fieldset template."""
    return AdminForm(form, fieldsets, {})  # type: ignore[arg-type]  # any form will do; the stubs want a ModelForm


STOP_MAIN = (
    "street", "city", "state", "postal_code", "appointment_start", "appointment_end", "appointment_status", "outcome",
    "showing_method", "request_type",
)  # fmt: skip
STOP_MORE = (
    "listing_key", "listing_id", "list_price", "bedrooms", "bathrooms", "living_area", "property_type", "latitude",
    "longitude", "access_instructions",
)  # fmt: skip
STOP_NAMES = (*STOP_MAIN, *STOP_MORE)


def field_of(model: Any, name: str) -> Any:
    return model._meta.get_field(name)


class StopForm(forms.Form):
    """One stop. `stop`: the stored one, whose place in the tour is not changed here."""

    stop_id = forms.CharField(required=False, max_length=20, widget=forms.HiddenInput)
    sequence = plain_field(field_of(TourStop, "sequence"), label="Place in the tour")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stop: TourStop | None = None
        for name in STOP_NAMES:
            self.fields[name] = plain_field(field_of(TourStop, name))

    def about(self, stop: TourStop, zone: ZoneInfo) -> None:
        """This form is about a stored stop."""
        self.stop = stop
        self.empty_permitted = False
        self.initial = {"stop_id": str(stop.pk), **shown(stop, STOP_NAMES, zone)}
        del self.fields["sequence"]

    @property
    def main(self) -> AdminForm:
        first: list[Any] = [] if self.stop else ["sequence"]
        return fieldsets_of(self, [(None, {"fields": [*first, *_lines(STOP_MAIN)]})])

    @property
    def more(self) -> AdminForm:
        return fieldsets_of(self, [("Listing and access", {"fields": _lines(STOP_MORE), "classes": ["collapse"]})])


def _lines(names: Sequence[str]) -> list[Any]:
    """The fields in the order given, those that belong together on one line."""
    together = (
        ("city", "state", "postal_code"), ("appointment_start", "appointment_end"), ("appointment_status", "outcome"),
        ("showing_method", "request_type"), ("listing_key", "listing_id"), ("bedrooms", "bathrooms", "living_area"),
        ("latitude", "longitude"), ("list_price", "property_type"),
    )  # fmt: skip
    lines: list[Any] = []
    for name in names:
        group = next((group for group in together if name in group), None)
        if group is None:
            lines.append(name)
        elif group not in lines:
            lines.append(group)
    return lines
