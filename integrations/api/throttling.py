"""How many requests one client may make a minute: counted in Redis in one step, so exact however many ask at once.

Without Redis nothing is counted and all requests pass: the API must not stop because a counter is away.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from redis import Redis, RedisError

log = logging.getLogger(__name__)

WINDOW_S = 60
QUIET_AFTER_FAILURE_S = 5.0
_TIMEOUT_S = 0.3
_KEY = "reanna:api"
_COUNT = """
local n = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {n, left}
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a client stands under a policy after a request: headers of draft-ietf-httpapi-ratelimit-headers."""

    policy: str
    limit: int
    count: int
    reset_s: int

    @property
    def refused(self) -> bool:
        return self.count > self.limit

    @property
    def headers(self) -> dict[str, str]:
        left = max(0, self.limit - self.count)
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.limit};w={WINDOW_S}',
            "RateLimit": f'"{self.policy}";r={left};t={self.reset_s}',
        }


class Counter:
    """Counts at one Redis. After a failure it rests for some seconds instead of making each caller wait."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=None)
        self._quiet_until = 0.0

    def count(self, client: str, policy: str, limit: int) -> Standing | None:
        """One more request; None when it cannot be counted."""
        if time.monotonic() < self._quiet_until:
            return None
        try:
            number, left_ms = self._redis.eval(_COUNT, 1, f"{_KEY}:{policy}:{client}", str(WINDOW_S * 1000))
        except (RedisError, OSError) as error:
            self._quiet_until = time.monotonic() + QUIET_AFTER_FAILURE_S
            log.warning("requests of the API are not counted for now (%s)", type(error).__name__)
            return None
        return Standing(policy, limit, int(number), max(1, -(-int(left_ms) // 1000)))


@cache
def _counter(url: str) -> Counter:
    return Counter(url)


def count(client: str, *, writes: bool) -> Standing | None:
    """Count one request of a client."""
    policy = "writes" if writes else "reads"
    limit = settings.REANNA_API_WRITES_PER_MIN if writes else settings.REANNA_API_READS_PER_MIN
    return _counter(settings.REDIS_URL).count(client, policy, limit)
