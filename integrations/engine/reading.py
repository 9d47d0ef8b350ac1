"""From an exception on the way out to a fact of the verdict table: the one place that knows both."""

from __future__ import annotations

from integrations.gate import GateAway, Reason
from integrations.providers import errors
from integrations.transport import NotSent, Refused

from .clock import db_now
from .settling import Ending
from .trying import Try
from .verdict import Fact

AWAY_RETRY_MS = 2000

_REFUSALS = {
    Reason.RATE_LIMITED: Fact.GATE_RATE,
    Reason.NOT_BEFORE: Fact.GATE_RATE,
    Reason.CIRCUIT_OPEN: Fact.GATE_CIRCUIT,
    Reason.HOST_OPEN: Fact.GATE_HOST,
    Reason.FORCED_OPEN: Fact.GATE_FORCED,
    Reason.DAY_USED: Fact.GATE_DAY,
    Reason.COLD: Fact.GATE_COLD,
    Reason.AWAY: Fact.GATE_AWAY,
}

# Read from the top: a subclass stands before its parent.
_ANSWERS: tuple[tuple[type[errors.ProviderError], Fact, Fact], ...] = (
    # error, fact of a write, fact of a read
    (errors.Gone, Fact.GONE, Fact.GONE),
    (errors.Rejected, Fact.REJECTED, Fact.READ_REJECTED),
    (errors.AuthError, Fact.AUTH, Fact.AUTH),
    (errors.RefreshBusy, Fact.REFRESH_BUSY, Fact.REFRESH_BUSY),
    (errors.RateLimited, Fact.RATE_LIMITED, Fact.RATE_LIMITED),
    (errors.NotReady, Fact.NOT_READY, Fact.NOT_READY),
    (errors.NotProcessed, Fact.NOT_PROCESSED, Fact.NOT_PROCESSED),
    (errors.Uncertain, Fact.UNCERTAIN, Fact.READ_FAILED),
)


def ending_of(error: Exception, attempt: Try) -> Ending:
    """The Ending of a try that raised `error` (a ProviderError, a refusal of the transport, an httpx error)."""
    sent = attempt.sent_ms is not None
    if isinstance(error, Refused):
        refusal = error.refusal
        return attempt.ending(_REFUSALS[refusal.reason], until_ms=refusal.until_ms)
    if isinstance(error, GateAway):
        return attempt.ending(Fact.GATE_AWAY, until_ms=db_now() + AWAY_RETRY_MS, message="Redis cannot be reached")
    if isinstance(error, NotSent):
        return attempt.ending(Fact.LOCAL_NETWORK if error.local else Fact.CONNECT_REFUSED, message=str(error))
    if isinstance(error, errors.ProviderError):
        for kind, on_write, on_read in _ANSWERS:
            if isinstance(error, kind):
                return attempt.ending(
                    on_write if sent else on_read,
                    message=error.message,
                    status=error.status,
                    request_id=error.request_id,
                    retry_after_s=error.retry_after_s,
                    credentials_version=error.credentials_version,
                )
    words = type(error).__name__
    return attempt.ending(Fact.UNCERTAIN if sent else Fact.READ_FAILED, message=f"no answer: {words}")
