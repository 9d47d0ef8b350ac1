"""`manage.py seed_demo`: connections to the provider sandbox, and a few tours to look at."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils import timezone

from integrations.management.demo import demo_tours, demo_users
from integrations.models import AuditEvent, Connection
from integrations.operations import audit
from integrations.operations.connections import create_connection
from integrations.operations.tours import save_tour

LABEL = "GoHighLevel (sandbox)"
PROVIDER, LOCATION, CALENDAR = "gohighlevel", "loc_demo", "cal_demo"
SYNC_FROM = datetime(2026, 1, 1, tzinfo=UTC)
SEEDED = "demo.seed"
TIMEOUT_S = 10


class Command(BaseCommand):
    """Safe to repeat: the connection is made when it is missing, the tours once in the life of a database."""

    help = "Make the connection to the provider sandbox and, once, the demo tours."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="no demo tours; the connection is made")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.REANNA_SANDBOX_URL:
            self.stdout.write("No sandbox (REANNA_SANDBOX_URL is empty): no demo connection.")
            return
        connection = self._connection()
        if options["no_demo"] or AuditEvent.objects.filter(verb=SEEDED).exists():
            return
        tours = demo_tours(timezone.now())
        for tour in tours:
            save_tour(tour, actor="", via="system", reason="demo")
        audit.record(SEEDED, connection, actor="", via="system", after={"tours": len(tours)})
        self.stdout.write(f"{len(tours)} demo tours.")

    def _connection(self) -> Connection:
        """The sandbox's connection; the sandbox is told its token each time, for its own data may be new."""
        known = Connection.objects.filter(Q(provider=PROVIDER, account_key=LOCATION) | Q(label=LABEL)).first()
        token = known.secrets.get("token") if known is not None else None
        token = token or "pit-" + secrets.token_urlsafe(24)
        if known is None or (known.account_key == LOCATION and known.secrets.get("token")):
            self._tell_sandbox(token)
        if known is not None:
            return known
        made = create_connection(
            PROVIDER,
            {
                "label": LABEL,
                "scope": "brokerage",
                "sync_from": SYNC_FROM,
                "location_id": LOCATION,
                "calendar_id": CALENDAR,
                "token": token,
            },
            now=timezone.now(),
            actor="",
            via="system",
        )
        self.stdout.write(f"Connection “{LABEL}”.")
        return made

    def _tell_sandbox(self, token: str) -> None:
        account = {
            "provider": PROVIDER,
            "account": LOCATION,
            "token": token,
            "calendar": CALENDAR,
            "duplicates": False,
            "users": demo_users(),
        }
        request = urllib.request.Request(  # noqa: S310  the address is our own process's
            f"{settings.REANNA_SANDBOX_URL.rstrip('/')}/_sandbox/accounts",
            data=json.dumps(account).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            raise CommandError(f"The sandbox refused its account: {error.code} {error.read(300)!r}") from None
        except OSError as error:
            raise CommandError(f"The sandbox at {settings.REANNA_SANDBOX_URL} does not answer: {error}") from None
