"""Marked credentials of every kind, every path they come past, and nowhere a trace of them in any form."""

from __future__ import annotations

import base64
import html
import json
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import yaml
from django.core.management import call_command
from django.db import connection as database
from django.test import Client

from integrations import gateway
from integrations.failpoints import InjectedError
from integrations.gate import connect
from integrations.models import AuditEvent, Connection, ConnectionState, Operation
from integrations.tasks import drain
from tests.crm import (
    Crm,
    make_connection,
    make_followupboss_connection,
    make_hubspot_connection,
    make_lofty_connection,
    make_tour,
)
from tests.integrations.admin.test_permissions import World
from tests.integrations.api.asking import Asking
from tests.redis_server import RedisServer
from tests.sandbox_server import HUBSPOT_PORTAL

MARK = 'canary/%s+7="&%%9'
"""Characters that URLs, JSON, HTML and base64 each write in their own way."""
PATHS = yaml.safe_load((Path(__file__).resolve().parents[3] / "docs/openapi.yaml").read_text("utf-8"))["paths"]


def echo_of(secret: str) -> str:
    """What a vendor that repeats a secret may say: as it is, and as each notation writes it."""
    raw = secret.encode()
    plain = [secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret), raw.hex()]
    inside = (raw, raw + b":", b"user:" + raw, b"me:" + raw, b'{"key": "' + raw + b'"}')
    encoded = [encode(text).decode() for text in inside for encode in (base64.b64encode, base64.urlsafe_b64encode)]
    return " ".join([*plain, json.dumps(secret), json.dumps(json.dumps(secret)), repr(secret), *encoded])


def forms(secret: str) -> set[bytes]:
    """What a secret may look like where it should not be."""
    raw = secret.encode()
    found = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret), repr(secret)[1:-1]}
    found |= {json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3], raw.hex()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):  # wherever it stands in what was encoded, as after a user's name in Basic
            core = encode(b"\0" * shift + raw)[4 if shift else 0 : -4]
            found.add(core.decode())
    return {form.encode() for form in found}


def hits(places: Mapping[str, bytes], secrets: Mapping[str, str]) -> list[str]:
    """Which secret stands where."""
    looked_for = {name: forms(secret) for name, secret in secrets.items()}
    return [
        f"{name} in {place}"
        for place, content in places.items()
        for name, each in looked_for.items()
        if any(form in content for form in each)
    ]


class Log(logging.Handler):
    """Every record that the product's settings let through, and of our own code DEBUG too.

    On loggers of its own: what configures logging anew takes the root's handlers away.
    """

    LOGGERS = ("", "integrations", "django", "celery", "httpx", "httpcore")

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def log() -> Iterator[Log]:
    """All that is said."""
    handler, loggers, ours = Log(), [logging.getLogger(name) for name in Log.LOGGERS], logging.getLogger("integrations")
    for logger in loggers:
        logger.addHandler(handler)
    level = ours.level
    ours.setLevel(logging.DEBUG)
    yield handler
    ours.setLevel(level)
    for logger in loggers:
        logger.removeHandler(handler)


