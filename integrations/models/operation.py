"""The operation: one effect on an outside system. The row is the queue and the whole story."""

from __future__ import annotations

import re
import secrets
from typing import Any, ClassVar

from django.db import models
from django.db.models import BooleanField, F, Func, Q
from django.utils import timezone

from .base import Record
from .connection import Connection


class State(models.TextChoices):
    """States of an operation; which may follow which is `engine/states.py`."""

    PENDING = "pending"
    LEASED = "leased"
    WAITING = "waiting"
    RETRYABLE = "retryable"
    UNKNOWN = "unknown"
    NEEDS_PERSON = "needs_person"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    IGNORED = "ignored"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


CLAIMABLE = (State.PENDING, State.WAITING, State.RETRYABLE, State.UNKNOWN)
OPEN = (*CLAIMABLE, State.LEASED, State.NEEDS_PERSON)
TERMINAL = (State.SUCCEEDED, State.DEAD, State.IGNORED, State.SUPERSEDED, State.CANCELLED)
UNSETTLED = (*OPEN, State.DEAD)
"""What someone or something has still to see to."""


def _literally(name: str, condition: str) -> Func:
    """A condition on a column, with no parameter in it."""
    return Func(F(name), template=f"%(expressions)s {condition}", output_field=BooleanField())


def _among(states: tuple[State, ...]) -> str:
    return f"IN ({', '.join(map(repr, map(str, states)))})"


class OperationQuerySet(models.QuerySet["Operation"]):
    def of(self, entity_type: str, entity_id: int) -> OperationQuerySet:
        return self.filter(entity_type=entity_type, entity_id=entity_id)

    def claimable(self) -> OperationQuerySet:
        """Open, in nobody's hand and blocked by nothing, whenever it is due.

        The words are those of the partial indexes and stand in the SQL itself: given as parameters, SQLite could not
        know that an index holds all such rows, and would read and sort everything that is open for each claim
        (https://www.sqlite.org/partialindex.html, 3.1).
        """
        return self.filter(_literally("state", _among(CLAIMABLE)), _literally("blockers", "= 0"))

    def unsettled(self, *states: str) -> OperationQuerySet:
        """Open or failed, or in those of these states: by the partial indexes, so in the words of `claimable`."""
        rows = self.filter(_literally("state", _among(UNSETTLED)))
        return rows.filter(state__in=states) if states else rows

    def of_type(self, entity_type: str) -> OperationQuerySet:
        """About such records, passed over one by one: the index of records would have SQLite sort all of a type."""
        name = Func(F("entity_type"), template="%(expressions)s || ''", output_field=models.CharField())
        return self.alias(its_type=name).filter(its_type=entity_type)

    def because(self, reason: str) -> OperationQuerySet:
        """With that reason (not none), by the index of reasons; its words stand in the SQL as in `claimable`."""
        return self.filter(_literally("reason", "> ''"), reason=reason)

    def open(self) -> OperationQuerySet:
        """Not yet at an end: someone or something will still act on it."""
        return self.unsettled(*OPEN)

    def update(self, **values: Any) -> int:
        """As Django's, which by itself notes no time of change."""
        return super().update(**{"updated_at": timezone.now(), **values})


