"""All URLs of the product."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from reanna.health import healthz

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("healthz", healthz),
    path("admin/", admin.site.urls),
    path("hooks/", include("integrations.hooks.urls")),
    path("api/", include("reanna.api", namespace="api")),
]
