"""A link to the sandbox without Django: a real gate, a real client, credentials in memory."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest

from integrations import gateway
from integrations.gate import Gate, Scope, Seed, connect
from integrations.providers.auth import BUSY_RETRY_S, Credentials
from tests.redis_server import RedisServer
from tests.sandbox_server import ACCOUNT, CALENDAR, TOKEN, SandboxServer

CONFIG = {"location_id": ACCOUNT, "calendar_id": CALENDAR, "client_id": "app-1"}


class NoSeeds:
    def seed(self, scope: Scope) -> Seed:
        return Seed()


@dataclass(frozen=True)
class Figures:
    connect_timeout_s: float = 5.0
    total_deadline_s: float = 10.0
    worker_threads: int = 8


@dataclass
class MemoryStore:
    """Credentials of one connection; `leased` by whoever holds the lease."""

    credentials: Credentials
    lease: threading.Lock = field(default_factory=threading.Lock)
    saved: list[Mapping[str, str]] = field(default_factory=list)
    on_save: Callable[[], None] = lambda: None
    began: int = 0
    rests: list[float] = field(default_factory=list)

    def load(self) -> Credentials:
        return self.credentials

    @contextmanager
    def refresh_lease(self) -> Iterator[bool]:
        mine = self.lease.acquire(blocking=False)
        try:
            yield mine
        finally:
            if mine:
                self.lease.release()

    def refresh_wait(self) -> float:
        return BUSY_RETRY_S

    def refresh_begins(self, version: int) -> bool:
        unheard, self.began = self.began == version, version
        return unheard

    def refresh_failed(self, rest_s: float) -> None:
        self.rests.append(rest_s)

    def save(self, secrets: Mapping[str, str], expires_at: datetime | None, *, version: int) -> bool:
        self.on_save()
        if version != self.credentials.version:
            return False
        self.saved.append(secrets)
        self.credentials = Credentials(secrets, version + 1, expires_at)
        return True


@pytest.fixture
def sandbox(sandbox_server: SandboxServer) -> SandboxServer:
    """Empty, without faults, with the demo account."""
    sandbox_server.reset(accounts=True)
    sandbox_server.clear_faults()
    sandbox_server.account()
    return sandbox_server


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Credentials({"token": TOKEN}, 1))


@pytest.fixture
def gate(redis_server: RedisServer) -> Iterator[Gate]:
    redis_server.wipe_warm("reanna:gate")
    client = connect(redis_server.url)
    yield Gate(client, seeds=NoSeeds(), random=random.random)
    client.close()


@pytest.fixture
def facts(sandbox: SandboxServer) -> gateway.ConnectionFacts:
    return gateway.ConnectionFacts(
        id=1,
        provider="gohighlevel",
        account_key=ACCOUNT,
        config=CONFIG,
        limit_overrides={},
        secrets_version=1,
        base_url=sandbox.url,
    )


@pytest.fixture
def open_link(facts: gateway.ConnectionFacts, store: MemoryStore, gate: Gate) -> Iterator[Callable[..., gateway.Link]]:
    """The way to the sandbox; keywords change the facts."""

    def build(**changes: object) -> gateway.Link:
        return gateway.open_connection(replace(facts, **changes), store, gate, Figures())  # type: ignore[arg-type]

    yield build
    gateway.close_all()


@pytest.fixture
def link(open_link: Callable[..., gateway.Link]) -> gateway.Link:
    return open_link()
