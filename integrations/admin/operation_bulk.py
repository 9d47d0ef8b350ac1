"""Retry, cancel or skip for many operations: chosen in the list, shown as a plan, confirmed, watched."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from integrations.models import BulkItem, BulkRun, Connection, Operation
from integrations.operations import bulk, moments, wording
from integrations.operations.bulk_effects import VERBS
from integrations.operations.refusals import NotPossible

from .entities import UTC
from .operation_filters import AGES
from .pages import ReadOnly, who

PER_PAGE = 100
RUNS = 50
REFRESH_S = 3
_OPEN = (BulkRun.State.PLANNED, BulkRun.State.RUNNING)


class WhyForm(forms.Form):
    """Why; goes to the audit trail of each operation."""

    reason = forms.CharField(label="Reason", max_length=200, help_text="Kept in the audit trail of each operation.")


class BulkPages(ReadOnly):
    """The actions of the list and the pages of what was chosen."""

    actions = ("retry_many", "cancel_many", "skip_many")
    list_before_template = "admin/integrations/operation/above_list.html"

    def bulk_urls(self) -> list[Any]:
        def own(route: str, view: Any, name: str) -> Any:
            return path(route, self.admin_site.admin_view(view), name=self.url_name(name))

        return [
            own("bulk/", self.bulk_runs_view, "bulk_runs"),
            own("bulk/<int:run_id>/", self.bulk_view, "bulk"),
            own("bulk/<int:run_id>/confirm/", self.bulk_confirm_view, "bulk_confirm"),
            own("bulk/<int:run_id>/stop/", self.bulk_stop_view, "bulk_stop"),
        ]

    # --- choosing -----------------------------------------------------------------------------------------------

    @admin.action(permissions=["change"], description=f"{wording.RETRY.label}…")
    def retry_many(self, request: HttpRequest, rows: QuerySet[Operation]) -> HttpResponse | None:
        """Retry."""
        return self._planned(request, rows, wording.RETRY)

    @admin.action(permissions=["change"], description=f"{wording.CANCEL.label}…")
    def cancel_many(self, request: HttpRequest, rows: QuerySet[Operation]) -> HttpResponse | None:
        """Cancel."""
        return self._planned(request, rows, wording.CANCEL)

    @admin.action(permissions=["change"], description=f"{wording.SKIP.label}…")
    def skip_many(self, request: HttpRequest, rows: QuerySet[Operation]) -> HttpResponse | None:
        """Go on without predecessor."""
        return self._planned(request, rows, wording.SKIP)

    def _planned(self, request: HttpRequest, rows: QuerySet[Operation], verb: wording.Verb) -> HttpResponse | None:
        try:
            run = bulk.make(rows.select_related(None), verb.slug, who(request), chosen=_chosen(request))
        except NotPossible as error:
            self.message_user(request, str(error), messages.WARNING)
            return None
        return HttpResponseRedirect(self._run_url(run.pk))

    # --- pages --------------------------------------------------------------------------------------------------

    def _run_url(self, run_id: int) -> str:
        return reverse(f"admin:{self.url_name('bulk')}", args=[run_id])

    def _run(self, run_id: int) -> BulkRun | None:
        return BulkRun.objects.filter(pk=run_id).first() if run_id < 2**63 else None

    def _no_run(self, request: HttpRequest, run_id: int) -> HttpResponse:
        text = f"There is no bulk change {run_id}: plans that nobody confirmed are forgotten after a day."
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self.list_url())

    def bulk_runs_view(self, request: HttpRequest) -> HttpResponse:
        """The latest of them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        runs = [
            (self._run_url(run.pk), run, VERBS[run.verb].label, moments.clock(run.created_at, UTC))
            for run in BulkRun.objects.all()[:RUNS]
        ]
        context = self.frame(request, None, "Bulk changes", runs=runs)
        return TemplateResponse(request, "admin/integrations/operation/bulk_runs.html", context)

    def bulk_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """The plan; once it is confirmed, how far it is and what came of each."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        run = self._run(run_id)
        return self._no_run(request, run_id) if run is None else self._page(request, run, WhyForm())

    def _page(self, request: HttpRequest, run: BulkRun, form: forms.Form) -> HttpResponse:
        counts = bulk.outcomes(run)
        pages = Paginator(_items(run), PER_PAGE)
        pages.count = run.total  # type: ignore[misc]  # a cached property; counted when the choice was frozen
        shown = pages.get_page(request.GET.get("page"))
        done = run.total - counts.get("", 0)
        plan = bulk.look(run) if run.state in _OPEN else None
        verb = VERBS[run.verb]
        context = self.frame(
            request,
            None,
            f"{verb.label}: {run.total:,} operation{'' if run.total == 1 else 's'}",
            run=run,
            verb=verb,
            plan=plan,
            lasts="" if plan is None or not plan.requests else moments.duration(plan.lasts_ms / 1000),
            form=form,
            may=self.has_change_permission(request),
            done=done,
            untouched=counts.get("", 0),
            percent=done * 100 // max(1, run.total),
            acted=counts.get(BulkItem.Outcome.DONE, 0),
            left=counts.get(BulkItem.Outcome.LEFT, 0),
            refresh=REFRESH_S if run.state == BulkRun.State.RUNNING else None,
            shown=shown,
            rows=[_row(item) for item in shown],
            made=moments.clock(run.created_at, UTC),
            ended=moments.clock(run.ended_at, UTC) if run.ended_at else "",
        )
        return TemplateResponse(request, "admin/integrations/operation/bulk.html", context)

    # --- deciding -----------------------------------------------------------------------------------------------

    def bulk_confirm_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """Do it."""
        run, refused = self._posted(request, run_id)
        if run is None:
            return refused
        form = WhyForm(request.POST)
        if run.state != BulkRun.State.PLANNED:
            self.message_user(request, "This was decided already; here is how it stands.", messages.INFO)
        elif not form.is_valid():
            return self._page(request, run, form)
        else:
            bulk.confirm(run.pk, who(request, form.cleaned_data["reason"]))
        return HttpResponseRedirect(self._run_url(run.pk))

    def bulk_stop_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """Touch no further operation."""
        run, refused = self._posted(request, run_id)
        if run is None:
            return refused
        if bulk.stop(run.pk, who(request)):
            self.message_user(request, "Stopped. What was done already stays done.", messages.SUCCESS)
        else:
            self.message_user(request, "It had ended already.", messages.INFO)
        return HttpResponseRedirect(self._run_url(run.pk))

    def _posted(self, request: HttpRequest, run_id: int) -> tuple[BulkRun | None, HttpResponse]:
        if not self.has_change_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return None, HttpResponseNotAllowed(["POST"])
        run = self._run(run_id)
        return (run, HttpResponse()) if run else (None, self._no_run(request, run_id))


def _items(run: BulkRun) -> QuerySet[BulkItem]:
    of_operation = ("kind", "state", "connection", "connection__label")
    known = ("operation", "outcome", "detail", *(f"operation__{name}" for name in of_operation))
    return BulkItem.objects.filter(run=run).order_by("pk").select_related("operation__connection").only(*known)


def _row(item: BulkItem) -> dict[str, str | int]:
    operation = item.operation
    return {
        "id": operation.pk,
        "kind": wording.kind(operation.kind),
        "connection": operation.connection.label,
        "state": operation.state,
        "state_words": wording.state(operation.state),
        "outcome": item.get_outcome_display(),
        "detail": item.detail,
    }


def _chosen(request: HttpRequest) -> str:
    """How they were chosen, in words."""
    if request.POST.get("select_across") != "1":
        return "Marked in the list."
    words = []
    for name, value in request.GET.items():
        match name:
            case "state":
                words.append(f"state {'not at an end' if value == 'open' else wording.state(value)}")
            case "reason":
                words.append(f"reason “{wording.reason(value)}”")
            case "kind":
                words.append(f"kind {wording.kind(value)}")
            case "connection":
                label = Connection.objects.filter(pk=value).values_list("label", flat=True) if value.isdigit() else []
                words.append(f"connection {next(iter(label), value)}")
            case "due":
                words.append(f"overdue for more than {AGES.get(value, (value, 0))[0]}")
            case "planned":
                words.append(f"planned more than {AGES.get(value, (value, 0))[0]} ago")
            case "tour":
                words.append(f"tour {value}")
            case "q":
                words.append(f"search “{value}”")
    when = moments.clock(timezone.now(), UTC)
    return f"All that matched at {when}: {', '.join(words) or 'no filter'}."
