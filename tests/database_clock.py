"""A clock in a test's hand for the database's own, also where a statement asks for the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import connection

from integrations.models import clock


@contextmanager
def database_says(now: Callable[[], int]) -> Iterator[None]:
    """Milliseconds since the Unix epoch by `now`, for all that this thread asks its database."""

    def told(execute: Any, sql: str, *rest: Any) -> Any:
        return execute(sql.replace(clock.POSTGRESQL_NOW, f"{now()}::bigint"), *rest)

    with mock.patch.object(clock, "_wall_ms", now), connection.execute_wrapper(told):
        yield
