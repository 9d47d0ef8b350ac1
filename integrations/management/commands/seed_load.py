"""`manage.py seed_load`: a database as full as after years, to see that everything stays fast."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from random import Random
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection as database
from django.utils import timezone

from integrations.management.load_operations import Effects
from integrations.management.load_story import Story
from integrations.management.progress import Progress
from integrations.models import Agent, AuditEvent, Connection, ConnectionState, Contact, Office, Operation, Tour
from integrations.operations import audit

SEEDED = "load.seed"
ACCOUNT = "load_"
"""How the accounts of its connections begin; no vendor has such a one."""
OFFICES = 8
TOURS_AT_ONCE = 50
ANALYSED_ROWS = 1_000
_CONNECTIONS = (
    ("main", "gohighlevel", None, ConnectionState.PAUSED),
    ("team", "rollout", None, ConnectionState.PAUSED),
    ("north", "gohighlevel", 0, ConnectionState.PAUSED),
    ("south", "gohighlevel", 1, ConnectionState.DISABLED),
)


class Command(BaseCommand):
    """Its connections are paused or disabled and have no credentials: nothing of it can ever be sent."""

    help = "Fill a database with made-up tours and operations. Not for a database with tours of your own."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--operations", type=int, default=1_000_000, metavar="N", help="so many (1000000)")
        parser.add_argument("--attempts", type=int, default=5, metavar="N", help="tries of an operation, at most (5)")
        parser.add_argument("--open", type=int, default=5, metavar="PERCENT", help="operations not at an end (5)")
        parser.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed makes the same rows (1)")
        parser.add_argument("--agents", type=int, default=120, metavar="N", help="so many agents (120)")
        parser.add_argument(
            "--among-real-data", action="store_true", help="add to a database that holds records of your own"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._check(options)
        self._refuse_real_data(options["among_real_data"])
        run = AuditEvent.objects.filter(verb=SEEDED).count() + 1
        now = timezone.now().replace(microsecond=0)
        offices = [Office.objects.get_or_create(name=f"Load office {place}")[0] for place in range(1, OFFICES + 1)]
        connections = [_connection(row, offices) for row in _CONNECTIONS]
        given = {name: options[name] for name in ("operations", "attempts", "open", "seed")}
        audit.record(SEEDED, connections[0], actor="", via="command", after=given)
        rng = Random(f"{options['seed']} {run}")  # noqa: S311  made-up data, repeatable on purpose
        effects = Effects(
            rng, now, run, most=options["operations"], tries=options["attempts"], share_open=options["open"] / 100
        )
        agents = _agents(options["agents"], offices)
        self._fill(Story(rng, now, run, agents, connections, effects), effects, options["operations"])
        _analyse()
        self.stdout.write(f"{effects.made} operations of {Tour.objects.count()} tours. Nothing of it is ever sent.")

    def _fill(self, story: Story, effects: Effects, most: int) -> None:
        progress = Progress(self._stderr(), "seeding", "operations")
        try:
            while not effects.full:
                for _ in range(TOURS_AT_ONCE):
                    if effects.full:
                        break
                    story.add_tour()
                story.write()
                progress(effects.made, most)
        finally:
            progress.close()

    def _stderr(self) -> Any:
        return self.stderr

    def _check(self, options: dict[str, Any]) -> None:
        for name, least, highest in (
            ("operations", 1, 10**8),
            ("attempts", 1, 100),
            ("open", 0, 100),
            ("agents", 1, 10**5),
        ):
            if not least <= options[name] <= highest:
                raise CommandError(f"--{name} must lie between {least} and {highest}.")

    def _refuse_real_data(self, allowed: bool) -> None:
        """Raises CommandError."""
        others = Connection.objects.exclude(account_key__startswith=ACCOUNT).exclude(state=ConnectionState.DISABLED)
        names = list(others.values_list("label", flat=True)[:3])
        if names:
            raise CommandError(
                f"“{'”, “'.join(names)}” would be told of the made-up tours: disable every connection that this "
                "command did not make, or use another database."
            )
        if allowed or AuditEvent.objects.filter(verb=SEEDED).exists():
            return
        for model in (Tour, Contact, Operation):
            if model._default_manager.exists():
                raise CommandError(
                    f"This database holds {model._meta.verbose_name_plural} that this command did not make. Use "
                    "another one (--data DIR or DATABASE_URL), or add to it for good with --among-real-data."
                )


def _connection(row: tuple[str, str, int | None, str], offices: list[Office]) -> Connection:
    name, provider, office, state = row
    made, _ = Connection.objects.get_or_create(
        provider=provider,
        account_key=f"{ACCOUNT}{name}",
        defaults={
            "label": f"Load {name}",
            "scope": "brokerage" if office is None else "office",
            "office": None if office is None else offices[office],
            "sync_from": datetime(2020, 1, 1, tzinfo=UTC),
            "config": dict.fromkeys(("location_id", "credential_id", "client_id", "consumer"), f"{ACCOUNT}{name}"),
            "state": state,
            "state_reason": "Made by seed_load: it has no credentials and never sends.",
        },
    )
    return made


def _agents(number: int, offices: list[Office]) -> list[Agent]:
    addresses = [f"agent{place}@load.example" for place in range(number)]
    known = {agent.email: agent for agent in Agent.objects.filter(email__endswith="@load.example")}
    new = [
        Agent(name=f"Load Agent {place}", email=address, office=offices[place % len(offices)])
        for place, address in enumerate(addresses)
        if address not in known
    ]
    known.update({agent.email: agent for agent in Agent.objects.bulk_create(new, batch_size=200)})
    return [known[address] for address in addresses]


def _analyse() -> None:
    """The database's picture of what it holds, by which it plans its queries."""
    with database.cursor() as cursor:
        if database.vendor == "sqlite":
            cursor.execute(f"PRAGMA analysis_limit = {ANALYSED_ROWS}")  # else the write lock is held for seconds
        cursor.execute("ANALYZE")
