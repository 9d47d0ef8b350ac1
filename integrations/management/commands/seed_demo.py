"""`manage.py seed_demo`: connections to the provider sandbox, and a few tours to look at."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db.models import Q
from django.utils import timezone

from integrations.management.demo import demo_tours
from integrations.management.sandbox_accounts import ACCOUNTS, SandboxAccount
from integrations.models import AuditEvent, Connection
from integrations.operations import audit
from integrations.operations.connections import create_connection
from integrations.operations.tours import save_tour

SYNC_FROM = datetime(2026, 1, 1, tzinfo=UTC)
SEEDED = "demo.seed"


class Command(BaseCommand):
    """Safe to repeat: a connection is made when it is missing, the tours once in the life of a database."""

    help = "Make the connections to the provider sandbox and, once, the demo tours."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="no demo tours; the connections are made")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.REANNA_SANDBOX_URL:
            self.stdout.write("No sandbox (REANNA_SANDBOX_URL is empty): no demo connections.")
            return
        connections = [found for account in ACCOUNTS if (found := self._connection(account)) is not None]
        if options["no_demo"] or not connections or AuditEvent.objects.filter(verb=SEEDED).exists():
            return
        tours = demo_tours(timezone.now())
        for tour in tours:
            save_tour(tour, actor="", via="system", reason="demo")
        audit.record(SEEDED, connections[0], actor="", via="system", after={"tours": len(tours)})
        self.stdout.write(f"{len(tours)} demo tours.")

    def _connection(self, account: SandboxAccount) -> Connection | None:
        """The account's connection; the sandbox is told its secret each time, for its own data may be new.

        None where the vendor's address is the vendor's own: made-up credentials are never sent there.
        """
        mine = Q(provider=account.provider)
        known = Connection.objects.filter(mine & Q(account_key=account.account) | Q(label=account.label)).first()
        if known is not None:
            secret = known.secrets.get(account.secret)
            if secret and (known.provider, known.account_key) == (account.provider, account.account):
                account.tell(settings.REANNA_SANDBOX_URL, secret)
            return known
        if not settings.REANNA_BASE_URLS[account.provider].startswith(settings.REANNA_SANDBOX_URL.rstrip("/")):
            return None
        secret = account.new_secret()
        account.tell(settings.REANNA_SANDBOX_URL, secret)
        values = {"label": account.label, "scope": "brokerage", "sync_from": SYNC_FROM, account.secret: secret}
        made = create_connection(
            account.provider, {**values, **account.config}, now=timezone.now(), actor="", via="system"
        )
        self.stdout.write(f"Connection “{account.label}”.")
        return made
