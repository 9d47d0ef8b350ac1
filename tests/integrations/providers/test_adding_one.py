"""A provider is added as the documentation says, while the product runs, without a migration."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import call_command
from django.test import Client

from integrations.models import Operation
from integrations.providers import registry
from tests.crm import Crm, make_connection, make_tour, move
from tests.redis_server import RedisServer
from tests.sandbox_server import SandboxServer

pytestmark = pytest.mark.django_db


class ToyCrm(ThreadingHTTPServer):
    """The vendor: keeps what it is told, under ids of its own."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.records: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: ToyCrm

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        (marker,) = parse_qs(asked.query)["marker"]
        kind = asked.path.strip("/")
        self._answer([one for one in self.server.records.values() if (one["kind"], one["marker"]) == (kind, marker)])

    def do_POST(self) -> None:
        self._keep(f"{self.path.strip('/')}-{len(self.server.records) + 1}")

    def do_PUT(self) -> None:
        self._keep(self.path.rpartition("/")[2])

    def _keep(self, key: str) -> None:
        if self.headers["Authorization"] != "Bearer toy-key":
            self.send_error(401)
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.records[key] = {**body, "id": key, "kind": key.partition("-")[0]}
        self.server.writes.append((self.command, key))
        self._answer(self.server.records[key])

    def _answer(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: a test's output is its own."""


@pytest.fixture
def toy() -> Iterator[ToyCrm]:
    with ToyCrm() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.fixture
def toy_crm(
    toy: ToyCrm, world: SandboxServer, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Iterator[Crm]:
    """The line in the registry and the address: all that the folder needs to be known."""
    monkeypatch.setitem(registry._MODULES, "toy", "tests.toy.manifest")
    settings.REANNA_BASE_URLS = {**settings.REANNA_BASE_URLS, "toy": toy.url}
    connection = make_connection(
        provider="toy", account_key="main", config={"account": "main"}, secrets={"token": "toy-key"}
    )
    link = Crm(world, redis_server, connection)
    yield link
    link.close()


def test_it_is_sent_a_tour_that_follows_what_happens(toy_crm: Crm, toy: ToyCrm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    toy_crm.sync(tour)
    assert toy.writes == [("POST", "contact-1"), ("POST", "appointment-2")]
    assert toy.records["appointment-2"]["contact"] == "contact-1"

    move(tour.stops.get(), 15)
    toy_crm.sync(tour)

    assert toy.writes[2:] == [("PUT", "appointment-2")]
    assert toy.records["appointment-2"]["at"] == tour.stops.get().appointment_start.isoformat()
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}


def test_staff_are_offered_its_form(toy_crm: Crm, admin_client: Client) -> None:
    text = admin_client.get("/admin/integrations/connection/add/?provider=toy").content.decode()
    assert "Toy CRM" in text
    assert 'name="account"' in text


def test_no_migration_is_needed(toy_crm: Crm) -> None:
    told = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=told)
    assert told.getvalue().strip() == "No changes detected"
