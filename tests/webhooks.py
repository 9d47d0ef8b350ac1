"""Webhooks for tests: sources, and requests signed as a provider signs them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from django.test import Client
from django.utils import timezone

from integrations.models import Delivery, RefusedRequest, WebhookSource
from integrations.operations.audit import Who
from integrations.operations.webhook_sources import SourceInput, save_source

SECRET = "typeform-test-secret"


def make_source(label: str = "The form", scheme: str = "typeform", **changes: Any) -> WebhookSource:
    """A source whose secret is `SECRET` unless told otherwise."""
    data = {"label": label, "scheme": scheme, "options": {}, "secret": SECRET, **changes}
    return save_source(SourceInput(**data), Who("ada", "admin"), now=timezone.now())


def body_of(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


def typeform_signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def post(source: WebhookSource | str, body: bytes, secret: str = SECRET, **headers: Any) -> Any:
    """A request as Typeform sends it; headers as the test client takes them (`HTTP_…`)."""
    key = source if isinstance(source, str) else source.key
    sent = {"HTTP_TYPEFORM_SIGNATURE": typeform_signature(body, secret), "content_type": "application/json", **headers}
    return Client(raise_request_exception=False).post(f"/hooks/{key}/", body, **sent)


def webhook_records() -> dict[str, Any]:
    """One record of each kind, as the tests of the admin's pages name them."""
    source = WebhookSource.objects.filter(label="The form").first() or make_source()
    digest = hashlib.sha256(b"{}").hexdigest()
    delivery, _ = Delivery.objects.get_or_create(
        source=source,
        delivery_key="e-1",
        defaults={"content_key": digest, "body_sha256": digest, "body": b"{}", "received_ms": 1_789_000_000_000},
    )
    refused = RefusedRequest.objects.create(
        source=source, at_ms=1_789_000_000_000, reason="wrong_signature", status=401
    )
    return {
        "integrations_delivery": delivery.pk,
        "integrations_refusedrequest": refused.pk,
        "integrations_webhooksource": source.pk,
    }
