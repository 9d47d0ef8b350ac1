"""Every page of the admin and every list of the API asks the database as often with 100 operations as with 300."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.management.commands import seed_load
from integrations.models import Connection, Contact, LeftOut, Operation
from integrations.operations import bulk
from integrations.operations.audit import Who
from tests.admin_places import names
from tests.integrations.admin.browsing import and_the_clock
from tests.load.addresses import MOST_QUERIES, NOT_ASKED, Address, addresses
from tests.redis_server import RedisServer
from tests.who_may import NOBODY, page_of

MANY_QUERIES = {"contact_merge", "tour_leave_out"}
"""Pages that ask more than fifteen times, yet not more often for more records: each tells all that an act does."""

SEED = 7
"""One that has tours ahead and behind among its first hundred operations, whatever the day."""


def seed(operations: int) -> None:
    call_command(
        "seed_load", operations=operations, open=50, agents=1, seed=SEED, stdout=io.StringIO(), stderr=io.StringIO()
    )


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made up hangs on the time of day, and so would the test."""
    noon = timezone.now().replace(hour=12, minute=0, second=0)
    monkeypatch.setattr(seed_load, "timezone", SimpleNamespace(now=lambda: noon))


@pytest.fixture
def filled(db: None, redis_server: RedisServer, settings: Any, tmp_path: Path) -> list[Address]:
    """A hundred operations, and the addresses to ask: lists without a filter, pages about the same records."""
    settings.REDIS_URL, settings.STATIC_ROOT, settings.DATA_DIR = redis_server.url, tmp_path, tmp_path
    redis_server.wipe_warm("reanna:gate")
    seed(100)
    first = Operation.objects.order_by("pk").values("pk")[:1]
    bulk.make(Operation.objects.filter(pk__in=first), "retry", Who("ada", "admin"), chosen="one")
    crm = Connection.objects.order_by("pk")[0]
    LeftOut.objects.create(connection=crm, entity_type="contact", entity_id=Contact.objects.latest("pk").pk, reason="x")
    filtered = ("list ?", "api")
    return [one for one in addresses() if one.name.endswith("?") or not any(each in one.name for each in filtered)]


def test_no_page_and_no_list_asks_more_often_for_more_records(filled: list[Address]) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))

    for one in filled:
        if "/connection/" in one.path:
            asked(client, one.path)  # what a process learns once of its connections

    before = {one.name: asked(client, one.path) for one in filled}
    seed(200)
    after = {one.name: asked(client, one.path) for one in filled}

    assert {name: (number, after[name]) for name, number in before.items() if number != after[name]} == {}
    assert {name for name, number in after.items() if number > and_the_clock(MOST_QUERIES)} - MANY_QUERIES == set()


def asked(client: Client, path: str) -> int:
    """How many queries it took."""
    with CaptureQueriesContext(database) as caught:
        answer = client.get(path)
    assert answer.status_code in (200, 302), path
    return len(caught)


def test_every_page_that_is_looked_at_is_asked(filled: list[Address]) -> None:
    there = {one.name.split(" ")[0] for one in filled}
    missing = []
    for name, _ in names():
        page, short = page_of(name), name.removeprefix("integrations_")
        ours = name.startswith("integrations_") and name not in NOT_ASKED and page is not None
        if ours and page is not None and page.look is not NOBODY and not name.endswith(("_changelist", "_history")):
            missing += [] if short in there or short.startswith("apitoken") else [name]
    assert missing == []
