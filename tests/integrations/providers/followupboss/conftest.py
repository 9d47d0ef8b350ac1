"""Follow Up Boss over a link to the sandbox, used as the engine uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integrations import gateway
from integrations.gate import Gate
from integrations.gateway import Link
from integrations.providers.auth import Credentials
from integrations.providers.base import Exchange, RefFacts, Understood, Wanted, Written
from tests.crm import FUB_CONFIG
from tests.followupboss_client import FollowUpBossCrm
from tests.integrations.providers.conftest import Figures, MemoryStore
from tests.integrations.providers.gohighlevel.conftest import ANN
from tests.sandbox_server import FUB_ACCOUNT, FUB_KEY, FUB_SYSTEM_KEY, SandboxServer

MARKER = "ABCDEFGHJKMN"
NEW = RefFacts(None, MARKER)
DANA = "9007199254740995"


class Kind:
    """One kind over a link: a fresh Exchange for each operation."""

    def __init__(self, link: Link, name: str) -> None:
        self.link, self.kind = link, link.kind(name)

    def exchange(self) -> Exchange:
        return self.link.exchange(lambda: None)

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


def linked(external_id: str) -> RefFacts:
    return RefFacts(external_id, MARKER)


Opening = Callable[..., Link]


@pytest.fixture
def opening(sandbox: SandboxServer, gate: Gate) -> Iterator[Opening]:
    """The way to the sandbox's account; `secrets` are others', `config` says more."""
    sandbox.followupboss()

    def build(secrets: dict[str, str] | None = None, **config: str) -> Link:
        facts = gateway.ConnectionFacts(
            id=1,
            provider="followupboss",
            account_key=FUB_ACCOUNT,
            config={**FUB_CONFIG, **config},
            limit_overrides={},
            secrets_version=1,
            base_url=f"{sandbox.url}/followupboss/v1",
        )
        given = {"api_key": FUB_KEY, "system_key": FUB_SYSTEM_KEY} if secrets is None else secrets
        return gateway.open_connection(facts, MemoryStore(Credentials(given, 1)), gate, Figures())

    yield build
    gateway.close_all()


@pytest.fixture
def link(opening: Opening) -> Link:
    return opening()


@pytest.fixture
def people(link: Link) -> Kind:
    return Kind(link, "contact.link")


@pytest.fixture
def stops(link: Link) -> Kind:
    return Kind(link, "appointment.sync")


@pytest.fixture
def ann(people: Kind) -> str:
    return people.write(ANN)


@pytest.fixture
def staff(opening: Opening, sandbox: SandboxServer) -> Iterator[FollowUpBossCrm]:
    """Someone else at work in the CRM."""
    client = FollowUpBossCrm(sandbox.url)
    yield client
    client.http.close()


def sent(sandbox: SandboxServer) -> list[dict[str, Any]]:
    """What we sent."""
    return [row for row in sandbox.journal("followupboss") if row["headers"].get("user-agent") == "REanna-Router"]


def requests(sandbox: SandboxServer) -> list[str]:
    return [f"{row['method']} {row['path']}" for row in sent(sandbox)]
