"""One operation in hand: what is known of a try while it lasts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from integrations.gateway import Link
from integrations.models import Connection, ExternalRef
from integrations.texts import without
from integrations.transport import Tally

from .claims import Claim
from .settling import Ending
from .verdict import Fact

_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+")


def scrub(text: str, secrets: Mapping[str, object]) -> str:
    """Words of a provider without what it may have echoed: the connection's secrets, authorization headers."""
    text = without(text, (value for value in secrets.values() if isinstance(value, str)))
    return _BEARER.sub(r"\1 •••", text)


def scrubbed(value: Any, secrets: Mapping[str, object]) -> Any:
    """The same for every text in a JSON value."""
    if isinstance(value, dict):
        return {name: scrubbed(item, secrets) for name, item in value.items()}
    if isinstance(value, list):
        return [scrubbed(item, secrets) for item in value]
    return scrub(value, secrets) if isinstance(value, str) else value


@dataclass
class Try:
    """Filled as the work goes on; `ending` turns it into what settling writes.

    `found_id`: what a look-up found of a record that is not linked, and that is to be changed.
    """

    claim: Claim
    connection: Connection
    link: Link
    ref: ExternalRef
    started_ms: int = 0
    tally: Tally = field(default_factory=Tally)
    version: int = 0
    digest: str = ""
    sent_ms: int | None = None
    settle_s: float = 0.0
    found_id: str | None = None

    def ending(self, fact: Fact, **values: object) -> Ending:
        """An Ending with what this try knows filled in."""
        breaker = self.tally.breaker
        secrets = self.connection.secrets
        base: dict[str, object] = {
            "version": self.version,
            "digest": self.digest,
            "calls": self.tally.calls,
            "started_ms": self.started_ms,
            "sent_ms": self.sent_ms,
            "circuit_open": breaker is not None and breaker.stops,
            "circuit_until_ms": breaker.stopped_until_ms if breaker is not None else None,
            "settle_s": self.settle_s,
            "requests": tuple(scrubbed(asdict(one), secrets) for one in self.tally.passed),
        }
        values["message"] = scrub(str(values.get("message", "")), secrets)
        return Ending(fact=fact, **{**base, **values})  # type: ignore[arg-type]  # keywords checked by Ending itself
