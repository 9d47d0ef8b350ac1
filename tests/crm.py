"""A brokerage with one connected CRM, as the engine's tests use it."""

from __future__ import annotations

import itertools
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from django.db import transaction
from django.db.models import Exists, F, OuterRef

from integrations import conf, gateway, reach, wiring
from integrations.engine import outbound, process
from integrations.engine.clock import db_now
from integrations.engine.context import Engine
from integrations.models import Agent, Attempt, Connection, Contact, ExternalRef, GateMode, Operation, Tour, TourStop
from integrations.operations import planning
from tests.followupboss_client import FollowUpBossCrm
from tests.lofty_client import LoftyCrm
from tests.redis_server import RedisServer
from tests.rollout_client import RolloutCrm
from tests.sandbox_server import (
    ACCOUNT,
    CALENDAR,
    FUB_ACCOUNT,
    FUB_KEY,
    FUB_SYSTEM,
    FUB_SYSTEM_KEY,
    HUBSPOT_PORTAL,
    HUBSPOT_TOKEN,
    LOFTY_ACCOUNT,
    LOFTY_KEY,
    ROLLOUT_CLIENT,
    ROLLOUT_CONSUMER,
    ROLLOUT_CREDENTIAL,
    ROLLOUT_SECRET,
    TOKEN,
    SandboxServer,
)

LOFTY_CONFIG = {"account_email": LOFTY_ACCOUNT, "app_mode": "production"}
ROLLOUT_CONFIG = {"client_id": ROLLOUT_CLIENT, "consumer": ROLLOUT_CONSUMER, "credential_id": ROLLOUT_CREDENTIAL}

FUB_CONFIG = {"subdomain": FUB_ACCOUNT, "system": FUB_SYSTEM}

READS = re.compile(r"/(search|batch/read)$")
"""What HubSpot reads by POST."""

_numbers = itertools.count(1)

AGENT_USERS = [
    {"id": "user_ann", "name": "Ann Agent", "email": "ann@brokerage.example"},
    {"id": "user_bob", "name": "Bob Broker", "email": "bob@brokerage.example"},
]
"""Logins at the CRM; the first is that of the agent of `make_tour`."""


def make_connection(**values: Any) -> Connection:
    """The sandbox's account, connected for the whole brokerage."""
    fields = {
        "provider": "gohighlevel",
        "label": f"CRM {next(_numbers)}",
        "sync_from": datetime(2026, 1, 1, tzinfo=UTC),
        "account_key": ACCOUNT,
        "config": {"location_id": ACCOUNT, "calendar_id": CALENDAR},
        "secrets": {"token": TOKEN},
        **values,
    }
    return Connection.objects.create(**fields)


def make_lofty_connection(**config: str) -> Connection:
    """The sandbox's Lofty user, connected for the whole brokerage; `config` says more."""
    return make_connection(
        provider="lofty",
        account_key=LOFTY_ACCOUNT,
        config={**LOFTY_CONFIG, **config},
        secrets={"token": LOFTY_KEY},
    )


def make_rollout_connection(**config: str) -> Connection:
    """The sandbox's Rollout credential, connected for the whole brokerage; `config` names another."""
    account = {**ROLLOUT_CONFIG, **config}
    return make_connection(
        provider="rollout",
        account_key=account["credential_id"],
        config=account,
        secrets={"client_secret": ROLLOUT_SECRET},
    )


def make_hubspot_connection(**config: str) -> Connection:
    """The sandbox's HubSpot account, connected for the whole brokerage; `config` adds to it."""
    account = {"portal_id": HUBSPOT_PORTAL, **config}
    return make_connection(
        provider="hubspot", account_key=account["portal_id"], config=account, secrets={"token": HUBSPOT_TOKEN}
    )


def make_followupboss_connection(**config: str) -> Connection:
    """The sandbox's Follow Up Boss account, connected for the whole brokerage; `config` says more."""
    return make_connection(
        provider="followupboss",
        account_key=FUB_ACCOUNT,
        config={**FUB_CONFIG, **config},
        secrets={"api_key": FUB_KEY, "system_key": FUB_SYSTEM_KEY},
    )


