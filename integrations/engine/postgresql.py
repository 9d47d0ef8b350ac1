"""The three moves that every operation makes, each in one round trip, where the database can: PostgreSQL.

Claimed, about to be sent, done: what `claims.py` and `settling.py` do in several statements, which is how SQLite does
it and how everything seldom is done. The rules are theirs; the engine's tests run on both databases.

A statement sees what was committed when it began. So what must be seen after a row was locked is asked for in a
statement of its own; several that are sent together are one transaction
(https://www.postgresql.org/docs/15/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from integrations.models import CLAIMABLE, Attempt, Connection, ConnectionState, ExternalRef, GateMode, Operation, State
from integrations.models import OperationDependency as Dependency
from integrations.models.clock import POSTGRESQL_NOW

from . import states

_COLUMNS = [field.attname for field in Operation._meta.concrete_fields]
_NAMES = {
    "operation": Operation._meta.db_table,
    "connection": Connection._meta.db_table,
    "mode": GateMode._meta.db_table,
    "attempt": Attempt._meta.db_table,
    "ref": ExternalRef._meta.db_table,
    "dependency": Dependency._meta.db_table,
    "leased": f"'{State.LEASED}'",
    "claimable": f"state IN ({', '.join(repr(str(state)) for state in CLAIMABLE)}) AND blockers = 0",
    "active": ConnectionState.ACTIVE,
    "columns": ", ".join(f"held.{name}" for name in _COLUMNS),
    "now": POSTGRESQL_NOW,
}

# Priority by priority, each in the order of the index: neither what is due later nor what is due and not taken is
# read, however much of either there is. A suspect ends the batch, or is it; of siblings only the first is taken.
# Whether a sibling is held is looked up record by record: the planner's shares are a moment old, and by them it goes
# through all that is held for each row (OFFSET 0: no join; || '': no index of states). What was chosen comes as one
# array of ids: joined, it would be taken for one row, and the table be read for it.
_CLAIM = """
WITH RECURSIVE clock AS MATERIALIZED (SELECT {now} AS now), urgency AS (
    SELECT (
        SELECT priority FROM {operation} WHERE {claimable} AND connection_id = %(connection)s ORDER BY priority LIMIT 1
    ) AS priority
    WHERE EXISTS (
        SELECT 1 FROM {connection}
        WHERE id = %(connection)s AND state = '{active}' AND hold_until_ms <= (SELECT now FROM clock)
    ) AND NOT EXISTS (SELECT 1 FROM {mode} WHERE id = 1 AND paused_ms > 0)
  UNION ALL
    SELECT (
        SELECT priority FROM {operation}
        WHERE {claimable} AND connection_id = %(connection)s AND priority > urgency.priority
        ORDER BY priority LIMIT 1
    ) FROM urgency WHERE urgency.priority IS NOT NULL
), due AS MATERIALIZED (
    SELECT found.* FROM urgency CROSS JOIN LATERAL (
        SELECT id, priority, due_ms, strikes, entity_type, entity_id, kind FROM {operation} AS mine
        WHERE {claimable} AND connection_id = %(connection)s AND priority = urgency.priority
        AND due_ms <= (SELECT now FROM clock)
        AND NOT EXISTS (
            SELECT 1 FROM {operation} AS sibling
            WHERE sibling.connection_id = %(connection)s AND sibling.entity_type = mine.entity_type
            AND sibling.entity_id = mine.entity_id AND sibling.kind = mine.kind AND sibling.state || '' = {leased}
            OFFSET 0
        )
        ORDER BY due_ms, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ) AS found
    ORDER BY found.priority, found.due_ms, found.id LIMIT %(limit)s
), placed AS (
    SELECT id, row_number() OVER line AS place,
    count(*) FILTER (WHERE strikes >= %(alone)s) OVER line AS suspects,
    row_number() OVER (PARTITION BY entity_type, entity_id, kind ORDER BY priority, due_ms, id) AS sibling
    FROM due WINDOW line AS (ORDER BY priority, due_ms, id ROWS UNBOUNDED PRECEDING)
)
UPDATE {operation} AS held SET
    state = {leased}, token = held.token + 1, lease_owner = %(owner)s, updated_at = %(at)s,
    lease_until_ms = (SELECT now FROM clock) + %(lease_ms)s, entered = false, attempts = held.attempts + 1,
    sent_ms = CASE WHEN held.in_doubt THEN held.sent_ms END
