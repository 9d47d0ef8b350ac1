"""Two figures that need no faults: how well a limit is used, and whether a full connection delays another."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.chaos.ground import Site, work
from tests.chaos.world import plan

FIGURES: dict[str, object] = {}
"""As an installation has them."""
LIMIT, WINDOW_S = 100, 10.0
WINDOW_OPERATIONS, FULL_OPERATIONS = 1_000, 10_000
SLACK = 1.15
OTHER_WITHIN_S = 2.0


def window(site: Site, operations: int = WINDOW_OPERATIONS) -> dict[str, Any]:
    """So many operations of one request each against 100 in 10 s: no 429, and hardly slower than the limit allows."""
    account = _account(site, "loc_window")
    _stops(account, operations)
    time.sleep(WINDOW_S + 1)  # what linked the buyer has left the window
    worker = site.fork(lambda: work(threads=8), "worker")
    arrived = _await(site, "loc_window", operations)
    site.end(worker)
    times = [row["t"] for row in arrived]
    bound = SLACK * (math.ceil(operations / LIMIT) - 1) * WINDOW_S
    took, refused = times[-1] - times[0], sum(row["status"] == 429 for row in arrived)
    return {
        "operations": operations, "requests": len(arrived), "seconds": round(took, 1), "bound_s": round(bound, 1),
        "refused_429": refused, "load_average": os.getloadavg(),
        "good": took <= bound and not refused and len(arrived) == operations,
    }  # fmt: skip


def fairness(site: Site, operations: int = FULL_OPERATIONS) -> dict[str, Any]:
    """One connection has so many operations waiting; the one of another connection is sent within 2 s all the same."""
    full, other = _account(site, "loc_full"), _account(site, "loc_other")
    _stops(full, operations)
    _link(other)
    worker = site.fork(lambda: work(threads=8), "worker")
    _await(site, "loc_full", 150)
    waited = []
    for _ in range(5):
        before = len(_journal(site, "loc_other"))
        began = time.monotonic()
        _stops(other, 1, linked=True)
        saved = time.monotonic()
        rows = _await(site, "loc_other", before + 1, whole=False)
        waited.append((round(rows[before]["t"] - saved, 2), round(saved - began, 2)))
        time.sleep(3)
    site.end(worker)
    worst = max(after for after, _ in waited)
    return {
        "waiting_elsewhere": operations, "seconds_to_first_byte": [after for after, _ in waited], "worst_s": worst,
        "bound_s": OTHER_WITHIN_S, "load_average": os.getloadavg(), "good": worst <= OTHER_WITHIN_S,
    }  # fmt: skip


MEASURES: dict[str, Callable[[Site], dict[str, Any]]] = {"window": window, "fairness": fairness}


def _account(site: Site, account: str) -> Any:
    """A connection of its own agent, and a buyer of theirs who is linked."""
    from integrations.models import Agent, ConnectionScope
    from tests.crm import Crm, make_connection

    site.sandbox.account(account, token=f"pit-{account}-token", calendar=f"cal_{account}")
    agent = Agent.objects.create(name=account, email=f"{account}@brokerage.example")
    connection = make_connection(
        account_key=account,
        config={"location_id": account, "calendar_id": f"cal_{account}"},
        secrets={"token": f"pit-{account}-token"},
        scope=ConnectionScope.AGENT,
        agent=agent,
    )
    crm = Crm(site.sandbox, site.redis, connection)
    crm.touring = {"agent": agent}
    return crm


def _link(crm: Any) -> None:
    """The buyer is known there before anything is measured."""
    from tests.crm import make_tour

    crm.tour = make_tour(_tomorrow(), **crm.touring)
    crm.sync(crm.tour)


def _stops(crm: Any, count: int, *, linked: bool = False) -> None:
    """So many appointments of a linked buyer are planned: one request each."""
    from integrations.models import TourStop
    from tests.crm import make_tour

    if not linked:
        _link(crm)
        crm.seen = len(_journal_of(crm))
    tour = make_tour(_tomorrow(), buyer=crm.tour.buyer, stops=0, **crm.touring)
    start = _tomorrow()
    TourStop.objects.bulk_create(
        TourStop(
            tour=tour,
            sequence=place,
            street=f"{place} High St",
            city="Sacramento",
            state="CA",
            postal_code="95838",
            appointment_start=start + timedelta(minutes=30 * place),
            appointment_end=start + timedelta(minutes=30 * place + 25),
            appointment_status="confirmed",
        )
        for place in range(1, count + 1)
    )
    plan(tour.pk)


def _tomorrow() -> datetime:
    return (datetime.now(UTC) + timedelta(days=1)).replace(hour=17, minute=0, second=0, microsecond=0)


def _journal_of(crm: Any) -> list[dict[str, Any]]:
    return [row for row in crm.sandbox.journal() if row["account"] == crm.connection.account_key]


def _journal(site: Site, account: str) -> list[dict[str, Any]]:
    """The appointments that arrived there; what linked the buyer is not among them."""
    rows = [row for row in site.sandbox.journal() if row["account"] == account]
    creates = [row for row in rows if row["method"] == "POST" and row["path"].endswith("/appointments")]
    return creates[1:]


def _await(site: Site, account: str, count: int, *, whole: bool = True) -> list[dict[str, Any]]:
    """Until so many arrived (`whole`: looked at rarely, for the journal is long)."""
    deadline = time.monotonic() + 600
    while len(rows := _journal(site, account)) < count and time.monotonic() < deadline:
        time.sleep(1.0 if whole else 0.1)
    return rows