class Operation(Record):
    """One desired effect: bring `entity` at `connection` to the state it has here.

    Times ending in `_ms` are Unix milliseconds, UTC.
    """

    op_key = models.CharField(max_length=120, unique=True)
    # Of three keys the index is below: every claim and every end writes a row's entry in each of its indexes anew.
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="operations", db_index=False)
    kind = models.CharField(max_length=32)
    entity_type = models.CharField(max_length=16)
    entity_id = models.BigIntegerField()
    version = models.PositiveIntegerField()
    state = models.CharField(max_length=12, choices=State, default=State.PENDING)
    reason = models.CharField(max_length=40, blank=True)
    message = models.CharField(max_length=500, blank=True, help_text="What the last try was told, without secrets.")
    priority = models.SmallIntegerField(default=100, help_text="Lower goes first.")
    due_ms = models.BigIntegerField()
    blockers = models.PositiveSmallIntegerField(default=0)
    in_doubt = models.BooleanField(default=False)
    token = models.BigIntegerField(default=0)
    lease_owner = models.CharField(max_length=80, blank=True)
    lease_until_ms = models.BigIntegerField(null=True)
    entered = models.BooleanField(default=False)
    sent_ms = models.BigIntegerField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    waits = models.PositiveIntegerField(default=0)
    strikes = models.PositiveSmallIntegerField(default=0)
    deadline_ms = models.BigIntegerField(null=True)
    cancel_requested = models.BooleanField(default=False)
    redrive_no = models.PositiveSmallIntegerField(default=0)
    root = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="redrives", db_index=False
    )
    settled_ms = models.BigIntegerField(null=True)
    import_run = models.ForeignKey(
        "integrations.ImportRun",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="operations",
        db_index=False,
    )

    objects: ClassVar = OperationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["connection", "priority", "due_ms", "id"],
                name="operation_claim",
                condition=Q(state__in=CLAIMABLE, blockers=0),
            ),
            models.Index(
                fields=["connection", "due_ms"], name="operation_due", condition=Q(state__in=CLAIMABLE, blockers=0)
            ),
            models.Index(fields=["lease_until_ms"], name="operation_lease", condition=Q(state=State.LEASED)),
            models.Index(fields=["entity_type", "entity_id", "connection", "kind"], name="operation_entity"),
            models.Index(fields=["connection", "state"], name="operation_connection"),
            models.Index(fields=["root"], name="operation_root", condition=Q(root__isnull=False)),
            models.Index(fields=["import_run"], name="operation_import", condition=Q(import_run__isnull=False)),
            models.Index(fields=["state", "id"], name="operation_state_newest"),
            models.Index(fields=["reason", "id"], name="operation_reason", condition=Q(reason__gt="")),
            models.Index(fields=["kind", "id"], name="operation_kind_newest"),
            models.Index(fields=["updated_at", "id"], name="operation_changed"),
            # All that is looked for among what is not done with is in the index: no row is read to be passed over.
            models.Index(
                fields=["id", "state", "connection", "due_ms"],
                name="operation_open_newest",
                condition=Q(state__in=UNSETTLED),
            ),
            models.Index(
                fields=["entity_type", "entity_id", "connection", "state"],
                name="operation_unsettled",
                condition=Q(state__in=UNSETTLED),
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=State.values), name="operation_state_known"),
            models.CheckConstraint(
                condition=(Q(state=State.LEASED) & Q(lease_until_ms__isnull=False))
                | (~Q(state=State.LEASED) & Q(lease_until_ms__isnull=True)),
                name="operation_lease_has_end",
            ),
            models.UniqueConstraint(
                fields=["connection", "entity_type", "entity_id", "kind"],
                condition=Q(state=State.LEASED),
                name="operation_one_holder",
            ),
        ]

    def __str__(self) -> str:
        return f"Operation {self.pk}: {re.sub('[._]', ' ', self.kind)}"


class OperationDependency(models.Model):
    """`operation` waits until `needs` is settled."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="dependencies")
    needs = models.ForeignKey(Operation, on_delete=models.PROTECT, related_name="dependants")
    settled = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["operation", "needs"], name="dependency_once"),
            models.CheckConstraint(condition=~Q(operation=F("needs")), name="dependency_not_self"),
        ]
        indexes = [models.Index(fields=["needs"], name="dependency_open", condition=Q(settled=False))]

    def __str__(self) -> str:
        return f"{self.operation_id} needs {self.needs_id}"


class Attempt(models.Model):
    """One try, written together with `sent_ms` before the first byte leaves (or when a try ends without a write)."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="tries")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="+")
    token = models.BigIntegerField()
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, blank=True)
    calls = models.PositiveSmallIntegerField(default=0, help_text="Requests of this try that count against the limit.")
    started_ms = models.BigIntegerField()
    sent_ms = models.BigIntegerField(null=True)
    ended_ms = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=24, blank=True)
    status = models.PositiveSmallIntegerField(null=True)
    request_id = models.CharField(max_length=80, blank=True, help_text="The provider's own id of the request.")
    message = models.CharField(max_length=500, blank=True)
    requests = models.JSONField(
        default=list, help_text="Each request of this try with what may be kept of it (transport/record.py)."
    )

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["operation", "token"], name="attempt_once_per_token")]
        indexes = [models.Index(fields=["connection", "started_ms"], name="attempt_calls")]

    def __str__(self) -> str:
        return f"try {self.token} of {self.operation_id}"


def new_marker() -> str:
    """60 random bits in base32 without look-alikes: short enough for a title, never a sequence number."""
    alphabet = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
    return "".join(secrets.choice(alphabet) for _ in range(12))


class ExternalRef(Record):
    """What our entity is called at the provider, and what the provider last acknowledged.

    `under`: the merged buyer under whose person the record stands there, when that is not its tour's buyer.
    """

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="refs")
    entity_type = models.CharField(max_length=16)
    entity_id = models.BigIntegerField()
    resource = models.CharField(max_length=24)
    external_id = models.CharField(max_length=120, null=True)  # noqa: DJ001  NULL, not "", lets many unlinked rows stand beside the unique rule
    marker = models.CharField(max_length=16, default=new_marker, editable=False)
    acked_version = models.PositiveIntegerField(null=True)
    acked_digest = models.CharField(max_length=64, null=True)  # noqa: DJ001  NULL means "not known", which no digest is
    acked_body = models.JSONField(
        null=True, editable=False, help_text="What the provider last acknowledged; shows whether it was changed there."
    )
    gone_at = models.DateTimeField(null=True)
    under = models.ForeignKey("integrations.Contact", on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "entity_type", "entity_id", "resource"], name="ref_entity_once"
            ),
            models.UniqueConstraint(fields=["connection", "resource", "external_id"], name="ref_external_once"),
            models.UniqueConstraint(fields=["marker"], name="ref_marker_once"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.external_id or 'not linked'}"
