"""Made-up operations with their tries, links and edges, in every state there is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from integrations.engine.kinds import KINDS, offered
from integrations.models import TERMINAL, Attempt, Connection, ExternalRef, Operation, OperationDependency

from .load_rows import Ids, Rows

NEAR = timedelta(days=2)
NEAR_SHARE = 0.15
"""About so much of what there is lies ahead or within the last two days; what is open is mostly there."""

# (state, reason, whether it is in doubt, weight)
_OPEN = (
    ("pending", "", False, 55), ("waiting", "rate_limited", False, 12), ("waiting", "not_ready", False, 3),
    ("waiting", "agent_unmapped", False, 4), ("retryable", "not_processed", False, 6),
    ("retryable", "connect_refused", False, 3), ("unknown", "answer_lost", True, 6),
    ("unknown", "worker_lost", True, 2),
    ("needs_person", "two_matches", False, 3), ("needs_person", "attempts_used_up", True, 2),
    ("needs_person", "changed_at_provider", False, 3), ("needs_person", "no_look_up", True, 1),
)  # fmt: skip
_ENDED = (
    ("succeeded", "", False, 900), ("succeeded", "no_change", False, 30), ("dead", "rejected", False, 10),
    ("dead", "attempts_used_up", False, 5), ("dead", "gone_at_provider", False, 3), ("dead", "poison", False, 1),
    ("cancelled", "by_person", False, 8), ("cancelled", "left_out", False, 3),
    ("ignored", "ignored_by_provider", False, 3),
)  # fmt: skip
_LAST_OUTCOME = {
    "succeeded": ("understood", 201, ""), "ignored": ("ignored", 204, ""), "waiting": ("rate_limited", 429, ""),
    "retryable": ("not_processed", 503, "503 Service Unavailable"), "unknown": ("uncertain", None, "no answer"),
    "needs_person": ("two_matches", 200, "two records could be this one"), "pending": ("handed_back", None, ""),
    "dead": ("rejected", 422, "the time is not free"), "cancelled": ("cancel_asked", None, ""),
    "superseded": ("understood", 200, ""),
}  # fmt: skip
_PATHS = {
    "contact.link": "/contacts/", "appointment.sync": "/calendars/events/appointments", "feedback.note": "/notes",
    "feedback.task": "/tasks", "tour.summary": "/notes",
}  # fmt: skip
_UNTRIED = ("pending", "superseded", "cancelled")
_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Entity:
    """A buyer's operation at one connection, which what follows needs."""

    operation_id: int
    open: bool


