"""A PostgreSQL server for one test run: in a temporary folder, on loopback, ended with the run."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reanna.stack.children import Watchdog
from reanna.stack.watchdog import FOLDER_PREFIX

START_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0
# PostgreSQL refuses to run as root, so root hands it to one of these.
UNPRIVILEGED = ("postgres", "nobody")


class ClusterError(Exception):
    """The server could not be started; the text has its last words."""


def programs() -> Path | None:
    """The folder with initdb and postgres: the newest of Debian's, else what is on the PATH, else None."""
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if versions:
        return max(versions, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0))
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path and shutil.which("postgres") else None


@dataclass
class Server:
    """A running server. `url`: its DATABASE_URL, with a password of this run only."""

    url: str
    _start: Callable[[], subprocess.Popen[bytes]]
    _stop: Callable[[subprocess.Popen[bytes]], None]
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again if need be: it recovers. Raises ClusterError."""
        self._process = self._start()

    def stop(self) -> None:
        """Its "fast shutdown": clients are disconnected."""
        if self._process is not None:
            self._stop(self._process)
            self._process = None

    def crash(self) -> None:
        """What `pg_ctl stop -m immediate` does: SIGQUIT, every backend ends at once, no checkpoint."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._stop(self._process)
            self._process = None


@contextlib.contextmanager
def running(bin_folder: Path) -> Iterator[str]:
    """Run a server and give its DATABASE_URL. Raises ClusterError."""
    with server(bin_folder) as held:
        yield held.url


@contextlib.contextmanager
def server(bin_folder: Path, *, keeps_commits: bool = False) -> Iterator[Server]:
    """Run a server; `keeps_commits`: what was committed is there after a crash of it. Raises ClusterError."""
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    password = secrets.token_urlsafe(16)
    try:
        password_file = folder / "password"
        password_file.write_text(password)
        if user is not None:
            for path in (folder, password_file):
                os.chown(path, user.pw_uid, user.pw_gid)
        made = _run(
            user,
            [str(bin_folder / "initdb"), "--pgdata", str(folder / "data"), "--username", "reanna"],
            ["--pwfile", str(password_file), "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"],
        )
        if made.returncode != 0:
            raise ClusterError(f"initdb ended with {made.returncode}:\n{made.stdout[-2000:]}")
        port = _free_port()
        url = f"postgres://reanna:{password}@127.0.0.1:{port}/postgres"
        with _server(user, bin_folder, folder, port, url, keeps_commits=keeps_commits) as held:
            yield held
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        with contextlib.suppress(KeyError):  # not a user of this machine
            return pwd.getpwnam(name)
    raise ClusterError(f"PostgreSQL does not run as root, and there is no user {' or '.join(UNPRIVILEGED)}.")


def _as(user: pwd.struct_passwd | None) -> dict[str, object]:
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _run(user: pwd.struct_passwd | None, *command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [word for part in command for word in part],
        check=False,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **_as(user),  # type: ignore[call-overload]  # user, group and extra_groups, or nothing
    )


@contextlib.contextmanager
def _server(
    user: pwd.struct_passwd | None, bin_folder: Path, folder: Path, port: int, url: str, *, keeps_commits: bool
) -> Iterator[Server]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(folder),
        # The data is thrown away: what makes it outlive a crash of the machine only costs time.
        "fsync": "off",
        "full_page_writes": "off",
        # Off, a crash of the server alone loses what was committed a moment ago.
        "synchronous_commit": "on" if keeps_commits else "off",
        "max_connections": "100",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    log = folder / "log"
    watchdog = Watchdog(folder)  # ends the server if this process is killed

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(bin_folder / "postgres"), "-D", str(folder / "data"), *options],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **_as(user),  # type: ignore[call-overload]  # user, group and extra_groups, or nothing
            )
        watchdog.add(process.pid)
        try:
            _await(process, folder / "data" / "postmaster.pid", log)
        except ClusterError:
            stop(process)
            raise
        return process

    def stop(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        watchdog.discard(process.pid)

    held = Server(url, start, stop)
    try:
        held.start()
        yield held
    finally:
        held.stop()
        watchdog.close()


def _await(server: subprocess.Popen[bytes], pid_file: Path, log: Path) -> None:
    """Until it takes queries. Its port is open before; what `pg_ctl --wait` reads is the last line of its pid file."""
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        with contextlib.suppress(FileNotFoundError):
            lines = pid_file.read_text().splitlines()
            if lines[:1] == [str(server.pid)] and lines[-1] == "ready   ":  # not of one that crashed
                return
        if server.poll() is not None or time.monotonic() > deadline:
            raise ClusterError(f"PostgreSQL did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
