"""Signing in at a CRM on its own page: the page that sends the browser there, and the address it comes back to."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from csp import constants as csp
from csp.decorators import csp_replace
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache

from integrations import conf
from integrations.models import Connection
from integrations.operations import consent
from integrations.operations.refusals import NotPossible

from .forms_page import FormPage
from .pages import view_path, who

LONGEST = 4000


class ConnectionConsent(FormPage):
    """The views *Sign in at the CRM* and *signed in*."""

    def consent_urls(self) -> list[Any]:
        return [
            # Not behind the admin's own sign-in page: that would carry the code along in its address.
            path("signed-in/", never_cache(self.signed_in_view), name=self.url_name("signed_in")),
            view_path(self, "sign-in", self.sign_in_view, "sign_in"),
        ]

    def sign_in_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Says what comes and which address the app must know; a press sends the browser to the CRM's page."""
        connection = self.found(request, object_id)
        if connection is None or not consent.offered(connection.provider):
            return self.gone(request, object_id)
        if not self.has_change_permission(request, connection):
            raise PermissionDenied
        redirect_uri = request.build_absolute_uri(reverse(f"admin:{self.url_name('signed_in')}"))
        problem = ""
        if request.method == "POST":
            try:
                address = consent.begin(
                    connection.pk, session_key=request.session.session_key or "", redirect_uri=redirect_uri
                )
                return HttpResponseRedirect(address)
            except NotPossible as error:
                problem = str(error)
        context = self.frame(
            request,
            connection,
            f"Sign in at {consent.label(connection.provider)}: {connection}",
            provider=consent.label(connection.provider),
            redirect_uri=redirect_uri,
            problem=problem,
            back=self.change_url(connection.pk),
        )
        page = TemplateResponse(request, "admin/integrations/connection/sign_in.html", context)
        # A browser holds form-action against where the answer to the form sends it, too.
        return csp_replace({"form-action": [csp.SELF, _origin(connection)]})(lambda _request: page)(request)

    def signed_in_view(self, request: HttpRequest) -> HttpResponse:
        """What the CRM's page sent back. Always goes on to a page of ours, so that no address shown holds a code."""
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET"])
        if not self.admin_site.has_permission(request):
            text = "Sign in here first, then begin the sign-in at the CRM again: nothing was changed."
            self.message_user(request, text, messages.ERROR)
            return redirect_to_login(self.list_url(), reverse("admin:login"))
        if not self.has_change_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return HttpResponseNotAllowed(["GET"])
        answer = {name: value[:LONGEST].replace("\x00", "") for name, value in request.GET.items()}
        ended = consent.finish(answer, session_key=request.session.session_key or "", who=who(request))
        self.message_user(request, ended.words, messages.SUCCESS if ended.signed_in else messages.ERROR)
        back = self.list_url() if ended.connection_id is None else self.change_url(ended.connection_id)
        return HttpResponseRedirect(back)


def _origin(connection: Connection) -> str:
    parts = urlsplit(conf.current().base_urls[consent.page_of(connection.provider)])
    return f"{parts.scheme}://{parts.netloc}"
