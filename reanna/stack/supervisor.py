"""Starts the processes of the stack in order, keeps them running, and leaves none behind.

Ends of this process, and what then ends the children: Ctrl-C, SIGTERM and a closed terminal stop them in order;
a child that keeps failing stops everything with its last words; SIGKILL is seen by the watchdog (`watchdog.py`).
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from . import plan, redis_server, runfile
from .children import Child, Program, Watchdog
from .lock import DataLock
from .logs import Log, say
from .watchdog import FOLDER_PREFIX

START_LIMIT_S = 60.0
PREPARE_LIMIT_S = 600.0
POLL_S = 0.1
# A child that lived this long was working: its next death is a new trouble, not the same one.
SETTLED_S = 5.0
QUICK_DEATHS = 3
# And a brake on slow loops: so many deaths of one child within so many seconds stop everything.
MANY_DEATHS, WITHIN_S = 10, 300.0
STOP_ORDER = ("prepare", "beat", "worker", "web", "sandbox", "redis")


class StackError(Exception):
    """The stack cannot run; the text says what failed, with its last words."""


class StopRequestedError(Exception):
    """Somebody asked the stack to end while it was starting."""


class Deaths:
    """How often a child ended lately; decides whether it is started again, and after how long."""

    def __init__(self) -> None:
        self.quick = 0
        self.times: deque[float] = deque(maxlen=MANY_DEATHS)

    def count(self, now: float, lived_s: float, code: int) -> float | None:
        """Seconds to wait before the next start, or None when there should be none."""
        # Nothing kills itself with SIGKILL: a person or the kernel did, and that says nothing of the program.
        failed_quickly = lived_s < SETTLED_S and code != -signal.SIGKILL
        self.quick = self.quick + 1 if failed_quickly else 1
        self.times.append(now)
        looping = len(self.times) == MANY_DEATHS and now - self.times[0] < WITHIN_S
        if self.quick > QUICK_DEATHS or looping:
            return None
        return float(2 ** (self.quick - 1))


class Supervisor:
    """One running stack. `greet` is called once all is ready, before the ready line."""

    def __init__(self, options: plan.Options, lock: DataLock, redis_url: str, greet: Callable[[], None]) -> None:
        self.options = options
        self.given_redis = redis_url
        self.greet = greet
        self.temporary = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))  # 0700; short, for the socket's path
        self.watchdog = Watchdog(self.temporary, kept_open=(lock.handle,))
        self.logs: dict[str, Log] = {}
        self.children: dict[str, Child] = {}
        self.deaths: dict[str, Deaths] = {}
        self.due: dict[str, tuple[float, Program]] = {}
        self.stop_signals = 0
        self.began = time.monotonic()

    def run(self) -> None:
        """Start all, watch until asked to stop, stop all. Raises StackError when it had to give up."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            self._start_all()
            while not self.stop_signals:
                self._look_after()
                time.sleep(POLL_S)
        except StopRequestedError:
            pass  # asked to stop while starting: what did start is stopped below
        finally:
            self._stop_all()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_signals += 1  # the first stops in order, a second one at once

    # --- start -----------------------------------------------------------------------------------------------

    def _start_all(self) -> None:
        redis_url = self._start_redis()
        environ = plan.child_environ(self.options, redis_url)
        self._start(plan.sandbox(self.options, environ))
        sandbox_health = f"{self.options.sandbox_address}/_sandbox/health"
        self._await("sandbox", lambda: plan.answers(sandbox_health), self.options.sandbox_address)
        self._prepare(plan.prepare(self.options, environ))
        for program in (plan.web, plan.worker, plan.beat):
            self._start(program(self.options, environ))
        self._await("web", lambda: plan.answers(f"{self.options.address}/healthz"), self.options.address)
        self._await("worker", lambda: plan.worker_answers(redis_url), f"{self.options.worker_threads} threads")
        self._await("beat", lambda: any("beat: Starting" in line for line in self.logs["beat"].last), "")
        note = {"pid": _own_pid(), "environ": plan.shared_environ(self.options, redis_url)}
        runfile.write(self.options.data_dir, runfile.SUPERVISOR, note | {"address": self.options.address})
        self.greet()
        say(f"ready {self.options.address}/admin/")

    def _start_redis(self) -> str:
        if self.given_redis:
            self._await_until(lambda: plan.redis_answers(self.given_redis), "the Redis of REDIS_URL", 15.0)
            say("redis    ready  the one of REDIS_URL")
            return self.given_redis
        server = redis_server.find()
        socket_path = self.temporary / "redis.sock"
        url = f"unix://{socket_path}"
        self._start(plan.redis(self.options, server, socket_path))
        told = f"redis-server {redis_server.version(server)} {server.origin}"
        self._await("redis", lambda: plan.redis_answers(url), told)
        return url

    def _start(self, program: Program) -> Child:
        log = self.logs.setdefault(program.name, Log(self.options.data_dir / "logs", program.name))
        child = Child(program, log)
        self.watchdog.add(child.pid)
        self.children[program.name] = child
        note = {"pid": child.pid, "started": time.time(), "command": " ".join(program.command)}
        runfile.write(self.options.data_dir, program.name, note)
        return child

    def _await(self, name: str, works: Callable[[], bool], told: str) -> None:
        self._await_until(works, name, START_LIMIT_S, self.children[name])
        say(f"{name:<8} ready  {self._seconds()}  {told}".rstrip())

    def _await_until(self, works: Callable[[], bool], name: str, limit_s: float, child: Child | None = None) -> None:
        deadline = time.monotonic() + limit_s
        while not works():
            if self.stop_signals:
                raise StopRequestedError
            if child is not None and child.ended() is not None:
                raise StackError(self._last_words(child, f"ended with {child.ended()} while starting"))
            if time.monotonic() > deadline:
                gave_up = f"did not become ready within {limit_s:.0f} s"
                raise StackError(self._last_words(child, gave_up) if child else f"{name} {gave_up}")
            time.sleep(POLL_S)

    def _prepare(self, program: Program) -> None:
        say("database …      migrations, schedule, first data")
        child = self._start(program)
        self._await_until(lambda: child.ended() == 0, program.name, PREPARE_LIMIT_S, child)
        self._bury(program.name)
        say(f"database ready  {self._seconds()}")

    # --- watch -----------------------------------------------------------------------------------------------

    def _look_after(self) -> None:
        """Start again what ended, after a pause that grows; give up on what keeps ending."""
        self.watchdog.ensure()
        now = time.monotonic()
        for name, child in list(self.children.items()):
            code = child.ended()
            if code is None:
                continue
            wait_s = self.deaths.setdefault(name, Deaths()).count(now, child.age_s(), code)
            self._bury(name)
            if wait_s is None:
                raise StackError(self._last_words(child, f"ended with {code}, again and again"))
            say(f"{name:<8} ended with {code}; starting it again in {wait_s:.0f} s")
            self.due[name] = (now + wait_s, child.program)
        for name, (when, program) in list(self.due.items()):
            if now >= when:
                del self.due[name]
                self._start(program)

    def _bury(self, name: str) -> None:
        """Forget a child that ended, and end what it left behind."""
        child = self.children.pop(name)
        child.kill()
        self.watchdog.discard(child.pid)
        runfile.remove(self.options.data_dir, name)

    # --- stop ------------------------------------------------------------------------------------------------

    def _stop_all(self) -> None:
        hurry_at = self.stop_signals + 1
        if self.children:
            say("stopping " + ", ".join(name for name in STOP_ORDER if name in self.children))
        runfile.remove(self.options.data_dir, runfile.SUPERVISOR)
        for name in STOP_ORDER:
            if name in self.children:
                self.children[name].stop(lambda: self.stop_signals >= hurry_at)
                self._bury(name)
        self.watchdog.close()
        for log in self.logs.values():
            log.close()

    def _seconds(self) -> str:
        return f"{time.monotonic() - self.began:4.1f} s"

    def _last_words(self, child: Child, happened: str) -> str:
        child.pump.join(timeout=1)
        words = "\n".join(f"  {line}" for line in child.log.last)
        return f"{child.program.name} {happened}. Its last lines (all of them: {child.log.path}):\n{words}"


def _own_pid() -> int:
    return int(Path("/proc/self").readlink().name)
