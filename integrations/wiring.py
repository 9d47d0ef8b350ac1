"""Joins the pure parts to our database: where credentials live, what is remembered of vendors' lists, what the gate is
told when Redis forgot.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db.models import F, Q, QuerySet, Sum
from django.utils.crypto import salted_hmac

from integrations import conf, gateway, reach
from integrations.gate import MODES, BreakerState, Gate, Scope, Seed, connect
from integrations.models import Attempt, Connection, LookupCursor, LookupEntry
from integrations.models.clock import db_now
from integrations.providers import registry
from integrations.providers.auth import BUSY_RETRY_S, Credentials, CredentialStore
from integrations.providers.sign_in import OAuthSignIn
from integrations.trickle import FallbackGate

SHORT_WINDOW_S = 60
IN_FLIGHT_RESERVE_S = 10.0


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
        sign_in_url=_sign_in_url(connection.provider),
    )
    credentials, lookups = DatabaseCredentialStore(connection.pk), DatabaseLookups(connection.pk)
    return gateway.open_connection(facts, credentials, gate(), settings, lookups)


def scope(connection: Connection) -> Scope:
    """What this connection's requests are counted with, and fail with. Raises as `gateway.scope_of`."""
    return gateway.scope_of(
        connection.provider,
        connection.account_key,
        connection.config,
        connection.limit_overrides,
        conf.current().base_urls.get(connection.provider, ""),
    )


@contextmanager
def trial(
    provider: str, config: Mapping[str, str], account_key: str, store: CredentialStore, *, limits: Mapping[str, Any]
) -> Iterator[gateway.Link]:
    """A way to a provider for what is not stored (yet), counted at the gate as its account; closed after the block.

    Raises as `gateway.open_connection`.
    """
    settings = conf.current()
    facts = gateway.ConnectionFacts(
        id=0,
        provider=provider,
        account_key=account_key,
        config=config,
        limit_overrides=limits,
        secrets_version=1,
        base_url=settings.base_urls[provider],
        sign_in_url=_sign_in_url(provider),
    )
    link = gateway.Link(facts, store, gate(), settings)
    try:
        yield link
    finally:
        link.retire()


def _sign_in_url(provider: str) -> str:
    """Where the provider's tokens are renewed; empty: where the rest is."""
    way = registry.manifest(provider).sign_in
    named = way.base_url if isinstance(way, OAuthSignIn) else ""
    return conf.current().base_urls[named] if named else ""


def gate() -> FallbackGate:
    """The gate of this process."""
    return _gate(conf.current().redis_url, os.getpid())


@lru_cache(maxsize=4)
def _gate(redis_url: str, _pid: int) -> FallbackGate:
    seeds = DatabaseSeeds()
    return FallbackGate(
        Gate(connect(redis_url), seeds=seeds, random=random.random),
        seeds=seeds,
        reach=reach.redis,
        lease_s=lambda: conf.current().total_deadline_s + IN_FLIGHT_RESERVE_S,
        random=random.random,
        save=save_scope_facts,
        hand=lambda scope: _hand_on(connections_of(scope)),
    )


# --- credentials ---------------------------------------------------------------------------------------------------


