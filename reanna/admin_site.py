"""The admin site of the product: its name, and a first page that says what waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from csp import constants as csp
from csp.decorators import csp_update
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods
from unfold.sites import UnfoldAdminSite

METHODS = ("GET", "HEAD", "OPTIONS", "POST")
# Alpine.js, which django-unfold is made with, evaluates attributes: https://alpinejs.dev/advanced/csp
MAY_EVALUATE = csp_update({"script-src": [csp.SELF, csp.UNSAFE_EVAL]})


class RouterAdminSite(UnfoldAdminSite):
    """The admin with our overview on its first page; its look is `look.UNFOLD`."""

    index_title = "Overview"
    empty_value_display = "—"

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        """Pages of the admin may evaluate scripts of our own files; they are looked at and posted to, nothing else."""
        return require_http_methods(METHODS)(MAY_EVALUATE(super().admin_view(view, cacheable)))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Also what stands above every page while sending is not as usual; asked for when a page is drawn."""
        from integrations.admin import banner  # as in `index`

        return {**super().each_context(request), "sending_notice": banner.load}

    @method_decorator(require_http_methods(METHODS))
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The sign-in page is drawn by the same scripts."""
        return MAY_EVALUATE(super().login)(request, extra_context)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The overview stands above the list of records, for those who may see operations."""
        from integrations.admin import overview  # registers with this site, so it can only be imported after it

        may_look = request.user.has_perm("integrations.view_operation")
        context = {"overview": overview.load() if may_look else None}
        return super().index(request, {**context, **(extra_context or {})})


class RouterAdminConfig(AdminConfig):
    """Makes that site the default one, which every `admin.register` uses."""

    default_site = "reanna.admin_site.RouterAdminSite"
