"""Where a part takes place: a Redis and a sandbox of its own, and a database that a program runs on."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.bench import postgres
from tests.redis_server import RedisServer
from tests.sandbox_server import SandboxServer

WINDOW_S = 10.5
"""A window of the sandbox's own limit, and a little."""


class Site:
    """What the parts of one run share."""

    def __init__(self, folder: Path, redis: RedisServer, sandbox: SandboxServer) -> None:
        self._folder, self.redis, self.sandbox = folder, redis, sandbox

    def accounts(self, number: int, *, latency_s: float) -> dict[str, str]:
        """So many accounts with one person each; account → the person's id there. Answers take so long from then on."""
        people = {}
        for each in range(number):
            account, token = f"loc_bench{each}", f"pit-bench-{each}"
            self.sandbox.account(account, token=token, calendar="cal")
            answer = httpx.post(
                f"{self.sandbox.url}/contacts/",
                json={"locationId": account, "firstName": "Bea", "email": "bea@mail.example"},
                headers={"Authorization": f"Bearer {token}", "Version": "2021-07-28"},
            )
            answer.raise_for_status()
            people[account] = answer.json()["contact"]["id"]
        self.sandbox.faults("delay", seconds=latency_s, times=None)
        return people

    @contextlib.contextmanager
    def database(self, kind: str, **more: str) -> Iterator[dict[str, str]]:
        """The environment for programs on an empty database; windows and gate are as after a long rest."""
        time.sleep(WINDOW_S)
        self.redis.wipe_warm("reanna:gate")
        assert self.sandbox.process is not None
        settings = {
            "DJANGO_SETTINGS_MODULE": "reanna.settings.local",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "FERNET_KEYS": secrets.token_urlsafe(32),
            "REDIS_URL": self.redis.url,
            "REANNA_BASE_URL_GOHIGHLEVEL": self.sandbox.url,
            "BENCH_SANDBOX": str(self.sandbox.process.pid),
            **more,
        }
        with contextlib.ExitStack() as ending:
            if kind == "sqlite":
                folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="sqlite-", dir=self._folder))
                environ = os.environ | settings | {"REANNA_DATA": folder, "DATABASE_URL": ""}
                postgres.run(environ, "-m", "django", "migrate", "--verbosity", "0")
            else:
                environ = ending.enter_context(postgres.migrated(REANNA_DATA=str(self._folder), **settings))
            yield environ


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """Starts Redis and the sandbox."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as name:
        folder = Path(name)
        redis = RedisServer(folder, durable=False)
        redis.start()
        try:
            with SandboxServer(folder / "sandbox") as sandbox:
                yield Site(folder, redis, sandbox)
        finally:
            redis.stop()


def told(text: str) -> dict[str, float]:
    """What a program printed, in its last line."""
    found: dict[str, float] = json.loads(text.splitlines()[-1])
    return found
