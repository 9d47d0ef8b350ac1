"""A change page whose form is stored by a verb of `operations/`, never by the model."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from integrations.operations.audit import Who
from integrations.operations.refusals import NotPossible

from .pages import Page, put_on, who
from .plain_forms import fieldsets_of


class FormPage(Page):
    """`page_form` builds the form, `store` gives it to the verb; its refusals come back onto the form."""

    page_template = "admin/integrations/form.html"

    def page_form(self, request: HttpRequest, obj: Any, data: Any) -> forms.Form:
        """The form, bound when `data` is given."""
        raise NotImplementedError  # each page has its own; ModelAdmin's metaclass leaves no room for ABC

    def store(self, form: forms.Form, obj: Any, by: Who) -> Any:
        """Validate and store; the record. Raises ValidationError naming fields, NotPossible."""
        raise NotImplementedError  # as above

    def page_fieldsets(self, form: forms.Form, obj: Any) -> Any:
        return self.fieldsets

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the page shows besides the form."""
        return {}

    def next_url(self, request: HttpRequest, saved: Any) -> str:
        """Where a save goes on to."""
        return self.change_url(saved.pk)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        obj = None
        if object_id is not None:
            obj = self.found(request, object_id)
            if obj is None:
                return self.gone(request, object_id)
        may_save = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        may_look = may_save or (obj is not None and self.has_view_permission(request, obj))
        if not may_look or (request.method == "POST" and not may_save):
            raise PermissionDenied
        form = self.page_form(request, obj, request.POST if request.method == "POST" else None)
        if request.method == "POST":
            saved = self._stored(request, form, obj)
            if saved is not None:
                self.message_user(
                    request, f"{str(self.opts.verbose_name).capitalize()} “{saved}” was saved.", messages.SUCCESS
                )
                return HttpResponseRedirect(self.next_url(request, saved))
        if not may_save:
            for field in form.fields.values():
                field.disabled = True
        title = str(obj) if obj else f"Add {self.opts.verbose_name}"
        context = self.frame(
            request,
            obj,
            title,
            form=form,
            adminform=fieldsets_of(form, self.page_fieldsets(form, obj)),
            may_save=may_save,
            media=self.media + form.media,
            **self.page_context(request, obj),
        )
        return TemplateResponse(request, self.page_template, context)

    def _stored(self, request: HttpRequest, form: forms.Form, obj: Any) -> Any:
        if not form.is_valid():
            return None
        try:
            return self.store(form, obj, who(request))
        except ValidationError as error:
            put_on(form, error)
        except NotPossible as error:
            form.add_error(None, str(error))
        return None
