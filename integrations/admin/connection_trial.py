"""Trying a connection out from its form and its page, and choosing one of the accounts its credentials open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse

from integrations.models import Connection
from integrations.operations import connections, verification
from integrations.operations.refusals import NotPossible
from integrations.operations.verification import UNTESTED, Tried
from integrations.providers import registry
from integrations.providers.accounts import AccountList, ProviderAccount

from .forms_page import FormPage
from .pages import Question, ask, view_path, who

PER_PAGE, LONGEST = 50, 120


class ConnectionTrial(FormPage):
    """The views *Test now* and *Accounts*, and the test before a save."""

    def trial_urls(self) -> list[Any]:
        return [
            view_path(self, "test", self.test_view, "test"),
            view_path(self, "accounts", self.accounts_view, "accounts"),
            view_path(self, "account", self.account_view, "account"),
        ]

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask the CRM whether the stored credentials and account fit."""
        connection = self._allowed(request, object_id)
        if connection is None:
            return self.gone(request, object_id)
        back = self.change_url(connection.pk)

        def act() -> str:
            verification.verify_now(connection.pk, who(request))
            return f"“{connection}” works: the CRM accepts its credentials."

        if request.method != "POST":
            says = ("One request that changes nothing is made to the CRM.",)
            question = Question(f"Test “{connection}”?", "Test now", says, lambda _form: act())
            return ask(self, request, connection, question, back)
        try:
            self.message_user(request, act(), messages.SUCCESS)
        except NotPossible as error:
            self.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(back)

    def accounts_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The accounts that the stored credentials open, as the provider lists them now."""
        connection = self._allowed(request, object_id)
        known = account_list(connection.provider) if connection else None
        if connection is None or known is None:
            return self.gone(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        found: Sequence[ProviderAccount] = ()
        problem = ""
        try:
            found = verification.accounts(connection)
        except NotPossible as error:
            problem = str(error)
        context = self.frame(
            request,
            connection,
            f"Credentials of this consumer: {connection}",
            rows=Paginator(found, PER_PAGE).get_page(request.GET.get("page")),
            problem=problem,
            chosen=connection.config.get(known.chosen, ""),
            back=self.change_url(connection.pk),
        )
        return TemplateResponse(request, "admin/integrations/connection/accounts.html", context)

    def account_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Make the connection one for another of these accounts, after asking."""
        connection = self._allowed(request, object_id)
        known = account_list(connection.provider) if connection else None
        chosen = request.GET.get("id", "").strip()[:LONGEST]
        if connection is None or known is None or not chosen or "\x00" in chosen:
            return self.gone(request, object_id)
        data = {known.chosen: chosen}

        def act(_form: forms.Form) -> str:
            try:
                tried = verification.try_out(connection.provider, data, connection)
                if tried is not None and tried.error:
                    raise NotPossible(tried.error)
                by = who(request)
                done = connections.update_connection(connection.pk, data, actor=by.actor, via=by.via)
            except ValidationError as error:
                raise NotPossible(" ".join(error.messages)) from None
            if tried is not None and tried.verified_at is not None:
                verification.note_verified(connection.pk, tried.verified_at)
            return f"“{connection}” is for {chosen} now." if done else f"“{connection}” was for {chosen} already."

        says = (
            f"It is for {connection.config.get(known.chosen, 'none')} now.",
            "The new one is tried out first. A connection that has records in its account already is not changed.",
        )
        question = Question(f"Use {chosen} for “{connection}”?", "Use it", says, act)
        return ask(self, request, connection, question, self.change_url(connection.pk))

    def _allowed(self, request: HttpRequest, object_id: str) -> Any:
        connection = self.found(request, object_id)
        if connection is not None and not self.has_change_permission(request, connection):
            raise PermissionDenied
        return connection


def account_list(provider: str) -> AccountList | None:
    """How this provider's accounts are listed, where they are."""
    return registry.manifest(provider).accounts if provider in registry.slugs() else None


def offered_accounts(form: Any, data: dict[str, Any]) -> None:
    """Puts the accounts of the credentials typed in the form onto it, or why they are not known. Saves nothing."""
    secret = {one.name for one in form.manifest.fields if one.secret}
    config = {name: str(data.get(name, "")).strip() for name in data if name not in secret}
    typed = {name: str(data.get(name, "")).strip() for name in secret if data.get(name)}
    try:
        form.told_accounts = verification.accounts_for(form.manifest.slug, config, typed)
    except NotPossible as error:
        form.add_error(None, str(error))


def choose_account(form: Any) -> None:
    """Fills in the account that was pressed. Saves nothing."""
    known = form.manifest.accounts
    form.data = form.data.copy()
    form.data[known.chosen] = form.data["_choose"].strip()[:LONGEST]
    form.chosen_account = form.data[known.chosen]


def tried(form: Any, data: dict[str, Any], connection: Connection | None, forget: Sequence[str]) -> Tried | None:
    """The test before a save. None: nothing may be saved, and the form says why.

    A press on "save anyway" is not tested. Raises ValidationError.
    """
    if "_anyway" in form.data:
        connections.check_connection(form.manifest.slug, data, connection)
        return Tried(UNTESTED)
    done = verification.try_out(form.manifest.slug, data, connection, forget=forget)
    if done is None:
        return Tried()
    if done.error and not done.renewed:
        form.add_error(done.correct if done.correct in form.fields else None, done.error)
        form.offer_anyway = True
        return None
    return done
