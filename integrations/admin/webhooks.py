"""Webhooks in: sources with their addresses, what came, and what was refused."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from integrations.models import Delivery, RefusedRequest, WebhookSource
from integrations.operations import inbox, moments, webhook_sources
from integrations.operations.audit import Who
from integrations.operations.webhook_sources import SourceInput
from integrations.signatures.schemes import SCHEMES

from .entities import UTC
from .forms_page import FormPage
from .pages import Question, ReadOnly, ReasonForm, ask, view_path, who
from .plain_forms import field_of, plain_field

SHOWN_BYTES = 20_000
NUMBERS = ("max_bytes", "tolerance_s", "per_minute")


class SourceForm(forms.Form):
    """A source. The secret is only ever put in."""

    label = plain_field(field_of(WebhookSource, "label"))
    scheme = forms.ChoiceField(label="Signed by *", choices=[(name, one.label) for name, one in SCHEMES.items()])
    options = forms.JSONField(
        label="Options",
        required=False,
        initial=dict,
        help_text="What the scheme leaves open, as JSON; empty: its defaults. The operating guide names them.",
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    purpose = forms.ChoiceField(label="What it is for *", choices=WebhookSource.Purpose.choices)
    mapping = forms.JSONField(
        label="Which answer is what",
        required=False,
        initial=dict,
        help_text="Of a form of answers, as JSON: the operating guide has an example.",
        widget=forms.Textarea(attrs={"rows": 10}),
    )
    secret = forms.CharField(
        label="Secret",
        required=False,
        max_length=8000,
        help_text="Never shown. Empty: the stored one stays. Where keys are public: the key to use instead.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    overlap_h = forms.IntegerField(
        label="The secret before counts for (hours)",
        required=False,
        initial=webhook_sources.OVERLAP_H,
        help_text="After a change of secrets. 0 when the old one leaked.",
    )
    content_types = forms.CharField(label="Content types", required=False, help_text="Blanks between. Empty: JSON.")
    allowed_ips = forms.CharField(
        label="Allowed addresses", required=False, help_text="Addresses or networks, blanks between. Empty: all."
    )
    paused = forms.BooleanField(label="Paused: what is sent is put off", required=False)

    def __init__(self, data: Any, initial: dict[str, Any]) -> None:
        super().__init__(data, initial=initial)
        for name in NUMBERS:
            field = field_of(WebhookSource, name)
            label = str(field.verbose_name)
            self.fields[name] = forms.IntegerField(
                label=label[:1].upper() + label[1:], required=False, initial=field.default
            )


@admin.register(WebhookSource)
class WebhookSourceAdmin(FormPage):
    """One address for each provider that calls. Paused rather than deleted: what came through it is kept."""

    list_display = ("label", "signed_by", "state", "secret_since", "address")
    list_filter = ("state",)
    search_fields = ("label",)
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookSource]:
        found: QuerySet[WebhookSource] = super().get_queryset(request)
        return found

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="signed by", ordering="scheme")
    def signed_by(self, source: WebhookSource) -> str:
        return SCHEMES[source.scheme].label

    @admin.display(description="secret since", ordering="secret_set_at")
    def secret_since(self, source: WebhookSource) -> str:
        return moments.clock(source.secret_set_at, UTC) if source.secret_set_at else "—"

    @admin.display(description="address")
    def address(self, source: WebhookSource) -> str:
        return address_of(source)

    def page_form(self, request: HttpRequest, obj: WebhookSource | None, data: Any) -> forms.Form:
        if obj is None:
            return SourceForm(data, {})
        names = ("label", "scheme", "purpose", "options", "mapping", *NUMBERS)
        lists = {name: " ".join(getattr(obj, name)) for name in ("content_types", "allowed_ips")}
        paused = obj.state == WebhookSource.State.PAUSED
        return SourceForm(data, {**{name: getattr(obj, name) for name in names}, **lists, "paused": paused})

    def page_fieldsets(self, form: forms.Form, obj: WebhookSource | None) -> Any:
        return [
            (None, {"fields": ["label", "scheme", "purpose", "options", "mapping", ("secret", "overlap_h"), "paused"]}),
            ("Limits", {"fields": [("max_bytes", "per_minute", "tolerance_s"), "content_types", "allowed_ips"]}),
        ]

    def page_context(self, request: HttpRequest, obj: WebhookSource | None) -> dict[str, Any]:
        if obj is None:
            return {}
        facts = [("Address to give the provider", address_of(obj)), ("Secret since", self.secret_since(obj))]
        if obj.previous_until is not None and obj.previous_until > timezone.now():
            facts.append(("The secret before counts until", moments.clock(obj.previous_until, UTC)))
        came = f"{reverse('admin:integrations_delivery_changelist')}?source__id__exact={obj.pk}"
        refused = f"{reverse('admin:integrations_refusedrequest_changelist')}?source__id__exact={obj.pk}"
        return {"facts": facts, "links": [(came, "What came"), (refused, "What was refused")]}

    def store(self, form: forms.Form, obj: WebhookSource | None, by: Who) -> WebhookSource:
        typed = form.cleaned_data
        for name in ("options", "mapping"):
            if not isinstance(typed[name] or {}, dict):
                raise ValidationError({name: ["This must be an object: {…}."]})
        numbers = {name: typed[name] for name in (*NUMBERS, "overlap_h") if typed[name] is not None}
        data = SourceInput(
            label=typed["label"].strip(),
            scheme=typed["scheme"],
            options=typed["options"] or {},
            purpose=typed["purpose"],
            mapping=typed["mapping"] or {},
            secret=typed["secret"],
            content_types=tuple(typed["content_types"].lower().split()),
            allowed_ips=tuple(typed["allowed_ips"].split()),
            paused=typed["paused"],
            **numbers,
        )
        return webhook_sources.save_source(data, by, now=timezone.now(), source_id=obj.pk if obj else None)


def address_of(source: WebhookSource) -> str:
    """What the provider is given; without REANNA_PUBLIC_URL only the path."""
    return settings.REANNA_PUBLIC_URL.rstrip("/") + reverse("hooks:hook", args=[source.key]) + "/"


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    """What came and was right, newest first."""

    list_display = ("when", "source", "delivery_key", "state", "reason", "attempts")
    list_filter = ("state", "source")
    list_select_related = ("source",)
    search_fields = ("delivery_key__istartswith",)
    search_help_text = "The provider's id"
    ordering = ("-id",)
    list_per_page = 50
    fields = (
        "when", "source", "delivery_key", "public_id", "state", "reason", "attempts", "conflict_of", "remote", "kept",
        "body_sha256", "happened", "again",
        "raw",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        found: QuerySet[Delivery] = super().get_queryset(request)
        listing = request.resolver_match is not None and "object_id" not in request.resolver_match.kwargs
        return found.defer("body", "source__secrets") if listing else found

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    @admin.display(description="received", ordering="id")
    def when(self, delivery: Delivery) -> str:
        return moments.clock(moments.at_ms(delivery.received_ms), UTC)

    @admin.display(description="headers")
    def kept(self, delivery: Delivery) -> str:
        return "\n".join(f"{name}: {value}" for name, value in delivery.headers.items()) or "—"

    actions = ("replay_many",)

    def get_urls(self) -> list[Any]:
        return [view_path(self, "replay", self.replay_view, "replay"), *super().get_urls()]

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("integrations.change_delivery"))

    @admin.action(description="Work on them again", permissions=["replay"])
    def replay_many(self, request: HttpRequest, chosen: QuerySet[Delivery]) -> None:
        """Those that are shown and ticked."""
        count = inbox.replay(list(chosen.values_list("pk", flat=True)), who(request), now=timezone.now())
        self.message_user(request, f"{count} will be worked on again.")

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Works on it again: what is done already is not done twice."""
        delivery = self.found(request, object_id)
        if delivery is None:
            return self.gone(request, object_id)
        if not self.has_replay_permission(request):
            raise PermissionDenied

        def act(form: forms.Form) -> str:
            by = who(request, form.cleaned_data["reason"])
            done = inbox.replay([delivery.pk], by, now=timezone.now())
            return "It will be worked on again." if done else "It is in hand already, or only kept as a conflict."

        question = Question(
            title=f"Work on “{delivery}” again?",
            button="Work on it again",
            says=("Its signature stands as it was judged when it came. What is done already is not done twice.",),
            act=act,
            form=ReasonForm,
        )
        return ask(self, request, delivery, question, self.change_url(delivery.pk))

    @admin.display(description="what became of it")
    def happened(self, delivery: Delivery) -> str:
        told = (f"{one.kind}: {one.get_state_display()} {one.reason}".strip() for one in delivery.events.all())
        return "\n".join(told) or "—"

    @admin.display(description="again")
    def again(self, delivery: Delivery) -> str:
        return format_html('<a href="{}">Work on it again</a>', "../replay/")

    @admin.display(description="body")
    def raw(self, delivery: Delivery) -> str:
        body = bytes(delivery.body)
        text = body[:SHOWN_BYTES].decode("utf-8", "replace").replace("\x00", "�")
        return text if len(body) <= SHOWN_BYTES else f"{text}\n… {len(body):,} bytes in all"


@admin.register(RefusedRequest)
class RefusedRequestAdmin(ReadOnly):
    """The newest requests that were refused, without their bodies."""

    list_display = ("when", "origin", "reason", "status", "remote", "size")
    list_filter = ("source", "reason")
    list_select_related = ("source",)
    ordering = ("-id",)
    list_per_page = 50
    fields = ("when", "origin", "reason", "status", "remote", "size", "body_sha256", "kept")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    @admin.display(description="when", ordering="id")
    def when(self, refused: RefusedRequest) -> str:
        return moments.clock(moments.at_ms(refused.at_ms), UTC)

    @admin.display(description="source", empty_value="no such address")
    def origin(self, refused: RefusedRequest) -> str | None:
        return str(refused.source) if refused.source else None

    @admin.display(description="headers")
    def kept(self, refused: RefusedRequest) -> str:
        return json.dumps(refused.headers, ensure_ascii=False, indent=1)
