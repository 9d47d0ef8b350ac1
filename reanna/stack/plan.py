"""Which programs make up the stack, with which arguments and environment, and how each shows that it works."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from . import redis_server
from .children import Program

ROOT = Path(__file__).resolve().parents[2]
ASKED_FOR_S = 2.0


@dataclass(frozen=True)
class Options:
    """What the person asked for."""

    data_dir: Path
    port: int
    sandbox_port: int
    demo: bool
    worker_threads: int

    @property
    def address(self) -> str:
        """Where the web process answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_address(self) -> str:
        """Where the sandbox answers."""
        return f"http://127.0.0.1:{self.sandbox_port}"


def shared_environ(options: Options, redis_url: str) -> dict[str, str]:
    """What any process needs to be part of this stack: also commands in another terminal (see `runfile.join`)."""
    vendors = {
        "REANNA_BASE_URL_FOLLOWUPBOSS": "/followupboss/v1",
        "REANNA_BASE_URL_GOHIGHLEVEL": "/gohighlevel",
        "REANNA_BASE_URL_GOHIGHLEVEL_CONSENT": "/gohighlevel",
        "REANNA_BASE_URL_HUBSPOT": "/hubspot",
        "REANNA_BASE_URL_HUBSPOT_CONSENT": "/hubspot",
        "REANNA_BASE_URL_LOFTY": "/lofty",
        "REANNA_BASE_URL_LOFTY_SIGN_IN": "/lofty/api/user-web",
        "REANNA_BASE_URL_ROLLOUT": "/rollout/api",
        "REANNA_BASE_URL_ROLLOUT_CREDENTIALS": "/rollout/universal/api",
    }
    return {
        "REDIS_URL": redis_url,
        "REANNA_SANDBOX_URL": options.sandbox_address,
        **{name: os.environ.get(name) or options.sandbox_address + path for name, path in vendors.items()},
    }


def child_environ(options: Options, redis_url: str) -> dict[str, str]:
    """The environment of every child."""
    ours = {"REANNA_DATA": str(options.data_dir), "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **ours, **shared_environ(options, redis_url)}


def redis(options: Options, server: redis_server.Server, socket_path: Path) -> Program:
    """A private redis-server whose append-only file lies in the data folder."""
    folder = options.data_dir / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    # It needs none of our keys.
    environ = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return Program("redis", tuple(redis_server.command(server, socket_path)), environ, folder)


def sandbox(options: Options, environ: dict[str, str]) -> Program:
    """The stand-in for the vendors; it needs none of our keys either."""
    data = options.data_dir / "sandbox"
    data.mkdir(mode=0o700, exist_ok=True)
    arguments = ("-m", "integrations.sandbox", "--port", str(options.sandbox_port), "--quiet")
    arguments += ("--data", str(data))
    kept = {name: value for name, value in environ.items() if name not in {"SECRET_KEY", "FERNET_KEYS"}}
    return Program("sandbox", (sys.executable, *arguments), kept, ROOT, stop_s=3)


def prepare(options: Options, environ: dict[str, str]) -> Program:
    """Migrations, schedule, first admin, connections to the sandbox and demo tours: ends by itself."""
    arguments = ("manage.py", "prepare", *(() if options.demo else ("--no-demo",)))
    return Program("prepare", (sys.executable, *arguments), environ, ROOT)


def web(options: Options, environ: dict[str, str]) -> Program:
    """granian serving WSGI on loopback."""
    return Program("web", web_command("127.0.0.1", options.port), environ, ROOT, stop_s=4)


def worker(options: Options, environ: dict[str, str]) -> Program:
    """A Celery worker with threads: its work is waiting for providers."""
    return Program("worker", worker_command(options.worker_threads), environ, ROOT, stop_s=8)


def beat(options: Options, environ: dict[str, str]) -> Program:
    """The scheduler; its table is in the database."""
    return Program("beat", beat_command(), environ, ROOT, stop_s=3)


def web_command(host: str, port: int) -> tuple[str, ...]:
    """Arguments for a web process, here and on servers."""
    place = ("--interface", "wsgi", "--host", host, "--port", str(port), "--no-ws")
    size = ("--workers", "1", "--blocking-threads", "8", "--respawn-failed-workers")
    return (sys.executable, "-m", "granian", *place, *size, "--log-level", "warning", "reanna.wsgi:application")


def worker_command(threads: int) -> tuple[str, ...]:
    """Arguments for a worker process, here and on servers."""
    size = ("-P", "threads", "-c", str(threads))
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO")
    return (sys.executable, "-m", "celery", "-A", "reanna", "worker", *size, *quiet)


def beat_command() -> tuple[str, ...]:
    """Arguments for the scheduler; exactly one may run."""
    return (sys.executable, "-m", "celery", "-A", "reanna", "beat", "--pidfile=", "-l", "INFO")


def answers(address: str) -> bool:
    """Whether an HTTP address answers 200."""
    try:
        with urllib.request.urlopen(address, timeout=ASKED_FOR_S) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def redis_answers(url: str) -> bool:
    """Whether Redis answers PING (it does not while it still reads its append-only file)."""
    from redis import Redis, RedisError

    try:
        with Redis.from_url(url, socket_timeout=ASKED_FOR_S, socket_connect_timeout=ASKED_FOR_S, retry=None) as client:
            return bool(client.ping())
    except (OSError, RedisError):
        return False


def worker_answers(redis_url: str) -> bool:
    """Whether a worker answers a ping through the broker."""
    from kombu.exceptions import OperationalError

    from reanna.celery import app

    # This process read its settings before it knew where its Redis would be.
    app.conf.broker_url = redis_url.replace("unix://", "redis+socket://", 1)
    try:
        return bool(app.control.ping(timeout=0.5))
    except (OSError, OperationalError):
        return False
