"""How many requests one client, and one person with all their tokens, may make a minute.

Counted in Redis in one step, so exact however many ask at once. Without Redis nothing is counted and all
requests pass: the API must not stop because a counter is away.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from redis import Redis, RedisError

from integrations import reach

log = logging.getLogger(__name__)

WINDOW_S = 60
_TIMEOUT_S = 0.3
_KEY = "reanna:api"
_COUNT = """
local told = {}
for i, key in ipairs(KEYS) do
  local n = redis.call('INCR', key)
  local left = redis.call('PTTL', key)
  if left < 0 then
    redis.call('PEXPIRE', key, ARGV[1])
    left = tonumber(ARGV[1])
  end
  told[#told + 1] = n
  told[#told + 1] = left
end
return told
"""
PERSON_TIMES = 3
"""What all tokens and sessions of one person may together, in times of what one of them may."""


@dataclass(frozen=True, slots=True)
class Quota:
    """One policy and where its holder stands under it: headers of draft-ietf-httpapi-ratelimit-headers."""

    policy: str
    limit: int
    count: int
    reset_s: int

    @property
    def refused(self) -> bool:
        """Whether this request was one too many."""
        return self.count > self.limit


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a client, and the person behind it, stand after a request."""

    quotas: tuple[Quota, ...]

    @property
    def refused(self) -> bool:
        """Whether any of them is used up."""
        return any(quota.refused for quota in self.quotas)

    @property
    def retry_s(self) -> int:
        """When all that refuse let through again."""
        return max((quota.reset_s for quota in self.quotas if quota.refused), default=0)

    @property
    def headers(self) -> dict[str, str]:
        """For every answer."""
        policies = (f'"{one.policy}";q={one.limit};w={WINDOW_S}' for one in self.quotas)
        left = (f'"{one.policy}";r={max(0, one.limit - one.count)};t={one.reset_s}' for one in self.quotas)
        return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(left)}


class Counter:
    """Counts at one Redis, and not at all while this process has just found Redis silent (`reach.py`)."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=None)

    def count(self, holders: Mapping[str, tuple[str, int]]) -> Standing | None:
        """One more request under each policy (name → holder, limit); None when it cannot be counted."""
        if not reach.redis.allow():
            return None
        keys = [f"{_KEY}:{policy}:{holder}" for policy, (holder, _) in holders.items()]
        try:
            told = self._redis.eval(_COUNT, len(keys), *keys, str(WINDOW_S * 1000))
        except (RedisError, OSError) as error:
            reach.redis.failed()
            log.warning("requests of the API are not counted for now (%s)", type(error).__name__)
            return None
        reach.redis.answered()
        return Standing(
            tuple(
                Quota(policy, limit, int(number), max(1, -(-int(left_ms) // 1000)))
                for (policy, (_, limit)), number, left_ms in zip(holders.items(), told[::2], told[1::2], strict=True)
            )
        )


@cache
def _counter(url: str) -> Counter:
    return Counter(url)


def count(client: str, person: str, *, writes: bool) -> Standing | None:
    """Count one request of a client (a token, or a session) and of the person it acts for."""
    policy = "writes" if writes else "reads"
    limit = settings.REANNA_API_WRITES_PER_MIN if writes else settings.REANNA_API_READS_PER_MIN
    holders = {policy: (client, limit), f"{policy}-person": (person, PERSON_TIMES * limit)}
    return _counter(settings.REDIS_URL).count(holders)
