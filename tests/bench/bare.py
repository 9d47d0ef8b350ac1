"""What one would write without an engine: a Celery task that posts and updates. Nothing of it is lost-proof."""

from __future__ import annotations

import os

import django
import httpx
from celery import Celery
from celery.signals import worker_init

app = Celery("bare", broker=os.environ.get("REDIS_URL", "memory://").replace("unix://", "redis+socket://"))
http = httpx.Client(base_url=os.environ.get("REANNA_BASE_URL_GOHIGHLEVEL", ""), timeout=20)


@worker_init.connect
def prepare(**_: object) -> None:
    """Django, as any task that updates a row needs it."""
    django.setup()


@app.task  # type: ignore[untyped-decorator]  # so in celery
def post_note(operation_id: int, person: str, token: str, text: str) -> None:
    """One POST, one UPDATE."""
    from integrations.models import Operation

    headers = {"Authorization": f"Bearer {token}", "Version": "2021-07-28"}
    http.post(f"/contacts/{person}/notes", json={"body": text}, headers=headers).raise_for_status()
    Operation.objects.filter(pk=operation_id).update(state="succeeded")
