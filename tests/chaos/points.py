"""Every place of a send at which a process can die, for everything we send: in the end there is exactly one effect.

    python -m tests.chaos.points --database sqlite|postgres [--sample N] [--seed N] [--only TEXT] [--shard I/N]
                                 [--json OUT]

A cell of the table is a provider, an act (`tests/crm_acts.py`), a point (`integrations/failpoints.py`) and an action:
SIGKILL, SIGSTOP until its lease has long passed to others, or an exception. Each cell has an account of its own at the
sandbox and a process of its own, the victim, that comes to the point; when it has struck, two further processes take
over, and those that stand still are woken after their lease. Judged are the sandbox's journal (one effect, the right
one) and the rows (all at an end, nothing in doubt). Cells run thirty at a time, of whose victims six are on their way
to their point at once; the whole table takes some ten minutes. `--shard 2/4` is the second of four parts of it.
Exit code 1 when a cell went wrong, or when a victim never came to its point.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integrations.failpoints import ACTIONS, POINTS, arm
from tests.chaos.ground import DATABASES, Site, ground, work

if TYPE_CHECKING:
    from tests.crm_acts import Act

AT_ONCE = 30
# Victims under way to their point. All thirty at once would wait for SQLite's one write lock, and for a processor,
# longer than a worker in use ever does.
COMING = 6
LEASE_S = 8.0
# Short, so that a cell is over soon; they keep the law among themselves (`integrations.E010`).
FIGURES = {
    "REANNA_TOTAL_DEADLINE_S": 2.5,
    "REANNA_LEASE_S": LEASE_S,
    "REANNA_HEARTBEAT_S": 0.4,
    "REANNA_SWEEP_S": 0.6,
    "REANNA_SETTLE_S": 0.5,
    "REANNA_BACKOFF_BASE_S": 0.2,
    "REANNA_MAX_ATTEMPTS": 8,
}
STRIKE_LIMIT_S, SETTLE_LIMIT_S = 60.0, 240.0
# Beside the sending: the write's answer is held back so long that the threads beside it come by.
BESIDE = ("mid_heartbeat", "in_sweep")
HELD_BACK_S = 1.1
# Of whose sandboxes a cell gets an account of its own; the other providers' sending is the same engine's.
PROVIDERS = ("gohighlevel", "rollout")
# Where its first strike would find nothing in hand.
NTH = {"in_sweep": 2}


@dataclass(frozen=True)
class Cell:
    """One case of the table."""

    provider: str
    act: str
    point: str
    action: str

    def __str__(self) -> str:
        return f"{self.provider} {self.act} {self.point} {self.action}"


@dataclass
class Case:
    """A cell under way. `end`: how its victim ended; `wrong`: what must not be."""

    cell: Cell
    act: Act
    victim: int = 0
    name: str = ""
    end: int | None = None
    struck_s: float = 0.0
    froze: bool = False
    wrong: list[str] = field(default_factory=list)


def table() -> list[Cell]:
    """Every cell. A token is renewed at GoHighLevel only: Rollout's are made by us."""
    from tests.crm_acts import ALL_ACTS

    return [
        Cell(provider, act, point, action)
        for provider in PROVIDERS
        for act in ALL_ACTS[provider]
        for point in POINTS
        for action in ACTIONS
        if point != "in_token_refresh" or provider == "gohighlevel"
    ]


def sample(cells: Sequence[Cell], count: int, seed: int) -> list[Cell]:
    """`count` cells, every point with every action among them as evenly as can be."""
    rand = random.Random(seed)  # noqa: S311  to be repeated, not to be secret
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in rand.sample(cells, len(cells)):
        groups.setdefault((cell.point, cell.action), []).append(cell)
    chosen: list[Cell] = []
    while len(chosen) < min(count, len(cells)):
        chosen += [group.pop() for group in groups.values() if group]
    return chosen[:count]


def shard(cells: Sequence[Cell], which: str) -> list[Cell]:
    """The i-th of n parts, as "i/n"; all parts together are all cells. Raises ValueError."""
    part, parts = (int(word) for word in which.split("/"))
    if not 1 <= part <= parts:
        raise ValueError(f"{which}: the parts are 1/{parts} to {parts}/{parts}")
    return list(cells[part - 1 :: parts])


