"""`/healthz`: whether this process can do its work. Answers within 1.5 s whatever hangs, and tells nothing secret.

200 when the database answers. Redis is told but does not decide: without it the pages work and nothing is sent.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from redis import Redis, RedisError

DATABASE_LIMIT_S = 1.0
REDIS_LIMIT_S = 0.3

# A database that hangs may hold a thread for long; the size bounds how many, and callers still get their answer.
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="healthz")


@never_cache
def healthz(_request: HttpRequest) -> JsonResponse:
    """The state of database and Redis as JSON; 503 when the database does not answer in time."""
    redis: Future[bool] = _threads.submit(redis_answers)
    database: Future[bool] = _threads.submit(database_answers)
    database_works = _within(database, DATABASE_LIMIT_S)
    told = {
        "database": "ok" if database_works else "away",
        "redis": "ok" if _within(redis, REDIS_LIMIT_S) else "away",
    }
    return JsonResponse(told, status=200 if database_works else 503)


def _within(question: Future[bool], limit_s: float) -> bool:
    try:
        return question.result(timeout=limit_s)
    except TimeoutError:
        question.cancel()
        return False


def database_answers() -> bool:
    """Whether a trivial query works on a connection of this thread's own."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone() == (1,))
    except DatabaseError:
        return False
    finally:
        connection.close()


def redis_answers() -> bool:
    """Whether Redis answers PING at once."""
    try:
        with Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=REDIS_LIMIT_S,
            socket_connect_timeout=REDIS_LIMIT_S,
            retry=None,
        ) as client:
            return bool(client.ping())
    except (OSError, RedisError):
        return False
