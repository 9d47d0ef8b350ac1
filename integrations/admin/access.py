"""Tokens of the API: made, shown once, revoked."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from integrations.models import ApiToken
from integrations.operations import access, moments
from integrations.operations.roles import SCOPES, permissions_of

from .entities import UTC
from .pages import Page, Question, ReasonForm, ask, put_on, view_path, who
from .plain_forms import fieldsets_of


class TokenForm(forms.Form):
    """A new token. Only what its maker may do can be chosen."""

    name = forms.CharField(
        label="Name *",
        required=False,
        max_length=80,
        help_text="What uses it, for example “Website”.",
        widget=AdminTextInputWidget(),
    )
    scopes = forms.MultipleChoiceField(
        label="Scopes *",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="What it may do: never more than you may yourself.",
    )
    last_day = forms.DateField(
        label="Works until",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The last day, UTC. Empty: until it is revoked.",
    )

    def __init__(self, user: Any, data: Any = None) -> None:
        super().__init__(data)
        mine = [scope for scope in SCOPES if user.has_perms(permissions_of(scope))]
        self.fields["scopes"].choices = [(scope, scope) for scope in mine]

    @property
    def expires_at(self) -> datetime | None:
        """The end of the last day."""
        day = self.cleaned_data["last_day"]
        return None if day is None else datetime.combine(day, time(0), UTC) + timedelta(days=1)

    def clean_last_day(self) -> Any:
        day = self.cleaned_data["last_day"]
        if day is not None and not 2000 <= day.year <= 2100:
            raise ValidationError("The year must lie between 2000 and 2100.")
        return day


@admin.register(ApiToken)
class ApiTokenAdmin(Page):
    """A token is never changed: make another, then revoke this one."""

    list_display = ("name", "key_id", "owner", "scope_words", "state", "used", "until")
    list_filter = ("owner",)
    search_fields = ("name", "key_id")
    ordering = ("-id",)
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        return super().get_queryset(request).select_related("owner").defer("digest")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="scopes")
    def scope_words(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    @admin.display(description="works", boolean=True)
    def state(self, token: ApiToken) -> bool:
        return token.works_at(timezone.now()) and token.owner.is_active

    @admin.display(description="last used", ordering="last_used_at")
    def used(self, token: ApiToken) -> str:
        return moments.clock(token.last_used_at, UTC) if token.last_used_at else "never"

    @admin.display(description="ends", ordering="expires_at")
    def until(self, token: ApiToken) -> str:
        if token.revoked_at:
            return f"revoked {moments.clock(token.revoked_at, UTC)}"
        return moments.clock(token.expires_at, UTC) if token.expires_at else "—"

    def get_urls(self) -> list[Any]:
        return [view_path(self, "revoke", self.revoke_view, "revoke"), *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if object_id is None:
            return self._new(request)
        token = self.found(request, object_id)
        if token is None:
            return self.gone(request, object_id)
        if not self.has_view_permission(request, token):
            raise PermissionDenied
        facts = [
            ("Acts for", token.owner.get_username()),
            ("Scopes", self.scope_words(token)),
            ("Works", "yes" if self.state(token) else "no"),
            ("Last used", self.used(token)),
            ("Ends", self.until(token)),
            ("Made", moments.clock(token.created_at, UTC)),
        ]
        context = self.frame(request, token, str(token), facts=facts, revoked=token.revoked_at is not None)
        return TemplateResponse(request, "admin/integrations/token/page.html", context)

    def _new(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = TokenForm(request.user, request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            made = self._made(request, form)
            if made is not None:
                return self._shown_once(request, made)
        context = self.frame(
            request,
            None,
            "Add API token",
            form=form,
            adminform=fieldsets_of(form, [(None, {"fields": ["name", "scopes", "last_day"]})]),
            may_save=True,
            media=self.media + form.media,
        )
        return TemplateResponse(request, "admin/integrations/form.html", context)

    def _made(self, request: HttpRequest, form: TokenForm) -> access.Made | None:
        try:
            return access.create_token(
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                owner=request.user,
                expires_at=form.expires_at,
                now=timezone.now(),
                who=who(request),
            )
        except ValidationError as error:
            put_on(form, error)
            return None

    def _shown_once(self, request: HttpRequest, made: access.Made) -> HttpResponse:
        """The answer to the POST itself: the secret is in no address, no session and no database."""
        context = self.frame(request, made.token, f"Token “{made.token.name}”", shown=made.shown)
        return TemplateResponse(request, "admin/integrations/token/shown.html", context)

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """It opens nothing any more."""
        token = self.found(request, object_id)
        if token is None:
            return self.gone(request, object_id)
        if not self.has_change_permission(request, token):
            raise PermissionDenied

        def act(form: forms.Form) -> str:
            done = access.revoke_token(token.pk, now=timezone.now(), who=who(request, form.cleaned_data["reason"]))
            return f"“{token}” was revoked." if done else f"“{token}” was revoked already."

        question = Question(
            title=f"Revoke “{token}”?",
            button="Revoke",
            says=("Requests with it are refused from now on. It cannot be brought back.",),
            act=act,
            danger=True,
            form=ReasonForm,
        )
        return ask(self, request, token, question, self.change_url(token.pk))
