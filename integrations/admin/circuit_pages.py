"""A person's hand on a connection's circuit: each verb is a page that says what will happen and asks why."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from integrations.engine.clock import db_now
from integrations.models import Connection
from integrations.operations import circuits

from .pages import Page, Question, ask, view_path, who

LASTS = {"15": "15 minutes", "60": "1 hour", "240": "4 hours", "1440": "1 day", "10080": "1 week"}


class WhyForm(forms.Form):
    """Why; goes to the audit trail and stands on the connection's page."""

    reason = forms.CharField(label="Reason", max_length=200, help_text="Stands on this page and in the audit trail.")


class UntilForm(WhyForm):
    """Why, and for how long."""

    until = forms.ChoiceField(
        label="For how long",
        choices=[*LASTS.items(), ("", "Until taken back")],
        initial="60",
        required=False,
        help_text="Then it ends by itself.",
    )


STORED = "stored, and in force as soon as Redis can be reached"


class CircuitPages(Page):
    """One view for each verb of `operations/circuits.py`; for those who may change the connection."""

    def circuit_urls(self) -> list[Any]:
        return [
            view_path(self, verb.slug, partial(self.circuit_view, verb=verb), verb.slug.replace("-", "_"))
            for verb in circuits.VERBS
        ]

    def circuit_view(self, request: HttpRequest, object_id: str, verb: circuits.Verb) -> HttpResponse:
        """Asks, and on POST does it."""
        connection: Connection | None = self.found(request, object_id)
        if connection is None:
            return self.gone(request, object_id)
        if not self.has_change_permission(request, connection):
            raise PermissionDenied

        def act(form: forms.Form) -> str:
            minutes = form.cleaned_data.get("until")
            until_ms = db_now() + int(minutes) * 60_000 if minutes else None
            by = who(request, form.cleaned_data["reason"])
            told = circuits.set_circuit(connection.pk, verb.setting, until_ms, by) is not None
            return f"{verb.label}, “{connection}”: {'in force' if told else STORED}."

        question = Question(
            title=f"{verb.label}: “{connection}”?",
            button=verb.label,
            says=verb.says,
            act=act,
            danger=verb.danger,
            form=UntilForm if verb.lasts else WhyForm,
            items=circuits.concerned(connection),
        )
        return ask(self, request, connection, question, self.change_url(connection.pk))
