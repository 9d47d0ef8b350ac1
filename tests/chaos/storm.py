"""Staff go on working while processes die: in the end everything has arrived exactly once, within the limits.

What happens, and after which share of the work, is the seed's: SIGKILL to a worker, SIGSTOP of one until its lease has
long run out, a Redis that is killed and comes back empty (or is emptied), a PostgreSQL that ends as by `pg_ctl stop -m
immediate`, and all the time answers that get lost. The judge is `tests.oracle`.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos import world
from tests.chaos.ground import Site, work
from tests.chaos.held import Watch
from tests.evidence import Database
from tests.oracle import Findings, judge
from tests.oracle.findings import tally

LEASE_S, SWEEP_S = 26.0, 3.0
# Only what bounds the waiting is shorter than in an installation.
FIGURES = {
    "REANNA_LEASE_S": LEASE_S,
    "REANNA_TOTAL_DEADLINE_S": 5,
    "REANNA_HEARTBEAT_S": 6,
    "REANNA_SWEEP_S": SWEEP_S,
    "REANNA_BACKOFF_CAP_S": 20,
}
# Enough that the living have work while the leases of the dead run out.
OPEN_AT_MOST = 1_000
ACTS_AT_ONCE = 4
POLL_S = 0.1
# A fault that meets no request in this time is gone, and a provider has one at a time: heaped up, they would be an
# outage.
RAINS_S = 4
STAFF_LOOK_S = 10.0
# (share of faults, kind, details). What was done and not told is the most of them.
WEATHER: tuple[tuple[float, str, dict[str, Any]], ...] = (
    (0.5, "drop_after_effect", {}),
    (0.7, "drop_before_effect", {}),
    (0.8, "garbled", {}),
    (0.9, "status", {"status": 500}),
    (1.0, "status", {"status": 503}),
)
LOST = ("drop_after_effect", "drop_before_effect", "garbled")


@dataclass(frozen=True)
class Plan:
    """What is to happen. Work ends after `minutes`, or when there were so many `operations`."""

    seed: int
    operations: int | None
    minutes: float | None
    kills: int
    freezes: int
    wipes: int
    crashes: int
    faulty_share: float = 0.1
    workers: int = 3
    settle_s: float = 900.0
    lease_s: float = LEASE_S


@dataclass
class Outcome:
    """What happened, and what became of it. Times are seconds."""

    seed: int
    database: str
    done: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    lost_answers_share: float = 0.0
    operations: int = 0
    worked_s: float = 0.0
    settled_s: float = 0.0
    kill_to_next_request: dict[str, float] = field(default_factory=dict)
    kill_to_next_claim_of_what_it_held: dict[str, float] = field(default_factory=dict)
    the_same_while_its_account_might_send: dict[str, float] = field(default_factory=dict)
    late_waited_for: dict[str, int] = field(default_factory=dict)
    never_taken_up: list[int] = field(default_factory=list)
    bound_s: float = LEASE_S + SWEEP_S + 5
    asked_people: int = 0
    load_average: tuple[float, float, float] = (0.0, 0.0, 0.0)
    inversions: list[str] = field(default_factory=list)
    unexpected_ends: list[str] = field(default_factory=list)
    findings: Findings | None = None

    @property
    def good(self) -> bool:
        late = self.kill_to_next_request.get("p99", 0.0) > self.bound_s or self.never_taken_up
        return bool(self.findings and not self.findings.wrong and not self.inversions and not late)


class Storm:
    """One run."""

    def __init__(self, site: Site, plan: Plan, said: Callable[[str], None] = print) -> None:
        self.site, self.plan, self._said = site, plan, said
        self._random = random.Random(f"storm {plan.seed}")  # noqa: S311  to be repeated, not to be secret
        self._staff = world.Staff(plan.seed)
        self._workers: list[int] = []
        self._frozen: dict[int, float] = {}
        self._number = 0
        self._kills: list[float] = []
        self._weather_at = 0
        self._staff_look_at = 0.0
        self._counted: dict[str, int] = {}
        bound_s = plan.lease_s + SWEEP_S + 5
        self.outcome = Outcome(plan.seed, "postgres" if site.server else "sqlite", bound_s=bound_s)
        self._held = Watch(self.outcome.bound_s)
        blows = ["kill"] * plan.kills + ["freeze"] * plan.freezes + ["wipe"] * plan.wipes
        blows += ["crash"] * (plan.crashes if site.server else 0)
        self._random.shuffle(blows)
        shares = sorted(self._random.uniform(0.03, 0.92) for _ in blows)
        self._blows = list(zip(shares, blows, strict=True))

    def run(self) -> Outcome:
        """Everything; the outcome has what was found."""
        world.connect(self.site)
        began = told = time.monotonic()
        self._hold_workers()
        while (progress := self._progress(began)) < 1.0 or self._blows:
            self._step(progress)
            if time.monotonic() - told > 20:
                told = time.monotonic()
                self._said(f"{told - began:5.0f} s  {self._counted}  {self.outcome.done}")
        self.outcome.worked_s = round(time.monotonic() - began, 1)
        self._settle()
        self.outcome.settled_s = round(time.monotonic() - began, 1)
        for pid in self._workers:
            self.site.end(pid)
        self._judge()
        return self.outcome

    # --- what happens -----------------------------------------------------------------------------------------

    def _step(self, progress: float) -> None:
        self._look_after()
        self._rain()
        if self._work_left():
            for _ in range(ACTS_AT_ONCE):
                self._staff.act()
        while self._blows and self._blows[0][0] <= progress:
            self._strike(self._blows.pop(0)[1])
        time.sleep(POLL_S)

    def _look_after(self) -> None:
        """Workers that ended begin anew, the frozen are woken, staff see to what asks for them."""
        self._hold_workers()
        self._thaw()
        self._held.look()
        if time.monotonic() >= self._staff_look_at:
            self._staff_look_at = time.monotonic() + STAFF_LOOK_S
            self._answer()

    def _answer(self) -> None:
        from integrations.models import Operation
        from integrations.operations import operations as verbs
        from integrations.operations.audit import Who

        stuck = Operation.objects.filter(state__in=("dead", "needs_person"))
        for pk in list(stuck.values_list("pk", flat=True)):
            self.outcome.asked_people += 1
            verbs.retry(pk, Who("olga", "admin"))

    def _strike(self, what: str) -> None:
        self.outcome.done[what] = self.outcome.done.get(what, 0) + 1
        if what == "kill":
            self._kill()
        elif what == "freeze":
            pid = self._random.choice(self._workers)
            self._workers.remove(pid)
            self.site.freeze(pid)
            self._frozen[pid] = time.monotonic() + self.plan.lease_s + 4
        elif what == "wipe":
            if self._random.random() < 0.5:
                self.site.redis.restart(wipe=True)
            else:
                self.site.redis.wipe()
        elif what == "crash" and self.site.server is not None:
            _forget_connections()
            self.site.server.crash()
            time.sleep(self._random.uniform(0.2, 2.0))
            self.site.server.start()
        self._hold_workers()

    def _kill(self) -> None:
        pid = self._random.choice(self._workers)
        self._workers.remove(pid)
        self.site.kill(pid)
        self._kills.append(time.monotonic())
        self._held.took(f":{pid}:")

    def _thaw(self) -> None:
        for pid, until in list(self._frozen.items()):
            if time.monotonic() >= until:
                del self._frozen[pid]
                self.site.thaw(pid)
                self._workers.append(pid)

    def _hold_workers(self) -> None:
        """As many workers as there should be; one that ended by itself is told of."""
        for pid in list(self._workers):
            name = self.site.children.get(pid, "")
            code = self.site.ended(pid)
            if code is not None:
                self._workers.remove(pid)
                self.outcome.unexpected_ends.append(f"{name} ended with {code}: {self.site.log(name)[-300:]}")
        while len(self._workers) < self.plan.workers:
            self._number += 1
            self._workers.append(self.site.fork(lambda: work(threads=8), f"worker-{self._number}"))

    def _rain(self) -> None:
        """So many of the requests to come meet a fault."""
        seen = self.site.sandbox.last_seq()
        every = max(1, round(1 / self.plan.faulty_share)) if self.plan.faulty_share else 0
        while every and self._weather_at + every <= seen:
            self._weather_at += every
            chance = self._random.random()
            kind, details = next((kind, details) for share, kind, details in WEATHER if chance <= share)
            provider = self._random.choice(["gohighlevel", "gohighlevel", "rollout"])
            if any(fault["provider"] == provider for fault in self.site.sandbox.active_faults()):
                continue
            self.site.sandbox.faults(kind, provider=provider, for_seconds=RAINS_S, **details)

    # --- how far it is ----------------------------------------------------------------------------------------

    def _progress(self, began: float) -> float:
        """The share of the work that is done; what there is of operations is counted here, once a step."""
        from django.db.models import Count

        from integrations.engine import states
        from integrations.models import Operation

        rows = Operation.objects.order_by().values("state").annotate(n=Count("pk"))
        self._counted = {row["state"]: row["n"] for row in rows}
        if self.plan.operations is None:
            return (time.monotonic() - began) / (60 * (self.plan.minutes or 1))
        return sum(n for state, n in self._counted.items() if state in states.TERMINAL) / self.plan.operations

    def _work_left(self) -> bool:
        from integrations.engine import states

        if self.plan.operations is not None and sum(self._counted.values()) >= self.plan.operations:
            return False
        return sum(n for state, n in self._counted.items() if state not in states.TERMINAL) < OPEN_AT_MOST

    def _settle(self) -> None:
        """The faults end, who stands still is woken, staff retry what asks for them; all comes to its end."""
        from integrations.engine import states
        from integrations.models import Operation

        self.site.sandbox.clear_faults()
        deadline = time.monotonic() + self.plan.settle_s
        while time.monotonic() < deadline:
            self._look_after()
            stuck = Operation.objects.filter(state__in=("dead", "needs_person"))
            done = not Operation.objects.exclude(state__in=states.TERMINAL).exists() and not stuck.exists()
            if done and not self._frozen:
                return
            time.sleep(0.5)

    # --- what came of it --------------------------------------------------------------------------------------

    def _judge(self) -> None:
        outcome, rows = self.outcome, self.site.sandbox.journal()
        database = Database(self.site.database_url or self.site.folder / "reanna.sqlite3")
        outcome.operations = database.rows("SELECT COUNT(*) AS n FROM integrations_operation")[0]["n"]
        outcome.faults = tally([row["fault"] for row in rows if row["fault"]])
        lost = sum(n for kind, n in outcome.faults.items() if kind in LOST)
        outcome.lost_answers_share = round(lost / max(len(rows), 1), 3)
        outcome.load_average = os.getloadavg()
        outcome.findings = judge(rows, database)
        outcome.inversions = world.inversions(rows)
        times = [row["t"] for row in rows]
        outcome.kill_to_next_request = _spread(
            [after - at for at in self._kills if (after := next((t for t in times if t > at), None)) is not None]
        )
        self._held.look()
        outcome.kill_to_next_claim_of_what_it_held = _spread(self._held.waited)
        outcome.the_same_while_its_account_might_send = _spread(self._held.unbarred)
        outcome.late_waited_for = dict(self._held.late)
        outcome.never_taken_up = self._held.left()


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {"n": 0}
    at = [round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2) for share in (0.5, 0.99)]
    return {"n": len(ordered), "p50": at[0], "p99": at[1], "max": round(ordered[-1], 2)}


def _forget_connections() -> None:
    from django.db import connections

    connections.close_all()


def text(outcome: Outcome) -> str:
    """A line a figure."""
    found = outcome.findings
    head = {name: value for name, value in vars(outcome).items() if name != "findings"}
    lines = [f"{name:<33} {json.dumps(value)}" for name, value in head.items()]
    return "\n".join([*lines, found.text() if found else ""])
