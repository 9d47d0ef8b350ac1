"""The form of a tour with its stops: wall times in the tour's zone, one validation, one save, no lost update."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from integrations.models import Agent, Contact, Tour, TourStop
from integrations.operations import tours
from integrations.operations.audit import Who
from integrations.operations.tour_saving import lock_stops, lock_tours
from integrations.operations.validation import StopInput, TourInput, clean_stop, clean_tour, clean_zone

from .choosing import one_of, some_of
from .pages import put_on
from .plain_forms import STOP_NAMES, StopForm, field_of, fieldsets_of, plain_field, shown, typed

TOUR_NAMES = ("title", "status", "time_zone", "starts_at", "notes")
MOST_STOPS = 99
FRESH_STOPS, SPARE_STOPS = 3, 1
CHANGED_MEANWHILE = (
    "Someone changed this tour since you opened this page, so nothing was saved. Your input is kept below; look at the "
    "tour as it is now, then save again to let yours stand."
)


class TourForm(forms.Form):
    """The tour itself. `token` tells which state of it the person saw."""

    token = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    reference = plain_field(field_of(Tour, "reference"))
    agent = forms.ModelChoiceField(
        Agent.objects.all(),
        label="Agent *",
        required=False,
        widget=one_of(field_of(Tour, "agent")),
    )
    buyer = forms.ModelChoiceField(
        Contact.objects.all(),
        label="Buyer *",
        required=False,
        help_text="The primary buyer.",
        widget=one_of(field_of(Tour, "buyer")),
    )
    further_buyers = forms.ModelMultipleChoiceField(
        Contact.objects.all(),
        required=False,
        widget=some_of(field_of(Tour, "further_buyers")),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in TOUR_NAMES:
            self.fields[name] = plain_field(field_of(Tour, name))
        self.fields["starts_at"].help_text = "On a clock in the tour's time zone."


# What a browser sends for a stop that nobody filled in: its lists cannot send nothing.
_UNTOUCHED = {name: field_of(TourStop, name).get_default() for name in STOP_NAMES if field_of(TourStop, name).choices}

StopFormSet = forms.formset_factory(StopForm, extra=0, max_num=MOST_STOPS, absolute_max=MOST_STOPS)


@dataclass
class TourPage:
    """The forms of one request, bound when it is a POST. `stops`: the stored ones, by place."""

    tour: Tour | None
    stops: list[TourStop]
    form: TourForm
    formset: Any

    @classmethod
    def build(cls, tour: Tour | None, data: Mapping[str, Any] | None) -> TourPage:
        stops = list(tour.stops.order_by("sequence")) if tour else []
        zone = ZoneInfo(tour.time_zone) if tour else None
        form = TourForm(data, initial=_initial(tour, stops, zone))
        if tour is not None:
            del form.fields["reference"]
        # A bound form says itself which stop it is about: the stored ones may have become others meanwhile.
        which = None if data is not None else [{"stop_id": str(stop.pk)} for stop in stops]
        formset = StopFormSet(data, prefix="stops", initial=which)
        formset.extra = SPARE_STOPS if stops else FRESH_STOPS
        by_id = {str(stop.pk): stop for stop in stops}
        for stop_form in formset.forms:
            stop = by_id.pop(str(stop_form["stop_id"].value() or ""), None)
            if stop is not None and zone is not None:
                stop_form.about(stop, zone)
            else:
                stop_form.empty_permitted = True
                stop_form.initial = _UNTOUCHED
        return cls(tour, stops, form, formset)

    @property
    def fieldsets(self) -> Any:
        first = [] if self.tour else ["reference"]
        return fieldsets_of(
            self.form,
            [
                (None, {"fields": [*first, "title", ("status", "time_zone"), "starts_at"]}),
                ("People", {"fields": ["agent", "buyer", "further_buyers"]}),
                ("Notes", {"fields": ["notes"]}),
            ],
        )

    @property
    def errors(self) -> bool:
        return bool(self.form.errors or self.formset.non_form_errors() or any(self.formset.errors))

    def save(self, who: Who) -> Tour | None:
        """Validate and store; None when something must be corrected, said on the forms."""
        valid = self.form.is_valid()
        valid = self.formset.is_valid() and valid
        wanted = self._cleaned()
        if wanted is None or not valid:
            return None
        try:
            with transaction.atomic():
                if not self._still_as_seen(wanted):
                    return None
                return tours.save_tour(wanted, actor=who.actor, via=who.via, reason=who.reason).tour
        except IntegrityError:
            self.form.add_error(None, "Someone saved the same tour in this very moment. Save again.")
        except ValidationError as error:
            put_on(self.form, error)
        return None

    def _still_as_seen(self, wanted: TourInput) -> bool:
        if self.tour is None:
            if not lock_tours(reference=wanted.reference):
                return True
            self.form.add_error("reference", "There is a tour with this reference already.")
            return False
        stored = lock_tours(pk=self.tour.pk)
        now = _token(stored[0], list(lock_stops(stored).get(self.tour.pk, {}).values())) if stored else ""
        if now == self.form.cleaned_data.get("token"):
            return True
        self.form.add_error(None, CHANGED_MEANWHILE)
        # The next save of this page is meant for what is stored now.
        self.form.data = {**dict(self.form.data.items()), "token": now}
        return False

    def _cleaned(self) -> TourInput | None:
        """All of it as the verbs take it, or None after putting each error to its field."""
        zone, moved = self._zone()
        main = self._clean_main(zone, moved=moved)
        stops: list[StopInput] = []
        taken = {stop.sequence for stop in self.stops}
        for stop_form in self.formset.forms:
            if not hasattr(stop_form, "cleaned_data") or not (stop_form.stop or stop_form.has_changed()):
                continue
            cleaned = _clean_stop(stop_form, zone, moved=moved)
            if cleaned is None:
                continue
            if stop_form.stop is None:
                if cleaned.sequence in taken:
                    stop_form.add_error("sequence", "There is a stop at this place already.")
                taken.add(cleaned.sequence)
            stops.append(cleaned)
        if main is None or self.form.errors or any(stop_form.errors for stop_form in self.formset.forms):
            return None
        return replace(main, stops=tuple(stops))

    def _zone(self) -> tuple[ZoneInfo | None, bool]:
        """The zone that wall times are read in, and whether it was changed (then all times are read anew)."""
        name = getattr(self.form, "cleaned_data", {}).get("time_zone", "")
        try:
            zone = clean_zone(name)
        except ValidationError:
            return None, False
        return zone, self.tour is not None and zone.key != self.tour.time_zone

    def _clean_main(self, zone: ZoneInfo | None, *, moved: bool) -> TourInput | None:
        data = getattr(self.form, "cleaned_data", None)
        if data is None:
            return None
        names = [
            name
            for name in ("reference", *TOUR_NAMES)
            if self.tour is None or name in self.form.changed_data or (moved and name == "starts_at")
        ]
        given = {name: data.get(name, "") for name in names if name in self.form.fields}
        given["reference"] = given.get("reference", self.tour.reference if self.tour else "")
        people = {f"{name}_id": data[name].pk for name in ("agent", "buyer") if data.get(name)}
        for name in ("agent", "buyer"):
            if not data.get(name) and name not in self.form.errors:
                self.form.add_error(name, f"Choose the {name}; add one first if there is none.")
        try:
            cleaned = clean_tour({**given, **people}, partial=True, zone=zone)
        except ValidationError as error:
            put_on(self.form, error)
            return None
        further = data.get("further_buyers")
        if self.tour is None or "further_buyers" in self.form.changed_data:
            cleaned = replace(cleaned, further_buyers=tuple(contact.pk for contact in further or ()))
        return cleaned


def _clean_stop(form: StopForm, zone: ZoneInfo | None, *, moved: bool) -> StopInput | None:
    times = ("appointment_start", "appointment_end")
    stop = form.stop
    try:
        if stop is None:
            return clean_stop(typed(form, ("sequence", *STOP_NAMES)), zone=zone)
        names = [name for name in STOP_NAMES if name in form.changed_data or (moved and name in times)]
        return clean_stop(
            typed(form, names),
            zone=zone,
            partial=True,
            start=stop.appointment_start,
            end=stop.appointment_end,
            sequence=stop.sequence,
        )
    except ValidationError as error:
        put_on(form, error)
        return None


def _initial(tour: Tour | None, stops: list[TourStop], zone: ZoneInfo | None) -> dict[str, Any]:
    if tour is None:
        return {"status": "scheduled", "time_zone": "America/Los_Angeles"}
    return {
        **shown(tour, TOUR_NAMES, zone),
        "agent": tour.agent_id,
        "buyer": tour.buyer_id,
        "further_buyers": list(tour.further_buyers.values_list("pk", flat=True)),
        "token": _token(tour, stops),
    }


def _token(tour: Tour, stops: list[TourStop]) -> str:
    """A digest of when the tour and its stops last changed."""
    parts = [
        tour.updated_at.isoformat(),
        *(f"{stop.pk} {stop.updated_at.isoformat()}" for stop in sorted(stops, key=lambda stop: stop.pk)),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
