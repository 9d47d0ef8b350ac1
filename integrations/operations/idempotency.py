"""Requests that may be sent again: the same key and body get the same answer, and the work is done once.

The row is committed before the work begins; the answer is stored in the work's own transaction, so what took effect
has its answer. A request whose process died is taken over after a minute: nothing of it took effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F

from integrations.models import IdempotentRequest

KEPT = timedelta(hours=24)
LOST_AFTER_MS = 60_000
_BATCH = 1_000


class OtherRequest(Exception):
    """The key was used for another request."""


class StillRunning(Exception):
    """The same request is being worked on."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to do the work of one request; or, with `answer`, what came of it."""

    row_id: int
    number: int = 0
    answer: Answer | None = None


def begin(client: str, key: str, digest: str, now_ms: int) -> Turn:
    """The turn to do this request. To be called outside a transaction. Raises OtherRequest, StillRunning."""
    for _ in range(2):
        try:
            with transaction.atomic():
                row = IdempotentRequest.objects.create(
                    client=client, key=key, digest=digest, created_ms=now_ms, started_ms=now_ms
                )
            return Turn(row.pk, row.turn)
        except IntegrityError:
            known = IdempotentRequest.objects.filter(client=client, key=key).first()
        if known is not None and not _expired(known, now_ms):
            return _again(known, digest, now_ms)
        if known is not None:
            known.delete()
    raise StillRunning


def _expired(row: IdempotentRequest, now_ms: int) -> bool:
    return row.created_ms <= now_ms - _kept_ms()


def _kept_ms() -> int:
    return int(KEPT.total_seconds() * 1000)


def _again(row: IdempotentRequest, digest: str, now_ms: int) -> Turn:
    if row.digest != digest:
        raise OtherRequest
    if row.status is not None:
        return Turn(row.pk, answer=Answer(row.status, row.headers, row.body))
    if row.started_ms > now_ms - LOST_AFTER_MS:
        raise StillRunning
    mine = IdempotentRequest.objects.filter(pk=row.pk, turn=row.turn, status__isnull=True)
    if not mine.update(turn=F("turn") + 1, started_ms=now_ms):
        raise StillRunning
    return Turn(row.pk, row.turn + 1)


def finish(turn: Turn, answer: Answer) -> None:
    """Store the answer. Raises StillRunning when another took the request over: then this work must not stand."""
    mine = IdempotentRequest.objects.filter(pk=turn.row_id, turn=turn.number, status__isnull=True)
    if not mine.update(status=answer.status, headers=dict(answer.headers), body=answer.body):
        raise StillRunning


def abandon(turn: Turn) -> None:
    """The work failed in a way that may pass, and nothing of it stands: the same key may try again."""
    IdempotentRequest.objects.filter(pk=turn.row_id, turn=turn.number, status__isnull=True).delete()


def purge(now: datetime) -> int:
    """Forget answers past their day."""
    before = int((now - KEPT).timestamp() * 1000)
    total = 0
    while ids := list(IdempotentRequest.objects.filter(created_ms__lte=before).values_list("pk", flat=True)[:_BATCH]):
        total += IdempotentRequest.objects.filter(pk__in=ids).delete()[0]
    return total
