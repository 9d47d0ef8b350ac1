"""The form of a connection: built from its provider's manifest; secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.html import format_html

from integrations.fields import Unreadable
from integrations.models import Agent, Connection, ConnectionScope, Office
from integrations.operations.routes import Handover, Reach, RoutingFacts, handover, reach
from integrations.operations.values import clean_value
from integrations.providers.base import ConfigField, Manifest

from .choosing import one_of
from .plain_forms import field_of, plain_field, shown

SHOWN_CHARACTERS, LONG_ENOUGH = 4, 12
LIMIT = "limit_"
SEEN = 120
"""Characters of what was shown before a change is saved."""


def hints(connection: Connection | None) -> tuple[dict[str, str], str]:
    """What may be shown of each stored secret; why they cannot be read at all, or nothing."""
    if connection is None:
        return {}, ""
    try:
        stored = connection.secrets or {}
    except Unreadable as error:
        return {}, str(error)
    return {name: _hint(str(value)) for name, value in stored.items() if value}, ""


def _hint(secret: str) -> str:
    return f"ends in {secret[-SHOWN_CHARACTERS:]}" if len(secret) >= LONG_ENOUGH else "too short to show any of it"


class ConnectionForm(forms.Form):
    """One connection. `hints`: what is shown of stored secrets, by name."""

    offer_anyway, chosen_account = False, ""
    told_accounts: Any = None
    seen = forms.CharField(required=False, max_length=SEEN, widget=forms.HiddenInput)
    label = plain_field(field_of(Connection, "label"))
    scope = plain_field(field_of(Connection, "scope"), label="Serves")
    office = forms.ModelChoiceField(Office.objects.all(), required=False, widget=one_of(field_of(Connection, "office")))
    agent = forms.ModelChoiceField(Agent.objects.all(), required=False, widget=one_of(field_of(Connection, "agent")))
    sync_from = plain_field(
        field_of(Connection, "sync_from"),
        required=False,
        label="Sync tours from (UTC)",
        help_text="Tours that start before this are left out. Empty for a new connection: from now on.",
    )

    assigns = plain_field(field_of(Connection, "assigns"))

    def __init__(self, manifest: Manifest, connection: Connection | None, data: Any = None) -> None:
        self.manifest, self.connection = manifest, connection
        self.hints, self.unreadable = hints(connection)
        super().__init__(data, initial=_initial(connection))
        for field in manifest.fields:
            self.fields[field.name] = self._secret(field) if field.secret else _config(field)
        for window in manifest.limits:
            self.fields[LIMIT + window.name] = forms.IntegerField(
                required=False,
                min_value=1,
                max_value=window.limit,
                label=f"Limit {window.name}",
                help_text=f"{manifest.label} allows {window.limit:,} requests in {window.seconds:,} s; "
                "a lower number leaves room for your other programs.",
            )
        if self.hints:
            choices = [(field.name, field.label) for field in manifest.fields if field.name in self.hints]
            self.fields["forget"] = forms.MultipleChoiceField(
                required=False, choices=choices, label="Remove secrets", widget=forms.CheckboxSelectMultiple
            )

    def _secret(self, field: ConfigField) -> forms.Field:
        state = ""
        if self.connection is not None:
            state = self.hints.get(field.name, "")
            state = f"Set ({state}); leave blank to keep. " if state else "Not set. "
        return forms.CharField(
            label=f"{field.label} *" if field.required else field.label,
            required=False,
            max_length=8000,
            help_text=format_html("{}{}", state, field.help),
            widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "class": "vTextField"}),
        )

    @property
    def page_fieldsets(self) -> Any:
        config = [field.name for field in self.manifest.fields if not field.secret]
        secret = [field.name for field in self.manifest.fields if field.secret]
        if "forget" in self.fields:
            secret.append("forget")
        limits = [LIMIT + window.name for window in self.manifest.limits]
        return [
            (None, {"fields": ["label"]}),
            ("Which tours", {"fields": ["scope", ("office", "agent"), "sync_from"]}),
            ("Whose they are in the CRM", {"fields": ["assigns"]}),
            (f"Account at {self.manifest.label}", {"fields": config}),
            ("Secrets", {"fields": secret, "description": "Kept encrypted; never shown again."}),
            ("Limits", {"fields": limits, "classes": ["collapse"]}),
        ]

    def values(self) -> dict[str, Any]:
        """What the verbs take."""
        cleaned = self.cleaned_data
        data: dict[str, Any] = {name: cleaned[name] for name in ("label", "scope", "assigns")}
        for name in ("office", "agent"):
            data[f"{name}_id"] = cleaned[name].pk if cleaned.get(name) else None
        if cleaned["sync_from"] or self.connection is not None:
            data["sync_from"] = in_utc(cleaned["sync_from"])
        data |= {field.name: cleaned.get(field.name, "") for field in self.manifest.fields}
        data["limit_overrides"] = {
            name.removeprefix(LIMIT): value for name, value in cleaned.items() if name.startswith(LIMIT) and value
        }
        return data

    def handover(self) -> Handover | None:
        """What the change of whose showings are does to what is there; None when nothing of it changes."""
        assigns = self.cleaned_data["assigns"]
        if self.connection is None or self.connection.assigns == assigns:
            return None
        found = handover(self.connection, assigns=assigns)
        return found if found.handed_over or found.sent else None

    def reach(self) -> Reach | None:
        """How many tours a save would bring in and leave out; None when what decides it is not filled in well."""
        data = self.values()
        try:
            start = data.get("sync_from", timezone.now())
            since = clean_value(field_of(Connection, "sync_from"), start, required=True)
        except ValidationError:
            return None
        if since is None or data["scope"] not in ConnectionScope.values:
            return None
        before = RoutingFacts.of(self.connection) if self.connection else None
        missing = {ConnectionScope.OFFICE: "office_id", ConnectionScope.AGENT: "agent_id"}.get(data["scope"], "")
        if missing and data[missing] is None:
            return None
        after = RoutingFacts(
            pk=before.pk if before else 0,
            scope=data["scope"],
            office_id=data["office_id"] if data["scope"] == ConnectionScope.OFFICE else None,
            agent_id=data["agent_id"] if data["scope"] == ConnectionScope.AGENT else None,
            sync_from=since,
            state=before.state if before else "active",
        )
        return reach(after, before)


def in_utc(text: str) -> str:
    """A browser's wall time read as UTC; a time with an offset of its own stays."""
    return f"{text}Z" if 0 < len(text) <= len("2026-01-01T00:00:00") and not text.upper().endswith("Z") else text


def _config(field: ConfigField) -> forms.Field:
    if field.choices:
        return forms.ChoiceField(
            label=f"{field.label} *" if field.required else field.label,
            required=False,
            choices=[("", "—"), *field.choices.items()],
            help_text=format_html("{}", field.help),
        )
    return forms.CharField(
        label=f"{field.label} *" if field.required else field.label,
        required=False,
        max_length=1000,
        help_text=format_html("{}", field.help),
        widget=AdminTextInputWidget(),
    )


def _initial(connection: Connection | None) -> dict[str, Any]:
    if connection is None:
        return {"scope": ConnectionScope.BROKERAGE}
    return {
        **shown(connection, ("label", "scope", "sync_from", "assigns")),
        "office": connection.office_id,
        "agent": connection.agent_id,
        **connection.config,
        **{LIMIT + name: value for name, value in connection.limit_overrides.items()},
    }