def run(site: Site, cells: Sequence[Cell], said: Callable[[str], None] = print) -> list[Case]:
    """All cells, thirty at a time."""
    done: list[Case] = []
    for start in range(0, len(cells), AT_ONCE):
        began = time.monotonic()
        batch = [_prepared(site, cell, start + place) for place, cell in enumerate(cells[start : start + AT_ONCE])]
        ready = time.monotonic()
        _strike(site, batch)
        struck = time.monotonic()
        _recover(site, batch)
        for case in batch:
            _judge(site, case)
        done += batch
        wrong = sum(bool(case.wrong) for case in batch)
        now = time.monotonic()
        times = f"{ready - began:.1f} + {struck - ready:.1f} + {now - struck:.1f} s"
        said(f"{len(done):4} of {len(cells)} cells, {wrong} wrong; {times}")
    return done


# --- before --------------------------------------------------------------------------------------------------------


def _prepared(site: Site, cell: Cell, number: int) -> Case:
    """Its own account, agent and tour, brought to just before the act."""
    from integrations.models import Agent, ConnectionScope
    from tests import crm as brokerage
    from tests.crm_acts import Act

    agent = Agent.objects.create(name=f"Agent {number}", email=f"agent{number}@brokerage.example")
    scope = {"scope": ConnectionScope.AGENT, "agent": agent}
    if cell.provider == "gohighlevel":
        account = f"loc_{number}"
        site.sandbox.account(account, token=f"pit-{number}-token", calendar=f"cal_{number}")
        config = {"location_id": account, "calendar_id": f"cal_{number}", "interest_field_id": "fld_interest"}
        secrets = {"token": f"pit-{number}-token"}
    else:
        account = f"cred_{number}"
        owner = {"client_id": f"client-{number}", "consumer": f"consumer-{number}"}
        site.sandbox.rollout(account, **owner)
        config = {**owner, "credential_id": account}
        secrets = {"client_secret": brokerage.ROLLOUT_SECRET}
    connection = brokerage.make_connection(
        provider=cell.provider, account_key=account, config=config, secrets=secrets, **scope
    )
    crm = _crm(site, connection, account)
    crm.touring = {"agent": agent}
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(hour=17, minute=0, second=0, microsecond=0)
    act = Act(crm, cell.act, tomorrow, begin=False)
    if cell.point != "on_commit_publish":
        act.begin()
    if cell.point == "in_token_refresh":
        _sign_in(site, act, f"first-{number}")
        # What is stored has run out, so that the next request renews it.
        type(connection).objects.filter(pk=connection.pk).update(token_expires_at=datetime.now(UTC))
    if cell.point in BESIDE:
        act.fault("delay", account=account, seconds=HELD_BACK_S)
    return Case(cell, act, name=f"victim-{number}")


def _crm(site: Site, connection: Any, account: str) -> Any:
    from tests.crm import Crm

    class Mine(Crm):
        """Sees its own account's requests."""

        def requests(self, method: str | None = None) -> list[dict[str, Any]]:
            return [row for row in super().requests(method) if row["account"] in (account, None)]

    return Mine(site.sandbox, site.redis, connection)


def _sign_in(site: Site, act: Act, word: str) -> None:
    """An app's credentials, which a person gives."""
    from integrations.models import Connection, ConnectionState

    mine = Connection.objects.get(pk=act.crm.connection.pk)
    secrets = {"client_secret": "app-secret", "refresh_token": f"{word}-refresh", "access_token": f"{word}-access"}
    site.sandbox.account(mine.account_key, oauth={"client_id": f"app-{mine.pk}", **secrets})
    mine.secrets, mine.config = secrets, {**mine.config, "client_id": f"app-{mine.pk}"}
    mine.secrets_version, mine.token_expires_at = mine.secrets_version + 1, None
    mine.state = ConnectionState.ACTIVE
    mine.save()


# --- meanwhile -----------------------------------------------------------------------------------------------------


def _strike(site: Site, batch: Sequence[Case]) -> None:
    """Each victim comes to its point; none goes on to the next step before all have.

    Those that are to stand still come last, so that they stand no longer than they must.
    """
    _come_to_it(site, [case for case in batch if case.cell.action != "stop" and case.cell.point != "in_sweep"])
    for case in batch:
        if case.cell.point == "in_sweep":
            # One process at a time sweeps: who lives on must let the next one in.
            _come_to_it(site, [case])
            if case.victim in site.children and not case.froze:
                case.end = site.end(case.victim)
    _come_to_it(site, [case for case in batch if case.cell.action == "stop" and case.cell.point != "in_sweep"])


