"""The engine of this process, made from settings once."""

from __future__ import annotations

import threading

from django.db import connection as database

from integrations import conf, wiring

from .clock import StepWatch
from .context import Engine
from .runner import Runner
from .settling import Figures

_lock = threading.Lock()
_runner: Runner | None = None


def figures(settings: conf.Settings) -> Figures:
    return Figures(
        total_deadline_s=settings.total_deadline_s,
        max_attempts=settings.max_attempts,
        backoff_base_s=settings.backoff_base_s,
        backoff_cap_s=settings.backoff_cap_s,
        settle_s=settings.settle_s,
        unmapped_s=settings.unmapped_s,
    )


def make_engine() -> Engine:
    """An engine with this installation's figures, the real gate and the real providers."""
    settings = conf.current()
    return Engine(
        figures=figures(settings),
        lease_s=settings.lease_s,
        heartbeat_s=settings.heartbeat_s,
        link=wiring.link,
        watch=StepWatch() if database.vendor == "sqlite" else None,
    )


def runner() -> Runner:
    """This process's runner, made on first use; `start()` is the caller's."""
    global _runner  # noqa: PLW0603  one per process is what it is
    with _lock:
        if _runner is None:
            settings = conf.current()
            _runner = Runner(
                make_engine(),
                threads=settings.worker_threads,
                sweep_s=settings.sweep_s,
            )
        return _runner
