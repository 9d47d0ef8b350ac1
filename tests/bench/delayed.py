"""A worker beside 100,000 operations that are due in hours: how much memory it takes, how long immediate ones wait.

A worker of the product (Celery, its doorbell, the engine) on PostgreSQL: first with nothing else, then beside those
that wait. `python -m tests.bench.delayed seed|ring|wait` are its parts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

import django

DELAYED, SHORT_DELAYED, IMMEDIATE, SHORT_IMMEDIATE = 100_000, 10_000, 60, 20
HOURS_MS = 6 * 3_600_000
THREADS, LATENCY_S = 8, 0.020
SETTLE_S, PATIENCE_S = 25.0, 60.0
EVERY_S = 0.1


def measure(*, short: bool = False) -> tuple[dict[str, float], dict[str, object]]:
    """Megabytes that the worker grew by, and how many times as long immediate operations waited."""
    from reanna.stack.plan import worker_command
    from tests.bench import machine, postgres
    from tests.bench.site import site, told

    waits: list[float] = []
    sizes: list[float] = []
    immediate = SHORT_IMMEDIATE if short else IMMEDIATE
    with site() as place:
        people = place.accounts(1, latency_s=LATENCY_S)
        settings = {"BENCH_PEOPLE": json.dumps(people), "BENCH_NOTES": str(2 * immediate)}
        with place.database("postgresql", **settings) as environ:
            postgres.run(environ, "-m", "tests.bench.delayed", "seed")
            worker = subprocess.Popen(
                worker_command(THREADS), cwd=postgres.ROOT, env=environ, stderr=subprocess.DEVNULL
            )
            try:
                for step in range(2):
                    if step:
                        more = {"BENCH_DELAYED": str(SHORT_DELAYED if short else DELAYED)}
                        postgres.run(environ | more, "-m", "tests.bench.delayed", "wait")
                    time.sleep(SETTLE_S)  # a sweep or two
                    part = environ | {"BENCH_FIRST": str(step * immediate), "BENCH_LAST": str((step + 1) * immediate)}
                    waits.append(told(postgres.run(part, "-m", "tests.bench.delayed", "ring"))["p50_ms"])
                    sizes.append(machine.rss_mb(worker.pid))
            finally:
                worker.terminate()
                worker.wait(timeout=60)
    figures = {
        "worker_rss_growth_mb": round(sizes[1] - sizes[0], 1),
        "immediate_p50_ratio": round(waits[1] / waits[0], 3),
    }
    return figures, {"worker_rss_mb": sizes, "immediate_p50_ms": waits}


def seed() -> None:
    """A linked buyer and answers of theirs; their notes wait for `ring`."""
    from integrations.models import Operation
    from tests.bench import engine

    engine.seed()
    Operation.objects.update(due_ms=10**15)


def wait() -> None:
    """Operations that are due in some hours."""
    from integrations.engine.clock import db_now
    from integrations.models import Connection, Operation

    connection, at = Connection.objects.get(), db_now() + HOURS_MS
    for first in range(0, int(os.environ["BENCH_DELAYED"]), 5_000):
        Operation.objects.bulk_create(
            Operation(
                op_key=f"delayed {n}",
                connection=connection,
                kind="appointment.sync",
                entity_type="stop",
                entity_id=n,
                version=1,
                due_ms=at + n,
            )
            for n in range(first, first + 5_000)
        )


def ring() -> dict[str, float]:
    """Makes one operation after another due, rings, and tells how long they took to be about to leave (median)."""
    from integrations.engine.clock import db_now
    from integrations.models import Attempt, Operation
    from integrations.tasks import doorbell

    rows = Operation.objects.filter(kind="feedback.note").order_by("pk")
    waits = []
    for operation in rows[int(os.environ["BENCH_FIRST"]) : int(os.environ["BENCH_LAST"])]:
        now = db_now()
        Operation.objects.filter(pk=operation.pk).update(due_ms=now)
        doorbell.ring(operation.connection_id)
        until = time.monotonic() + PATIENCE_S
        while (sent := _sent_ms(Attempt.objects.filter(operation=operation))) is None:
            if time.monotonic() > until:
                raise TimeoutError("it was not sent in time")
            time.sleep(0.01)
        waits.append(sent - now)
        time.sleep(EVERY_S)
    return {"p50_ms": statistics.median(waits)}


def _sent_ms(attempts: object) -> int | None:
    found: int | None = attempts.values_list("sent_ms", flat=True).first()  # type: ignore[attr-defined]  # a QuerySet
    return found


if __name__ == "__main__":
    django.setup()
    if sys.argv[1] == "ring":
        import reanna.celery  # noqa: F401  the broker that it rings at

        print(json.dumps(ring()))
    else:
        {"seed": seed, "wait": wait}[sys.argv[1]]()
