"""Claims a second on PostgreSQL, two processes at the same connections, a hundred at a time; and none taken twice.

`python -m tests.bench.claims seed` and `… take` are its parts, run on the database that the environment names.
"""

from __future__ import annotations

import json
import os
import sys
import time

import django

OPERATIONS, CONNECTIONS, PROCESSES, BATCH = 40_000, 4, 2, 100
SHORT_OPERATIONS = 4_000
LEASE_MS = 600_000


def measure(*, short: bool = False) -> tuple[dict[str, float], dict[str, object]]:
    """Claims a second of all processes together, from the first claim to the last."""
    from tests.bench import postgres

    with postgres.migrated(BENCH_OPERATIONS=str(SHORT_OPERATIONS if short else OPERATIONS)) as environ:
        postgres.run(environ, "-m", "tests.bench.claims", "seed")
        processes = [postgres.begin(environ, "-m", "tests.bench.claims", "take") for _ in range(PROCESSES)]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()  # it is ready
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [json.loads(process.communicate(timeout=300)[0]) for process in processes]
    taken = [pk for one in told for pk in one["taken"]]
    seconds = max(one["ended"] for one in told) - min(one["began"] for one in told)
    figures = {
        "claims_per_s": round(len(taken) / seconds, 0),
        "engine.double_claims": float(len(taken) - len(set(taken))),
    }
    return figures, {"claimed": len(taken), "claims_seconds": round(seconds, 3), "claim_processes": PROCESSES}


def seed() -> None:
    """Pending operations, spread evenly."""
    from django.db import connection as database

    from integrations.models import Operation
    from tests.factories import ConnectionFactory

    connections = [ConnectionFactory() for _ in range(CONNECTIONS)]
    Operation.objects.bulk_create(
        (
            Operation(
                op_key=f"bench {n}",
                connection=connections[n % CONNECTIONS],
                kind="appointment.sync",
                entity_type="stop",
                entity_id=n,
                version=1,
                due_ms=n,
            )
            for n in range(int(os.environ["BENCH_OPERATIONS"]))
        ),
        batch_size=2_000,
    )
    with database.cursor() as cursor:
        cursor.execute("ANALYZE")


def take() -> None:
    """Claims, without sending, until nothing is left; tells which and when."""
    from django.db import connection as database

    from integrations.engine import claims
    from integrations.models import Connection

    waiting = list(Connection.objects.values_list("pk", flat=True))
    owner = f"bench:{time.monotonic_ns()}"
    database.ensure_connection()
    print("ready", flush=True)
    sys.stdin.readline()
    taken: list[int] = []
    began = time.monotonic()
    while waiting:
        for pk in tuple(waiting):
            claimed = claims.claim(pk, owner, BATCH, LEASE_MS, time.monotonic())
            taken += (one.operation.pk for one in claimed)
            if not claimed:
                waiting.remove(pk)
    print(json.dumps({"began": began, "ended": time.monotonic(), "taken": taken}))


if __name__ == "__main__":
    django.setup()
    {"seed": seed, "take": take}[sys.argv[1]]()
