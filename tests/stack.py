"""The whole product as a stranger starts it: `manage.py up` on free ports, with what tests do to it from outside.

with Stack(tmp_path / "data") as stack:
    stack.manage("import_tours", "tours.csv")
    stack.kill_worker()
    stack.await_settled(within_s=60)

Everything happens on 127.0.0.1 and is ended by process id.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from redis import Redis

from tests.evidence import Database, Row, files_of, journal
from tests.oracle import Findings, judge
from tests.reanna.running import ROOT, Up, clean_environ, eventually, manage, processes_on

UNSETTLED = frozenset({"pending", "leased", "waiting", "retryable", "unknown"})


class Stack:
    """One running product. `pid(name)` knows redis, sandbox, web, worker, beat and up."""

    def __init__(self, data: Path, **environ: str) -> None:
        self.data = data
        self.environ = environ
        self.up: Up | None = None

    # --- life -------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start and wait for the ready line."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        self.up = Up(self.data, self.data.parent / f"{self.data.name}.up.txt", **self.environ)
        try:
            self.up.await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it in order, then whatever is left, by process id. A frozen Redis is woken first."""
        if self.up is None:
            return
        self.thaw_redis()
        self.up.end()
        self.up = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> Up:
        assert self.up is not None, "not started"
        return self.up

    @property
    def url(self) -> str:
        """Where the web process answers."""
        return f"http://127.0.0.1:{self.running.port}"

    @property
    def sandbox_url(self) -> str:
        """Where the sandbox answers."""
        return f"http://127.0.0.1:{self.running.sandbox_port}"

    def said(self) -> str:
        """What `up` printed so far."""
        return self.running.said()

    # --- its processes ----------------------------------------------------------------------------------------

    def pid(self, name: str) -> int | None:
        """The process id that `<data>/run/<name>.json` tells, if that process is alive."""
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):  # between two lives
            pid: int = json.loads((self.data / "run" / f"{name}.json").read_text())["pid"]
            if Path(f"/proc/{pid}").exists():
                return pid
        return None

    def await_pid(self, name: str, *, other_than: int | None = None, within_s: float = 60.0) -> int:
        """Wait until a process of that name runs."""
        assert eventually(lambda: self.pid(name) not in (None, other_than), within_s), self.said()
        found = self.pid(name)
        assert found is not None
        return found

    def pids(self) -> dict[int, str]:
        """Every process of this data folder with its command line."""
        return processes_on(self.data)

    def kill_worker(self) -> int:
        """SIGKILL to the worker's whole process group, as soon as there is one; returns the pid that died."""
        pid = self.await_pid("worker")
        os.killpg(pid, signal.SIGKILL)
        return pid

    # --- Redis ------------------------------------------------------------------------------------------------

    def flush_redis(self) -> None:
        """FLUSHALL: everything Redis knew is gone."""
        environ = json.loads((self.data / "run" / "up.json").read_text())["environ"]
        with Redis.from_url(environ["REDIS_URL"], socket_timeout=5) as client:
            client.flushall()

    def freeze_redis(self) -> None:
        """SIGSTOP: Redis holds its connections and answers nothing."""
        os.kill(self.await_pid("redis"), signal.SIGSTOP)

    def thaw_redis(self) -> None:
        """SIGCONT."""
        pid = self.pid("redis")
        if pid is not None:
            os.kill(pid, signal.SIGCONT)

    # --- commands ---------------------------------------------------------------------------------------------

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Begin a command of manage.py, as in another terminal; ending it is the caller's."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *arguments, "--data", str(self.data)],
            cwd=ROOT,
            env=clean_environ(**self.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of manage.py to its end, as from another terminal."""
        done = manage(*arguments, "--data", str(self.data), **self.environ)
        assert not check or done.returncode == 0, (
            f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return done

    def shell(self, code: str) -> str:
        """Run Python in `manage.py shell`; what it printed."""
        return self.manage("shell", "-v", "0", "-c", code).stdout.strip()

    def status(self) -> dict[str, Any]:
        """What `manage.py status --json` says."""
        found: dict[str, Any] = json.loads(self.manage("status", "--json").stdout)
        return found

    @property
    def database(self) -> Database:
        """Its database, read from outside."""
        return Database.of(self.data, self.environ)

    def operations(self) -> dict[str, int]:
        """How many operations are in each state, by the database: asking costs the product nothing."""
        rows = self.database.rows("SELECT state, COUNT(*) AS n FROM integrations_operation GROUP BY state")
        return {row["state"]: row["n"] for row in rows}

    def await_settled(self, within_s: float) -> dict[str, int]:
        """Wait until no operation is under way; how many ended in each state."""
        deadline = time.monotonic() + within_s
        while UNSETTLED & (counts := self.operations()).keys():
            assert time.monotonic() < deadline, f"not settled within {within_s:.0f} s: {counts}\n{self.said()}"
            assert self.running.popen.poll() is None, self.said()
            time.sleep(0.2)
        return counts

    def await_states(self, wanted: dict[str, int], within_s: float) -> None:
        """Wait until so many operations are in each of these states."""
        assert eventually(lambda: wanted.items() <= self.operations().items(), within_s), self.operations()

    def findings(self, excluded: Sequence[tuple[float, float]] = ()) -> Findings:
        """The oracle's judgement of everything so far."""
        files = [*files_of(self.data), ("the output of up", self.said().encode())]
        return judge(
            self.journal(),
            self.database,
            secrets=secrets_of(self.data, **self.environ),
            files=files,
            excluded=excluded,
        )

    # --- the sandbox ------------------------------------------------------------------------------------------

    def journal(self, since: int = 0) -> list[Row]:
        """Every vendor request with a `seq` above `since`."""
        return journal(self.sandbox_url, since)

    def last_seq(self) -> int:
        """The number of the newest journal entry."""
        found: int = json.loads(self.sandbox("GET", "/_sandbox/health"))["journal_seq"]
        return found

    def fault(self, kind: str, *, provider: str = "gohighlevel", **options: Any) -> None:
        """Script a fault; see `SandboxServer.faults`."""
        script: dict[str, Any] = {
            name: options.pop(name) for name in ("match", "times", "after", "for_seconds") if name in options
        }
        self.sandbox("POST", "/_sandbox/faults", script | {"provider": provider, "fault": {"kind": kind, **options}})

    def clear_faults(self) -> None:
        """Take every fault back."""
        self.sandbox("DELETE", "/_sandbox/faults")

    def await_request(self, holds: Callable[[Row], bool], *, since: int, within_s: float) -> None:
        """Wait until the journal has a request of which `holds` is true."""
        assert eventually(lambda: any(holds(row) for row in self.journal(since)), within_s), self.journal(since)

    def sandbox(self, method: str, path: str, document: object = None) -> str:
        """Ask the sandbox's own pages for something."""
        body = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.sandbox_url + path, body, headers, method=method)  # noqa: S310  our own
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  loopback
            text: str = answer.read().decode()
        return text


def secrets_of(data: Path, **environ: str) -> dict[str, str]:
    """Everything that may stand nowhere in clear: keys of the installation, credentials of its connections."""
    code = (
        "import json; from integrations.models import Connection; "
        "print(json.dumps({f'connection {c.pk} {n}': v for c in Connection.objects.all() "
        "for n, v in c.secrets.items() if v}))"
    )
    told = manage("shell", "-v", "0", "-c", code, "--data", str(data), **environ)
    assert told.returncode == 0, told.stderr
    kept = json.loads((data / "secrets.json").read_text())
    keys = {f"secrets.json {name} {n}": key for name, value in kept.items() for n, key in enumerate(_each(value))}
    credentials: dict[str, str] = json.loads(told.stdout.splitlines()[-1])
    return keys | credentials


def _each(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
