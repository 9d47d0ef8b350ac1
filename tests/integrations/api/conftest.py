"""A client with every scope, and what it asks about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integrations.models import Connection, LeftOut, Tour
from tests.crm import AGENT_USERS
from tests.factories import (
    ConnectionFactory,
    FeedbackFactory,
    OfficeFactory,
    OperationFactory,
    TourFactory,
    TourStopFactory,
)
from tests.integrations.api.asking import Asking, token
from tests.sandbox_server import SandboxServer


@pytest.fixture(autouse=True)
def _static_files(settings: Any, tmp_path: Path) -> None:
    """Nothing is collected in a work tree, and the middleware that serves collected files would warn."""
    settings.STATIC_ROOT = tmp_path


@pytest.fixture
def api(db: None) -> Asking:
    """A program with every scope."""
    return Asking(token())


@pytest.fixture
def tour(db: None) -> Tour:
    """One confirmed stop, 14:00 in Los Angeles."""
    made: Tour = TourFactory(reference="T-100", title="One home")
    TourStopFactory(tour=made, street="1 Elm St")
    return made


@pytest.fixture
def connection(db: None) -> Connection:
    made: Connection = ConnectionFactory(label="Main CRM", secrets={"token": "pit-0123456789-last"})
    return made


@pytest.fixture
def ids(tour: Tour, connection: Connection) -> dict[str, int]:
    """A record of each kind that is there: resource, or name in an address, → its id."""
    stop = tour.stops.get()
    operation = OperationFactory(connection=connection, entity_id=stop.pk, state="dead", reason="rejected")
    kept = LeftOut.objects.create(
        connection=connection, entity_type="contact", entity_id=tour.buyer_id, reason="Private sale"
    )
    return {
        "tours": tour.pk, "sync-state": tour.pk, "contacts": tour.buyer_id, "agents": tour.agent_id,
        "offices": OfficeFactory().pk, "connections": connection.pk, "operations": operation.pk,
        "feedback": FeedbackFactory(stop=stop).pk, "left-out": kept.pk, "stop_id": stop.pk, "agent_id": tour.agent_id,
    }  # fmt: skip


@pytest.fixture
def there(world: SandboxServer, connection: Connection) -> SandboxServer:
    """The sandbox knows the connection's account, which has two users."""
    world.account(connection.account_key, token="pit-0123456789-last", calendar="cal", users=AGENT_USERS)
    return world