class TrialStore:
    """Secrets that someone typed, as `auth.CredentialStore`. `secrets` afterwards: they may have been renewed."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.secrets = dict(secrets)
        self.renewed = False

    def load(self) -> Credentials:
        """As typed, or as renewed since."""
        return Credentials(self.secrets, 1)

    @contextmanager
    def refresh_lease(self) -> Iterator[bool]:
        """Nobody else has them."""
        yield True

    def refresh_wait(self) -> float:
        """Never asked for: the lease is always free."""
        return BUSY_RETRY_S

    def refresh_begins(self, version: int) -> bool:
        """Nothing to put on record: if this process dies, what was typed dies with it."""
        return False

    def refresh_failed(self, rest_s: float) -> None:
        """The person who waits for the answer decides when to try again."""

    def save(self, secrets: Mapping[str, str], expires_at: datetime | None, *, version: int) -> bool:
        """Keeps them here."""
        self.secrets, self.renewed = dict(secrets), True
        return True


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
        row = Connection.objects.only("secrets", "seal_id", "secrets_version", "token_expires_at").get(pk=self._id)
        return Credentials(row.secrets, row.secrets_version, row.token_expires_at)

    @contextmanager
    def refresh_lease(self) -> Iterator[bool]:
        """See `CredentialStore`."""
        owner = uuid.uuid4().hex
        now_ms = db_now()
        until_ms = now_ms + int((conf.current().total_deadline_s + 10) * 1000)
        rested = ~Q(refresh_version=F("secrets_version")) | Q(refresh_rest_ms__lte=now_ms)
        free = Connection.objects.filter(rested, pk=self._id, refresh_until_ms__lte=now_ms)
        mine = free.update(refresh_owner=owner, refresh_until_ms=until_ms) == 1
        try:
            yield mine
        finally:
            if mine:
                held = Connection.objects.filter(pk=self._id, refresh_owner=owner)
                held.update(refresh_owner="", refresh_until_ms=0)

    def refresh_wait(self) -> float:
        """See `CredentialStore`."""
        rests = Connection.objects.filter(pk=self._id, refresh_version=F("secrets_version"))
        until_ms = rests.values_list("refresh_rest_ms", flat=True).first() or 0
        return max(BUSY_RETRY_S, (until_ms - db_now()) / 1000)

    def refresh_begins(self, version: int) -> bool:
        """See `CredentialStore`."""
        rows = Connection.objects.filter(pk=self._id, secrets_version=version)
        return rows.exclude(refresh_version=version).update(refresh_version=version, refresh_rest_ms=0) == 0

    def refresh_failed(self, rest_s: float) -> None:
        """See `CredentialStore`."""
        same = Connection.objects.filter(pk=self._id, refresh_version=F("secrets_version"))
        same.update(refresh_rest_ms=db_now() + int(rest_s * 1000))

    def save(self, secrets: Mapping[str, str], expires_at: datetime | None, *, version: int) -> bool:
        """See `CredentialStore`."""
        same = Connection.objects.filter(pk=self._id, secrets_version=version)
        changed = same.update(secrets=dict(secrets), token_expires_at=expires_at, secrets_version=version + 1)
        return changed == 1


# --- vendors' lists ------------------------------------------------------------------------------------------------


class DatabaseLookups:
    """What one connection remembers of its vendor's lists (`providers.base.LookupStore`).

    Keys are addresses of people we have nothing to do with: they are stored as HMACs under `SECRET_KEY`, which can be
    compared and not read. With another `SECRET_KEY` what is stored says nothing, and is thrown away.
    """

    def __init__(self, connection_id: int) -> None:
        self._id = connection_id

    def cursor(self, resource: str) -> tuple[int, Mapping[str, Any]]:
        """See `LookupStore`."""
        key_id = self._hash("", "key id")[:16]
        mine, _ = LookupCursor.objects.get_or_create(
            connection_id=self._id, resource=resource, defaults={"key_id": key_id}
        )
        if mine.key_id != key_id:
            self._entries(resource).delete()
            same = LookupCursor.objects.filter(pk=mine.pk, version=mine.version)
            same.update(key_id=key_id, note={}, version=F("version") + 1)
            mine.refresh_from_db()
        return mine.version, mine.note

    def move(self, resource: str, version: int, cursor: Mapping[str, Any]) -> bool:
        """See `LookupStore`."""
        same = LookupCursor.objects.filter(connection_id=self._id, resource=resource, version=version)
        return same.update(note=dict(cursor), version=version + 1) == 1

    def put(self, resource: str, records: Mapping[str, Sequence[str]], generation: int) -> None:
        """See `LookupStore`. Written in one order, so that two who write the same records wait and do not lock up."""
        pairs = {(external_id, self._hash(resource, key)) for external_id, keys in records.items() for key in keys}
        pairs |= {(external_id, "") for external_id in records}
        LookupEntry.objects.bulk_create(
            [
                LookupEntry(
                    connection_id=self._id,
                    resource=resource,
                    external_id=external_id,
                    key=key,
                    generation=generation,
                )
                for external_id, key in sorted(pairs)
            ],
            batch_size=500,
            update_conflicts=True,
            unique_fields=["connection", "resource", "key", "external_id"],
            update_fields=["generation"],
        )

    def find(self, resource: str, key: str) -> Sequence[str]:
        """See `LookupStore`."""
        rows = self._entries(resource).filter(key=self._hash(resource, key))
        return list(rows.order_by("external_id").values_list("external_id", flat=True))

    def count(self, resource: str) -> int:
        """See `LookupStore`."""
        return self._entries(resource).filter(key="").count()

    def forget(self, resource: str, external_id: str) -> None:
        """See `LookupStore`."""
        self._entries(resource).filter(external_id=external_id).delete()

    def prune(self, resource: str, generation: int) -> None:
        """See `LookupStore`."""
        self._entries(resource).filter(generation__lt=generation).delete()

    def _entries(self, resource: str) -> QuerySet[LookupEntry]:
        return LookupEntry.objects.filter(connection_id=self._id, resource=resource)

    def _hash(self, resource: str, key: str) -> str:
        value = f"{self._id}:{resource}:{key}"
        return salted_hmac("integrations.lookups", value, algorithm="sha256").hexdigest()[:32]


# --- what the gate remembers ---------------------------------------------------------------------------------------


class DatabaseSeeds:
    """What the database remembers of a scope (`gate.SeedSource`)."""

    def seed(self, scope: Scope) -> Seed:
        """Calls of long windows from our attempts, circuit and not-before from their last stored copy."""
        rows = connections_of(scope)
        if not rows:
            return Seed()
        now_ms = _now_ms()
        ids = [row.pk for row in rows]
        used = {
            window.name: _calls(ids, now_ms - window.seconds * 1000, window.bucket_ms)
            for window in scope.windows
            if window.seconds > SHORT_WINDOW_S
        }
        circuits = [BreakerState(**row.breaker) for row in rows if row.breaker]
        mode = _hand_on(rows)
        newest = max(circuits, key=lambda circuit: circuit.generation, default=None)
        not_before = max((row.not_before_ms for row in rows if scope.account in ("", row.account_key)), default=0)
        return Seed(used, newest, not_before or None, mode)


def _hand_on(rows: Sequence[Connection]) -> Any:
    """What a person put in the circuit's place last, and until when; None: nothing."""
    modes = [row.circuit_mode for row in rows if row.circuit_mode]
    last = max(modes, key=lambda mode: int(mode["since_ms"]), default=None)
    return (last["mode"], last["until_ms"]) if last and last["mode"] in MODES else None


def connections_of(scope: Scope) -> list[Connection]:
    """The connections whose calls a scope counts: one account's, or all that share its limit."""
    provider, _, key = scope.key.partition(":")
    rows = Connection.objects.filter(provider=provider).defer("secrets")
    limit_key = registry.manifest(provider).limit_key
    if limit_key is None:
        return list(rows.filter(account_key=key))
    return [row for row in rows if limit_key(row.config) == key]


def _calls(connection_ids: list[int], since_ms: int, bucket_ms: int) -> list[tuple[int, int]]:
    rows = (
        Attempt.objects.filter(connection_id__in=connection_ids, started_ms__gte=since_ms)
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


def save_scope_facts(scope: Scope, breaker: BreakerState | None, not_before_ms: int | None) -> None:
    """The same for every connection whose calls the scope counts; not-before for its account."""
    for connection in connections_of(scope):
        own = scope.account in ("", connection.account_key)
        save_gate_facts(connection.pk, breaker, not_before_ms if own else None)


def forget_saved() -> None:
    """Forget what was stored: for a process whose database was replaced (tests)."""
    _saved.clear()
    gate().obeyed.forget()
    reach.redis.answered()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
