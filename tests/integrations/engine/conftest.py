"""What the engine's tests share."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.crm import Crm, make_tour


@pytest.fixture
def synced(crm: Crm, tomorrow: datetime) -> Crm:
    """A tour of one stop that stands in the CRM; `seen` counts the requests that this took."""
    crm.tour = make_tour(tomorrow)
    crm.stop = crm.tour.stops.get()
    crm.sync(crm.tour)
    crm.seen = len(crm.requests())
    return crm
