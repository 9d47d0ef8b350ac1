"""Feedback after showings: a list, and a form that goes through the one validation."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from integrations.engine.clock import db_now
from integrations.models import Feedback, Tour, TourStop
from integrations.operations import moments, tour_state
from integrations.operations.audit import Who
from integrations.operations.feedback import save_feedback
from integrations.operations.refusals import NotPossible
from integrations.operations.validation import clean_feedback, clean_stop_key

from .forms_page import FormPage
from .plain_forms import field_of, plain_field, shown, typed

KEY_NAMES = ("author_role", "submitted_at")
VALUE_NAMES = (
    "channel", "interest_level", "overall_rating", "price_opinion", "second_showing", "offer_likelihood", "likes",
    "dislikes", "comments", "share_with_seller",
)  # fmt: skip
STOP_NAMES = ("tour_ref", "stop_sequence")


class FeedbackForm(forms.Form):
    """One answer. Which stop, whose and when are the answer's key: fixed once it is stored."""

    def __init__(self, feedback: Feedback | None, data: Any, initial: dict[str, Any]) -> None:
        super().__init__(data, initial=initial)
        if feedback is None:
            self.fields["tour_ref"] = plain_field(field_of(Tour, "reference"), label="Tour reference")
            self.fields["stop_sequence"] = plain_field(field_of(TourStop, "sequence"), label="Stop")
            for name in KEY_NAMES:
                self.fields[name] = plain_field(field_of(Feedback, name))
            self.fields["submitted_at"].help_text = "On a clock in the tour's time zone."
        for name in VALUE_NAMES:
            self.fields[name] = plain_field(field_of(Feedback, name))
        for name in ("likes", "dislikes"):
            self.fields[name].help_text = "Short phrases, separated by |"


@admin.register(Feedback)
class FeedbackAdmin(FormPage):
    """Feedback is corrected, never deleted."""

    list_display = ("__str__", "tour", "author_role", "submitted", "overall_rating", "second_showing", "channel")
    list_filter = ("interest_level", "author_role", "channel")
    search_fields = ("stop__tour__reference__istartswith", "stop__street")
    search_help_text = "A tour's reference or a street"
    ordering = ("-submitted_at", "-id")
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Feedback]:
        return super().get_queryset(request).select_related("stop__tour__agent")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="tour", ordering="stop__tour__reference")
    def tour(self, feedback: Feedback) -> str:
        return feedback.stop.tour.reference

    @admin.display(description="submitted", ordering="submitted_at")
    def submitted(self, feedback: Feedback) -> str:
        return moments.clock(feedback.submitted_at, ZoneInfo(feedback.stop.tour.time_zone))

    def page_form(self, request: HttpRequest, feedback: Feedback | None, data: Any) -> forms.Form:
        if feedback is not None:
            return FeedbackForm(feedback, data, shown(feedback, VALUE_NAMES))
        given = {name: request.GET.get(name, "")[:64] for name in STOP_NAMES}
        return FeedbackForm(
            None, data, {**given, "channel": "form", "interest_level": "unknown", "price_opinion": "no_opinion"}
        )

    def page_fieldsets(self, form: forms.Form, feedback: Feedback | None) -> Any:
        first = [] if feedback else [STOP_NAMES, KEY_NAMES]
        return [
            (
                None,
                {
                    "fields": [
                        *first,
                        "channel",
                        ("interest_level", "overall_rating"),
                        ("price_opinion", "second_showing", "offer_likelihood"),
                        "likes",
                        "dislikes",
                        "comments",
                        "share_with_seller",
                    ]
                },
            )
        ]

    def page_context(self, request: HttpRequest, feedback: Feedback | None) -> dict[str, Any]:
        if feedback is None:
            return {}
        facts = [
            ("Tour", str(feedback.stop.tour)),
            ("Stop", str(feedback.stop)),
            ("Who", feedback.get_author_role_display()),
            ("Submitted", self.submitted(feedback)),
        ]
        return {"facts": facts, "crm_lines": tour_state.answer_lines(feedback, db_now())}

    def store(self, form: forms.Form, feedback: Feedback | None, by: Who) -> Feedback:
        if feedback is not None:
            zone = ZoneInfo(feedback.stop.tour.time_zone)
            key = {"author_role": feedback.author_role, "submitted_at": feedback.submitted_at}
            cleaned = clean_feedback({**typed(form, VALUE_NAMES), **key}, zone=zone)
            return save_feedback(feedback.stop_id, cleaned, actor=by.actor, via=by.via).feedback
        stop = _stop(typed(form, STOP_NAMES))
        zone = ZoneInfo(stop.tour.time_zone)
        cleaned = clean_feedback(typed(form, (*KEY_NAMES, *VALUE_NAMES)), zone=zone)
        if Feedback.objects.filter(
            stop=stop, author_role=cleaned.author_role, submitted_at=cleaned.submitted_at
        ).exists():
            raise NotPossible("There is an answer of this role at this time already; open it to correct it.")
        return save_feedback(stop.pk, cleaned, actor=by.actor, via=by.via).feedback


def _stop(data: dict[str, Any]) -> TourStop:
    reference, sequence = clean_stop_key(data)
    stop = TourStop.objects.filter(tour__reference=reference, sequence=sequence).select_related("tour").first()
    if stop is None:
        raise ValidationError({"tour_ref": ["There is no such tour, or it has no stop of that number."]})
    return stop