def base_urls(sandbox: SandboxServer) -> dict[str, str]:
    """Where the sandbox plays each vendor."""
    return {
        "followupboss": f"{sandbox.url}/followupboss/v1",
        "gohighlevel": sandbox.url,
        "gohighlevel_consent": sandbox.url,
        "hubspot": f"{sandbox.url}/hubspot",
        "hubspot_consent": f"{sandbox.url}/hubspot",
        "lofty": f"{sandbox.url}/lofty",
        "lofty_sign_in": f"{sandbox.url}/lofty/api/user-web",
        "rollout": f"{sandbox.url}/rollout/api",
    }


def make_tour(starts_at: datetime, *, stops: int = 1, buyer: Contact | None = None, **values: Any) -> Tour:
    """A scheduled tour with confirmed stops an hour apart; nothing is planned yet."""
    number = next(_numbers)
    agent = values.pop("agent", None)
    if agent is None:
        agent, _ = Agent.objects.get_or_create(email="ann@brokerage.example", defaults={"name": "Ann Agent"})
    buyer = buyer or Contact.objects.create(
        first_name="Bea", last_name=f"Buyer{number}", email=f"bea{number}@mail.example", phone=f"+1916555{number:04d}"
    )
    tour = Tour.objects.create(
        reference=f"T-{number}",
        title=f"Tour {number}",
        time_zone="America/Los_Angeles",
        starts_at=starts_at,
        agent=agent,
        buyer=buyer,
        **values,
    )
    for place in range(1, stops + 1):
        start = starts_at + timedelta(hours=place - 1)
        TourStop.objects.create(
            tour=tour,
            sequence=place,
            street=f"{number}{place} High St",
            city="Sacramento",
            state="CA",
            postal_code="95838",
            appointment_start=start,
            appointment_end=start + timedelta(minutes=30),
            appointment_status="confirmed",
        )
    return tour


