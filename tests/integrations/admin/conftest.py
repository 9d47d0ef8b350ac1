"""Signed-in staff, and a tour in one CRM, for the admin's tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from integrations.models import Connection, Operation, Tour, TourStop
from tests.factories import ConnectionFactory, OperationFactory, TourFactory, TourStopFactory

START = datetime(2027, 9, 14, 21, 0, tzinfo=UTC)
"""14:00 in Los Angeles, daylight time."""


@pytest.fixture(autouse=True)
def _static_files(settings: Any, tmp_path: Path) -> None:
    """Nothing is collected in a work tree, and the middleware that serves collected files would warn."""
    settings.STATIC_ROOT = tmp_path


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> Path:
    """A data folder of this test's own."""
    settings.DATA_DIR = tmp_path / "data"
    return tmp_path / "data"


@pytest.fixture
def staff(db: None) -> Client:
    """A superuser's browser."""
    return signed_in(User.objects.create_superuser("ada"))


@pytest.fixture
def viewer(db: None) -> Client:
    """The browser of staff who may look at everything and change nothing."""
    user = User.objects.create_user("vic", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return signed_in(user)


@pytest.fixture
def stranger(db: None) -> Client:
    """Someone with an account who is not staff."""
    return signed_in(User.objects.create_user("sam"))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def tour(db: None) -> Tour:
    """Two confirmed stops of half an hour, 14:00 and 15:00 in Los Angeles."""
    made: Tour = TourFactory(reference="T-100", title="Two homes", starts_at=START)
    for place in (1, 2):
        begins = START + timedelta(hours=place - 1)
        TourStopFactory(tour=made, sequence=place, street=f"{place} Elm St", appointment_start=begins)
    return made


@pytest.fixture
def crm_row(db: None) -> Connection:
    """A connection of the whole brokerage; nothing behind it."""
    made: Connection = ConnectionFactory(label="Main CRM", secrets={"token": "pit-0123456789-last"})
    return made


@pytest.fixture
def operation_of(crm_row: Connection, tour: Tour) -> Callable[..., Operation]:
    """Makes an operation of the tour's first stop (or another entity) with the columns given."""

    def make(**values: Any) -> Operation:
        stop = TourStop.objects.get(tour=tour, sequence=values.pop("place", 1))
        made: Operation = OperationFactory(connection=crm_row, **{"entity_id": stop.pk, **values})
        return made

    return make
