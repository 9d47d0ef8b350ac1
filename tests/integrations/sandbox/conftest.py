"""One sandbox for the session; each test finds it empty, with one account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crm_client import Crm
from tests.followupboss_client import FollowUpBossCrm
from tests.lofty_client import LoftyCrm
from tests.rollout_client import RolloutCrm
from tests.sandbox_server import SandboxServer


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    with SandboxServer(tmp_path_factory.mktemp("sandbox data")) as server:
        yield server


@pytest.fixture
def sandbox(running: SandboxServer) -> SandboxServer:
    running.reset(accounts=True)
    running.account()
    return running


@pytest.fixture
def crm(sandbox: SandboxServer) -> Iterator[Crm]:
    client = Crm(sandbox.url)
    yield client
    client.http.close()


@pytest.fixture
def lofty(sandbox: SandboxServer) -> Iterator[LoftyCrm]:
    sandbox.lofty()
    client = LoftyCrm(sandbox.url)
    yield client
    client.http.close()


@pytest.fixture
def rollout(sandbox: SandboxServer) -> Iterator[RolloutCrm]:
    sandbox.rollout()
    client = RolloutCrm(sandbox.url)
    yield client
    client.http.close()


@pytest.fixture
def fub(sandbox: SandboxServer) -> Iterator[FollowUpBossCrm]:
    sandbox.followupboss()
    client = FollowUpBossCrm(sandbox.url)
    yield client
    client.http.close()
