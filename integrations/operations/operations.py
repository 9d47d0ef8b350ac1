"""What a person may do to an operation: retry, cancel, answer "did it arrive?", go on without a predecessor.

Each is safe under double clicks (the second press finds nothing to do), audited, and says what it did.
"""

from __future__ import annotations

from dataclasses import replace

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, QuerySet

from integrations.engine import settling, states
from integrations.engine.claims import columns_of, row_of
from integrations.engine.clock import db_now
from integrations.engine.kinds import KINDS
from integrations.models import ExternalRef, Operation, OperationDependency
from integrations.tasks import ring_after_commit

from . import audit
from .audit import Who


def _locked(operation_id: int) -> Operation:
    return Operation.objects.select_for_update().get(pk=operation_id)


def _ref_of(operation: Operation) -> QuerySet[ExternalRef]:
    """The link of what the operation is about."""
    return ExternalRef.objects.filter(
        connection_id=operation.connection_id,
        entity_type=operation.entity_type,
        entity_id=operation.entity_id,
        resource=KINDS[operation.kind].resource,
    )


def _write(operation: Operation, new: states.Row, verb: str, who: Who) -> Operation:
    before = {"state": operation.state, "reason": operation.reason}
    terminal = new.state in states.TERMINAL
    Operation.objects.filter(pk=operation.pk).update(**columns_of(new), settled_ms=db_now() if terminal else None)
    operation.refresh_from_db()
    after = {"state": operation.state, "reason": operation.reason}
    audit.record(verb, operation, actor=who.actor, via=who.via, reason=who.reason, before=before, after=after)
    if terminal:
        settling.release(operation, new)
    ring_after_commit(operation.connection_id)
    return operation


@transaction.atomic
def retry(operation_id: int, who: Who) -> Operation:
    """dead, cancelled or needs_person → pending; a row in doubt looks first. On any other state nothing happens."""
    operation = _locked(operation_id)
    row = row_of(operation)
    if row.state not in ("dead", "cancelled", "needs_person"):
        return operation
    return _write(operation, states.redrive(row, db_now()), "retry", who)


@transaction.atomic
def recreate(operation_id: int, who: Who) -> Operation:
    """What was deleted in the CRM is made there again, from our record as it is now. Elsewhere nothing happens."""
    operation = _locked(operation_id)
    row = row_of(operation)
    if (row.state, row.reason) != ("dead", "gone_at_provider"):
        return operation
    return _write(operation, states.redrive(row, db_now()), "recreate", who)


@transaction.atomic
def cancel(operation_id: int, who: Who) -> Operation:
    """Ends an operation that was not sent. Raises ValidationError when it may have been: then only asking tells."""
    operation = _locked(operation_id)
    row = row_of(operation)
    if row.state in states.TERMINAL or row.cancel_requested:
        return operation
    try:
        new = states.cancel(row)
    except states.IllegalMove:
        raise ValidationError(
            "This may have reached the CRM already: it cannot be cancelled, only looked up.", code="in_doubt"
        ) from None
    return _write(operation, new, "cancel", who)


@transaction.atomic
def answer_arrived(operation_id: int, external_id: str, who: Who) -> Operation:
    """A person looked in the CRM: it did arrive, under `external_id`."""
    operation = _locked(operation_id)
    row = row_of(operation)
    if row.state != "needs_person":
        return operation
    if not external_id.strip():
        raise ValidationError({"external_id": "Give the record's id in the CRM."})
    resource = KINDS[operation.kind].resource
    taken = ExternalRef.objects.filter(
        connection_id=operation.connection_id, resource=resource, external_id=external_id.strip()
    ).exclude(entity_type=operation.entity_type, entity_id=operation.entity_id)
    if taken.exists():
        raise ValidationError({"external_id": "This record is linked to another of ours already."})
    ExternalRef.objects.update_or_create(
        connection_id=operation.connection_id,
        entity_type=operation.entity_type,
        entity_id=operation.entity_id,
        resource=resource,
        defaults={
            "external_id": external_id.strip(),
            "acked_digest": None,
            "acked_body": None,
            "acked_version": operation.version,
        },
    )
    return _write(operation, states.answer_arrived(row), "answer_arrived", replace(who, reason=external_id.strip()))


@transaction.atomic
def answer_not_arrived(operation_id: int, who: Who) -> Operation:
    """A person looked in the CRM: it did not arrive. It is sent again."""
    operation = _locked(operation_id)
    row = row_of(operation)
    if row.state != "needs_person":
        return operation
    _ref_of(operation).update(acked_body=None)  # what is there was never read: nothing to compare with
    new = states.answer_not_arrived(row, db_now())
    return _write(operation, new, "answer_not_arrived", who)


@transaction.atomic
def send_ours(operation_id: int, who: Who) -> Operation:
    """The record was changed in the CRM: ours is written over it. Nothing happens when this is not asked (any more)."""
    operation = _locked(operation_id)
    row = row_of(operation)
    if not states.asks_to_overwrite(row):
        return operation
    # Without what was acknowledged nothing is compared, and ours is sent even if it equals what we wrote before.
    _ref_of(operation).update(acked_body=None, acked_digest=None)
    return _write(operation, states.send_ours(row, db_now()), "send_ours", who)


@transaction.atomic
def keep_theirs(operation_id: int, who: Who) -> Operation:
    """The record was changed in the CRM and stays as it is there; our next change of it asks again."""
    operation = _locked(operation_id)
    row = row_of(operation)
    if not states.asks_to_overwrite(row):
        return operation
    _ref_of(operation).update(acked_digest=None)
    return _write(operation, states.keep_theirs(row), "keep_theirs", who)


@transaction.atomic
def skip_predecessors(operation_id: int, who: Who) -> Operation:
    """Goes on without predecessors that are dead or cancelled. Raises ValidationError when one may have been sent."""
    # Edges first, then the row: in the order in which a predecessor that ends takes them.
    edges = (
        OperationDependency.objects.select_for_update(of=("self",))
        .filter(operation_id=operation_id, settled=False)
        .select_related("needs")
        .order_by("pk")
    )
    stuck = [edge for edge in edges if edge.needs.state in ("dead", "cancelled")]
    operation = _locked(operation_id)
    if any(edge.needs.in_doubt for edge in stuck):
        raise ValidationError("What this waits for may have reached the CRM: look it up first.", code="in_doubt")
    if not stuck:
        return operation
    OperationDependency.objects.filter(pk__in=[edge.pk for edge in stuck]).update(settled=True)
    Operation.objects.filter(pk=operation.pk).update(blockers=F("blockers") - len(stuck))
    operation.refresh_from_db()
    after = {"skipped": [str(edge.needs_id) for edge in stuck]}
    audit.record("skip_predecessor", operation, actor=who.actor, via=who.via, reason=who.reason, after=after)
    ring_after_commit(operation.connection_id)
    return operation
