"""One closed table: what a fact about a try means for the operation.

Each way a try can end is a `Fact`; each fact has one row in `VERDICTS`. A new case is one row and one test. Nothing
here reads a clock, a database or the network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Fact(StrEnum):
    """How a try ended."""

    # Nothing had to be sent.
    NO_CHANGE = "no_change"
    NOTHING_TO_DO = "nothing_to_do"
    ALREADY_THERE = "already_there"
    LEFT_OUT = "left_out"
    # The gate or the connection said "not now"; no byte left.
    GATE_RATE = "gate_rate"
    GATE_CIRCUIT = "gate_circuit"
    GATE_HOST = "gate_host"
    GATE_FORCED = "gate_forced"
    GATE_DAY = "gate_day"
    GATE_COLD = "gate_cold"
    GATE_AWAY = "gate_away"
    REFRESH_BUSY = "refresh_busy"
    SETTLING = "settling"
    HANDED_BACK = "handed_back"
    CANCEL_ASKED = "cancel_asked"
    # No byte reached the provider.
    CONNECT_REFUSED = "connect_refused"
    LOCAL_NETWORK = "local_network"
    DEFECT_UNSENT = "defect_unsent"
    # The provider answered, definitely.
    UNDERSTOOD = "understood"
    IGNORED = "ignored"
    RATE_LIMITED = "rate_limited"
    NOT_READY = "not_ready"
    NOT_PROCESSED = "not_processed"
    REJECTED = "rejected"
    GONE = "gone"
    AUTH = "auth"
    # We cannot know.
    UNCERTAIN = "uncertain"
    DEFECT_SENT = "defect_sent"
    # A read failed: whatever was in doubt before still is.
    READ_FAILED = "read_failed"
    READ_REJECTED = "read_rejected"
    # A look-up was answered.
    TWO_MATCHES = "two_matches"
    NO_LOOKUP = "no_lookup"
    MAPPED_ELSEWHERE = "mapped_elsewhere"
    NEEDS_MISSING = "needs_missing"
    # A read before an update: people changed the record there.
    CHANGED_AT_PROVIDER = "changed_at_provider"
    # It is given to a person, and who that is in this CRM is not known yet; no request was made.
    AGENT_UNMAPPED = "agent_unmapped"


class Doubt(StrEnum):
    """What happens to `in_doubt`."""

    KEEP = "keep"
    CLEAR = "clear"
    OF_THIS_TRY = "of_this_try"  # definite about this try's write; a doubt from before, not looked up, stays
    SET = "set"


class Due(StrEnum):
    """When the row may be claimed next."""

    NOW = "now"
    UNTIL = "until"  # the time given with the fact
    BACKOFF = "backoff"
    SETTLE = "settle"  # sent_at + total deadline + settle_s, then backoff
    NEVER = "never"


class Hold(StrEnum):
    """What happens to the connection as a whole."""

    NONE = "none"
    UNTIL = "until"  # claims skip it until the time given
    AUTH = "auth"  # a person must sign in


@dataclass(frozen=True, slots=True)
class Verdict:
    """The consequence. `refund`: the attempt does not count. `breaker_counts`: it may have opened the circuit."""

    state: str
    reason: str = ""
    doubt: Doubt = Doubt.KEEP
    refund: bool = False
    due: Due = Due.NEVER
    hold: Hold = Hold.NONE
    breaker_counts: bool = False


_DONE, _WAIT, _RETRY, _ASK = "succeeded", "waiting", "retryable", "needs_person"

VERDICTS: dict[Fact, Verdict] = {
    Fact.NO_CHANGE: Verdict(_DONE, "no_change", Doubt.CLEAR, refund=True),
    Fact.NOTHING_TO_DO: Verdict(_DONE, "nothing_to_do", Doubt.CLEAR, refund=True),
    Fact.ALREADY_THERE: Verdict(_DONE, "already_there", Doubt.CLEAR),
    Fact.LEFT_OUT: Verdict("cancelled", "left_out", Doubt.CLEAR, refund=True),
    Fact.GATE_RATE: Verdict(_WAIT, "rate_limited", Doubt.OF_THIS_TRY, refund=True, due=Due.UNTIL, hold=Hold.UNTIL),
    Fact.GATE_CIRCUIT: Verdict("pending", "circuit_open", Doubt.OF_THIS_TRY, refund=True, due=Due.NOW, hold=Hold.UNTIL),
    Fact.GATE_HOST: Verdict("pending", "host_open", Doubt.OF_THIS_TRY, refund=True, due=Due.NOW, hold=Hold.UNTIL),
    Fact.GATE_FORCED: Verdict("pending", "forced_open", Doubt.OF_THIS_TRY, refund=True, due=Due.NOW, hold=Hold.UNTIL),
    Fact.GATE_DAY: Verdict("pending", "day_used", Doubt.OF_THIS_TRY, refund=True, due=Due.NOW, hold=Hold.UNTIL),
    Fact.GATE_COLD: Verdict("pending", "gate_cold", Doubt.OF_THIS_TRY, refund=True, due=Due.NOW, hold=Hold.UNTIL),
    Fact.GATE_AWAY: Verdict("pending", "gate_away", Doubt.OF_THIS_TRY, refund=True, due=Due.NOW, hold=Hold.UNTIL),
    Fact.REFRESH_BUSY: Verdict(_WAIT, "token_refresh", Doubt.OF_THIS_TRY, refund=True, due=Due.UNTIL),
    Fact.SETTLING: Verdict("unknown", "settling", refund=True, due=Due.UNTIL),
    Fact.HANDED_BACK: Verdict("pending", "", Doubt.OF_THIS_TRY, refund=True, due=Due.NOW),
    Fact.CANCEL_ASKED: Verdict("cancelled", "by_person", refund=True),
    Fact.CONNECT_REFUSED: Verdict(_RETRY, "connect_refused", Doubt.OF_THIS_TRY, due=Due.BACKOFF, breaker_counts=True),
    Fact.LOCAL_NETWORK: Verdict(_RETRY, "local_network", Doubt.OF_THIS_TRY, refund=True, due=Due.BACKOFF),
    Fact.DEFECT_UNSENT: Verdict(_RETRY, "defect", due=Due.BACKOFF),
    Fact.UNDERSTOOD: Verdict(_DONE, "", Doubt.CLEAR),
    Fact.IGNORED: Verdict("ignored", "ignored_by_provider", Doubt.CLEAR),
    Fact.RATE_LIMITED: Verdict(_WAIT, "rate_limited", Doubt.OF_THIS_TRY, refund=True, due=Due.UNTIL, hold=Hold.UNTIL),
    Fact.NOT_READY: Verdict(_WAIT, "not_ready", Doubt.OF_THIS_TRY, refund=True, due=Due.UNTIL),
    Fact.NOT_PROCESSED: Verdict(_RETRY, "not_processed", Doubt.OF_THIS_TRY, due=Due.BACKOFF, breaker_counts=True),
    Fact.REJECTED: Verdict("dead", "rejected", Doubt.CLEAR),
    Fact.GONE: Verdict("dead", "gone_at_provider", Doubt.CLEAR),
    Fact.AUTH: Verdict("pending", "auth_needed", Doubt.OF_THIS_TRY, refund=True, due=Due.NOW, hold=Hold.AUTH),
    Fact.UNCERTAIN: Verdict("unknown", "answer_lost", Doubt.SET, due=Due.SETTLE, breaker_counts=True),
    Fact.DEFECT_SENT: Verdict("unknown", "defect", Doubt.SET, due=Due.SETTLE),
    Fact.READ_FAILED: Verdict(_RETRY, "look_up_failed", due=Due.BACKOFF, breaker_counts=True),
    Fact.READ_REJECTED: Verdict("dead", "rejected"),
    Fact.TWO_MATCHES: Verdict(_ASK, "two_matches"),
    Fact.NO_LOOKUP: Verdict(_ASK, "no_look_up"),
    Fact.MAPPED_ELSEWHERE: Verdict(_ASK, "mapped_elsewhere", Doubt.CLEAR),
    Fact.NEEDS_MISSING: Verdict(_ASK, "needs_missing"),
    Fact.CHANGED_AT_PROVIDER: Verdict(_ASK, "changed_at_provider", Doubt.CLEAR),
    Fact.AGENT_UNMAPPED: Verdict(_WAIT, "agent_unmapped", refund=True, due=Due.UNTIL),
}

# What may be waiting with its doubt: a row in doubt is looked up first whatever state it passed through, so staying
# in doubt is shown as `unknown` where the table says `retryable` or `pending`.
_SHOWN_AS_UNKNOWN = frozenset({_RETRY, "pending"})


def decide(fact: Fact, *, in_doubt: bool, sent: bool, attempts: int, max_attempts: int, circuit_open: bool) -> Verdict:
    """The verdict for this row, its `doubt` narrowed to KEEP, CLEAR or SET.

    `in_doubt`: before this try. `sent`: this try committed a write. `attempts`: including this one. `circuit_open`:
    the breaker is open, or became so by this very failure; then a failure it counts does not use up an attempt (a
    probe must not eat the budget).
    """
    verdict = VERDICTS[fact]
    if verdict.doubt is Doubt.OF_THIS_TRY:
        verdict = replace(verdict, doubt=Doubt.CLEAR if sent else Doubt.KEEP)
    doubt_after = verdict.doubt is Doubt.SET or (verdict.doubt is Doubt.KEEP and in_doubt)
    if verdict.breaker_counts and circuit_open:
        verdict = replace(verdict, refund=True)
    if doubt_after and verdict.state == "dead":
        # A definite "no" to a read says nothing about the write that is in doubt.
        return replace(verdict, state=_ASK, due=Due.NEVER)
    if doubt_after and verdict.state in _SHOWN_AS_UNKNOWN:
        verdict = replace(verdict, state="unknown")
    used_up = not verdict.refund and attempts >= max_attempts
    if used_up and verdict.state == "unknown":
        return replace(verdict, state=_ASK, reason="attempts_used_up", due=Due.NEVER)
    if used_up and verdict.state == _RETRY:
        return replace(verdict, state="dead", reason="attempts_used_up", due=Due.NEVER)
    return verdict
