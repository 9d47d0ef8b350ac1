"""The WSGI application that granian serves."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reanna.settings.local")

application = get_wsgi_application()
# What a program is made of never becomes garbage: looked through again, it holds a request up for 150 ms now and then.
get_resolver().url_patterns  # noqa: B018  loads the pages, which the first request would
gc.collect()
gc.freeze()
