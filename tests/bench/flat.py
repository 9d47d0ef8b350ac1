"""What a claim, a look for due work and the counts of the overview cost beside 10,000 pending operations and a million.

Medians of calls on PostgreSQL; the ratio of the two may not exceed 1.2. Nearly all of what waits is due much later,
as after an import of next season's tours. `python -m tests.bench.flat seed|time` are its parts.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import django

FEW, MANY, SHORT_MANY = 10_000, 1_000_000, 100_000
CONNECTIONS, ROUNDS, BATCH = 4, 40, 20
FAR_MS = 10**15


def measure(*, short: bool = False) -> tuple[dict[str, float], dict[str, object]]:
    """How many times as long each takes."""
    from tests.bench import postgres
    from tests.bench.site import told

    many = SHORT_MANY if short else MANY
    with postgres.migrated() as environ:
        found: dict[int, dict[str, float]] = {}
        before = 0
        for number in (FEW, many):
            more = environ | {"BENCH_FROM": str(before), "BENCH_TO": str(number)}
            postgres.run(more, "-m", "tests.bench.flat", "seed")
            found[number] = told(postgres.run(more, "-m", "tests.bench.flat", "time"))
            before = number
    ratios = {f"{name}_flat": round(found[many][name] / found[FEW][name], 3) for name in found[FEW]}
    return ratios, {f"{name}_ms_at_{number}": ms for number, times in found.items() for name, ms in times.items()}


def seed() -> None:
    """More operations that are due much later, spread evenly; a few that are due."""
    from django.db import connection as database

    from integrations.models import Connection, Operation
    from tests.factories import ConnectionFactory

    ids = list(Connection.objects.order_by("pk").values_list("pk", flat=True))
    ids = ids or [ConnectionFactory().pk for _ in range(CONNECTIONS)]
    first, last = int(os.environ["BENCH_FROM"]), int(os.environ["BENCH_TO"])
    due = ROUNDS * BATCH * CONNECTIONS
    table = Operation._meta.db_table
    with database.cursor() as cursor:
        # In SQL: a million rows through the ORM take longer than all that is measured.
        cursor.execute(
            f"INSERT INTO {table} (op_key, connection_id, kind, entity_type, entity_id, version, state, reason,"  # noqa: S608  our table
            " message, priority, due_ms, blockers, in_doubt, token, lease_owner, entered, attempts, waits, strikes,"
            " cancel_requested, redrive_no, created_at, updated_at)"
            " SELECT 'flat ' || n, (%s::bigint[])[1 + n %% %s], 'appointment.sync', 'stop', n, 1, 'pending', '', '',"
            " 50 + 50 * (n / %s %% 2), CASE WHEN n < %s THEN n ELSE %s + n END, 0, false, 0, '', false, 0, 0, 0,"
            " false, 0, now(), now() FROM generate_series(%s::bigint, %s::bigint) AS n",
            [ids, CONNECTIONS, CONNECTIONS, first + due, FAR_MS, first, last - 1],
        )
        cursor.execute("VACUUM ANALYZE")


def timed() -> dict[str, float]:
    """Milliseconds of one call, medians."""
    from django.db.models import F

    from integrations.engine import claims, sweep
    from integrations.models import OPEN, Connection, Operation
    from integrations.operations import counting

    ids = list(Connection.objects.order_by("pk").values_list("pk", flat=True))

    def claim() -> None:
        if not claims.claim(ids[0], "bench", BATCH, 600_000, 0.0):
            raise RuntimeError("nothing was due")

    found = {
        "claims": _median_ms(claim),
        "sweep": _median_ms(sweep.schedule),
        "counts": _median_ms(lambda: (counting.by_state(OPEN), counting.by_connection(ids, OPEN))),
    }
    # What was claimed waits again, so that the second measurement meets the same.
    held = Operation.objects.filter(state="leased")
    held.update(state="pending", lease_until_ms=None, attempts=F("attempts") - 1, due_ms=FAR_MS)
    return found


def _median_ms(call: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return round(statistics.median(times) * 1000, 3)


if __name__ == "__main__":
    django.setup()
    if sys.argv[1] == "seed":
        seed()
    else:
        print(json.dumps(timed()))
