"""Import runs: which file, what it made and changed, which tours it left out."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from integrations.models import ImportItem, ImportRun
from integrations.operations import moments

from .entities import UTC
from .pages import ReadOnly

SHOWN = 200


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnly):
    """Read-only; files come in by `manage.py import_tours` and `import_feedback`."""

    list_display = (
        "id", "kind", "file_name", "state", "actor", "rows", "created_count", "updated_count", "unchanged_count",
        "left_out", "created_at",
    )  # fmt: skip
    list_filter = ("kind", "state")
    search_fields = ("file_name",)
    ordering = ("-id",)

    @admin.display(description="left out")
    def left_out(self, run: ImportRun) -> int:
        return len(run.skipped)

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
            began=moments.clock(run.created_at, UTC),
            totals=[(kind, "created" if made else "changed", n) for kind, made, n in totals.order_by("entity_type")],
            items=[_shown(item) for item in items[:SHOWN]],
            more=len(items) > SHOWN,
            shown=SHOWN,
            left_out=run.skipped[:SHOWN],
            left_out_more=max(0, len(run.skipped) - SHOWN),
        )
        return TemplateResponse(request, "admin/integrations/importrun/page.html", context)


def _shown(item: ImportItem) -> tuple[str, int, str, str]:
    changes = "; ".join(f"{name}: {_short(pair)}" for name, pair in (item.before or {}).items())
    return item.entity_type, item.entity_id, "created" if item.created else "changed", changes


def _short(pair: Any) -> str:
    old, new = pair if isinstance(pair, list) and len(pair) == 2 else (pair, "")
    return f"{str(old)[:60]} → {str(new)[:60]}"
