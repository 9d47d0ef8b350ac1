"""How the admin looks and what its sidebar holds: the settings of django-unfold.

https://unfoldadmin.com/docs/configuration/settings/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: bool(request.user.has_perm(permission))


def _page(title: str, icon: str, model: str, app: str = "integrations") -> dict[str, Any]:
    """One line of the sidebar, for those who may see that list."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": _may(f"{app}.view_{model}"),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "REanna Router",
    "SITE_HEADER": "REanna Router",
    "SITE_SYMBOL": "conversion_path",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("integrations/icon.svg")}
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": False,  # ours is the audit trail, linked from each page
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda _request: static("integrations/admin.css")],
    "SCRIPTS": [lambda _request: static("integrations/labels.js")],
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97.1% .013 237)",
            "100": "oklch(94.3% .029 238)",
            "200": "oklch(89.2% .058 237)",
            "300": "oklch(80.9% .105 237)",
            "400": "oklch(70.7% .14 241)",
            "500": "oklch(60.9% .15 244)",
            "600": "oklch(51.5% .14 247)",
            "700": "oklch(44.6% .12 248)",
            "800": "oklch(39% .1 249)",
            "900": "oklch(34.3% .085 250)",
            "950": "oklch(25.8% .065 252)",
        }
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    {"title": "Overview", "icon": "space_dashboard", "link": reverse_lazy("admin:index")},
                    _page("Tours", "tour", "tour"),
                    _page("Feedback", "reviews", "feedback"),
                    _page("Buyers", "groups", "contact"),
                ]
            },
            {
                "title": "Sending",
                "separator": True,
                "items": [
                    _page("Operations", "sync_alt", "operation"),
                    _page("Connections", "hub", "connection"),
                ],
            },
            {
                "title": "Webhooks in",
                "separator": True,
                "items": [
                    _page("Deliveries", "inbox", "delivery"),
                    _page("Sources", "webhook", "webhooksource"),
                    _page("Refused", "block", "refusedrequest"),
                ],
            },
            {
                "title": "Records",
                "separator": True,
                "items": [
                    _page("Imports", "upload_file", "importrun"),
                    _page("Audit trail", "history", "auditevent"),
                    _page("Agents", "badge", "agent"),
                    _page("Offices", "apartment", "office"),
                ],
            },
            {
                "title": "Settings",
                "separator": True,
                "collapsible": True,
                "items": [
                    _page("API tokens", "key", "apitoken"),
                    _page("Users", "person", "user", "auth"),
                    _page("Groups", "group", "group", "auth"),
                    _page("Scheduled jobs", "schedule", "periodictask", "django_celery_beat"),
                ],
            },
        ],
    },
}
