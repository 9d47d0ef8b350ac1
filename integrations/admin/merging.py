"""Merging two buyers: finding the other one, the page that says everything, and the button."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from integrations.models import Contact
from integrations.operations import merging
from integrations.operations.merge_plan import FOREVER, MERGED, SURVIVOR, MergePlan, linked_first, plan_merge
from integrations.operations.merge_plan import suggestions as suggested
from integrations.operations.refusals import NotPossible, Stale
from integrations.operations.roles import permissions_of

from .pages import Page, put_on, sentences, view_path, who

FOUND = 20
LONGEST_SEARCH = 200
CHANGED = "Something changed since this page was shown; it is shown anew. Read it, then merge."


class MergeForm(forms.Form):
    """Which value stays where both have one, and why they are one person. `seen`: what the page told."""

    seen = forms.CharField(max_length=64, widget=forms.HiddenInput)
    stale = False

    def __init__(self, plan: MergePlan, data: Any = None) -> None:
        super().__init__(data, initial={"seen": plan.seen})
        self.asked = [field.name for field in plan.fields if field.asked]
        for field in plan.fields:
            if field.asked:
                choices = [(SURVIVOR, field.survivor), (MERGED, field.merged)]
                self.fields[field.name] = forms.ChoiceField(
                    choices=choices, label=f"{field.label.capitalize()} that stays"
                )
        self.fields["reason"] = forms.CharField(
            label="Reason", required=False, max_length=200, help_text="Optional; kept in the audit trail."
        )

    @property
    def picks(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in self.asked}


class Merges(Page):
    """Pages of a buyer that lead to a merge."""

    def merge_urls(self) -> list[Any]:
        """To be put before the page's own."""
        return [
            view_path(self, "merge", self.merge_with_view, "merge_with"),
            view_path(self, "merge/<int:into_id>", self.merge_view, "merge"),
        ]

    def has_merge_permission(self, request: HttpRequest) -> bool:
        """A merge changes buyers, and whose the tours are."""
        return bool(request.user.has_perms(permissions_of("contacts:merge")))

    @admin.action(description="Merge two buyers…", permissions=["merge"])
    def merge_two(self, request: HttpRequest, queryset: QuerySet[Contact]) -> HttpResponse | None:
        """Leads to the page that says what a merge would do."""
        chosen = list(queryset.order_by("pk")[:3])
        if len(chosen) != 2:
            self.message_user(request, "Tick exactly two buyers to merge them.", messages.WARNING)
            return None
        survivor, merged = linked_first(chosen[0], chosen[1])
        return HttpResponseRedirect(merge_url(merged.pk, survivor.pk))

    def merge_with_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Who could be the same person, and a search for anybody else."""
        contact = self._ours(request, object_id)
        if isinstance(contact, HttpResponse):
            return contact
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        text = request.GET.get("q", "").replace("\x00", "")[:LONGEST_SEARCH].strip()
        known = suggested(contact)
        found: list[Contact] = []
        if text:
            others = Contact.objects.filter(merged_into=None).exclude(pk=contact.pk).order_by(*self.ordering)
            found = list(self.get_search_results(request, others, text)[0][:FOUND])
        context = self.frame(
            request, contact, f"Merge “{contact}” with…", text=text, suggestions=known, found=found, most=FOUND,
            back=self.change_url(contact.pk),
        )  # fmt: skip
        return TemplateResponse(request, "admin/integrations/contact/merge_with.html", context)

    def merge_view(self, request: HttpRequest, object_id: str, into_id: int) -> HttpResponse:
        """Says what comes together and what stays apart, and does it on POST: the buyer of the address goes away."""
        contact = self._ours(request, object_id)
        if isinstance(contact, HttpResponse):
            return contact
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        if contact.merged_into_id == into_id:
            self.message_user(request, f"“{contact}” was merged into “{contact.merged_into}” already.", messages.INFO)
            return HttpResponseRedirect(self.change_url(into_id))
        try:
            plan = plan_merge(contact.pk, into_id if into_id < 2**63 else 0)
            form = MergeForm(plan, request.POST if request.method == "POST" else None)
            if request.method == "POST" and form.is_valid():
                survivor = self._merge(request, plan, form)
                if survivor is not None:
                    return HttpResponseRedirect(self.change_url(survivor.pk))
                plan = plan_merge(contact.pk, into_id)
                if form.stale:
                    form = MergeForm(plan)
        except Contact.DoesNotExist:
            return self.gone(request, str(into_id))
        except (NotPossible, ValidationError) as error:
            self.message_user(request, " ".join(sentences(error)), messages.WARNING)
            return HttpResponseRedirect(self.change_url(contact.pk))
        return self._preview(request, plan, form)

    def _merge(self, request: HttpRequest, plan: MergePlan, form: MergeForm) -> Contact | None:
        """The survivor; None when it was refused, which the form tells."""
        by = who(request, form.cleaned_data["reason"])
        try:
            done = merging.merge(plan.merged.pk, plan.survivor.pk, by, picks=form.picks, seen=form.cleaned_data["seen"])
        except Stale:
            form.stale = True
            self.message_user(request, CHANGED, messages.WARNING)
        except NotPossible as error:
            form.add_error(None, str(error))
        except ValidationError as error:
            put_on(form, error)
        else:
            self.message_user(request, f"“{plan.merged}” was merged into “{done.survivor}”.", messages.SUCCESS)
            return done.survivor
        return None

    def _preview(self, request: HttpRequest, plan: MergePlan, form: MergeForm) -> HttpResponse:
        context = self.frame(
            request, plan.merged, f"Merge “{plan.merged}” into “{plan.survivor}”?", plan=plan, form=form,
            forever=FOREVER, swap=merge_url(plan.survivor.pk, plan.merged.pk), back=self.change_url(plan.merged.pk),
            rows=[
                (field.label, field.survivor, field.merged, "" if field.asked else field.value(SURVIVOR))
                for field in plan.fields
            ],
        )  # fmt: skip
        return TemplateResponse(request, "admin/integrations/contact/merge.html", context)

    def _ours(self, request: HttpRequest, object_id: str) -> Any:
        """The buyer, or the answer to give instead."""
        contact = self.found(request, object_id)
        if contact is None:
            return self.gone(request, object_id)
        if not self.has_merge_permission(request):
            raise PermissionDenied
        return contact


def merge_url(merged_id: int, survivor_id: int) -> str:
    """The page that asks about these two."""
    return reverse("admin:integrations_contact_merge", args=[merged_id, survivor_id])


def merge_with_url(contact_id: int, text: str = "") -> str:
    """The page that looks for the other one."""
    url = reverse("admin:integrations_contact_merge_with", args=[contact_id])
    return f"{url}?{urlencode({'q': text})}" if text else url
