"""What every test may ask for: a real Redis, the sandbox over real HTTP, a brokerage with one CRM."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from integrations import reach
from integrations.models import Connection
from reanna.testing import legs
from tests.crm import (
    AGENT_USERS,
    Crm,
    base_urls,
    make_connection,
    make_followupboss_connection,
    make_hubspot_connection,
    make_lofty_connection,
    make_rollout_connection,
)
from tests.redis_server import RedisServer
from tests.sandbox_server import SandboxServer

MEASURED = tuple(Path(__file__).parent / "integrations" / name for name in (*legs.COVERED, "admin", "api"))
UNTRACED = frozenset({"test_matrix", "test_permissions", "test_schema_reads", "test_schema_writes"})
"""Thousands of requests through the same few lines, which other tests run too."""


# How long an example takes says something of the machine, and nothing of what is tested.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests are traced, and which files go first, as processes take whole files in this order.

    What coverage is promised of is measured by its own tests and the two doors': tracing makes a test half as long
    again.

    What starts the whole product: at the end one process would wait for the other's long file. Last, what empties the
    database after it: also of what migrations put there.
    """
    for item in items:
        if item.path.stem in UNTRACED or not any(item.path.is_relative_to(folder) for folder in MEASURED):
            item.add_marker("no_cover")
    emptying = {item.path for item in items if _empties(item)}
    items.sort(key=lambda item: (item.get_closest_marker("stack") is None, item.path in emptying))


def _empties(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    return "transactional_db" in getattr(item, "fixturenames", ()) or bool(marker and marker.kwargs.get("transaction"))


@pytest.fixture(autouse=True)
def _redis_is_worth_asking() -> None:
    """What the test before found of Redis says nothing of this one's."""
    reach.redis.answered()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A redis-server of this test session on a unix socket."""
    with tempfile.TemporaryDirectory(prefix="redis-", dir="/tmp") as directory:
        server = RedisServer(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    """A sandbox of this test session; `crm` empties it for each test."""
    with SandboxServer(tmp_path_factory.mktemp("sandbox")) as server:
        yield server


@pytest.fixture
def world(db: None, redis_server: RedisServer, sandbox_server: SandboxServer, settings: Any) -> SandboxServer:
    """An empty sandbox with an account at each vendor, and a gate that has been warm for long."""
    sandbox_server.reset(accounts=True)
    sandbox_server.clear_faults()
    sandbox_server.account()
    sandbox_server.hubspot()
    sandbox_server.lofty()
    sandbox_server.rollout()
    sandbox_server.followupboss()
    settings.REDIS_URL = redis_server.url
    settings.REANNA_BASE_URLS = base_urls(sandbox_server)
    redis_server.wipe_warm("reanna:gate")
    return sandbox_server


@pytest.fixture
def crm(world: SandboxServer, redis_server: RedisServer) -> Iterator[Crm]:
    """A connected, empty GoHighLevel."""
    link = Crm(world, redis_server, make_connection())
    yield link
    link.close()


@pytest.fixture
def hubspot_crm(world: SandboxServer, redis_server: RedisServer) -> Iterator[Crm]:
    """A connected, empty HubSpot."""
    link = Crm(world, redis_server, make_hubspot_connection())
    yield link
    link.close()


@pytest.fixture
def lofty_crm(world: SandboxServer, redis_server: RedisServer) -> Iterator[Crm]:
    """A connected, empty Lofty."""
    link = Crm(world, redis_server, make_lofty_connection())
    yield link
    link.close()


@pytest.fixture
def rollout_crm(world: SandboxServer, redis_server: RedisServer) -> Iterator[Crm]:
    """A connected, empty CRM behind Rollout."""
    link = Crm(world, redis_server, make_rollout_connection())
    yield link
    link.close()


@pytest.fixture
def followupboss_crm(world: SandboxServer, redis_server: RedisServer) -> Iterator[Crm]:
    """A connected, empty Follow Up Boss."""
    link = Crm(world, redis_server, make_followupboss_connection())
    yield link
    link.close()


CRMS = {
    "followupboss": "followupboss_crm",
    "gohighlevel": "crm",
    "hubspot": "hubspot_crm",
    "lofty": "lofty_crm",
    "rollout": "rollout_crm",
}
"""The fixture of each provider's CRM."""


@pytest.fixture(params=CRMS)
def each_crm(request: pytest.FixtureRequest, world: SandboxServer) -> Crm:
    """One after the other."""
    found: Crm = request.getfixturevalue(CRMS[request.param])
    return found


@pytest.fixture
def giving(crm: Crm) -> Crm:
    """`crm`, where appointments and tasks are given to the agents' users."""
    crm.sandbox.account(users=AGENT_USERS)
    Connection.objects.update(assigns=True)
    crm.connection.refresh_from_db()
    return crm


@pytest.fixture
def tomorrow() -> datetime:
    """Ten in the morning tomorrow, UTC."""
    return (datetime.now(UTC) + timedelta(days=1)).replace(hour=17, minute=0, second=0, microsecond=0)
