"""Offices, agents and buyers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from integrations.models import Agent, Contact, Office
from integrations.operations import archiving, crm_links, deletion, left_out
from integrations.operations.agents import save_agent, save_office
from integrations.operations.audit import Who
from integrations.operations.people import save_contact
from integrations.operations.refusals import NotPossible
from integrations.operations.validation import clean_contact
from integrations.texts import undirected

from .choosing import one_of
from .forms_page import FormPage
from .left_out import LeavesOut
from .merging import Merges
from .pages import ArchivedFilter, Deletable, Question, ReasonForm, ask, view_path, who
from .plain_forms import field_of, plain_field, shown, typed

CONTACT_NAMES = ("first_name", "last_name", "email", "phone")


@admin.register(Office)
class OfficeAdmin(Deletable):
    """Offices of the brokerage."""

    list_display = ("name",)
    search_fields = ("name",)
    fields = ("name",)
    deleting = staticmethod(deletion.delete_office)
    delete_instead = "An office with agents or connections is refused: move them first."

    def save_model(self, request: HttpRequest, obj: Office, form: Any, change: bool) -> None:
        obj.pk = save_office(_changed(form), who(request), office_id=obj.pk if change else None).pk


@admin.register(Agent)
class AgentAdmin(Deletable):
    """People who show homes."""

    list_display = ("name", "email", "mls_id", "office", "active")
    list_filter = ("active", "office")
    list_select_related = ("office",)
    search_fields = ("name", "email__istartswith", "mls_id")
    fields = ("name", "email", "mls_id", "office", "active")
    deleting = staticmethod(deletion.delete_agent)
    delete_instead = "An agent with tours or connections is refused: untick “active” instead."

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        obj.pk = save_agent(_changed(form), who(request), agent_id=obj.pk if change else None).pk

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **{**kwargs, "widget": one_of(db_field)})


def _changed(form: Any) -> dict[str, Any]:
    """What was typed anew in Django's own form, which `full_clean` has checked."""
    typed = {name: form.cleaned_data[name] for name in form.changed_data}
    return {name: undirected(value) if isinstance(value, str) else value for name, value in typed.items()}


class ContactForm(forms.Form):
    """A buyer; `clean_contact` checks it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in CONTACT_NAMES:
            self.fields[name] = plain_field(field_of(Contact, name))


@admin.register(Contact)
class ContactAdmin(FormPage, Deletable, LeavesOut, Merges):
    """Buyers."""

    noun = "buyer"
    entity_type = "contact"
    list_display = ("__str__", "email", "phone", "archived")
    list_filter = (ArchivedFilter,)
    search_fields = ("first_name__istartswith", "last_name__istartswith", "email__istartswith", "phone__istartswith")
    ordering = ("last_name", "first_name", "id")
    actions = ("merge_two",)
    deleting = staticmethod(deletion.delete_contact)
    delete_instead = "A buyer with tours, or one a CRM knows from us, is refused."
    fieldsets = ((None, {"fields": (("first_name", "last_name"), "email", "phone")}),)

    @admin.display(description="archived")
    def archived(self, contact: Contact) -> str:
        return "Archived" if contact.archived_at else "—"

    def page_form(self, request: HttpRequest, contact: Contact | None, data: Any) -> forms.Form:
        return ContactForm(data, initial=shown(contact, CONTACT_NAMES) if contact else None)

    def store(self, form: forms.Form, contact: Contact | None, by: Who) -> Contact:
        cleaned = clean_contact(typed(form, CONTACT_NAMES))
        return save_contact(cleaned, actor=by.actor, via=by.via, contact_id=contact.pk if contact else None)

    def page_context(self, request: HttpRequest, contact: Contact | None) -> dict[str, Any]:
        if contact is None:
            return {}
        links = []
        if self.has_change_permission(request, contact):
            away = contact.archived_at is not None
            links.append(("../unarchive/", "Bring back from the archive") if away else ("../archive/", "Archive"))
            if self.has_merge_permission(request):
                links.append(("../merge/", "Merge with…"))
        return {
            "tours": list(contact.tours.order_by("-starts_at")[:20]),
            "links": links,
            "facts": self._merged(contact),
            "choices": [] if contact.merged_into_id else left_out.choices("contact", contact.pk),
            "there": crm_links.of("contact", contact.pk, "contact"),
        }

    def _merged(self, contact: Contact) -> list[tuple[str, str]]:
        """Whom it was merged into, and who was merged into it."""
        into = [("Merged into", contact.merged_into)] if contact.merged_into else []
        pairs = [*into, *(("Merged with", other) for other in contact.merged.order_by("pk")[:20])]
        return [(word, format_html('<a href="{}">{}</a>', self.change_url(one.pk), one)) for word, one in pairs]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One who was merged is only looked at."""
        return super().has_change_permission(request, obj) and getattr(obj, "merged_into_id", None) is None

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Ours alone: nothing is deleted from a list."""
        return {name: action for name, action in super().get_actions(request).items() if name in self.actions}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Contact], search_term: str
    ) -> tuple[QuerySet[Contact], bool]:
        """Who was merged is not offered where a buyer is chosen."""
        if request.path == reverse("admin:autocomplete"):
            queryset = queryset.filter(merged_into=None)
        return super().get_search_results(request, queryset, search_term)

    def get_urls(self) -> list[Any]:
        own = [
            *self.left_out_urls(),
            *self.merge_urls(),
            view_path(self, "archive", self.archive_view, "archive"),
            view_path(self, "unarchive", self.unarchive_view, "unarchive"),
        ]
        return [*own, *super().get_urls()]

    def archive_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Put a buyer away who is not needed any more."""
        says = ("The buyer leaves the lists' first view. Nothing is sent; in the CRMs the buyer stays.",)
        return self._ask(request, object_id, "Archive buyer", says, archiving.archive_contact)

    def unarchive_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Bring a buyer back."""
        says = ("The buyer comes back as before. Nothing is sent.",)
        return self._ask(request, object_id, "Bring back from the archive", says, archiving.unarchive_contact)

    def _ask(
        self, request: HttpRequest, object_id: str, label: str, says: tuple[str, ...], verb: Callable[..., bool]
    ) -> HttpResponse:
        contact = self.found(request, object_id)
        if contact is None:
            return self.gone(request, object_id)
        if not self.has_change_permission(request, contact):
            raise PermissionDenied

        def act(form: forms.Form) -> str:
            try:
                done = verb(contact.pk, who(request, form.cleaned_data["reason"]))
            except Contact.DoesNotExist:
                raise NotPossible("This buyer was deleted meanwhile.") from None
            return f"{label}: done." if done else f"{label}: nothing to do, it was so already."

        question = Question(f"{label} “{contact}”?", label, says, act, form=ReasonForm)
        return ask(self, request, contact, question, self.change_url(contact.pk))
