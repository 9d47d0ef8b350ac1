"""Operations a second through the engine, beside a bare Celery task that posts the same note and updates the row.

Same database, same sandbox that takes 20 ms an answer, same number of threads in one process; both from the first row
that is done to the last. The notes go to many accounts, so that no limit is met: what is compared is the work around a
request. The raw figures say what each of the processes took of it.

`python -m tests.bench.engine seed|engine|bare|work` are its parts, run in the environment that `measure` makes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import django

ACCOUNTS, NOTES, THREADS = 40, 50, 8
SHORT_NOTES = 10
LATENCY_S = 0.020
PATIENCE_S = 300.0
LOOK_S = 0.1
PARTS = {"postgresql": "", "sqlite": "_sqlite"}


def measure(
    *, short: bool = False, databases: tuple[str, ...] = ("postgresql", "sqlite")
) -> tuple[dict[str, float], dict[str, object]]:
    """The engine's rate as a share of the bare task's, on each database; and how much processor time each took."""
    from tests.bench import postgres
    from tests.bench.site import site, told

    figures: dict[str, float] = {}
    raw: dict[str, object] = {}
    notes = SHORT_NOTES if short else NOTES
    with site() as place:
        people = place.accounts(ACCOUNTS, latency_s=LATENCY_S)
        for database in databases:
            found = {}
            for name in ("engine", "bare"):
                settings = {
                    "BENCH_PEOPLE": json.dumps(people),
                    "BENCH_NOTES": str(notes),
                    "REANNA_WORKER_THREADS": str(THREADS),
                }
                with place.database(database, **settings) as environ:
                    postgres.run(environ, "-m", "tests.bench.engine", "seed")
                    found[name] = told(postgres.run(environ, "-m", "tests.bench.engine", name))
            ratio = found["engine"]["per_s"] / found["bare"]["per_s"]
            figures[f"engine.vs_bare{PARTS[database]}"] = round(ratio, 3)
            raw |= {f"{name}_{database}": values for name, values in found.items()}
    return figures, raw


def seed() -> None:
    """A linked buyer at each account, and answers of theirs whose notes wait."""
    from integrations.models import Connection, ExternalRef, Operation
    from tests.crm import make_tour
    from tests.factories import ConnectionFactory, FeedbackFactory

    tour = make_tour(django.utils.timezone.now(), stops=1)
    stop = tour.stops.get()
    at = django.utils.timezone.now()
    notes = range(int(os.environ["BENCH_NOTES"]))
    answers = [FeedbackFactory(stop=stop, submitted_at=at - timedelta(minutes=n)) for n in notes]
    for number, (account, person_id) in enumerate(json.loads(os.environ["BENCH_PEOPLE"]).items()):
        connection: Connection = ConnectionFactory(account_key=account, secrets={"token": f"pit-bench-{number}"})
        ExternalRef.objects.create(
            connection=connection,
            entity_type="contact",
            entity_id=tour.buyer_id,
            resource="contact",
            external_id=person_id,
        )
        Operation.objects.bulk_create(
            Operation(
                op_key=f"bench {connection.pk} {answer.pk}",
                connection=connection,
                kind="feedback.note",
                entity_type="feedback",
                entity_id=answer.pk,
                version=answer.version,
                due_ms=0,
            )
            for answer in answers
        )


def work() -> None:
    """A process that sends, until its input ends."""
    from integrations.engine import process

    runner = process.runner()
    runner.start()
    sys.stdin.read()
    runner.stop()


def through_the_engine() -> dict[str, float]:
    """What one process that sends does."""
    from tests.bench import postgres

    worker = postgres.begin(dict(os.environ), "-m", "tests.bench.engine", "work")
    try:
        return _watched(worker.pid)
    finally:
        worker.communicate(timeout=60)


def through_a_bare_task() -> dict[str, float]:
    """What a Celery worker with as many threads does."""
    from integrations.models import Connection, Operation
    from tests.bench import bare, postgres

    # Any worker of this project starts the engine's runner; it must find nothing that it may do.
    Connection.objects.update(state="paused")
    people = json.loads(os.environ["BENCH_PEOPLE"])
    for number, (pk, account) in enumerate(Operation.objects.values_list("pk", "connection__account_key")):
        bare.post_note.delay(pk, people[account], f"pit-bench-{account.removeprefix('loc_bench')}", f"Note {number}")
    options = ("-P", "threads", "-c", str(THREADS), "--without-gossip", "--without-mingle", "--without-heartbeat")
    worker = postgres.begin(
        dict(os.environ), "-m", "celery", "-A", "tests.bench.bare", "worker", "-l", "ERROR", *options
    )
    try:
        return _watched(worker.pid)
    finally:
        worker.terminate()
        worker.wait(timeout=60)


def _watched(worker: int) -> dict[str, float]:
    """Rows a second from the first that is done to the last, and milliseconds of processor time a row, by process.

    Raises TimeoutError, and RuntimeError when one did not succeed.
    """
    from integrations.models import Operation

    rows = Operation.objects.order_by()
    done = rows.filter(state="succeeded")
    _until(done.exists)
    before, began, ahead = _processor_s(worker), time.monotonic(), done.count()
    _until(lambda: not rows.open().exists())
    seconds, after = time.monotonic() - began, _processor_s(worker)
    number = done.count() - ahead
    if number + ahead != rows.count():
        raise RuntimeError(f"{rows.count() - number - ahead} notes did not go in")
    spent = {f"{name}_ms": round(1000 * (after[name] - before[name]) / number, 2) for name in after}
    return {"per_s": round(number / seconds, 1), "rows": number + ahead, **spent}


def _processor_s(worker: int) -> dict[str, float]:
    """Seconds each of the processes used so far."""
    import redis
    from django.conf import settings
    from django.db import connection as database

    from tests.bench import machine

    with redis.Redis.from_url(settings.REDIS_URL) as client:
        server: int = client.info("server")["process_id"]
    found = {"worker": worker, "sandbox": int(os.environ["BENCH_SANDBOX"]), "redis": server}
    if database.vendor == "postgresql":
        found["postgresql"] = machine.parent(database.connection.info.backend_pid)
    return {name: machine.cpu_s(pid) for name, pid in found.items()}


def _until(true: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > PATIENCE_S:
            raise TimeoutError("not done in time")
        time.sleep(LOOK_S)


if __name__ == "__main__":
    django.setup()
    if sys.argv[1] in ("seed", "work"):
        {"seed": seed, "work": work}[sys.argv[1]]()
    else:
        print(json.dumps({"engine": through_the_engine, "bare": through_a_bare_task}[sys.argv[1]]()))
