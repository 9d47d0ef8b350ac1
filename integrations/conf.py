"""Typed access to the REANNA_* settings; what each means stands in docs/configuration.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings as django_settings


@dataclass(frozen=True, slots=True)
class Settings:
    """The engine's figures; seconds where a name ends in `_s`."""

    redis_url: str
    connect_timeout_s: float
    total_deadline_s: float
    lease_s: float
    heartbeat_s: float
    sweep_s: float
    settle_s: float
    unmapped_s: float
    probe_s: float
    max_attempts: int
    backoff_base_s: float
    backoff_cap_s: float
    worker_threads: int
    complete_tours_after_s: int
    keep_operations_days: int
    keep_attempts_days: int
    base_urls: Mapping[str, str]
    sandbox_url: str


def current() -> Settings:
    """The settings as they are now."""
    return Settings(
        redis_url=django_settings.REDIS_URL,
        connect_timeout_s=django_settings.REANNA_CONNECT_TIMEOUT_S,
        total_deadline_s=django_settings.REANNA_TOTAL_DEADLINE_S,
        lease_s=django_settings.REANNA_LEASE_S,
        heartbeat_s=django_settings.REANNA_HEARTBEAT_S,
        sweep_s=django_settings.REANNA_SWEEP_S,
        settle_s=django_settings.REANNA_SETTLE_S,
        unmapped_s=django_settings.REANNA_UNMAPPED_S,
        probe_s=django_settings.REANNA_PROBE_S,
        max_attempts=django_settings.REANNA_MAX_ATTEMPTS,
        backoff_base_s=django_settings.REANNA_BACKOFF_BASE_S,
        backoff_cap_s=django_settings.REANNA_BACKOFF_CAP_S,
        worker_threads=django_settings.REANNA_WORKER_THREADS,
        complete_tours_after_s=django_settings.REANNA_COMPLETE_TOURS_AFTER_S,
        keep_operations_days=django_settings.REANNA_KEEP_OPERATIONS_DAYS,
        keep_attempts_days=django_settings.REANNA_KEEP_ATTEMPTS_DAYS,
        base_urls=django_settings.REANNA_BASE_URLS,
        sandbox_url=django_settings.REANNA_SANDBOX_URL,
    )