class Places:
    """Everything that somebody but us can read."""

    def __init__(self, world: World, staff: Client, redis: RedisServer, log: Log) -> None:
        ids = {"connection": Connection, "operation": Operation, "auditevent": AuditEvent}
        more = [f"/admin/integrations/{noun}/{pk}/change/" for noun, model in ids.items() for pk in _newest(model)]
        self.pages = [*(address for _, address in world.addresses()), *more]
        self.staff, self.redis, self.log = staff, redis, log

    def __call__(self) -> dict[str, bytes]:
        return dict(
            [*self._pages(), *self._api(), *self._database(), *self._redis(), ("the log", self._logged()), self._dump()]
        )

    def _pages(self) -> Iterator[tuple[str, bytes]]:
        for address in self.pages:
            yield f"page {address}", _whole(self.staff.get(address))

    def _api(self) -> Iterator[tuple[str, bytes]]:
        client = Asking()
        client.client = self.staff
        for path in (path for path, methods in PATHS.items() if "get" in methods):
            noun = path.removeprefix("/api/").split("/")[0]
            model = {"connections": Connection, "operations": Operation}.get(noun)
            pks = _newest(model) if model else [1]
            for pk in pks if "{" in path else [0]:
                at = path.replace("{id}", str(pk))
                yield f"API {at}", _whole(client.get(at))

    def _database(self) -> Iterator[tuple[str, bytes]]:
        with database.cursor() as cursor:
            for table in database.introspection.table_names(cursor):
                cursor.execute(f"SELECT * FROM {database.ops.quote_name(table)}")  # noqa: S608  names of ours
                rows = cursor.fetchall()
                yield f"table {table}", b"\n".join(_bytes(cell) for row in rows for cell in row)

    def _redis(self) -> Iterator[tuple[str, bytes]]:
        with connect(self.redis.url) as client:
            for key in client.scan_iter(count=1000):
                kind = client.type(key)
                read: Any = {
                    b"string": client.get, b"hash": client.hgetall, b"set": client.smembers,
                    b"list": lambda key: client.lrange(key, 0, -1),
                    b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
                }[kind if isinstance(kind, bytes) else kind.encode()]  # fmt: skip
                yield f"Redis {key.decode()}", _flat((key, read(key)))

    def _logged(self) -> bytes:
        line = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        lines = [line.format(record) + json.dumps(vars(record), default=repr) for record in self.log.records]
        return "\n".join(lines).encode()

    def _dump(self) -> tuple[str, bytes]:
        said = StringIO()
        call_command("dumpdata", "integrations", stdout=said)
        return "dumpdata", said.getvalue().encode()


def _newest(model: Any) -> list[int]:
    return list(model._default_manager.order_by("-pk").values_list("pk", flat=True)[:20])


def _whole(answer: Any) -> bytes:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return body + repr(answer.headers).encode()


def _bytes(cell: Any) -> bytes:
    return bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode()


def _flat(value: Any) -> bytes:
    """Everything in it, one below the other; messages in a queue hold their bodies in base64."""
    if isinstance(value, Mapping):
        return _flat(list(value.items()))
    if isinstance(value, list | tuple | set):
        return b"\n".join(_flat(each) for each in value)
    text = value if isinstance(value, bytes) else str(value).encode()
    body = json.loads(text)["body"] if text.startswith(b'{"body"') else ""
    return text + base64.b64decode(body)


def links(crm: Crm, redis: RedisServer) -> dict[str, Crm]:
    """A connection of each kind of credential, whose vendor knows the marked secrets."""
    sandbox = crm.sandbox
    mark = {name: MARK % name for name in ("bearer", "api-key", "basic", "system", "jwt", "app", "refresh", "access")}
    sandbox.account("loc_canary", token=mark["bearer"], calendar="cal")
    sandbox.lofty(token=mark["api-key"])
    sandbox.followupboss(api_key=mark["basic"], system_key=mark["system"])
    sandbox.rollout(client_secret=mark["jwt"])
    app = {"client_secret": mark["app"], "refresh_token": mark["refresh"], "access_token": mark["access"]}
    sandbox.hubspot(oauth={"client_id": "app-1", **app})
    at = {"location_id": "loc_canary", "calendar_id": "cal"}
    rows = {
        "gohighlevel": make_connection(account_key="loc_canary", config=at, secrets={"token": mark["bearer"]}),
        "lofty": make_lofty_connection(),
        "followupboss": make_followupboss_connection(),
        "hubspot": make_hubspot_connection(portal_id=HUBSPOT_PORTAL, client_id="app-1"),
        "rollout": Connection.objects.get(provider="rollout"),
    }
    given = {
        "lofty": {"token": mark["api-key"]},
        "followupboss": {"api_key": mark["basic"], "system_key": mark["system"]},
        "hubspot": app,
        "rollout": {"client_secret": mark["jwt"]},
    }
    for provider, secrets in given.items():
        Connection.objects.filter(pk=rows[provider].pk).update(secrets=secrets)
    return {provider: Crm(sandbox, redis, Connection.objects.get(pk=row.pk)) for provider, row in rows.items()}


