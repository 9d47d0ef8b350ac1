"""The clock all processes share: the database's, so that several hosts agree on leases and on who may send."""

from __future__ import annotations

import time
from typing import Any

from django.db import connection
from django.db.models import BigIntegerField, Func

POSTGRESQL_NOW = "(extract(epoch from clock_timestamp()) * 1000)::bigint"


def db_now() -> int:
    """Milliseconds since the Unix epoch by the database server; SQLite has no server, so this machine's."""
    if connection.vendor != "postgresql":
        return _wall_ms()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {POSTGRESQL_NOW}")
        row = cursor.fetchone()
    return int(row[0])


class DbNow(Func):
    """The same within a query, so that it costs no round trip of its own."""

    output_field = BigIntegerField()

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, tuple[int, ...]]:  # type: ignore[override]  # no arguments of its own
        if connection.vendor == "postgresql":
            return POSTGRESQL_NOW, ()
        return "%s", (_wall_ms(),)


def _wall_ms() -> int:
    return int(time.time() * 1000)
