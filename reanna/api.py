"""The API's addresses: one line a resource."""

from __future__ import annotations

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from integrations.api.agents import Agents, Offices
from integrations.api.base import NoSuchAddress
from integrations.api.connections import Connections
from integrations.api.feedback import Answers
from integrations.api.left_out import LeftOuts
from integrations.api.operations import Operations
from integrations.api.people import Contacts
from integrations.api.sync import SyncState
from integrations.api.tours import Tours

router = SimpleRouter(trailing_slash=False)
router.register("tours", Tours, basename="tours")
router.register("feedback", Answers, basename="feedback")
router.register("contacts", Contacts, basename="contacts")
router.register("agents", Agents, basename="agents")
router.register("offices", Offices, basename="offices")
router.register("connections", Connections, basename="connections")
router.register("operations", Operations, basename="operations")
router.register("left-out", LeftOuts, basename="left-out")
router.register("sync-state", SyncState, basename="sync-state")

OPEN_TO_ALL = {"authentication_classes": (), "permission_classes": ()}

urlpatterns = [
    *router.urls,
    path("schema", SpectacularAPIView.as_view(**OPEN_TO_ALL), name="schema"),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(url_name="api:schema", template_name="api_docs.html", **OPEN_TO_ALL),
        name="docs",
    ),
    re_path(r".*", NoSuchAddress.as_view({"get": "retrieve"})),
]
app_name = "api"
