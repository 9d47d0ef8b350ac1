"""Connections: who is connected, what holds them, their credentials (in only), pausing and resuming."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from integrations import conf
from integrations.engine.clock import db_now
from integrations.models import CLAIMABLE, OPEN, Connection, ConnectionState, GateMode, LeftOut, Operation, State
from integrations.operations import (
    agent_users,
    connections,
    consent,
    counting,
    deletion,
    moments,
    restoring,
    tour_state,
    verification,
    wording,
)
from integrations.operations.audit import Who
from integrations.providers import registry

from . import banner, connection_health, left_out
from .agent_users import AgentUserPages, held_words
from .circuit_pages import CircuitPages
from .connection_consent import ConnectionConsent
from .connection_form import SEEN, ConnectionForm
from .connection_trial import ConnectionTrial, account_list, choose_account, offered_accounts, tried
from .entities import UTC, about
from .pages import VIA, Deletable, Question, ReasonForm, ask, view_path, who


class ConnectionList(ChangeList):
    """The page's rows with their counts of operations, fetched together."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        counts = open_counts(row.pk for row in rows)
        now_ms = db_now()
        for row in rows:
            row.open_by_state = counts.get(row.pk, {})
            row.now_ms = now_ms
        self.result_list = rows


def open_counts(ids: Iterable[int]) -> dict[int, dict[str, int]]:
    """connection id → state → how many operations are not at an end (and how many failed). One query."""
    return counting.by_connection(list(ids), (*OPEN, State.DEAD))


