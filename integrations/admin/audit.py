"""The audit trail: who did what, from where, to which record."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from integrations.models import AuditEvent
from integrations.operations import moments

from .entities import UTC
from .pages import ReadOnly

_OBJECT_TYPES = {
    "agent": "Agent",
    "bulkrun": "Bulk change",
    "connection": "Connection",
    "contact": "Buyer",
    "feedback": "Feedback",
    "importrun": "Import",
    "office": "Office",
    "operation": "Operation",
    "tour": "Tour",
    "tourstop": "Stop",
    "delivery": "Webhook",
    "webhooksource": "Webhook source",
}


class ObjectTypeFilter(admin.SimpleListFilter):
    """The records we audit, without asking the whole trail for them."""

    title = "record"
    parameter_name = "record"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(_OBJECT_TYPES.items())

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        return queryset.filter(object_type=value) if value else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly):
    """Read-only, newest first."""

    list_display = ("when", "actor", "via", "verb", "object_type", "object_label", "reason")
    list_filter = ("via", ObjectTypeFilter, "at")
    linked_lookups = ("object_id__exact",)  # a record's own history
    search_fields = ("actor__istartswith", "verb__istartswith", "object_label__istartswith")
    search_help_text = "Who, what, or the record's name"
    ordering = ("-id",)
    list_per_page = 50
    fields = ("when", "actor", "via", "verb", "object_type", "object_id", "object_label", "was", "became", "reason")

    @admin.display(description="when", ordering="at")
    def when(self, event: AuditEvent) -> str:
        return moments.clock(event.at, UTC)

    @admin.display(description="before")
    def was(self, event: AuditEvent) -> str:
        return _lines(event.before)

    @admin.display(description="after")
    def became(self, event: AuditEvent) -> str:
        return _lines(event.after)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields


def _lines(values: dict[str, Any] | None) -> str:
    """One field a line, as plain text; the template escapes it."""
    if not values:
        return "—"
    return "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