class Crm:
    """One connection, an engine of this process, and the sandbox's journal as the oracle."""

    tour: Tour
    stop: TourStop
    seen = 0

    def __init__(self, sandbox: SandboxServer, redis: RedisServer, connection: Connection) -> None:
        self.sandbox, self.redis, self.connection = sandbox, redis, connection
        self.engine: Engine = process.make_engine()
        self.engine.random = lambda: 0.5
        self.touring: dict[str, Any] = {}  # what tours for this CRM have in common

    def close(self) -> None:
        gateway.close_all()
        wiring.forget_saved()

    # --- what happens -----------------------------------------------------------------------------------------

    def plan(self, *tours: Tour) -> list[Operation]:
        with transaction.atomic():
            return planning.plan_tours([Tour.objects.select_related("agent").get(pk=tour.pk) for tour in tours])

    def drain(self) -> int:
        """Drains until nothing is due now; how many operations were worked."""
        total = 0
        while (worked := self.drain_once()) or self._was_too_slow():
            total += worked
        return total

    def _was_too_slow(self) -> bool:
        """Waits for what the gate sent back for a second because this machine was too busy to use its leave in time.

        At Rollout that is 50 ms. What the CRM itself refused (429) is left as it is.
        """
        told = Attempt.objects.filter(operation=OuterRef("pk"), token=OuterRef("token"), outcome="rate_limited")
        rows = Operation.objects.filter(connection=self.connection, state="waiting", reason="rate_limited")
        soon = rows.filter(~Exists(told), due_ms__lte=db_now() + 1_500).order_by("-due_ms").first()
        if soon is None:
            return False
        time.sleep(max(soon.due_ms - db_now(), 0) / 1000 + 0.01)
        return True

    def drain_once(self) -> int:
        """One drain."""
        return outbound.drain(self.engine, self.connection.pk).worked

    def sync(self, *tours: Tour) -> None:
        """Plans and sends."""
        self.plan(*tours)
        self.drain()

    def pass_time(self, seconds: float) -> None:
        """Moves every time the engine looks at into the past."""
        step = int(seconds * 1000)
        Operation.objects.filter(sent_ms__isnull=False).update(sent_ms=F("sent_ms") - step)
        Operation.objects.filter(lease_until_ms__isnull=False).update(lease_until_ms=F("lease_until_ms") - step)
        Operation.objects.update(due_ms=F("due_ms") - step)
        Connection.objects.update(hold_until_ms=F("hold_until_ms") - step)
        Connection.objects.filter(not_before_ms__gt=step).update(not_before_ms=F("not_before_ms") - step)
        GateMode.objects.update(since_ms=F("since_ms") - step, answered_ms=F("answered_ms") - step)
        GateMode.objects.filter(sealed_ms__gt=0).update(sealed_ms=F("sealed_ms") - step)
        reach.redis.answered()

    def settle_doubt(self) -> None:
        """Lets so much time pass that a lost answer must have shown."""
        self.pass_time(conf.current().total_deadline_s + 40)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """What someone else does in this CRM, under the path as the journal shows it."""
        if self.connection.provider == "followupboss":
            fub = FollowUpBossCrm(self.sandbox.url)
            answer = fub.call(method, path.removeprefix("/v1"), body)
            fub.http.close()
        elif self.connection.provider == "lofty":
            lofty = LoftyCrm(self.sandbox.url)
            answer = lofty.call(method, path, body)
            lofty.http.close()
        elif self.connection.provider == "rollout":
            staff = RolloutCrm(self.sandbox.url)
            answer = staff.call(method, path.removeprefix("/api"), body)
            staff.http.close()
        elif self.connection.provider == "hubspot":
            headers = {"Authorization": f"Bearer {HUBSPOT_TOKEN}"}
            answer = httpx.request(method, f"{self.sandbox.url}/hubspot{path}", json=body, headers=headers)
        else:
            version = "2021-04-15" if path.startswith("/calendars") else "2021-07-28"
            headers = {"Authorization": f"Bearer {TOKEN}", "Version": version}
            answer = httpx.request(method, self.sandbox.url + path, json=body, headers=headers)
        answer.raise_for_status()
        return answer

    def post_appointment(self, body: dict[str, Any]) -> str:
        """Someone else puts an appointment into the CRM."""
        return str(self.call("POST", "/calendars/events/appointments", body).json()["id"])

    def post_contact(self, **fields: Any) -> str:
        """Someone else puts a person into the CRM."""
        body = {"locationId": ACCOUNT, **fields}
        return str(self.call("POST", "/contacts/", body).json()["contact"]["id"])

    def get(self, path: str, version: str = "2021-07-28") -> dict[str, Any]:
        """What the CRM shows."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Version": version}
        answer = httpx.get(self.sandbox.url + path, headers=headers)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    # --- what is ----------------------------------------------------------------------------------------------

    def operation(self, kind: str = "appointment.sync") -> Operation:
        """The newest operation of a kind."""
        return Operation.objects.filter(kind=kind).latest("version", "pk")

    def ref(self, stop: TourStop) -> ExternalRef:
        return ExternalRef.objects.get(entity_type="stop", entity_id=stop.pk)

    def appointments(self) -> list[tuple[str, str]]:
        """(what was done, appointment id) in the order it happened."""
        return [(row["op"], row["id"]) for row in self.sandbox.effects("appointment")]

    def requests(self, method: str | None = None) -> list[dict[str, Any]]:
        return [row for row in self.sandbox.journal() if method is None or row["method"] == method]

    def writes(self) -> int:
        """Requests that could have an effect, as the sandbox saw them."""
        return len([row for row in self.requests() if row["method"] != "GET" and not READS.search(row["path"])])


def move(stop: TourStop, minutes: int) -> TourStop:
    """Staff move a stop: the row and its version, nothing planned yet."""
    step = timedelta(minutes=minutes)
    stop.appointment_start += step
    stop.appointment_end += step
    stop.version += 1
    stop.save()
    return stop
