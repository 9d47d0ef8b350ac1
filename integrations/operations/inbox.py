"""Working on webhooks: the row is the queue. Each event of a delivery settles by itself, with what it does, at once.

A bell rings after a delivery is stored; a job finds what no bell was heard for. Doubled work meets the row's lock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from integrations import tasks
from integrations.models import Delivery, WebhookEvent, WebhookSource

from . import audit
from .audit import Who
from .envelopes import Envelope, envelopes
from .typeform_answers import KIND, Unmatched, save_answer

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 6
BACKOFF_S = (10, 60, 300, 1800, 7200)
AT_ONCE = 200
DONE, IGNORED, WAITING = WebhookEvent.State.DONE, WebhookEvent.State.IGNORED, WebhookEvent.State.WAITING


def work_on_all(*, stopping: Callable[[], bool] = lambda: False) -> int:
    """Works on what is due, the oldest first; how many deliveries."""
    worked = 0
    while not stopping():
        now_ms = _ms(timezone.now())
        due = Delivery.objects.filter(state=Delivery.State.RECEIVED, due_ms__lte=now_ms).order_by("due_ms", "pk")
        ids = list(due.values_list("pk", flat=True)[:AT_ONCE])
        for pk in ids:
            if stopping():
                break
            worked += _work(pk)
        if len(ids) < AT_ONCE:
            break
    return worked


def _work(pk: int) -> bool:
    """One delivery. What is raised unforeseen is tried again later, and shown when it never ends."""
    try:
        with transaction.atomic():
            delivery = _taken(pk)
            if delivery is None:
                return False
            _settle(delivery)
    except Exception as error:  # one delivery must not keep the others from being worked on
        log.exception("webhook delivery %s failed", pk)
        _failed(pk, type(error).__name__)
    return True


def _taken(pk: int) -> Delivery | None:
    rows = Delivery.objects.select_for_update(of=("self",)).select_related("source")
    return rows.filter(pk=pk, state=Delivery.State.RECEIVED, due_ms__lte=_ms(timezone.now())).first()


def _settle(delivery: Delivery) -> None:
    source = delivery.source
    try:
        found = envelopes(source.scheme, delivery.headers, bytes(delivery.body), str(delivery.public_id))
    except ValueError as error:
        _end(delivery, Delivery.State.DEAD, f"It cannot be read: {error}")
        return
    done = dict(delivery.events.values_list("position", "state"))
    failed = ""
    for position, event in enumerate(found):
        if done.get(position) not in (DONE, IGNORED):
            failed = _settle_event(delivery, position, event) or failed
    if failed:
        _again(delivery, failed)
        return
    states = dict(delivery.events.values_list("state", "reason"))
    ends = ((WAITING, Delivery.State.WAITING), (DONE, Delivery.State.DONE), (IGNORED, Delivery.State.IGNORED))
    state, end = next((pair for pair in ends if pair[0] in states), ends[-1])
    _end(delivery, end, states.get(state, "there was no event in it"))


def _settle_event(delivery: Delivery, position: int, event: Envelope) -> str:
    """What it does and that it did, together; the name of what was raised unforeseen, and then neither."""
    try:
        with transaction.atomic():
            state, reason = _applied(event, delivery.source)
            told = {"kind": event.type[:80], "occurred_at": event.occurred_at[:40], "subject": event.subject}
            told |= {"state": state, "reason": reason[:300]}
            WebhookEvent.objects.update_or_create(delivery=delivery, position=position, defaults=told)
    except Exception as error:  # the others of the delivery settle all the same
        log.exception("event %s of webhook delivery %s failed", position, delivery.pk)
        return type(error).__name__
    return ""


def _applied(event: Envelope, source: WebhookSource) -> tuple[WebhookEvent.State, str]:
    """What this source is for, done for one event."""
    if source.purpose != WebhookSource.Purpose.FEEDBACK:
        return IGNORED, "kept"
    if event.type != KIND:
        return IGNORED, "not a finished answer"
    try:
        with transaction.atomic():
            return DONE, save_answer(event, source.mapping, source.label)
    except Unmatched as error:
        return WAITING, str(error)


def _end(delivery: Delivery, state: Delivery.State, reason: str) -> None:
    delivery.state, delivery.reason, delivery.attempts = state, reason[:300], delivery.attempts + 1
    delivery.save(update_fields=["state", "reason", "attempts"])


def _failed(pk: int, error: str) -> None:
    with transaction.atomic():
        delivery = _taken(pk)
        if delivery is not None:
            _again(delivery, error)


def _again(delivery: Delivery, error: str) -> None:
    """The next try, or the end of trying."""
    if delivery.attempts + 1 >= MAX_ATTEMPTS:
        _end(delivery, Delivery.State.DEAD, f"It failed {MAX_ATTEMPTS} times: {error}")
        return
    delivery.due_ms = _ms(timezone.now()) + BACKOFF_S[delivery.attempts] * 1000
    delivery.save(update_fields=["due_ms"])
    _end(delivery, Delivery.State.RECEIVED, f"It failed and is tried again: {error}")


def replay(ids: Sequence[int], who: Who, *, now: datetime) -> int:
    """Have deliveries worked on again; how many. Events that are done stay so; the verdict on the signature stands."""
    again = (Delivery.State.DONE, Delivery.State.IGNORED, Delivery.State.WAITING, Delivery.State.DEAD)
    with transaction.atomic():
        rows = list(
            Delivery.objects.select_for_update(of=("self",))
            .select_related("source")
            .filter(pk__in=ids, state__in=again)
            .order_by("pk")
        )
        became = {"state": Delivery.State.RECEIVED.value}
        events = [audit.event("delivery.replay", one, who, before={"state": one.state}, after=became) for one in rows]
        WebhookEvent.objects.filter(delivery__in=rows, state=IGNORED).delete()
        for one in rows:
            one.state, one.reason, one.attempts, one.due_ms = Delivery.State.RECEIVED, "", 0, _ms(now)
            one.save(update_fields=["state", "reason", "attempts", "due_ms"])
        audit.record_all(events)
        if rows:
            tasks.ring_for_deliveries()
    return len(rows)


def _ms(now: datetime) -> int:
    return int(now.timestamp() * 1000)
