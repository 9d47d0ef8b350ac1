"""Each kind over a link to the sandbox, used as the engine uses it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from integrations.gateway import Link
from integrations.providers.base import (
    ContactFacts,
    Exchange,
    RefFacts,
    ShowingFacts,
    Understood,
    Wanted,
)
from tests.sandbox_server import ACCOUNT, TOKEN, SandboxServer

MARKER = "ABCDEFGHJKMN"
NEW = RefFacts(None, MARKER)
ANN = ContactFacts(1, 1, "Ann", "Lee", "ann@mail.example", "+19165550001")
SHOWING = ShowingFacts(
    id=1,
    version=1,
    live=True,
    tour_reference="SAC-0001",
    tour_title="Lee — 4 homes",
    sequence=1,
    street="3526 High St",
    city="Sacramento",
    state="CA",
    postal_code="95838",
    list_price=None,
    starts_at=datetime(2026, 9, 14, 21, 0, tzinfo=UTC),
    ends_at=datetime(2026, 9, 14, 21, 30, tzinfo=UTC),
    time_zone="America/Los_Angeles",
    appointment_status="confirmed",
    outcome="none",
    method="in_person",
    agent_name="Michael Hudson",
    contact_id=1,
)


class Kind:
    """One kind over a link, as the engine uses it: a fresh Exchange for each operation."""

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

    def write(self, facts: Any, ref: RefFacts = NEW, **needs: str) -> Understood:
        written = self.kind.write(self.exchange(), self.wanted(facts, ref, **needs), ref)
        assert isinstance(written, Understood)
        return written


@pytest.fixture
def people(link: Link) -> Kind:
    return Kind(link, "contact.link")


@pytest.fixture
def stops(link: Link) -> Kind:
    return Kind(link, "appointment.sync")


@pytest.fixture
def ann(people: Kind) -> str:
    return people.write(ANN).external_id


def post(sandbox: SandboxServer, path: str, version: str, body: dict[str, Any]) -> dict[str, Any]:
    """Someone else at work in the CRM."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Version": version}
    answer = httpx.post(sandbox.url + path, json=body, headers=headers)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def post_contact(sandbox: SandboxServer, **fields: Any) -> str:
    return str(post(sandbox, "/contacts/", "2021-07-28", {"locationId": ACCOUNT, **fields})["contact"]["id"])


def linked(external_id: str) -> RefFacts:
    return RefFacts(external_id, MARKER)


def requests(sandbox: SandboxServer) -> list[str]:
    return [f"{row['method']} {row['path']}" for row in sandbox.journal()]
