"""What the admin pages share: who acts, pages that only show, pages that ask before they act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.functional import cached_property
from django.utils.http import urlencode
from unfold.admin import ModelAdmin

from integrations.operations import counting
from integrations.operations.audit import Who
from integrations.operations.refusals import NotPossible

VIA = "admin"
_ASKED = ("exact", "in", "isnull", "id__exact", "id__in", "gte", "gt", "lte", "lt", "year", "month", "day")
"""What a filter of Django's or Unfold's puts behind its field."""


def who(request: HttpRequest, reason: str = "") -> Who:
    """The member of staff, as the audit trail names them."""
    return Who(actor=request.user.get_username(), via=VIA, reason=reason)


def sentences(error: ValidationError | NotPossible) -> list[str]:
    """What a refusal says, without field names."""
    return list(error.messages) if isinstance(error, ValidationError) else [str(error)]


def put_on(form: forms.BaseForm, error: ValidationError) -> None:
    """Each message to its field (`agent_id` is the field `agent`); what names none goes to the top, with its name."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for key, errors in error.error_dict.items():
        name = key if key in form.fields else key.removesuffix("_id")
        for item in errors:
            known = name in form.fields and not form.fields[name].widget.is_hidden
            text = item.messages[0]
            form.add_error(name if known else None, text if known or name == "__all__" else f"{key}: {text}")


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Counts no further than anybody turns pages; the list then says that there is more (counting.py)."""

    @cached_property
    def count(self) -> int:  # type: ignore[override]  # Django's is a cached property too
        return counting.count(self.object_list)


class Page(ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Base of our pages: an object's history is the audit trail, and every page can ask before it acts."""

    save_on_top = False
    show_full_result_count = False
    paginator = CappedPaginator
    actions = None
    show_facets = admin.ShowFacets.NEVER  # each would cost a count over the whole table
    noun = ""
    """What staff call such a record, where that is not the model's name."""
    linked_lookups: Sequence[str] = ()
    """What our own links ask a list besides its filters."""

    def change_url(self, object_id: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id])

    def list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def url_name(self, name: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{name}"

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The record, or None for an id that is none of ours or no id at all."""
        return self.get_object(request, unquote(object_id))

    def gone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The way back, with a message, for an id that does not exist."""
        text = f"There is no {self.noun or self.opts.verbose_name} “{unquote(object_id)[:60]}”. Perhaps it was deleted."
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(reverse("admin:index"))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if any("\x00" in value for values in request.GET.lists() for value in (values[0], *values[1])):
            # A database refuses such a text only when the query runs, which would be too late to say so.
            self.message_user(request, "The address held a character that cannot be searched for.", messages.WARNING)
            return HttpResponseRedirect(request.path)
        title = str(self.opts.verbose_name_plural).capitalize()
        try:
            return super().changelist_view(request, {"title": title, **(extra_context or {})})
        except DisallowedModelAdminLookup:
            self.message_user(request, "The address asked for a filter that this list does not have.", messages.WARNING)
            return HttpResponseRedirect(request.path)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what the list's filters and our links ask.

        Django allows every column of the record, shown or not: enough to guess a token's digest letter by letter.
        """
        if lookup in self.linked_lookups:
            return True
        filters = self.list_filter if request is None else self.get_list_filter(request)
        for each in filters:
            if isinstance(each, type):
                if lookup == getattr(each, "parameter_name", None):
                    return True
                continue
            name = each[0] if isinstance(each, (list, tuple)) else each
            if lookup == name or (lookup.startswith(f"{name}__") and lookup[len(name) + 2 :] in _ASKED):
                return True
        hierarchy = self.date_hierarchy
        return hierarchy is not None and lookup in {f"{hierarchy}__{part}" for part in _ASKED}

    def frame(self, request: HttpRequest, obj: models.Model | None, title: str, **more: Any) -> dict[str, Any]:
        """The context every page of ours needs."""
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": obj,
            "title": title,
            "has_view_permission": self.has_view_permission(request, obj),
            "has_change_permission": self.has_change_permission(request, obj),
            "has_delete_permission": self.has_delete_permission(request, obj),
            "history_url": "" if obj is None else history_url(obj),
            **more,
        }

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Who did what to it: the audit trail, filtered."""
        obj = self.found(request, object_id)
        if obj is None:
            return self.gone(request, object_id)
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        return HttpResponseRedirect(history_url(obj))

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Nothing: our own audit trail is written by the verbs."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Nothing: our own audit trail is written by the verbs."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Nothing: our own audit trail is written by the verbs."""


def history_url(obj: models.Model) -> str:
    """The audit trail of one record."""
    query = {"record": obj._meta.model_name, "object_id__exact": obj.pk}
    return f"{reverse('admin:integrations_auditevent_changelist')}?{urlencode(query)}"


class ArchivedFilter(admin.SimpleListFilter):
    """In use, or put away."""

    title = "archive"
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "In use"), ("yes", "Archived")]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if self.value() not in ("no", "yes"):
            return queryset
        return queryset.filter(archived_at__isnull=self.value() == "no")


class ReadOnly(Page):
    """Nothing of it is made, changed or deleted by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Question:
    """A page that says what will happen and asks. `act` does it and returns what to tell; it may raise
    ValidationError or NotPossible, which are shown on the page."""

    title: str
    button: str
    says: Sequence[str]
    act: Callable[[forms.Form], str]
    items: Sequence[str] = ()
    danger: bool = False
    form: type[forms.Form] = forms.Form
    initial: dict[str, Any] = field(default_factory=dict)


def ask(page: Page, request: HttpRequest, obj: models.Model, question: Question, back: str) -> HttpResponse:
    """GET shows the question; POST does it and goes `back` with a message. Nothing happens on GET."""
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "POST"])
    form = question.form(request.POST if request.method == "POST" else None, initial=question.initial)
    if request.method == "POST" and form.is_valid():
        try:
            told = question.act(form)
        except NotPossible as error:
            form.add_error(None, str(error))
        except ValidationError as error:
            put_on(form, error)
        else:
            page.message_user(request, told, messages.SUCCESS)
            return HttpResponseRedirect(back)
    context = page.frame(request, obj, question.title, question=question, form=form, back=back)
    return TemplateResponse(request, "admin/integrations/confirm.html", context)


