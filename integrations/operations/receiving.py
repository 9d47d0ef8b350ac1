"""Taking in a webhook: the checks in their order, then one row, then the answer. Nothing else happens on the way.

An address there is not is judged like one whose signature is wrong: by the same steps, against a secret nobody has.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import IntegrityError, transaction

from integrations import tasks
from integrations.models import Delivery, RefusedRequest, WebhookSource
from integrations.signatures.request import Request, Verdict
from integrations.signatures.schemes import SCHEMES, body_time, delivery_id, kept_headers

log = logging.getLogger(__name__)

JSON_TYPES = ("application/json",)
KEPT_REFUSED = 200
"""Refused requests kept of one source, and of all addresses there are not."""
MINUTE_MS = 60_000
AGAIN_S = 30
"""Retry-After. "Come back" is always 429: every provider does after it as after 503, and GoHighLevel after no other."""

_STATUS = {"too_large": 413, "encoded": 415, "content_type": 415, "too_many": 429, "paused": 429}
_REFUSED = 401
_NOBODYS = WebhookSource(scheme="typeform", secrets={"current": secrets.token_hex(32)})


@dataclass(frozen=True, slots=True)
class Told:
    """What is answered: an HTTP status, and the id of the delivery or the words of the refusal."""

    status: int
    text: str
    delivery_id: str = ""
    again_s: int = 0


def source_of(key: str) -> WebhookSource | None:
    """The source of an address. None for one there is not."""
    return WebhookSource.objects.filter(key=key).first() if len(key) <= 32 and key.isascii() else None


def largest(source: WebhookSource | None) -> int:
    """How many bytes of body are read."""
    return (source or _NOBODYS).max_bytes


def receive(source: WebhookSource | None, request: Request, remote: str, now: datetime) -> Told:
    """The answer to one request whose body was read up to one byte more than `largest`."""
    at = source or _NOBODYS
    reason = _refusal(at, request, remote, now)
    if source is None or reason:
        return refuse(source, reason or "unknown_source", request, remote, now)
    return _stored(source, request, remote, now)


def _refusal(source: WebhookSource, request: Request, remote: str, now: datetime) -> str:
    """Why this is not taken in, in a word; empty when it is."""
    if len(request.body) > source.max_bytes:
        return "too_large"
    if request.header("content-encoding").lower() not in ("", "identity"):
        return "encoded"
    kind = request.header("content-type").partition(";")[0].strip().lower()
    if kind not in (source.content_types or JSON_TYPES):
        return "content_type"
    verdict = SCHEMES[source.scheme].verify(request, source.secrets_at(now), source.options)
    if not verdict.right:
        return verdict.reason
    if not _in_time(source, request, verdict, now):
        return "out_of_time"
    if source.allowed_ips and not _from(source.allowed_ips, remote):
        return "address"
    return _not_now(source, now)


def _in_time(source: WebhookSource, request: Request, verdict: Verdict, now: datetime) -> bool:
    """Only a time that was signed says anything; many providers sign none, and retry the same request for hours."""
    at = verdict.at if verdict.at is not None else body_time(source.scheme, request)
    return not source.tolerance_s or at is None or abs(now.timestamp() - at) <= source.tolerance_s


def _from(allowed: list[str], remote: str) -> bool:
    try:
        address = ipaddress.ip_address(remote)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(one) for one in allowed)


def _not_now(source: WebhookSource, now: datetime) -> str:
    if source.state == WebhookSource.State.PAUSED:
        return "paused"
    since = _ms(now) - MINUTE_MS
    recent = Delivery.objects.filter(source=source, received_ms__gt=since).order_by()
    full = recent.values("pk")[max(source.per_minute - 1, 0) : source.per_minute]
    return "too_many" if full.exists() else ""


def refuse(source: WebhookSource | None, reason: str, request: Request, remote: str, now: datetime) -> Told:
    """Keeps what was refused, without its body, and answers; a refusal that could guide a forger tells nothing."""
    status = _STATUS.get(reason, _REFUSED)
    refused = RefusedRequest.objects.create(
        source=source,
        at_ms=_ms(now),
        reason=reason,
        status=status,
        remote=remote,
        headers=kept_headers((source or _NOBODYS).scheme, request),
        size=len(request.body),
        body_sha256=hashlib.sha256(request.body).hexdigest(),
    )
    kept = RefusedRequest.objects.filter(source=source).order_by("-pk").values_list("pk", flat=True)
    oldest = list(kept[KEPT_REFUSED : KEPT_REFUSED + 1])
    if oldest:
        RefusedRequest.objects.filter(source=source, pk__lte=oldest[0]).delete()
    log.info("webhook refused: %s (%s, quarantine %s)", reason, source.pk if source else "no source", refused.pk)
    words = {401: "refused", 413: "too large", 415: "not a type that is taken here", 429: "not now"}
    return Told(status, words[status], again_s=AGAIN_S if status == 429 else 0)


def _stored(source: WebhookSource, request: Request, remote: str, now: datetime) -> Told:
    """One row, or the one that is there already. Who comes second is told the first one's id."""
    digest = hashlib.sha256(request.body).hexdigest()
    theirs = delivery_id(source.scheme, source.options, request)
    key = theirs or digest
    signed = bool(theirs) and (SCHEMES[source.scheme].id_signed or bool(source.options.get("id_field")))
    row = Delivery(
        source=source,
        delivery_key=key,
        content_key=hashlib.sha256(f"{key} {digest}".encode()).hexdigest() if signed else digest,
        body_sha256=digest,
        body=request.body,
        headers=kept_headers(source.scheme, request),
        remote=remote,
        received_ms=_ms(now),
        due_ms=_ms(now),
    )
    if _inserted(row):
        tasks.ring_for_deliveries()
        return Told(202, "taken", str(row.public_id))
    first = Delivery.objects.filter(source=source, delivery_key=key, conflict_of__isnull=True).first()
    if first is not None and first.body_sha256 != digest:
        row.conflict_of, row.state = first, Delivery.State.CONFLICT
        row.reason = "the provider sent this id before, with another body"
        if _inserted(row):
            return Told(202, "taken", str(row.public_id))
    same = first if first is not None and first.body_sha256 == digest else _same(row)
    return Told(200, "known", str(same.public_id))


def _inserted(row: Delivery) -> bool:
    """Whether it is the first of its keys: the database decides, whoever else writes at the same time."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        row.pk = None
        return False
    return True


def _same(row: Delivery) -> Delivery:
    return Delivery.objects.get(source=row.source, content_key=row.content_key)


def _ms(now: datetime) -> int:
    return int(now.timestamp() * 1000)


def moment(ms: int) -> datetime:
    """An instant from the milliseconds of a row."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def remote_of(meta: Mapping[str, str], proxies: int) -> str:
    """The caller's address, seen from that many proxies of ours: never what the caller says of itself."""
    if not proxies:
        return meta.get("REMOTE_ADDR", "")[:45]
    hops = [hop.strip() for hop in meta.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    return hops[-proxies][:45] if len(hops) >= proxies else ""
