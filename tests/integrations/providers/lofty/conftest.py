"""Lofty over a link to the sandbox, used as the engine uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from integrations import gateway
from integrations.gate import Gate
from integrations.gateway import Link
from integrations.providers.auth import Credentials
from integrations.providers.base import Exchange, RefFacts, Understood, Wanted, Written
from tests.crm import LOFTY_CONFIG
from tests.integrations.providers.conftest import Figures, MemoryStore
from tests.integrations.providers.gohighlevel.conftest import MARKER
from tests.lofty_client import LoftyCrm
from tests.sandbox_server import LOFTY_ACCOUNT, LOFTY_KEY, SandboxServer

NEW = RefFacts(None, MARKER)


@dataclass
class Kind:
    """One kind over a link: a fresh Exchange for each operation."""

    link: Link
    name: str
    commits: int = 0

    def exchange(self) -> Exchange:
        def before_write() -> None:
            self.commits += 1

        return self.link.exchange(before_write)

    def wanted(self, facts: Any, ref: RefFacts = NEW, **needs: str) -> Wanted:
        return self.link.kind(self.name).wanted(facts, needs, ref, self.link.facts.config)

    def lookup(self, facts: Any, ref: RefFacts = NEW, **needs: str) -> Any:
        wanted = self.wanted(facts, ref, **needs)
        return self.link.kind(self.name).lookup(self.exchange(), facts, wanted, ref, needs)

    def written(self, facts: Any, ref: RefFacts = NEW, **needs: str) -> Written:
        return self.link.kind(self.name).write(self.exchange(), self.wanted(facts, ref, **needs), ref)

    def write(self, facts: Any, ref: RefFacts = NEW, **needs: str) -> str:
        done = self.written(facts, ref, **needs)
        assert isinstance(done, Understood)
        return done.external_id


@pytest.fixture
def sandbox(sandbox_server: SandboxServer) -> SandboxServer:
    """Empty, without faults, with the demo user."""
    sandbox_server.reset(accounts=True)
    sandbox_server.clear_faults()
    sandbox_server.lofty()
    return sandbox_server


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Credentials({"token": LOFTY_KEY}, 1))


@pytest.fixture
def open_link(sandbox: SandboxServer, store: MemoryStore, gate: Gate) -> Iterator[Callable[..., Link]]:
    """The way to the sandbox; keywords change the config."""
    facts = gateway.ConnectionFacts(
        id=1,
        provider="lofty",
        account_key=LOFTY_ACCOUNT,
        config=LOFTY_CONFIG,
        limit_overrides={},
        secrets_version=1,
        base_url=f"{sandbox.url}/lofty",
        sign_in_url=f"{sandbox.url}/lofty/api/user-web",
    )

    def build(**config: str) -> Link:
        return gateway.open_connection(replace(facts, config={**LOFTY_CONFIG, **config}), store, gate, Figures())

    yield build
    gateway.close_all()


@pytest.fixture
def link(open_link: Callable[..., Link]) -> Link:
    return open_link()


@pytest.fixture
def staff(sandbox: SandboxServer) -> Iterator[LoftyCrm]:
    """Someone else at work in the CRM."""
    client = LoftyCrm(sandbox.url)
    yield client
    client.http.close()


@pytest.fixture
def people(link: Link) -> Kind:
    return Kind(link, "contact.link")


@pytest.fixture
def stops(link: Link) -> Kind:
    return Kind(link, "appointment.sync")


def linked(external_id: str) -> RefFacts:
    return RefFacts(external_id, MARKER)


def requests(sandbox: SandboxServer) -> list[str]:
    """Method and path of every request."""
    return [f"{row['method']} {row['path']}" for row in sandbox.journal("lofty")]
