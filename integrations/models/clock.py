"""The clock all processes share: the database's, so that several hosts agree on leases and on who may send."""

from __future__ import annotations

import time

from django.db import connection


def db_now() -> int:
    """Milliseconds since the Unix epoch by the database server; SQLite has no server, so this machine's."""
    if connection.vendor != "postgresql":
        return int(time.time() * 1000)
    with connection.cursor() as cursor:
        cursor.execute("SELECT (extract(epoch from clock_timestamp()) * 1000)::bigint")
        row = cursor.fetchone()
    return int(row[0])
