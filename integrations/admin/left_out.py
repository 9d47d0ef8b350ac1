"""Leaving a record out of one CRM, and taking it back: the questions, and what a page says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from integrations.models import Connection, ConnectionState, LeftOut
from integrations.operations import left_out
from integrations.operations.audit import Who

from . import entities
from .pages import Page, Question, ReasonForm, ask, view_path, who

LISTED = 200
_ALONG = {
    "tour": "The tour's stops and what was said after them go along.",
    "contact": "Every tour goes along whose primary buyer this is, with its stops and what was said after them.",
    "stop": "Only this stop; the rest of its tour is not touched.",
    "feedback": "Only this answer's note and task; the rest of its tour is not touched.",
}


class WhyForm(forms.Form):
    """Why; staff read it wherever they look for the record."""

    reason = forms.CharField(
        label="Reason", max_length=left_out.MAX_REASON, help_text="Shown wherever someone looks for it in this CRM."
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """One record that is left out of a connection."""

    id: int
    what: str
    url: str
    reason: str


def kept(connection: Connection) -> tuple[list[Kept], int]:
    """What is left out of a connection, the latest first, and how many there are in all."""
    mine = LeftOut.objects.filter(connection=connection).order_by("-pk")
    rows = list(mine[:LISTED])
    known = entities.about(rows)
    found = [known[row.entity_type, row.entity_id] for row in rows]
    listed = [Kept(row.pk, what.label, what.url, row.reason) for row, what in zip(rows, found, strict=True)]
    return listed, len(rows) if len(rows) < LISTED else mine.count()


def leave_question(request: HttpRequest, entity_type: str, entity_id: int, label: str, connection: Any) -> Question:
    """Says how much it cancels and ends, and asks why."""
    reach = left_out.reach_of(entity_type, entity_id, connection.pk)

    def act(form: forms.Form) -> str:
        done = left_out.leave_out(entity_type, entity_id, connection.pk, form.cleaned_data["reason"], who(request))
        if done is None:
            return f"“{label}” was left out of {connection.label} already."
        return f"“{label}” is left out of {connection.label}: {_cancelled(done.cancelled)}, {_ended(done.ended)}."

    says = [_ALONG[entity_type], "Notes, tasks and people that are in the CRM stay there. You can take it back."]
    if connection.state == ConnectionState.DISABLED:
        says.append("This connection is disabled: the CRM is told once it is resumed.")
    return Question(
        title=f"Leave “{label}” out of {connection.label}?",
        button="Leave out",
        says=says,
        items=[
            f"{_cancelled(reach.cancelled).capitalize()} in {connection.label}",
            _ended(reach.ended).capitalize(),
        ],
        act=act,
        danger=True,
        form=WhyForm,
    )


def back_question(request: HttpRequest, entity_type: str, entity_id: int, label: str, connection: Any) -> Question:
    """Says how much it brings back."""

    def act(form: forms.Form) -> str:
        by: Who = who(request, form.cleaned_data["reason"])
        done = left_out.take_back(entity_type, entity_id, connection.pk, by)
        return f"“{label}” goes to {connection.label} again." if done else f"“{label}” was not left out there."

    number = left_out.returning(entity_type, entity_id, connection.pk)
    return Question(
        title=f"Take “{label}” back into {connection.label}?",
        button="Take back",
        says=("It is sent there again, as it is now.",),
        items=[f"{_appointments(number)} {'stands' if number == 1 else 'stand'} in {connection.label} again"],
        act=act,
        form=ReasonForm,
    )


class LeavesOut(Page):
    """A page of a record that can be left out of a CRM: two more URLs."""

    entity_type = ""

    def left_out_urls(self) -> list[Any]:
        """To be put before the page's own."""
        return [
            view_path(self, "crm/<int:connection_id>/leave-out", self.leave_out_view, "leave_out"),
            view_path(self, "crm/<int:connection_id>/take-back", self.take_back_view, "take_back"),
        ]

    def leave_out_view(self, request: HttpRequest, object_id: str, connection_id: int) -> HttpResponse:
        """Counts what it does, asks why, and does it on POST."""
        return self._decide(request, object_id, connection_id, leave_question)

    def take_back_view(self, request: HttpRequest, object_id: str, connection_id: int) -> HttpResponse:
        """Asks, and does it on POST."""
        return self._decide(request, object_id, connection_id, back_question)

    def _decide(self, request: HttpRequest, object_id: str, connection_id: int, question: Any) -> HttpResponse:
        record, connection = self.found(request, object_id), connection_of(connection_id)
        if record is None or connection is None:
            return self.gone(request, object_id)
        if not self.has_change_permission(request, record):
            raise PermissionDenied
        asked = question(request, self.entity_type, record.pk, str(record), connection)
        url = reverse(f"admin:integrations_{self.opts.model_name}_change", args=[record.pk])
        return ask(self, request, record, asked, url)


def connection_of(connection_id: int) -> Connection | None:
    """Without its secrets; None for an id that no connection has."""
    if connection_id >= 2**63:
        return None
    return Connection.objects.defer("secrets").filter(pk=connection_id).first()


def _appointments(number: int) -> str:
    return f"{number} appointment{'' if number == 1 else 's'}"


def _cancelled(number: int) -> str:
    return f"{_appointments(number)} {'is' if number == 1 else 'are'} cancelled" if number else "nothing is cancelled"


def _ended(number: int) -> str:
    if not number:
        return "no operation waits"
    return f"{number} waiting operation{' ends' if number == 1 else 's end'}"