def _come_to_it(site: Site, cases: Sequence[Case]) -> None:
    """A few at a time; each has its time from its own start."""
    to_come, coming = deque(cases), dict[int, tuple[float, Case]]()
    while to_come or coming:
        while to_come and len(coming) < COMING:
            case = to_come.popleft()
            case.victim = site.fork(partial(_be_victim, site, case), case.name)
            coming[case.victim] = time.monotonic(), case
        for victim, (began, case) in list(coming.items()):
            now = time.monotonic()
            if _struck(site, case):
                case.struck_s = now
            elif now - began > STRIKE_LIMIT_S:
                case.wrong.append(f"the victim never came to the point: {site.log(case.name)[-300:]}")
            else:
                continue
            del coming[victim]
        time.sleep(0.02)


def _be_victim(site: Site, case: Case) -> None:
    cell = case.cell
    arm(cell.point, site.await_freeze if cell.action == "stop" else cell.action, NTH.get(cell.point, 1))
    if cell.point == "on_commit_publish":
        case.act.begin()
        return
    work(only=case.act.crm.connection.pk, sweeps=cell.point == "in_sweep", threads=2)


def _struck(site: Site, case: Case) -> bool:
    """Dead, still, or told by its log that the exception came."""
    case.end = site.ended(case.victim) if case.end is None else case.end
    if case.cell.action == "stop":
        case.froze = site.awaits_freeze(case.victim)
        if case.froze:
            site.freeze(case.victim)
        return case.froze
    if case.cell.action == "raise":
        return "InjectedError" in site.log(case.name)
    return case.end == -signal.SIGKILL


def _recover(site: Site, batch: Sequence[Case]) -> None:
    """Others take over; who stands still is woken when its lease has passed; a person signs in where it is asked."""
    rescuers = [site.fork(work, f"rescuer-{number}") for number in range(2)]
    frozen = [case for case in batch if case.froze]
    begun = time.monotonic()
    deadline = begun + SETTLE_LIMIT_S
    while time.monotonic() < deadline:
        if frozen and time.monotonic() - begun > LEASE_S + 3:
            for case in frozen:
                site.thaw(case.victim)
            frozen = []
            # What it does now is its own; a moment for it.
            time.sleep(1.0)
        for case in batch:
            _help(site, case)
        if not frozen and not any(_open(case) for case in batch):
            break
        time.sleep(0.1)
    for case in batch:
        if case.victim in site.children:
            case.end = site.end(case.victim)
        if case.end != (-signal.SIGKILL if case.cell.action == "kill" else 0):
            case.wrong.append(f"the victim ended with {case.end}")
    for rescuer in rescuers:
        site.end(rescuer)


def _help(site: Site, case: Case) -> None:
    from integrations.models import Connection, ConnectionState

    if case.cell.point == "in_token_refresh":
        asked = Connection.objects.filter(pk=case.act.crm.connection.pk, state=ConnectionState.AUTH_NEEDED)
        if not site.stopped(case.victim) and asked.exists():
            _sign_in(site, case.act, f"second-{case.victim}")


def _open(case: Case) -> bool:
    from integrations.engine import states
    from integrations.models import Operation

    mine = Operation.objects.filter(connection=case.act.crm.connection)
    return mine.exclude(state__in=(*states.TERMINAL, "needs_person")).exists()


# --- afterwards ----------------------------------------------------------------------------------------------------


def _judge(site: Site, case: Case) -> None:
    try:
        case.act.find()
        case.act.assert_done_once()
    except Exception as error:  # noqa: BLE001  told, as what is wrong with this cell
        rows = [(r["method"], r["path"], r["status"], r["effect"]) for r in case.act.crm.requests()]
        case.wrong.append(f"{type(error).__name__}: {error}"[:1500] + f"\n{rows}\n{site.log(case.name)[-1500:]}")


# --- the command ---------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the table, or a part of it, and print what came of it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.points", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--sample", type=int, metavar="N", help="so many cells; default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", metavar="TEXT", help="cells whose name holds this")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="the I-th of N parts of these cells")
    parser.add_argument("--json", type=Path, metavar="OUT")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    with ground(options.database, FIGURES) as site:
        site.prepare()
        cells = [cell for cell in table() if options.only in str(cell)]
        cells = shard(sample(cells, options.sample or len(cells), options.seed), options.shard)
        done = run(site, cells)
    wrong = [case for case in done if case.wrong]
    for case in wrong:
        print(f"WRONG  {case.cell}: " + "\n".join(case.wrong))
    told = {
        "database": options.database, "seed": options.seed, "shard": options.shard,
        "cells": len(done), "wrong": [str(c.cell) for c in wrong],
        "seconds": round(time.monotonic() - began, 1), "load_average": os.getloadavg(),
    }  # fmt: skip
    print(json.dumps(told))
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
