"""Operations: what is to be sent, what waits and why, what a person may do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.html import format_html

from integrations.engine.clock import db_now
from integrations.models import CLAIMABLE, Operation, OperationDependency, State
from integrations.operations import moments, operation_state, operations, wording
from integrations.operations.audit import Who
from integrations.operations.merge_plan import found_twice
from integrations.operations.tour_state import gate_mode, holder_of

from . import entities, operation_story
from .left_out import leave_question
from .merging import merge_url, merge_with_url
from .operation_bulk import BulkPages
from .operation_filters import (
    ConnectionFilter,
    DueFilter,
    KindFilter,
    PlannedFilter,
    ReasonFilter,
    StateFilter,
    TourFilter,
)
from .pages import Question, ReasonForm, ask, view_path, who


class OperationList(ChangeList):
    """The page's rows with what they are about, fetched together."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        known = entities.about(rows)
        now_ms, mode = db_now(), gate_mode()
        for row in rows:
            row.about_what = known[row.entity_type, row.entity_id]
            row.now_ms = now_ms
            row.gate_mode = mode
        self.result_list = rows


@admin.register(Operation)
class OperationAdmin(BulkPages):
    """The list, the whole story of one, and the things a person may do."""

    list_display = (
        "state_words", "about", "reason_words", "kind_words", "connection_label", "next_time", "tries_made",
        "of_version", "updated",
    )  # fmt: skip
    list_display_links = ("state_words",)
    list_filter = (StateFilter, ConnectionFilter, KindFilter, ReasonFilter, DueFilter, PlannedFilter, TourFilter)
    list_filter_submit = True  # a tour's reference is typed, not clicked
    linked_lookups = ("import_run__id__exact",)
    search_fields = ("pk",)  # shows the search box; `get_search_results` searches
    search_help_text = "A tour's reference, a street, or an operation's number"
    ordering = ("-id",)
    list_per_page = 50

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may press the buttons; nobody edits a row."""
        return request.user.has_perm("integrations.change_operation")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Operation]:
        return super().get_queryset(request).select_related("connection").defer("connection__secrets")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OperationList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Operation], search_term: str
    ) -> tuple[QuerySet[Operation], bool]:
        text = search_term.strip()
        return (entities.matching(queryset, text) if text else queryset), False

    # --- columns ------------------------------------------------------------------------------------------------

    @admin.display(description="state")
    def state_words(self, operation: Operation) -> str:
        return badge(operation.state)

    @admin.display(description="about")
    def about(self, operation: Any) -> str:
        what = operation.about_what
        return format_html('<a href="{}">{}</a>', what.url, what.label) if what.url else what.label

    @admin.display(description="reason")
    def reason_words(self, operation: Operation) -> str:
        return wording.reason(operation.reason) or "—"

    @admin.display(description="kind")
    def kind_words(self, operation: Operation) -> str:
        return wording.kind(operation.kind)

    @admin.display(description="connection")
    def connection_label(self, operation: Operation) -> str:
        return operation.connection.label

    @admin.display(description="next time")
    def next_time(self, operation: Any) -> str:
        holder = holder_of(operation.connection, operation.gate_mode)
        return operation_state.next_time(operation, holder, operation.now_ms, operation.about_what.zone)

    # As methods: Django sorts by any column that is a field, and this would sort a million rows.
    @admin.display(description="attempts")
    def tries_made(self, operation: Operation) -> int:
        return operation.attempts

    @admin.display(description="version")
    def of_version(self, operation: Operation) -> int:
        return operation.version

    @admin.display(description="updated")
    def updated(self, operation: Operation) -> str:
        return moments.clock(operation.updated_at, entities.UTC)

    # --- the page -----------------------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if object_id is None:
            raise PermissionDenied
        operation = self.found(request, object_id)
        if operation is None:
            return self.gone(request, object_id)
        if not self.has_view_permission(request, operation):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        story = operation_story.load(operation, db_now())
        context = self.frame(request, operation, f"Operation {operation.pk}", story=story)
        return TemplateResponse(request, "admin/integrations/operation/page.html", context)

    # --- what a person may do -----------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        own = [view_path(self, "do/<slug:verb>", self.verb_view, "verb")]
        return [*own, *self.bulk_urls(), *super().get_urls()]

    def verb_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """Says what will happen, and does it on POST. What is not possible (any more) is said, and nothing done."""
        operation = self.found(request, object_id)
        if operation is None:
            return self.gone(request, object_id)
        if verb not in wording.VERBS:
            raise Http404("There is no such action.")
        if not self.has_change_permission(request, operation):
            raise PermissionDenied
        chosen = wording.VERBS[verb]
        if chosen not in operation_state.allowed(operation):
            text = f"“{chosen.label}” does not apply: the operation is {wording.state(operation.state).lower()} now."
            self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(self.change_url(operation.pk))
        if chosen is wording.MERGE:
            pair = found_twice(operation)
            return HttpResponseRedirect(merge_url(*pair) if pair else merge_with_url(operation.entity_id))
        if chosen is wording.LEAVE_OUT:
            what = entities.about([operation])[operation.entity_type, operation.entity_id]
            asked = leave_question(
                request, operation.entity_type, operation.entity_id, what.label, operation.connection
            )
        else:
            asked = _question(request, operation, chosen)
        return ask(self, request, operation, asked, self.change_url(operation.pk))


class ArrivedForm(forms.Form):
    """The answer to "did it arrive?"."""

    external_id = forms.CharField(label="The record's id in the CRM", max_length=120)


def badge(state: str) -> str:
    """The state in words, coloured by its name."""
    return format_html('<span class="rr-badge rr-state-{}">{}</span>', state, wording.state(state))


_ACTS: dict[wording.Verb, Callable[[int, Who, forms.Form], Operation]] = {
    wording.RETRY: lambda pk, by, _form: operations.retry(pk, by),
    wording.CANCEL: lambda pk, by, _form: operations.cancel(pk, by),
    wording.ARRIVED: lambda pk, by, form: operations.answer_arrived(pk, form.cleaned_data["external_id"], by),
    wording.NOT_ARRIVED: lambda pk, by, _form: operations.answer_not_arrived(pk, by),
    wording.SKIP: lambda pk, by, _form: operations.skip_predecessors(pk, by),
    wording.SEND_OURS: lambda pk, by, _form: operations.send_ours(pk, by),
    wording.KEEP_THEIRS: lambda pk, by, _form: operations.keep_theirs(pk, by),
    wording.RECREATE: lambda pk, by, _form: operations.recreate(pk, by),
}


def _question(request: HttpRequest, operation: Operation, verb: wording.Verb) -> Question:
    def act(form: forms.Form) -> str:
        by = who(request, form.cleaned_data.get("reason", ""))
        after = _ACTS[verb](operation.pk, by, form)
        if after.state == State.LEASED and after.cancel_requested:
            return "Asked to stop: it ends before it leaves us, if it has not left yet."
        return f"{verb.label}: the operation is {wording.state(after.state).lower()} now."

    what = entities.about([operation])[operation.entity_type, operation.entity_id]
    return Question(
        title=f"{verb.label}: {wording.kind(operation.kind).lower()} for {what.label}?",
        button=verb.label,
        says=verb.says,
        items=_touched(operation, verb),
        act=act,
        danger=verb.danger,
        form=ArrivedForm if verb is wording.ARRIVED else ReasonForm,
    )


def _touched(operation: Operation, verb: wording.Verb) -> Sequence[str]:
    """The other operations that are concerned."""
    edges = OperationDependency.objects.filter(settled=False)
    if verb is wording.SKIP:
        stuck = edges.filter(operation=operation, needs__state__in=(State.DEAD, State.CANCELLED))
        return [f"Goes on without: {_name(edge.needs)}" for edge in stuck.select_related("needs")[:20]]
    waiting = edges.filter(needs=operation, operation__state__in=CLAIMABLE).select_related("operation")
    return [f"Waits for this one: {_name(edge.operation)}" for edge in waiting[:20]]


def _name(operation: Operation) -> str:
    kind, state = wording.kind(operation.kind).lower(), wording.state(operation.state).lower()
    return f"operation {operation.pk}, {kind} ({state})"
