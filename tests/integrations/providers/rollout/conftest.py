"""Rollout over a link to the sandbox, used as the engine uses it; lists are remembered in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from integrations import gateway
from integrations.gate import Gate
from integrations.gateway import Link
from integrations.providers.auth import Credentials
from integrations.providers.base import Exchange, RefFacts, Understood, Wanted, Written
from tests.crm import ROLLOUT_CONFIG as CONFIG
from tests.integrations.providers.conftest import Figures, MemoryStore
from tests.rollout_client import RolloutCrm
from tests.sandbox_server import (
    ROLLOUT_CREDENTIAL,
    ROLLOUT_SECRET,
    SandboxServer,
)

MARKER = "ABCDEFGHJKMN"
NEW = RefFacts(None, MARKER)


@dataclass
class MemoryLookups:
    """A `LookupStore` of one process."""

    notes: dict[str, tuple[int, Mapping[str, Any]]] = field(default_factory=dict)
    entries: dict[tuple[str, str, str], int] = field(default_factory=dict)
    on_move: Callable[[], None] = lambda: None

    def cursor(self, resource: str) -> tuple[int, Mapping[str, Any]]:
        return self.notes.get(resource, (0, {}))

    def move(self, resource: str, version: int, cursor: Mapping[str, Any]) -> bool:
        self.on_move()
        if self.cursor(resource)[0] != version:
            return False
        self.notes[resource] = (version + 1, cursor)
        return True

    def put(self, resource: str, records: Mapping[str, Sequence[str]], generation: int) -> None:
        for external_id, keys in records.items():
            for key in ("", *keys):
                self.entries[resource, key, external_id] = generation

    def find(self, resource: str, key: str) -> Sequence[str]:
        return sorted(found for of, filed, found in self.entries if (of, filed) == (resource, key))

    def count(self, resource: str) -> int:
        return len(self.find(resource, ""))

    def forget(self, resource: str, external_id: str) -> None:
        self.entries = {at: seen for at, seen in self.entries.items() if (at[0], at[2]) != (resource, external_id)}

    def prune(self, resource: str, generation: int) -> None:
        self.entries = {at: seen for at, seen in self.entries.items() if at[0] != resource or seen >= generation}


class Kind:
    """One kind over a link: a fresh Exchange for each operation."""

    def __init__(self, link: Link, name: str) -> None:
        self.link, self.kind = link, link.kind(name)
        self.commits = 0

    def exchange(self) -> Exchange:
        def before_write() -> None:
            self.commits += 1

        return self.link.exchange(before_write)

    def wanted(self, facts: Any, ref: RefFacts = NEW, **needs: str) -> Wanted:
        return self.kind.wanted(facts, needs, ref, self.link.facts.config)

    def lookup(self, facts: Any, ref: RefFacts = NEW, **needs: str) -> Any:
        return self.kind.lookup(self.exchange(), facts, self.wanted(facts, ref, **needs), ref, needs)

    def written(self, facts: Any, ref: RefFacts = NEW, **needs: str) -> Written:
        return self.kind.write(self.exchange(), self.wanted(facts, ref, **needs), ref)

    def write(self, facts: Any, ref: RefFacts = NEW, **needs: str) -> str:
        done = self.written(facts, ref, **needs)
        assert isinstance(done, Understood)
        return done.external_id


@pytest.fixture
def sandbox(sandbox_server: SandboxServer) -> SandboxServer:
    """Empty, without faults, with the demo credential."""
    sandbox_server.reset(accounts=True)
    sandbox_server.clear_faults()
    sandbox_server.rollout()
    return sandbox_server


@pytest.fixture
def lookups() -> MemoryLookups:
    return MemoryLookups()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Credentials({"client_secret": ROLLOUT_SECRET}, 1))


@pytest.fixture
def facts(sandbox: SandboxServer) -> gateway.ConnectionFacts:
    return gateway.ConnectionFacts(
        id=1,
        provider="rollout",
        account_key=ROLLOUT_CREDENTIAL,
        config=CONFIG,
        limit_overrides={},
        secrets_version=1,
        base_url=f"{sandbox.url}/rollout/api",
    )


@pytest.fixture
def link(
    facts: gateway.ConnectionFacts, store: MemoryStore, gate: Gate, lookups: MemoryLookups
) -> Iterator[gateway.Link]:
    yield gateway.open_connection(facts, store, gate, Figures(), lookups)
    gateway.close_all()


@pytest.fixture
def staff(sandbox: SandboxServer) -> Iterator[RolloutCrm]:
    """Someone else at work in the CRM."""
    client = RolloutCrm(sandbox.url)
    yield client
    client.http.close()


@pytest.fixture
def people(link: Link) -> Kind:
    return Kind(link, "contact.link")


@pytest.fixture
def types(link: Link) -> Kind:
    return Kind(link, "appointment_type.link")


@pytest.fixture
def stops(link: Link) -> Kind:
    return Kind(link, "appointment.sync")


def linked(external_id: str) -> RefFacts:
    return RefFacts(external_id, MARKER)


def requests(sandbox: SandboxServer) -> list[str]:
    """Method and path of every request of ours and of staff."""
    return [f"{row['method']} {row['path'].removeprefix('/api')}" for row in sandbox.journal("rollout")]
