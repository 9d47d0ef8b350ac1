"""How long every page and list takes on a full database: `python -m tests.load.pages [--runs 20] [--json FILE]`.

For a database that `manage.py seed_load` filled (REANNA_DATA or DATABASE_URL), through all of Django but the
socket. It signs in as staff made for it, and writes nothing else. Ends with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.pages", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="requests of each address, after one to warm up (20)")
    parser.add_argument("--json", type=Path, help="write every figure there")
    parser.add_argument("--only", default="", help="addresses whose name contains this")
    parser.add_argument("--sql", action="store_true", help="show the slowest query of what misses its bar")
    options = parser.parse_args()
    import reanna.wsgi  # noqa: F401  as the web process begins
    from tests.redis_server import RedisServer

    with tempfile.TemporaryDirectory(prefix="redis-", dir="/tmp") as folder:  # a socket's path must be short
        server = RedisServer(Path(folder))
        server.start()
        try:
            return _measure(options, server.url)
        finally:
            server.stop()


def _measure(options: argparse.Namespace, redis_url: str) -> int:
    from django.conf import settings

    from .addresses import MOST_QUERIES, addresses, contacts_there

    settings.REDIS_URL = redis_url
    settings.REANNA_API_READS_PER_MIN = 10**9
    settings.ALLOWED_HOSTS = ["testserver"]
    if not contacts_there():
        print("This database is empty: fill it with manage.py seed_load.", file=sys.stderr)
        return 2
    client = _signed_in()
    figures, missed = [], 0
    for address in addresses():
        if options.only not in address.name:
            continue
        found = _figures(client, address.path, options.runs, address.most_ms)
        fine = {200, 302} if address.leads else {200}
        bad = found["status"] not in fine or found["p95_ms"] > address.most_ms or found["queries"] > MOST_QUERIES
        missed += bad
        figures.append({"name": address.name, "path": address.path, "most_ms": address.most_ms, **found})
        mark = "MISSED" if bad else ""
        told = f"{found['p50_ms']:7.0f} {found['p95_ms']:7.0f} ms, own {found['own_ms']:5.0f} ms"
        print(f"{told} {found['queries']:3} queries  {address.name} {mark}", flush=True)
        if bad and options.sql:
            print(f"      {found['slowest']}")
    print(f"{len(figures)} addresses, {missed} missed; load {os.getloadavg()[0]:.1f}")
    if options.json:
        options.json.write_text(json.dumps({"load": os.getloadavg(), "figures": figures}, indent=1))
    return 1 if missed else 0


def _signed_in() -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    user = User.objects.filter(username="load").first() or User.objects.create_superuser("load")
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def _figures(client: Any, path: str, runs: int, most_ms: float) -> dict[str, Any]:
    """Times in ms; an address that is hopeless is not asked `runs` times.

    `own_ms`: of this process's processor, the median; with SQLite that is what an idle machine would take.
    """
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client.get(path)
    with CaptureQueriesContext(connection) as caught:
        answer = client.get(path)
        queries = list(caught.captured_queries)  # the next request forgets them
    times, own = [], []
    for _ in range(runs):
        begun, used = time.perf_counter(), time.process_time()
        client.get(path)
        times.append((time.perf_counter() - begun) * 1000)
        own.append((time.process_time() - used) * 1000)
        if sum(times) > 4 * most_ms and len(times) >= 3 and min(times) > 1.5 * most_ms:
            break
    times.sort()
    own.sort()
    slowest = max(queries, key=lambda query: float(query["time"]), default=None)
    return {
        "status": answer.status_code,
        "queries": len(queries),
        "runs": len(times),
        "p50_ms": times[len(times) // 2],
        "p95_ms": times[max(0, -(-95 * len(times) // 100) - 1)],
        "own_ms": own[len(own) // 2],
        "slowest": "" if slowest is None else f"{slowest['time']} s: {slowest['sql'][:900]}",
    }


if __name__ == "__main__":
    sys.exit(main())
