"""The Redis client the gate wants: short timeouts and not one silent retry."""

from __future__ import annotations

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def connect(url: str, timeout_s: float = 0.5) -> redis.Redis:
    """A client for ``unix://`` or ``redis://`` that gives up after ``timeout_s`` to connect and per answer.

    No retries: an admission asked twice is counted twice, and a caller that waits learns nothing new.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )
