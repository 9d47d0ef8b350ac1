"""Operations a second through the engine, beside a bare Celery task that posts the same note and updates the row.

Same PostgreSQL, same sandbox that takes 20 ms an answer, same number of threads in one process. The notes go to many
accounts, so that no limit is met: what is compared is the work around a request.

`python -m tests.bench.engine seed|engine|bare` are its parts, run in the environment that `measure` makes.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import django
import httpx

ACCOUNTS, NOTES, THREADS = 40, 50, 8
LATENCY_S = 0.020
PATIENCE_S = 240.0


def measure() -> tuple[dict[str, float], dict[str, object]]:
    """The engine's rate as a share of the bare task's."""
    from tests.bench import postgres
    from tests.redis_server import RedisServer
    from tests.sandbox_server import SandboxServer

    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        server = RedisServer(Path(folder), durable=False)
        server.start()
        try:
            with SandboxServer(Path(folder) / "sandbox") as sandbox:
                people = _accounts(sandbox)
                sandbox.faults("delay", seconds=LATENCY_S)
                settings = {
                    "REDIS_URL": server.url,
                    "REANNA_BASE_URL_GOHIGHLEVEL": sandbox.url,
                    "REANNA_WORKER_THREADS": str(THREADS),
                    "BENCH_PEOPLE": json.dumps(people),
                }
                rates: dict[str, float] = {}
                for name in ("engine", "bare"):
                    time.sleep(10.5)  # a window of the sandbox's own limit
                    server.wipe_warm("reanna:gate")
                    with postgres.migrated(**settings) as environ:
                        postgres.run(environ, "-m", "tests.bench.engine", "seed")
                        rates[name] = json.loads(postgres.run(environ, "-m", "tests.bench.engine", name))
        finally:
            server.stop()
    return {"engine.vs_bare": round(rates["engine"] / rates["bare"], 3)}, {
        f"{name}_operations_per_s": round(rate, 1) for name, rate in rates.items()
    }


def _accounts(sandbox: object) -> dict[str, str]:
    """Accounts with one person each; account → the person's id there."""
    people = {}
    for number in range(ACCOUNTS):
        account, token = f"loc_bench{number}", f"pit-bench-{number}"
        sandbox.account(account, token=token, calendar="cal")  # type: ignore[attr-defined]  # a SandboxServer
        answer = httpx.post(
            f"{sandbox.url}/contacts/",  # type: ignore[attr-defined]  # a SandboxServer
            json={"locationId": account, "firstName": "Bea", "email": "bea@mail.example"},
            headers={"Authorization": f"Bearer {token}", "Version": "2021-07-28"},
        )
        answer.raise_for_status()
        people[account] = answer.json()["contact"]["id"]
    return people


def seed() -> None:
    """A linked buyer at each account, and answers of theirs whose notes wait."""
    from integrations.models import Connection, ExternalRef, Feedback, Operation
    from tests.crm import make_tour
    from tests.factories import ConnectionFactory, FeedbackFactory

    tour = make_tour(django.utils.timezone.now(), stops=1)
    stop = tour.stops.get()
    at = django.utils.timezone.now()
    answers = [FeedbackFactory(stop=stop, submitted_at=at - timedelta(minutes=n)) for n in range(NOTES)]
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
    assert Feedback.objects.count() == NOTES


def _await_none(left: object) -> float:
    """Seconds until nothing is left. Raises TimeoutError."""
    began = time.monotonic()
    while left():  # type: ignore[operator]  # a callable
        if time.monotonic() - began > PATIENCE_S:
            raise TimeoutError("not done in time")
        time.sleep(0.02)
    return time.monotonic() - began


def through_the_engine() -> float:
    """Operations a second of one process's runner."""
    from integrations.engine import process
    from integrations.models import Operation

    runner = process.runner()
    runner.start()
    seconds = _await_none(Operation.objects.open().exists)
    runner.stop()
    if astray := Operation.objects.exclude(state="succeeded").count():
        raise RuntimeError(f"{astray} notes did not go in")
    return ACCOUNTS * NOTES / seconds


def through_a_bare_task() -> float:
    """Operations a second of a Celery worker with as many threads, from its first task to its last."""
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
        left = Operation.objects.filter(state="pending").count
        _await_none(lambda: left() == ACCOUNTS * NOTES)
        return (ACCOUNTS * NOTES - 1) / _await_none(lambda: left() > 0)
    finally:
        worker.terminate()
        worker.wait(timeout=30)


if __name__ == "__main__":
    django.setup()
    part = {"seed": seed, "engine": through_the_engine, "bare": through_a_bare_task}[sys.argv[1]]
    print(json.dumps(part()))
