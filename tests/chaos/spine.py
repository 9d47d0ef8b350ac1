"""Tours on their way to two CRMs while processes die: in the end each has arrived exactly once, within the limit.

    python -m tests.chaos.spine --tours FILE [--seed N] [--json OUT] [--data DIR]

Starts the product in a temporary folder (or DIR, which is then kept), imports FILE, and meanwhile, at moments that
the seed chooses by the number of requests the CRM has seen:

* SIGKILL to the worker's whole process group, five times: four while writes of it have reached the CRM and their
  answers are on the way (the sandbox holds them back), one while Redis is frozen;
* FLUSHALL once;
* SIGSTOP of Redis for 20 seconds, once.

Then waits until nothing is under way (at most 15 minutes), judges by `tests.oracle` and prints what it found; exit
code 1 when anything is wrong. Needs two or three minutes more than the import alone (about 4 minutes for 1,000
stops). Everything runs on 127.0.0.1 and is ended by process id.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from tests.evidence import log_trouble
from tests.oracle import Findings
from tests.stack import Stack

SETTLE_LIMIT_S = 900.0
# What Celery says of a Redis that stands still while a worker starts.
EXPECTED_IN_LOGS = ("consumer: Cannot connect to redis",)
# A moment that never comes (the CRM is not asked any more) is not waited for longer than this.
PATIENCE_S = 45.0
POLL_S = 0.02
PROVIDERS = ("gohighlevel", "rollout")
# Answers held back for so long, and of so many writes, before a kill.
HELD_BACK_S, HELD_BACK = 3, 3


@dataclass(frozen=True)
class Blow:
    """What is done once the CRM has seen so many requests. `frozen_s`: how long Redis stands still."""

    after_requests: int
    what: str
    frozen_s: float = 0.0
    kill_meanwhile: bool = False


@dataclass
class Outcome:
    """What was done, when (seconds after the start of the import), and what became of it."""

    seed: int
    blows: list[tuple[float, str]] = field(default_factory=list)
    settled_after_s: float = 0.0
    load_average: tuple[float, float, float] = (0.0, 0.0, 0.0)
    findings: Findings | None = None
    log_trouble: list[str] = field(default_factory=list)
    excluded: list[tuple[float, float]] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.findings is not None and not self.findings.wrong and not self.log_trouble


def blows_of(seed: int, requests: int, *, kills: int, frozen_s: float) -> list[Blow]:
    """The blows of a run that makes about so many requests; one of the kills falls into the frozen time."""
    rand = random.Random(seed)  # noqa: S311  to be repeated, not to be secret
    kinds = ["kill"] * (kills - 1) + ["flush", "freeze"]
    rand.shuffle(kinds)
    moments = sorted(rand.sample(range(requests // 20, requests * 4 // 5), len(kinds)))
    return [
        Blow(moment, kind, frozen_s, kill_meanwhile=True) if kind == "freeze" else Blow(moment, kind)
        for moment, kind in zip(moments, kinds, strict=True)
    ]


def run(stack: Stack, file: Path, blows: Sequence[Blow], *, seed: int, settle_limit_s: float) -> Outcome:
    """Import the file into a running stack, strike, wait for the end, judge."""
    outcome = Outcome(seed)
    began = time.monotonic()
    with stack.begin("import_tours", str(file)) as importing:
        try:
            for blow in blows:
                _await(partial(_has_seen, stack, blow.after_requests))
                _strike(stack, blow, outcome, began)
            code = importing.wait(timeout=settle_limit_s)
        finally:
            stack.thaw_redis()
            if importing.poll() is None:
                importing.kill()
    assert code == 0, f"the import ended with {code}"
    stack.await_settled(settle_limit_s)
    outcome.settled_after_s = round(time.monotonic() - began, 1)
    outcome.load_average = os.getloadavg()
    outcome.findings = stack.findings(outcome.excluded)
    outcome.log_trouble = log_trouble(stack.data, expected=EXPECTED_IN_LOGS)
    return outcome


def _strike(stack: Stack, blow: Blow, outcome: Outcome, began: float) -> None:
    at = time.monotonic()
    before = stack.last_seq()
    if blow.what == "kill":
        for provider in PROVIDERS:
            stack.fault("delay", provider=provider, seconds=HELD_BACK_S, times=HELD_BACK, match={"method": "POST"})
        _await(lambda: _held_back(stack, before) > 0)
        stack.kill_worker()
        stack.clear_faults()
        what = f"kill with {_held_back(stack, before)} answers on the way"
        outcome.blows.append((round(time.monotonic() - began, 1), f"{what}, after {stack.last_seq()} requests"))
    elif blow.what == "flush":
        stack.flush_redis()
        outcome.blows.append((round(at - began, 1), f"FLUSHALL after {before} requests"))
    else:
        outcome.blows.append((round(at - began, 1), f"Redis frozen for {blow.frozen_s} s after {before} requests"))
        stack.freeze_redis()
        time.sleep(blow.frozen_s * 0.4)
        if blow.kill_meanwhile:
            stack.kill_worker()
            outcome.blows.append((round(time.monotonic() - began, 1), "kill while Redis is frozen"))
        time.sleep(blow.frozen_s * 0.6)
        stack.thaw_redis()
    # What was on the wire may still arrive: the first request after that shows that sending goes on.
    time.sleep(0.5)
    seen = stack.last_seq()
    _await(lambda: stack.last_seq() > seen)
    outcome.excluded.append((at, time.monotonic()))


def _has_seen(stack: Stack, requests: int) -> bool:
    return stack.last_seq() >= requests


def _held_back(stack: Stack, since: int) -> int:
    return sum(row["fault"] == "delay" for row in stack.journal(since))


def _await(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(POLL_S)


def requests_of(file: Path) -> int:
    """About how many requests a file of tours makes at two CRMs: each one a stop, and two or three a tour."""
    lines = file.read_text(encoding="utf-8").splitlines()[1:]
    return 2 * len(lines) + 5 * len({line.partition(",")[0] for line in lines})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it in full and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.spine", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tours", type=Path, required=True, metavar="FILE")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--data", type=Path, metavar="DIR", help="a new folder, kept afterwards")
    options = parser.parse_args(arguments)
    blows = blows_of(options.seed, requests_of(options.tours), kills=5, frozen_s=20.0)
    with ExitStack() as ending:
        data = options.data or Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="spine-"))) / "data"
        with Stack(data) as stack:
            outcome = run(stack, options.tours, blows, seed=options.seed, settle_limit_s=SETTLE_LIMIT_S)
            restarts = [line for line in stack.said().splitlines() if "starting it again" in line]
    if options.json:
        options.json.write_text(json.dumps(asdict(outcome), indent=1) + "\n")
    assert outcome.findings is not None
    print(
        f"seed {outcome.seed}; settled {outcome.settled_after_s} s after the import began; load {outcome.load_average}"
    )
    print("\n".join(f"  {at:6.1f} s  {what}" for at, what in outcome.blows))
    print(f"worker started again {len(restarts)} times\n{outcome.findings.text()}")
    print("\n".join(f"LOG           {line}" for line in outcome.log_trouble) or "no errors in the logs")
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
