"""HubSpot's kinds over a link to the sandbox, and someone else at work there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integrations import gateway
from integrations.gate import Gate
from integrations.providers.auth import Credentials
from tests.hubspot_client import HubSpotCrm
from tests.integrations.providers.conftest import Figures, MemoryStore
from tests.integrations.providers.gohighlevel.conftest import ANN, Kind
from tests.sandbox_server import HUBSPOT_PORTAL, HUBSPOT_PROPERTIES, HUBSPOT_TOKEN, SandboxServer

INTEREST, RATING = HUBSPOT_PROPERTIES
CONFIG = {
    "portal_id": HUBSPOT_PORTAL,
    "client_id": "app-1",
    "interest_property": INTEREST,
    "rating_property": RATING,
}


@pytest.fixture
def sandbox(sandbox_server: SandboxServer) -> SandboxServer:
    """Empty, without faults, with the demo account, whose search knows at once what was written."""
    sandbox_server.reset(accounts=True)
    sandbox_server.clear_faults()
    sandbox_server.hubspot(search_lag_s=0)
    return sandbox_server


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Credentials({"token": HUBSPOT_TOKEN}, 1))


@pytest.fixture
def facts(sandbox: SandboxServer) -> gateway.ConnectionFacts:
    return gateway.ConnectionFacts(
        id=1,
        provider="hubspot",
        account_key=HUBSPOT_PORTAL,
        config=CONFIG,
        limit_overrides={},
        secrets_version=1,
        base_url=f"{sandbox.url}/hubspot",
    )


@pytest.fixture
def link(facts: gateway.ConnectionFacts, store: MemoryStore, gate: Gate) -> Iterator[gateway.Link]:
    yield gateway.open_connection(facts, store, gate, Figures())
    gateway.close_all()


@pytest.fixture
def staff(sandbox: SandboxServer) -> Iterator[HubSpotCrm]:
    """Someone else at work in the CRM."""
    client = HubSpotCrm(sandbox.url)
    yield client
    client.http.close()


@pytest.fixture
def people(link: gateway.Link) -> Kind:
    return Kind(link, "contact.link")


@pytest.fixture
def stops(link: gateway.Link) -> Kind:
    return Kind(link, "appointment.sync")


@pytest.fixture
def notes(link: gateway.Link) -> Kind:
    return Kind(link, "feedback.note")


@pytest.fixture
def tasks(link: gateway.Link) -> Kind:
    return Kind(link, "feedback.task")


@pytest.fixture
def ann(people: Kind) -> str:
    return people.write(ANN).external_id


def requests(sandbox: SandboxServer) -> list[str]:
    """Method and path of every request of ours and of staff."""
    return [f"{row['method']} {row['path']}" for row in sandbox.journal("hubspot")]