def through_everything(provider: str, link: Crm, tomorrow: datetime, settings: Any) -> None:
    """A success, a refusal and a fault that echo what was sent, an answer that never comes, a defect of ours."""
    secrets = [str(value) for value in Connection.objects.get(pk=link.connection.pk).secrets.values()]
    echo = " ".join(echo_of(secret) for secret in secrets)
    headers = {"X-Echo": quote(secrets[0]), "WWW-Authenticate": f"Bearer {secrets[0]}"}

    def go() -> None:
        again = Connection.objects.filter(pk=link.connection.pk)
        again.update(state=ConnectionState.ACTIVE, hold_reason="", hold_until_ms=0)
        Operation.objects.filter(connection=link.connection).exclude(state="succeeded").update(
            state="pending", due_ms=0, in_doubt=False
        )
        link.plan(make_tour(tomorrow))
        try:
            link.drain_once()
        except InjectedError:
            logging.getLogger("integrations.engine").exception("what a worker says of a defect")
        link.sandbox.clear_faults()

    go()
    for status in (401, 500):
        link.sandbox.faults(
            "status", provider=provider, status=status, body={"message": echo}, headers=headers, times=9
        )
        go()
    settings.REANNA_TOTAL_DEADLINE_S = 0.2
    gateway.close_all()
    link.sandbox.faults("silence", provider=provider, seconds=0.4)
    go()
    settings.REANNA_TOTAL_DEADLINE_S = 20.0
    gateway.close_all()

    def fail(point: str) -> None:
        local = secrets  # what a traceback with locals would show
        if point == "before_success_commit":
            raise InjectedError(len(local))

    link.engine.observe = fail
    go()


def test_no_secret_is_seen_anywhere(
    tour: Any, crm: Crm, staff: Client, redis_server: RedisServer, tomorrow: datetime, settings: Any, log: Log
) -> None:  # fmt: skip
    world = World(tour, crm, staff)
    every = links(crm, redis_server)
    secrets = {
        f"given {link.connection.pk} {n}": v for link in every.values() for n, v in link.connection.secrets.items()
    }
    for provider, link in every.items():
        through_everything(provider, link, tomorrow, settings)
    for row in Connection.objects.exclude(pk__in=[crm.connection.pk]):
        secrets |= {f"kept {row.pk} {name}": value for name, value in row.secrets.items() if len(value) > 11}
    with drain.app.connection_for_write(redis_server.url.replace("unix://", "redis+socket://")) as broker:
        drain.apply_async((crm.connection.pk,), connection=broker)  # type: ignore[call-arg]  # goes on to the broker
    staff.post(f"/admin/integrations/connection/{every['lofty'].connection.pk}/change/", {"label": "x", "token": "y"})
    places = Places(world, staff, redis_server, log)
    assert hits(places(), secrets) == []

    leaked = MARK % "planted"
    planted = every["lofty"].connection
    AuditEvent.objects.create(
        via="system", verb="auth_needed", object_type="connection", object_id=planted.pk, reason=leaked
    )
    Operation.objects.filter(connection=planted).update(message=f"echo {quote(leaked, safe='')}")
    logging.getLogger("integrations").debug("sent %s", base64.b64encode(f"user:{leaked}:".encode()).decode())
    with connect(redis_server.url) as client:
        client.set("planted", json.dumps(leaked))
        message = json.dumps({"body": base64.b64encode(json.dumps([[leaked], {}]).encode()).decode()})
        client.rpush("planted-queue", message)
    places.pages = [
        f"/admin/integrations/operation/{Operation.objects.filter(connection=planted).latest('pk').pk}/change/"
    ]
    found = hits(places(), {"planted": leaked})
    for place in (
        "page /admin/integrations/operation/",
        "API /api/operations",
        "table integrations_auditevent",
        "table integrations_operation",
        "Redis planted",
        "Redis planted-queue",
        "the log",
        "dumpdata",
    ):
        assert any(each.startswith(f"planted in {place}") for each in found), (place, found)
