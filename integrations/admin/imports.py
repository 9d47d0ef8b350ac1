"""Import runs: which file, how far it is, what it made and changed, which tours it left out."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from integrations.models import Feedback, ImportItem, ImportRun, TourStop
from integrations.operations import moments
from integrations.operations.imports import uploads
from integrations.operations.imports.runs import in_hand

from .choosing import is_id
from .entities import UTC
from .import_pages import NOUNS, SHOWN, TITLES, ImportPages, may_import
from .pages import ReadOnly

REFRESH_S = 3
_OPEN = (ImportRun.State.RUNNING, ImportRun.State.UNDOING)


class FromImport(admin.SimpleListFilter):
    """Tours that an import created or changed; shown only when it is asked for by a link."""

    title = "import"
    parameter_name = "import"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        run = request.GET.get(self.parameter_name, "")
        return [(run, f"Import {run}")] if is_id(run) else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        run = self.value()
        if run is None or not is_id(run):
            return queryset
        items = ImportItem.objects.filter(run=int(run), entity_type=queryset.model._meta.model_name)
        return queryset.filter(pk__in=items.values("entity_id"))


@admin.register(ImportRun)
class ImportRunAdmin(ImportPages, ReadOnly):
    """A run is made by confirming a file, here or by `manage.py import_tours` and `import_feedback`."""

    list_display = (
        "number", "when", "kind", "file", "state_badge", "who", "rows", "created", "updated", "unchanged", "wrong",
        "planned",
    )  # fmt: skip
    list_filter = ("kind", "state", "created_at")
    search_fields = ("file_name", "actor__istartswith", "file_hash__istartswith")
    search_help_text = "File name, who imported it, or the beginning of the file's SHA-256"
    ordering = ("-id",)

    @admin.display(description="import", ordering="id")
    def number(self, run: ImportRun) -> str:
        return f"Import {run.pk}"

    @admin.display(description="state", ordering="state")
    def state_badge(self, run: ImportRun) -> str:
        return format_html('<span class="rr-badge rr-import-{}">{}</span>', run.state, run.get_state_display())

    @admin.display(description="when", ordering="created_at")
    def when(self, run: ImportRun) -> str:
        return moments.clock(run.created_at, UTC)

    @admin.display(description="file", ordering="file_name")
    def file(self, run: ImportRun) -> str:
        return run.file_name

    @admin.display(description="by", ordering="actor")
    def who(self, run: ImportRun) -> str:
        return run.actor

    @admin.display(description="created", ordering="created_count")
    def created(self, run: ImportRun) -> int:
        return run.created_count

    @admin.display(description="updated", ordering="updated_count")
    def updated(self, run: ImportRun) -> int:
        return run.updated_count

    @admin.display(description="unchanged", ordering="unchanged_count")
    def unchanged(self, run: ImportRun) -> int:
        return run.unchanged_count

    @admin.display(description="wrong rows", ordering="bad_count")
    def wrong(self, run: ImportRun) -> int:
        return run.bad_count

    @admin.display(description="planned")
    def planned(self, run: ImportRun) -> str:
        return format_html('<a href="{}">operations</a>', _operations_url(run))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        kinds = [(kind, TITLES[kind]) for kind in TITLES if may_import(request, kind)]
        more = {"import_kinds": kinds, "no_runs": not ImportRun.objects.exists()}
        answer: HttpResponse = super().changelist_view(request, {**more, **(extra_context or {})})
        return answer

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if object_id is None:
            raise PermissionDenied
        run = self.found(request, object_id)
        if run is None:
            return self.gone(request, object_id)
        if not self.has_view_permission(request, run) or request.method == "POST":
            raise PermissionDenied
        totals = ImportItem.objects.filter(run=run).values_list("entity_type", "created").annotate(n=Count("pk"))
        items = list(ImportItem.objects.filter(run=run).order_by("pk")[: SHOWN + 1])
        context = self.frame(
            request,
            run,
            f"Import {run.pk}: {run.file_name}",
            run=run,
            nouns=NOUNS.get(run.kind, "records"),
            began=moments.clock(run.created_at, UTC),
            ended=moments.clock(run.ended_at, UTC) if run.ended_at else "",
            totals=[(kind, "created" if made else "changed", n) for kind, made, n in totals.order_by("entity_type")],
            items=_shown(items[:SHOWN]),
            more=len(items) > SHOWN,
            shown=SHOWN,
            left_out=run.skipped[:SHOWN],
            left_out_more=max(0, len(run.skipped) - SHOWN),
            operations_url=_operations_url(run),
            may_undo=self.may_undo(request, run) and run.state not in (ImportRun.State.UNDOING, ImportRun.State.UNDONE),
            **_progress(run),
        )
        return TemplateResponse(request, "admin/integrations/importrun/page.html", context)


def _operations_url(run: ImportRun) -> str:
    return f"{reverse('admin:integrations_operation_changelist')}?import_run__id__exact={run.pk}"


def _progress(run: ImportRun) -> dict[str, Any]:
    """How far an open run is; `refresh`: the page shows it anew after so many seconds."""
    if run.state not in _OPEN:
        return {}
    waits = run.state == ImportRun.State.UNDOING or uploads.of_run(run.pk) is not None
    done = max(0, run.next_row - 2)
    seconds = (timezone.now() - run.began_at).total_seconds() if run.began_at else 0.0
    since = max(0, run.next_row - max(2, run.began_row))
    return {
        "open": True,
        "interrupted": not in_hand(run) and not waits,
        "queued": not in_hand(run) and waits,
        "done": done,
        "percent": min(100, done * 100 // max(1, run.rows)),
        "rate": round(since / seconds) if seconds > 1 and in_hand(run) else None,
        "refresh": REFRESH_S if waits or in_hand(run) else None,
    }


def _shown(items: list[ImportItem]) -> list[tuple[str, int, str, str, str]]:
    """(record, id, created or changed, changes, link)."""
    stops = _parents(TourStop.objects, items, "tourstop", "tour_id")
    known = set(_parents(Feedback.objects, items, "feedback", "pk"))
    rows = []
    for item in items:
        changes = "; ".join(f"{name}: {_short(pair)}" for name, pair in (item.before or {}).items())
        rows.append(
            (
                item.entity_type,
                item.entity_id,
                "created" if item.created else "changed",
                changes,
                _link(item, stops, known),
            )
        )
    return rows


def _parents(rows: Any, items: list[ImportItem], kind: str, name: str) -> dict[int, int]:
    ids = [item.entity_id for item in items if item.entity_type == kind]
    return dict(rows.filter(pk__in=ids).values_list("pk", name)) if ids else {}


def _link(item: ImportItem, stops: dict[int, int], answers: set[int]) -> str:
    if item.entity_type in ("tour", "contact", "agent"):
        return reverse(f"admin:integrations_{item.entity_type}_change", args=[item.entity_id])
    if item.entity_type == "tourstop" and item.entity_id in stops:
        return reverse("admin:integrations_tour_change", args=[stops[item.entity_id]])
    if item.entity_type == "feedback" and item.entity_id in answers:
        return reverse("admin:integrations_feedback_change", args=[item.entity_id])
    return ""


def _short(pair: Any) -> str:
    old, new = pair if isinstance(pair, list) and len(pair) == 2 else (pair, "")
    return f"{str(old)[:60]} → {str(new)[:60]}"
