"""The door for webhooks: reads no more than it may, never raises, never answers bad input with a 5xx."""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from integrations.fields import Unreadable
from integrations.operations import receiving
from integrations.operations.receiving import Told
from integrations.signatures.request import Request

log = logging.getLogger(__name__)
NOT_NOW = Told(429, "not now", again_s=receiving.AGAIN_S)


@csrf_exempt
def hook(request: HttpRequest, key: str) -> HttpResponse:
    """2xx: it is stored, or was before. 401: not from whom it should be. 413, 415: nothing we take. 429: come back."""
    if settings.REANNA_HOOKS_REQUIRE_TLS and not request.is_secure():
        return _answer(Told(403, "only over TLS"))
    if request.method != "POST":
        return _answer(Told(405, "POST it"))
    try:
        return _answer(_told(request, key))
    except (DatabaseError, InterfaceError, Unreadable) as error:
        # Whatever the provider, it comes again after a 429; with a 2xx it would be lost.
        log.error("a webhook could not be taken in: %s", type(error).__name__)  # noqa: TRY400 - the text may name values
        return _answer(NOT_NOW)


def _told(request: HttpRequest, key: str) -> Told:
    source = receiving.source_of(key)
    most = receiving.largest(source)
    try:
        body = request.read(most + 1)
    except (UnreadablePostError, OSError):
        return Told(400, "the body broke off")
    sent = Request(
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        method=request.method or "",
        uri=public_address(request),
    )
    remote = receiving.remote_of(request.META, settings.REANNA_TRUSTED_PROXIES)
    return receiving.receive(source, sent, remote, timezone.now())


def public_address(request: HttpRequest) -> str:
    """The address as the provider called it: some sign it, and a proxy before us may show us another."""
    if settings.REANNA_PUBLIC_URL:
        return str(settings.REANNA_PUBLIC_URL).rstrip("/") + request.get_full_path()
    return request.build_absolute_uri()


def _answer(told: Told) -> HttpResponse:
    answer = JsonResponse({"result": told.text} | ({"id": told.delivery_id} if told.delivery_id else {}))
    answer.status_code = told.status
    answer._has_been_logged = True  # type: ignore[attr-defined]  # Django would log the address, which is a secret
    if told.status == 405:
        answer["Allow"] = "POST"
    if told.again_s:
        answer["Retry-After"] = str(told.again_s)
    return answer
