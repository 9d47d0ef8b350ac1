"""What is told about what happened: small values that travel, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.gate import BreakerState


@dataclass(slots=True)
class CallTrace:
    """What one try cost and was told, filled by the transport as requests pass.

    `calls` counts against the provider's limit; `budget` is how many more the gate would admit now; `breaker` is the
    circuit after the last report.
    """

    calls: int = 0
    budget: int | None = None
    breaker: BreakerState | None = None
