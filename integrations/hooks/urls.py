"""One address for all: what is no key of ours is refused like a wrong signature, not answered with a 404."""

from django.urls import re_path

from .views import hook

app_name = "hooks"
urlpatterns = [re_path(r"^(?P<key>[^/]*)/?$", hook, name="hook")]