@admin.register(Connection)
class ConnectionAdmin(AgentUserPages, CircuitPages, ConnectionConsent, ConnectionTrial, Deletable):
    """No list, page or message ever holds a secret; what stands there are its last four characters."""

    list_display = ("label", "provider_label", "serves", "state_words", "hold", "waiting", "failed", "since")
    list_filter = ("state", "scope")
    search_fields = ("label", "account_key")
    ordering = ("label",)
    page_template = "admin/integrations/connection/page.html"
    deleting = staticmethod(deletion.delete_connection)
    delete_instead = "A connection with operations or links to CRM records is refused: disable it instead."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        return super().get_queryset(request).select_related("office", "agent").defer("secrets")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ConnectionList

    # --- columns ------------------------------------------------------------------------------------------------

    @admin.display(description="provider", ordering="provider")
    def provider_label(self, connection: Connection) -> str:
        return provider_label(connection.provider)

    @admin.display(description="serves")
    def serves(self, connection: Connection) -> str:
        return str(connection.office or connection.agent or "The whole brokerage")

    @admin.display(description="state", ordering="state")
    def state_words(self, connection: Connection) -> str:
        return state_badge(connection)

    @admin.display(description="held")
    def hold(self, connection: Any) -> str:
        return hold_words(connection, connection.now_ms) or "—"

    @admin.display(description="open operations")
    def waiting(self, connection: Any) -> str:
        return _link(
            connection, "open", counting.total(n for state, n in connection.open_by_state.items() if state != "dead")
        )

    @admin.display(description="failed")
    def failed(self, connection: Any) -> str:
        return _link(connection, "dead", connection.open_by_state.get("dead", 0))

    @admin.display(description="tours from", ordering="sync_from")
    def since(self, connection: Connection) -> str:
        return moments.day(connection.sync_from, UTC)

    # --- the form -----------------------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if object_id is None and _provider(request) is None:
            if not self.has_add_permission(request):
                raise PermissionDenied
            manifests = [registry.manifest(slug) for slug in registry.slugs()]
            context = self.frame(request, None, "Which CRM?", manifests=manifests)
            return TemplateResponse(request, "admin/integrations/connection/providers.html", context)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def page_form(self, request: HttpRequest, obj: Connection | None, data: Any) -> ConnectionForm:
        slug = obj.provider if obj else _provider(request)
        return ConnectionForm(registry.manifest(slug or registry.slugs()[0]), obj, data)

    def page_fieldsets(self, form: Any, obj: Any) -> Any:
        return form.page_fieldsets

    def store(self, form: Any, obj: Connection | None, by: Who) -> Connection | None:
        data = form.values()
        if "_choose" in form.data and form.manifest.accounts:
            choose_account(form)
            return None
        if "_accounts" in form.data and form.manifest.accounts:
            offered_accounts(form, data)
            return None
        if not self._reach_seen(form, obj):
            return None
        forget = form.cleaned_data.get("forget", ())
        if "_sign_in" in form.data and consent.offered(form.manifest.slug):
            return self._stored_unsigned(form, data, obj, by)
        test = tried(form, data, obj, forget)
        if test is None:
            return None
        data |= test.renewed
        if obj is None:
            slug, now = form.manifest.slug, timezone.now()
            return connections.create_connection(
                slug, data, now=now, actor=by.actor, via=by.via, paused=test.error, verified_at=test.verified_at
            )
        if test.error:
            connections.pause(obj.pk, actor=by.actor, via=by.via, reason=test.error)
        connections.update_connection(obj.pk, data, actor=by.actor, via=by.via, forget_secrets=forget)
        if test.verified_at is not None:
            verification.note_verified(obj.pk, test.verified_at)
        return Connection.objects.defer("secrets").get(pk=obj.pk)

    def _stored_unsigned(self, form: Any, data: dict[str, Any], obj: Connection | None, by: Who) -> Connection:
        """Saved without a test: whoever signs in next tries it out."""
        if obj is not None:
            connections.update_connection(obj.pk, data, actor=by.actor, via=by.via)
            return Connection.objects.defer("secrets").get(pk=obj.pk)
        why = f"Nobody has signed in at {form.manifest.label} yet."
        slug, now = form.manifest.slug, timezone.now()
        return connections.create_connection(slug, data, now=now, actor=by.actor, via=by.via, unsigned=why)

    def next_url(self, request: HttpRequest, saved: Connection) -> str:
        if "_sign_in" in request.POST and consent.offered(saved.provider):
            return reverse(f"admin:{self.url_name('sign_in')}", args=[saved.pk])
        return super().next_url(request, saved)

    def _reach_seen(self, form: Any, obj: Connection | None) -> bool:
        """A change of what a connection serves, or of whose it is there, shows what it moves; then it is saved."""
        asked = "_count" in form.data
        if obj is None and not asked:
            return True
        reach = form.reach()
        if reach is None:
            if asked:
                form.add_error(None, "Say first whom it serves and from when; then the tours can be counted.")
            return not asked
        handover = form.handover()
        nothing = not (reach.joining or reach.leaving or handover)
        seen = f"{reach.joining} {reach.leaving} {handover or ''}".strip()[:SEEN]
        if not asked and (nothing or seen == form.cleaned_data.get("seen")):
            return True
        form.told_reach, form.told_handover = reach, handover
        form.data = form.data.copy()
        form.data["seen"] = seen
        return False

    def page_context(self, request: HttpRequest, obj: Connection | None) -> dict[str, Any]:
        if obj is None:
            provider = _provider(request) or ""
            return {
                "provider": provider_label(provider),
                "address": _address(provider),
                "lists_accounts": account_list(provider) is not None,
                "signs_in": consent.offered(provider),
            }
        now_ms, gate = db_now(), GateMode.objects.filter(pk=1).first()
        counts = open_counts([obj.pk]).get(obj.pk, {})
        return {
            "provider": provider_label(obj.provider),
            "address": _address(obj.provider),
            "state_badge": state_badge(obj),
            "hold": hold_words(obj, now_ms),
            "health": connection_health.load(obj, now_ms, tour_state.mode_of(gate)),
            "sending_notice": banner.of(gate),
            "now": moments.clock(moments.at_ms(now_ms), UTC),
            "counts": [(wording.state(state), n, _operations_url(obj, state)) for state, n in sorted(counts.items())],
            "tested": moments.clock(obj.last_verified_at, UTC) if obj.last_verified_at else "",
            "has_accounts": account_list(obj.provider) is not None,
            "signs_in": consent.offered(obj.provider),
            "left_out": left_out.kept(obj),
            "held_agents": held_words(agent_users.held_up_at(obj)),
            "agents_url": self.agents_url(obj),
            "can_pause": obj.state in (ConnectionState.ACTIVE, ConnectionState.AUTH_NEEDED),
            "can_resume": obj.state in (ConnectionState.PAUSED, ConnectionState.DISABLED, ConnectionState.AUTH_NEEDED),
            "can_disable": obj.state != ConnectionState.DISABLED,
        }

    # --- verbs --------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        own = [
            *self.consent_urls(),
            *self.trial_urls(),
            *self.circuit_urls(),
            path("go/", self.admin_site.admin_view(self.go_view), name=self.url_name("go")),
            view_path(self, "pause", self.pause_view, "pause"),
            view_path(self, "resume", self.resume_view, "resume"),
            view_path(self, "disable", self.disable_view, "disable"),
            view_path(self, "left-out/<int:left_out_id>/take-back", self.take_back_view, "take_back"),
        ]
        return [*own, *super().get_urls()]

    def go_view(self, request: HttpRequest) -> HttpResponse:
        """After a backup was restored: sending goes on, at every connection."""
        if not self.has_change_permission(request):
            raise PermissionDenied

        def act(form: forms.Form) -> str:
            done = restoring.go(who(request, form.cleaned_data["reason"]))
            return "Sending goes on." if done else "Sending was not stopped, or somebody said go already."

        doubted = counting.count(Operation.objects.unsettled(*CLAIMABLE).filter(in_doubt=True))
        question = Question(
            title="Send again after the backup was restored?",
            button="Go",
            says=(
                f"Operations in doubt are looked up in their CRM first ({doubted}); what is there is not sent again.",
                "What was changed in a CRM since the backup is not written over: it asks, as always.",
                "What the backup lacks and nobody brought in again is not known here: its records in the CRMs stay.",
            ),
            act=act,
            danger=True,
            form=ReasonForm,
        )
        return ask(self, request, None, question, self.list_url())

    def pause_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Nothing is sent until it is resumed."""
        says = ("Nothing is sent to this CRM until you resume; changes wait as operations and none is lost.",)
        return self._ask(request, object_id, "Pause", says, connections.pause)

    def resume_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send again."""
        says = (
            "Everything that waits is sent, as fast as the CRM's limits allow.",
            "After “disabled”, what changed meanwhile is planned first.",
        )
        return self._ask(request, object_id, "Resume", says, connections.resume)

    def disable_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Nothing is sent nor planned."""
        says = ("Nothing is sent and nothing new is planned for this CRM.", "What stands in the CRM stays there.")
        return self._ask(request, object_id, "Disable", says, connections.disable, danger=True)

    def take_back_view(self, request: HttpRequest, object_id: str, left_out_id: int) -> HttpResponse:
        """A record that is left out goes there again."""
        connection = self.found(request, object_id)
        if connection is None:
            return self.gone(request, object_id)
        if not self.has_change_permission(request, connection):
            raise PermissionDenied
        mine = LeftOut.objects.filter(connection=connection)
        row = mine.filter(pk=left_out_id).first() if left_out_id < 2**63 else None
        if row is None:
            self.message_user(request, "This was taken back already.", messages.WARNING)
            return HttpResponseRedirect(self.change_url(connection.pk))
        label = about([row])[row.entity_type, row.entity_id].label
        asked = left_out.back_question(request, row.entity_type, row.entity_id, label, connection)
        return ask(self, request, connection, asked, self.change_url(connection.pk))

    def _ask(
        self,
        request: HttpRequest,
        object_id: str,
        label: str,
        says: tuple[str, ...],
        verb: Callable[..., bool],
        *,
        danger: bool = False,
    ) -> HttpResponse:
        connection = self.found(request, object_id)
        if connection is None:
            return self.gone(request, object_id)
        if not self.has_change_permission(request, connection):
            raise PermissionDenied

        def act(form: forms.Form) -> str:
            by = who(request, form.cleaned_data["reason"])
            done = verb(connection.pk, actor=by.actor, via=VIA, reason=by.reason)
            return f"{label} “{connection}”: done." if done else f"{label} “{connection}”: it was so already."

        counts = open_counts([connection.pk]).get(connection.pk, {})
        question = Question(
            title=f"{label} “{connection}”?",
            button=label,
            says=says,
            act=act,
            danger=danger,
            form=ReasonForm,
            items=[f"{wording.state(state)}: {n}" for state, n in sorted(counts.items())],
        )
        return ask(self, request, connection, question, self.change_url(connection.pk))


def _provider(request: HttpRequest) -> str | None:
    """The provider a new connection is for: chosen, or the only one there is."""
    slug = request.GET.get("provider", "")
    known = registry.slugs()
    if slug in known:
        return slug
    return known[0] if len(known) == 1 else None


def provider_label(slug: str) -> str:
    """The provider's name; its slug when it is not part of this installation."""
    return registry.manifest(slug).label if slug in registry.slugs() else slug


def state_badge(connection: Connection) -> str:
    return format_html(
        '<span class="rr-badge rr-connection-{}">{}</span>', connection.state, connection.get_state_display()
    )


def hold_words(connection: Connection, now_ms: int) -> str:
    """Why nothing is claimed for it right now; empty when nothing holds it."""
    if connection.hold_until_ms <= now_ms:
        return ""
    return f"{wording.reason(connection.hold_reason)}; {moments.until(connection.hold_until_ms, UTC, now_ms)}"


def _operations_url(connection: Connection, state: str) -> str:
    query = urlencode({"connection": connection.pk, "state": state})
    return f"{reverse('admin:integrations_operation_changelist')}?{query}"


def _link(connection: Connection, state: str, number: int) -> str:
    return format_html('<a href="{}">{}</a>', _operations_url(connection, state), number)


def _address(provider: str) -> str:
    """Where requests of this provider go; staff must see when that is a sandbox and not the vendor."""
    settings = conf.current()
    address = settings.base_urls.get(provider, "")
    here = settings.sandbox_url and address.startswith(settings.sandbox_url.rstrip("/"))
    return f"{address} (the sandbox on this machine, not the vendor)" if here else address
