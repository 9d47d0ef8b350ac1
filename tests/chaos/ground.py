"""A database, a Redis and a sandbox of one run's own, and processes on them that are forked, killed and frozen.

with ground("sqlite") as site:
    site.prepare()                      # Django stands, tables are there
    pid = site.fork(lambda: work(None), "worker")

Must be the first in its process to touch Django. Nothing outlives it: children die with their parent, and what is left
is ended by process id. Everything is in a temporary folder and on 127.0.0.1; an installation's data is never touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from reanna.testing import cluster
from tests.redis_server import RedisServer
from tests.sandbox_server import SandboxServer

DATABASES = ("sqlite", "postgres")
PR_SET_PDEATHSIG = 1
END_LIMIT_S = 10.0


@dataclass
class Site:
    """Where a run takes place. `server`: the PostgreSQL of this run; None with SQLite."""

    folder: Path
    redis: RedisServer
    sandbox: SandboxServer
    database_url: str
    server: cluster.Server | None = None
    children: dict[int, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Django with its tables, and a gate that has been warm for long."""
        import django
        from django.core.management import call_command

        django.setup()
        import_module("reanna.celery")  # whoever saves rings, as in every process of the product
        call_command("migrate", verbosity=0)
        self.redis.wipe_warm("reanna:gate")

    # --- processes --------------------------------------------------------------------------------------------

    def fork(self, work: Callable[[], object], name: str) -> int:
        """A process that does `work` and ends: 0, or 1 when it raised. What it logs is in `<name>.log`."""
        from django.db import connections

        from integrations import gateway

        gateway.close_all()
        connections.close_all()  # a child that ends must not say good-bye on its parent's connection
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self.children[pid] = name
            return pid
        code = 1
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            log = os.open(self.folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            work()
            code = 0
        except BaseException:  # noqa: BLE001  it must not run on as a second parent
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def freeze(self, pid: int) -> None:
        """SIGSTOP to a child, at a moment at which none of its threads holds SQLite's one write lock.

        A process that stands still while it has that lock stops everybody on the machine; that is known.
        """
        with contextlib.ExitStack() as held:
            if self.server is None:
                alone = held.enter_context(
                    contextlib.closing(sqlite3.connect(self.folder / "reanna.sqlite3", timeout=20))
                )
                alone.execute("BEGIN IMMEDIATE")
            os.kill(pid, signal.SIGSTOP)
            while not self.stopped(pid) and Path(f"/proc/{pid}").exists():
                time.sleep(0.001)

    def thaw(self, pid: int) -> None:
        """SIGCONT; one that waits in `await_freeze` goes on."""
        self._mark(pid).unlink(missing_ok=True)
        os.kill(pid, signal.SIGCONT)

    def await_freeze(self) -> None:
        """Called in a child: say that it may be frozen here, and go on after it was thawed."""
        mark = self._mark(os.getpid())
        mark.touch()
        while mark.exists():
            time.sleep(0.005)

    def awaits_freeze(self, pid: int) -> bool:
        """Whether a child waits there."""
        return self._mark(pid).exists()

    def _mark(self, pid: int) -> Path:
        return self.folder / f"{pid}.here"

    def ended(self, pid: int) -> int | None:
        """How a child ended (negative: the signal), None while it lives. A child is forgotten once this was told."""
        if pid not in self.children:
            return None
        found, status = os.waitpid(pid, os.WNOHANG)
        if not found:
            return None
        del self.children[pid]
        return os.waitstatus_to_exitcode(status)

    def stopped(self, pid: int) -> bool:
        """Whether a child stands still (SIGSTOP)."""
        with contextlib.suppress(OSError):
            return (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() or [""])[0] == "T"
        return False

    def kill(self, pid: int) -> None:
        """SIGKILL, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.children.pop(pid, None)

    def end(self, pid: int) -> int:
        """SIGTERM, then SIGKILL; the exit code."""
        for how in (signal.SIGCONT, signal.SIGTERM):
            os.kill(pid, how)
        deadline = time.monotonic() + END_LIMIT_S
        while (code := self.ended(pid)) is None:
            if time.monotonic() > deadline:
                self.kill(pid)
                return -signal.SIGKILL
            time.sleep(0.02)
        return code

    def log(self, name: str) -> str:
        """What a child said."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""


@contextlib.contextmanager
def ground(database: str, figures: Mapping[str, object], folder: Path | None = None) -> Iterator[Site]:
    """Start everything; `figures`: settings by name. Raises ClusterError, or ValueError for a folder that has files."""
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} has files in it: a run takes place in a folder of its own")
    for number in (signal.SIGTERM, signal.SIGINT):  # asked to end, it ends what it started
        signal.signal(number, _end)
    with contextlib.ExitStack() as ending:
        where = folder or Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="reanna-chaos-", dir="/tmp")))
        where.mkdir(parents=True, exist_ok=True, mode=0o700)
        server = None
        if database == "postgres":
            programs = cluster.programs()
            if programs is None:
                raise cluster.ClusterError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
            server = ending.enter_context(cluster.server(programs, keeps_commits=True))
        (where / "redis").mkdir()
        redis = RedisServer(where / "redis")
        redis.start()
        ending.callback(redis.stop)
        sandbox = ending.enter_context(SandboxServer(where / "sandbox"))
        url = server.url if server else ""
        os.environ.update({
            "DJANGO_SETTINGS_MODULE": "reanna.settings.chaos",
            "REANNA_DATA": str(where),
            "DATABASE_URL": url,
            "REDIS_URL": redis.url,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "FERNET_KEYS": secrets.token_urlsafe(32),
            "REANNA_BASE_URL_GOHIGHLEVEL": sandbox.url,
            "REANNA_BASE_URL_ROLLOUT": f"{sandbox.url}/rollout/api",
            **{name: str(value) for name, value in figures.items()},
        })  # fmt: skip
        site = Site(where, redis, sandbox, url, server)
        try:
            yield site
        finally:
            for pid in list(site.children):
                site.kill(pid)
            if "django.db" in sys.modules:
                from django.db import connections

                connections.close_all()


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def work(*, only: int | None = None, sweeps: bool = True, threads: int = 4) -> None:
    """Be a worker: the engine's threads, until SIGTERM. `only`: serve this one connection. `sweeps`: for all of us."""
    from integrations import conf
    from integrations.engine import process
    from integrations.engine.runner import Runner

    class One(Runner):
        """Leaves the connections of others alone."""

        def dispatch(self, connection_id: int) -> None:
            if only in (None, connection_id):
                super().dispatch(connection_id)

        def sweep(self, started_ms: int) -> None:
            if sweeps:
                super().sweep(started_ms)

    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ending.append(number))
    runner = One(process.make_engine(), threads=threads, sweep_s=conf.current().sweep_s)
    runner.start()
    while not ending:
        time.sleep(0.05)
    runner.stop(5)