class ReasonForm(forms.Form):
    """Why; goes to the audit trail."""

    reason = forms.CharField(
        label="Reason", required=False, max_length=200, help_text="Optional; kept in the audit trail."
    )


def deletion_view(
    page: Page, request: HttpRequest, object_id: str, delete: Callable[..., None], instead: str
) -> HttpResponse:
    """Delete by a verb that may refuse. `instead`: what to do with a record that is known outside."""
    obj = page.found(request, object_id)
    if obj is None:
        return page.gone(request, object_id)
    if not page.has_delete_permission(request, obj):
        raise PermissionDenied
    name = str(obj)

    def act(_form: forms.Form) -> str:
        delete(obj.pk, actor=request.user.get_username(), via=VIA)
        return f"“{name}” was deleted."

    question = Question(
        title=f"Delete {page.noun or page.opts.verbose_name} “{name}”?",
        button="Delete",
        says=("It is deleted for good, if nothing outside knows of it.", instead),
        act=act,
        danger=True,
    )
    return ask(page, request, obj, question, page.list_url() if request.method == "POST" else page.change_url(obj.pk))


class Deletable(Page):
    """Deleting goes through `deleting` (a verb of operations/deletion.py), which says why it refuses."""

    deleting: Callable[..., None]
    delete_instead = ""

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return deletion_view(self, request, object_id, type(self).deleting, self.delete_instead)


def view_path(page: Page, route: str, view: Callable[..., HttpResponse], name: str) -> Any:
    """One more URL under a record, for staff only: `<id>/route/`."""
    return path(f"<path:object_id>/{route}/", page.admin_site.admin_view(view), name=page.url_name(name))