WHERE held.id = ANY (ARRAY (SELECT id FROM placed WHERE sibling = 1 AND (suspects = 0 OR place = 1)))
RETURNING {columns}
""".format(**_NAMES)  # noqa: S608  names of our own tables

_SENT = """
WITH held AS (
    UPDATE {operation} SET sent_ms = {now}, in_doubt = true, entered = true, updated_at = %(at)s
    WHERE id = %(operation)s AND token = %(token)s AND state = {leased} AND NOT cancel_requested
    AND lease_until_ms > {now} RETURNING id, connection_id, sent_ms
), tried AS (
    INSERT INTO {attempt} (operation_id, connection_id, token, version, digest, calls, started_ms, sent_ms, outcome,
        request_id, message, requests)
    SELECT id, connection_id, %(token)s, %(version)s, %(digest)s, 0, %(started_ms)s, sent_ms, '', '', '', '[]' FROM held
), not_known AS (
    UPDATE {ref} SET acked_digest = NULL, external_id = COALESCE(%(found_id)s, external_id)
    WHERE id = %(ref)s AND EXISTS (SELECT 1 FROM held)
)
SELECT sent_ms FROM held
""".format(**_NAMES)  # noqa: S608  as above

_DONE = """
WITH clock AS MATERIALIZED (SELECT {now} AS now), done AS (
    UPDATE {operation} SET state = %(state)s, reason = %(reason)s, message = %(message)s, in_doubt = false,
        sent_ms = NULL, lease_until_ms = NULL, entered = false, strikes = 0, settled_ms = clock.now,
        updated_at = %(at)s
    FROM clock WHERE id = %(operation)s AND token = %(token)s AND state = {leased} RETURNING id
), tried AS (
    UPDATE {attempt} SET ended_ms = clock.now, outcome = %(outcome)s, status = %(status)s,
        request_id = %(request_id)s, message = %(message)s, calls = %(calls)s, requests = %(requests)s
    FROM clock WHERE operation_id = %(operation)s AND token = %(token)s AND ended_ms IS NULL
    AND EXISTS (SELECT 1 FROM done)
), linked AS (
    UPDATE {ref} SET external_id = %(external_id)s, acked_version = %(version)s, acked_digest = %(digest)s,
        acked_body = %(body)s, gone_at = NULL
    WHERE id = %(ref)s AND EXISTS (SELECT 1 FROM done)
)
SELECT count(*) FROM done;
WITH freed AS (
    UPDATE {dependency} SET settled = true WHERE id IN (
        SELECT id FROM {dependency} WHERE needs_id = %(operation)s AND NOT settled AND EXISTS (
            SELECT 1 FROM {operation} WHERE id = %(operation)s AND token = %(token)s AND state = %(state)s
        ) ORDER BY id FOR UPDATE
    ) AND NOT settled RETURNING operation_id
)
UPDATE {operation} SET blockers = blockers - 1, updated_at = %(at)s WHERE id IN (SELECT operation_id FROM freed)
""".format(**_NAMES)  # noqa: S608  as above


def can() -> bool:
    """Whether the database of this thread is one."""
    return bool(database.vendor == "postgresql")


def _apart() -> AbstractContextManager[object]:
    """Within an open transaction a savepoint, for a link that is another's would break it; else nothing."""
    return transaction.atomic() if database.in_atomic_block else nullcontext()


def claim(connection_id: int, owner: str, limit: int, lease_ms: int) -> list[Operation]:
    """As `claims.claim`."""
    values: dict[str, Any] = {
        "connection": connection_id,
        "owner": owner,
        "limit": limit,
        "lease_ms": lease_ms,
        "alone": states.ALONE_STRIKES,
        "at": timezone.now(),
    }
    with database.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        rows = cursor.fetchall()
    found = [Operation.from_db(database.alias, _COLUMNS, row) for row in rows]
    return sorted(found, key=lambda row: (row.priority, row.due_ms, row.pk))


def mark_sent(
    operation_id: int,
    token: int,
    *,
    ref_id: int,
    version: int,
    digest: str,
    started_ms: int,
    found_id: str | None = None,
) -> int | None:
    """As `claims.mark_sent`; None: nothing was written. Raises IntegrityError when what was found is another's."""
    values: dict[str, Any] = {
        "operation": operation_id,
        "token": token,
        "ref": ref_id,
        "version": version,
        "digest": digest,
        "started_ms": started_ms,
        "found_id": found_id,
        "at": timezone.now(),
    }
    with _apart(), database.cursor() as cursor:
        cursor.execute(_SENT, values)
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def settle_done(operation_id: int, token: int, ref_id: int, values: Mapping[str, Any]) -> bool:
    """The end of a write that was understood: row, Attempt, ref, whoever waited. False: nothing was written."""
    body, requests = values["body"], values["requests"]
    told = {
        **values,
        "operation": operation_id,
        "token": token,
        "ref": ref_id,
        "body": None if body is None else json.dumps(body),
        "requests": json.dumps(requests),
        "at": timezone.now(),
    }
    with _apart(), database.cursor() as cursor:
        cursor.execute(_DONE, told)
        row = cursor.fetchone()
    return row is not None and row[0] == 1
