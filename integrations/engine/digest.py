"""What two equal desires have in common."""

from __future__ import annotations

import hashlib
import json

from integrations.models import Connection
from integrations.providers.base import Wanted


def digest_of(wanted: Wanted, connection: Connection, mapping_version: int) -> str:
    """SHA-256 over the canonical request, the mapping's version and the target account, hex."""
    canonical = json.dumps(
        {
            "resource": wanted.resource,
            "body": wanted.body,
            "absent": wanted.absent,
            "mapping": [mapping_version, connection.mapping_version],
            "target": connection.account_key,
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()
