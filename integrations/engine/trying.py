"""One operation in hand: what is known of a try while it lasts."""

from __future__ import annotations

from dataclasses import dataclass, field

from integrations.gateway import Link
from integrations.models import Connection, ExternalRef
from integrations.transport import Tally

from .claims import Claim
from .settling import Ending
from .verdict import Fact


@dataclass
class Try:
    """Filled as the work goes on; `ending` turns it into what settling writes."""

    claim: Claim
    connection: Connection
    link: Link
    ref: ExternalRef
    started_ms: int
    tally: Tally = field(default_factory=Tally)
    version: int = 0
    digest: str = ""
    sent_ms: int | None = None

    def ending(self, fact: Fact, **values: object) -> Ending:
        """An Ending with what this try knows filled in."""
        breaker = self.tally.breaker
        base: dict[str, object] = {
            "version": self.version,
            "digest": self.digest,
            "calls": self.tally.calls,
            "started_ms": self.started_ms,
            "sent_ms": self.sent_ms,
            "circuit_open": breaker is not None and breaker.state != "closed",
            "circuit_until_ms": breaker.until_ms if breaker is not None and breaker.state == "open" else None,
            "settle_s": self.link.kind(self.claim.operation.kind).settle_s,
        }
        return Ending(fact=fact, **{**base, **values})  # type: ignore[arg-type]  # keywords checked by Ending itself