class Effects:
    """Adds operations up to `most`, then nothing more."""

    def __init__(self, rng: Random, now: datetime, run: int, *, most: int, tries: int, share_open: float) -> None:
        self.made, self._most, self._tries = 0, most, tries
        self._rng, self._now, self._now_ms, self._run = rng, now, _ms(now), run
        self._near = min(1.0, 4 * share_open)
        self._far = max(0.0, (share_open - NEAR_SHARE * self._near) / (1 - NEAR_SHARE))
        self._ids = Ids(Operation, 1_000)
        made = ("created_at", "updated_at")
        self._operations = Rows(
            Operation, "id", *made, "op_key", "connection_id", "kind", "entity_type", "entity_id", "version", "state",
            "reason", "message", "priority", "due_ms", "blockers", "in_doubt", "token", "lease_owner", "entered",
            "sent_ms", "attempts", "waits", "strikes", "cancel_requested", "redrive_no", "settled_ms", "import_run_id",
        )  # fmt: skip
        self._edges = Rows(OperationDependency, "operation_id", "needs_id", "settled")
        self._attempts = Rows(
            Attempt, "operation_id", "connection_id", "token", "version", "digest", "calls", "started_ms", "sent_ms",
            "ended_ms", "outcome", "status", "request_id", "message", "requests",
        )  # fmt: skip
        self._refs = Rows(
            ExternalRef, *made, "connection_id", "entity_type", "entity_id", "resource", "external_id", "marker",
            "acked_version", "acked_digest", "acked_body",
        )  # fmt: skip

    @property
    def full(self) -> bool:
        return self.made >= self._most

    def write(self) -> None:
        for rows in (self._operations, self._edges, self._attempts, self._refs):
            rows.write()

    def buyer(self, at: Connection, contact_id: int, planned: datetime, import_run: int | None) -> Entity:
        """The buyer's link at a connection; what needs it is blocked while it is open."""
        fate = self._fate(planned, scale=0.25)
        pk = self._operation(at, "contact.link", contact_id, 1, planned, fate, import_run=import_run)
        return Entity(pk or 0, pk is not None and fate[0] != "succeeded")

    def after_buyer(
        self, at: Connection, kind: str, entity_id: int, when: datetime, link: Entity, *, versions: int,
        planned: datetime | None = None, import_run: int | None = None,
    ) -> None:  # fmt: skip
        """One or more versions of a record; all but the last are history."""
        if not offered(kind, at.provider):
            return
        begins = min(planned or when, self._now - timedelta(minutes=1))
        for version in range(1, versions + 1):
            made = begins + (min(when, self._now) - begins) * (version - 1) / versions
            if link.open:
                fate = ("superseded", "newer_version", False) if version < versions else ("pending", "", False)
            elif version < versions:
                old = self._rng.random() < 0.3
                fate = ("superseded", "newer_version", False) if old else ("succeeded", "", False)
            else:
                fate = self._fate(when)
            self._operation(at, kind, entity_id, version, made, fate, link, last=version == versions,
                            import_run=import_run)  # fmt: skip

    def _fate(self, when: datetime, scale: float = 1.0) -> tuple[str, str, bool]:
        share = self._near if when > self._now - NEAR else self._far
        table = _OPEN if self._rng.random() < share * scale else _ENDED
        state, reason, doubt, _ = self._rng.choices(table, [row[3] for row in table])[0]
        return state, reason, doubt

    def _operation(
        self, at: Connection, kind: str, entity_id: int, version: int, created: datetime, fate: tuple[str, str, bool],
        link: Entity | None = None, *, last: bool = True, import_run: int | None = None,
    ) -> int | None:  # fmt: skip
        if self.full:
            return None
        self.made += 1
        rng, row, pk = self._rng, KINDS[kind], self._ids.next()
        state, reason, doubt = fate
        created_ms = _ms(created)
        blocked = link is not None and link.open and state == "pending"
        untried = state in _UNTRIED and (blocked or rng.random() < 0.8)
        tries = 0 if untried or reason == "no_change" else rng.randint(1, self._tries)
        ended_ms = created_ms + 2_000 * max(tries, 1) + rng.randrange(1_000, 60_000)
        terminal = state in TERMINAL
        message = _LAST_OUTCOME[state][2]
        due_ms = self._due_ms(state, created_ms)
        self._operations.add(
            pk, created, created + timedelta(milliseconds=ended_ms - created_ms), f"load-{self._run}-{self.made}",
            at.pk, kind, row.entity_type, entity_id, version, state, reason, message, 100, due_ms, int(blocked), doubt,
            tries, "", False, ended_ms if tries else None, tries, 0, 0, False, 0, ended_ms if terminal else None,
            import_run,
        )  # fmt: skip
        if link is not None and link.operation_id:
            self._edges.add(pk, link.operation_id, not blocked)
        for token in range(1, tries + 1):
            self._attempt(pk, at.pk, kind, version, token, tries, state, created_ms)
        if last and (state == "succeeded" or (version > 1 and not blocked)):
            self._ref(at.pk, row.entity_type, entity_id, row.resource, created, version)
        return pk

    def _due_ms(self, state: str, created_ms: int) -> int:
        if state in ("waiting", "retryable"):
            return self._now_ms + self._rng.randrange(-600_000, 3_600_000)
        return created_ms

    def _attempt(
        self, pk: int, connection_id: int, kind: str, version: int, token: int, tries: int, state: str, created_ms: int
    ) -> None:
        rng = self._rng
        outcome, status, message = _LAST_OUTCOME[state if token == tries else "retryable"]
        started = created_ms + 2_000 * token
        took = rng.randrange(80, 1_500)
        kept: list[dict[str, Any]] = []
        if status is not None:
            kept = [{"method": "POST", "path": _PATHS[kind], "status": status, "ms": took,
                     "request": {"title": "•••"}, "response": {"id": f"x{pk}", "status": "ok"}}]  # fmt: skip
        self._attempts.add(
            pk, connection_id, token, version, "", 2, started, started + 20, started + took, outcome, status,
            f"req-{pk}-{token}", message, kept,
        )  # fmt: skip

    def _ref(
        self, connection_id: int, entity_type: str, entity_id: int, resource: str, when: datetime, version: int
    ) -> None:
        marker = "".join(self._rng.choices(_LETTERS, k=12))
        digest = f"{self._rng.getrandbits(256):064x}"
        self._refs.add(
            when, when, connection_id, entity_type, entity_id, resource, f"{resource}_{self._run}_{entity_id}", marker,
            version, digest, None,
        )  # fmt: skip


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
