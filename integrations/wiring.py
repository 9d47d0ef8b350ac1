"""Joins the pure parts to our database: where credentials live, what the gate is told when Redis forgot."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db.models import F, Sum

from integrations import conf, gateway
from integrations.gate import BreakerState, Gate, Scope, Seed, connect
from integrations.models import Attempt, Connection
from integrations.providers.auth import Credentials

SHORT_WINDOW_S = 60


def link(connection: Connection) -> gateway.Link:
    """The way to this connection's provider, as its row is now. Raises as `gateway.open_connection`."""
    settings = conf.current()
    facts = gateway.ConnectionFacts(
        id=connection.pk,
        provider=connection.provider,
        account_key=connection.account_key,
        config=connection.config,
        limit_overrides=connection.limit_overrides,
        secrets_version=connection.secrets_version,
        base_url=settings.base_urls[connection.provider],
    )
    return gateway.open_connection(facts, DatabaseCredentialStore(connection.pk), gate(), settings)


def gate() -> Gate:
    """The gate of this process."""
    return _gate(conf.current().redis_url, os.getpid())


@lru_cache(maxsize=4)
def _gate(redis_url: str, _pid: int) -> Gate:
    return Gate(connect(redis_url), seeds=DatabaseSeeds(), random=random.random)


# --- credentials ---------------------------------------------------------------------------------------------------


class DatabaseCredentialStore:
    """The secrets of one connection row, and the lease under which one process renews them.

    The lease is two columns, taken and given back by compare-and-set: no transaction, no row lock is held while we
    wait for a provider. It outlasts a token request; should it run out all the same, `save` is decided by the version
    of the secrets, so a renewed pair is never lost to an expired lease nor written over newer credentials.
    """

    def __init__(self, connection_id: int) -> None:
        self._id = connection_id

    def load(self) -> Credentials:
        """Raises Connection.DoesNotExist."""
        row = Connection.objects.only("secrets", "secrets_version", "token_expires_at").get(pk=self._id)
        return Credentials(row.secrets, row.secrets_version, row.token_expires_at)

    @contextmanager
    def refresh_lease(self) -> Iterator[bool]:
        """See `CredentialStore`."""
        owner = uuid.uuid4().hex
        now_ms = _now_ms()
        until_ms = now_ms + int((conf.current().total_deadline_s + 10) * 1000)
        free = Connection.objects.filter(pk=self._id, refresh_until_ms__lte=now_ms)
        mine = free.update(refresh_owner=owner, refresh_until_ms=until_ms) == 1
        try:
            yield mine
        finally:
            if mine:
                held = Connection.objects.filter(pk=self._id, refresh_owner=owner)
                held.update(refresh_owner="", refresh_until_ms=0)

    def save(self, secrets: Mapping[str, str], expires_at: datetime | None, *, version: int) -> bool:
        """See `CredentialStore`."""
        same = Connection.objects.filter(pk=self._id, secrets_version=version)
        changed = same.update(secrets=dict(secrets), token_expires_at=expires_at, secrets_version=version + 1)
        return changed == 1


# --- what the gate remembers ---------------------------------------------------------------------------------------


class DatabaseSeeds:
    """What the database remembers of a scope (`gate.SeedSource`)."""

    def seed(self, scope: Scope) -> Seed:
        """Calls of long windows from our attempts, circuit and not-before from their last stored copy."""
        provider, _, account_key = scope.key.partition(":")
        row = Connection.objects.filter(provider=provider, account_key=account_key).first()
        if row is None:
            return Seed()
        now_ms = _now_ms()
        used = {
            window.name: _calls(row.pk, now_ms - window.seconds * 1000, window.bucket_ms)
            for window in scope.windows
            if window.seconds > SHORT_WINDOW_S
        }
        breaker = BreakerState(**row.breaker) if row.breaker else None
        return Seed(used, breaker, row.not_before_ms or None)


def _calls(connection_id: int, since_ms: int, bucket_ms: int) -> list[tuple[int, int]]:
    rows = (
        Attempt.objects.filter(connection_id=connection_id, started_ms__gte=since_ms)
        .annotate(bucket=F("started_ms") - F("started_ms") % bucket_ms)
        .values_list("bucket")
        .annotate(made=Sum("calls"))
        .order_by("bucket")
    )
    return [(bucket, made) for bucket, made in rows if made]


_saved: dict[int, tuple[dict[str, Any] | None, int]] = {}


def save_gate_facts(connection_id: int, breaker: BreakerState | None, not_before_ms: int | None) -> None:
    """Keep a copy of what the gate said, for the day Redis forgets. Costs nothing while nothing changed.

    A circuit older than the stored one (a slow process) is not stored. None: not known, what is stored stays.
    """
    before = _saved.get(connection_id, (None, 0))
    known = (asdict(breaker) if breaker else before[0], before[1] if not_before_ms is None else not_before_ms)
    if known == before:
        return
    rows = Connection.objects.filter(pk=connection_id)
    if known[0] != before[0] and breaker:
        rows.exclude(breaker__generation__gt=breaker.generation).update(breaker=known[0])
    if known[1] > before[1]:
        rows.filter(not_before_ms__lt=known[1]).update(not_before_ms=known[1])
    _saved[connection_id] = known


def forget_saved() -> None:
    """Forget what was stored: for a process whose database was replaced (tests)."""
    _saved.clear()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
