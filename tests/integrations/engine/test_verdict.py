"""One test a row of the verdict table, and the rules that bend a row."""

from __future__ import annotations

import pytest

from integrations.engine.verdict import VERDICTS, Doubt, Due, Fact, Hold, decide

# fact, sent → state, reason, doubt, refund, due, hold: what the law says, written down a second time on purpose.
ROWS = [
    (Fact.NO_CHANGE, False, "succeeded", "no_change", Doubt.CLEAR, True, Due.NEVER, Hold.NONE),
    (Fact.NOTHING_TO_DO, False, "succeeded", "nothing_to_do", Doubt.CLEAR, True, Due.NEVER, Hold.NONE),
    (Fact.ALREADY_THERE, False, "succeeded", "already_there", Doubt.CLEAR, False, Due.NEVER, Hold.NONE),
    (Fact.LEFT_OUT, False, "cancelled", "left_out", Doubt.CLEAR, True, Due.NEVER, Hold.NONE),
    (Fact.GATE_RATE, False, "waiting", "rate_limited", Doubt.KEEP, True, Due.UNTIL, Hold.UNTIL),
    (Fact.GATE_RATE, True, "waiting", "rate_limited", Doubt.CLEAR, True, Due.UNTIL, Hold.UNTIL),
    (Fact.GATE_CIRCUIT, False, "pending", "circuit_open", Doubt.KEEP, True, Due.NOW, Hold.UNTIL),
    (Fact.GATE_HOST, False, "pending", "host_open", Doubt.KEEP, True, Due.NOW, Hold.UNTIL),
    (Fact.GATE_FORCED, False, "pending", "forced_open", Doubt.KEEP, True, Due.NOW, Hold.UNTIL),
    (Fact.GATE_DAY, False, "pending", "day_used", Doubt.KEEP, True, Due.NOW, Hold.UNTIL),
    (Fact.GATE_COLD, False, "pending", "gate_cold", Doubt.KEEP, True, Due.NOW, Hold.UNTIL),
    (Fact.GATE_AWAY, False, "pending", "gate_away", Doubt.KEEP, True, Due.NOW, Hold.UNTIL),
    (Fact.REFRESH_BUSY, False, "waiting", "token_refresh", Doubt.KEEP, True, Due.UNTIL, Hold.NONE),
    (Fact.SETTLING, False, "unknown", "settling", Doubt.KEEP, True, Due.UNTIL, Hold.NONE),
    (Fact.HANDED_BACK, True, "pending", "", Doubt.CLEAR, True, Due.NOW, Hold.NONE),
    (Fact.CANCEL_ASKED, False, "cancelled", "by_person", Doubt.KEEP, True, Due.NEVER, Hold.NONE),
    (Fact.CONNECT_REFUSED, True, "retryable", "connect_refused", Doubt.CLEAR, False, Due.BACKOFF, Hold.NONE),
    (Fact.LOCAL_NETWORK, True, "retryable", "local_network", Doubt.CLEAR, True, Due.BACKOFF, Hold.NONE),
    (Fact.DEFECT_UNSENT, False, "retryable", "defect", Doubt.KEEP, False, Due.BACKOFF, Hold.NONE),
    (Fact.UNDERSTOOD, True, "succeeded", "", Doubt.CLEAR, False, Due.NEVER, Hold.NONE),
    (Fact.IGNORED, True, "ignored", "ignored_by_provider", Doubt.CLEAR, False, Due.NEVER, Hold.NONE),
    (Fact.RATE_LIMITED, True, "waiting", "rate_limited", Doubt.CLEAR, True, Due.UNTIL, Hold.UNTIL),
    (Fact.NOT_READY, True, "waiting", "not_ready", Doubt.CLEAR, True, Due.UNTIL, Hold.NONE),
    (Fact.NOT_PROCESSED, True, "retryable", "not_processed", Doubt.CLEAR, False, Due.BACKOFF, Hold.NONE),
    (Fact.REJECTED, True, "dead", "rejected", Doubt.CLEAR, False, Due.NEVER, Hold.NONE),
    (Fact.GONE, True, "dead", "gone_at_provider", Doubt.CLEAR, False, Due.NEVER, Hold.NONE),
    (Fact.AUTH, True, "pending", "auth_needed", Doubt.CLEAR, True, Due.NOW, Hold.AUTH),
    (Fact.UNCERTAIN, True, "unknown", "answer_lost", Doubt.SET, False, Due.SETTLE, Hold.NONE),
    (Fact.DEFECT_SENT, True, "unknown", "defect", Doubt.SET, False, Due.SETTLE, Hold.NONE),
    (Fact.READ_FAILED, False, "retryable", "look_up_failed", Doubt.KEEP, False, Due.BACKOFF, Hold.NONE),
    (Fact.READ_REJECTED, False, "dead", "rejected", Doubt.KEEP, False, Due.NEVER, Hold.NONE),
    (Fact.TWO_MATCHES, False, "needs_person", "two_matches", Doubt.KEEP, False, Due.NEVER, Hold.NONE),
    (Fact.NO_LOOKUP, False, "needs_person", "no_look_up", Doubt.KEEP, False, Due.NEVER, Hold.NONE),
    (Fact.MAPPED_ELSEWHERE, False, "needs_person", "mapped_elsewhere", Doubt.CLEAR, False, Due.NEVER, Hold.NONE),
    (Fact.NEEDS_MISSING, False, "needs_person", "needs_missing", Doubt.KEEP, False, Due.NEVER, Hold.NONE),
    (Fact.CHANGED_AT_PROVIDER, False, "needs_person", "changed_at_provider", Doubt.CLEAR, False, Due.NEVER, Hold.NONE),
    (Fact.AGENT_UNMAPPED, False, "waiting", "agent_unmapped", Doubt.KEEP, True, Due.UNTIL, Hold.NONE),
]


def decided(fact: Fact, *, in_doubt: bool = False, sent: bool = False, attempts: int = 1, circuit_open: bool = False):  # type: ignore[no-untyped-def]
    return decide(fact, in_doubt=in_doubt, sent=sent, attempts=attempts, max_attempts=5, circuit_open=circuit_open)


@pytest.mark.parametrize(
    ("fact", "sent", "state", "reason", "doubt", "refund", "due", "hold"), ROWS, ids=[f"{r[0]}-{r[1]}" for r in ROWS]
)
def test_the_row(fact, sent, state, reason, doubt, refund, due, hold) -> None:  # type: ignore[no-untyped-def]
    verdict = decided(fact, sent=sent)
    assert (verdict.state, verdict.reason, verdict.doubt, verdict.refund, verdict.due, verdict.hold) == (
        state, reason, doubt, refund, due, hold,
    )  # fmt: skip


def test_every_fact_has_a_row_and_a_test() -> None:
    assert set(VERDICTS) == set(Fact) == {row[0] for row in ROWS}


@pytest.mark.parametrize(
    "fact", [Fact.READ_FAILED, Fact.CONNECT_REFUSED, Fact.NOT_PROCESSED, Fact.AUTH, Fact.GATE_AWAY]
)
def test_what_is_in_doubt_and_not_settled_by_a_read_stays_unknown(fact: Fact) -> None:
    verdict = decided(fact, in_doubt=True, sent=False)
    assert (verdict.state, verdict.doubt) == ("unknown", Doubt.KEEP)


def test_a_refused_read_does_not_end_a_row_in_doubt() -> None:
    verdict = decided(Fact.READ_REJECTED, in_doubt=True)
    assert (verdict.state, verdict.due) == ("needs_person", Due.NEVER)


def test_attempts_used_up_ends_a_definite_failure() -> None:
    verdict = decided(Fact.NOT_PROCESSED, sent=True, attempts=5)
    assert (verdict.state, verdict.reason) == ("dead", "attempts_used_up")


def test_attempts_used_up_in_doubt_asks_a_person() -> None:
    verdict = decided(Fact.UNCERTAIN, sent=True, attempts=5)
    assert (verdict.state, verdict.reason, verdict.doubt) == ("needs_person", "attempts_used_up", Doubt.SET)


def test_an_open_circuit_refunds_the_attempt() -> None:
    verdict = decided(Fact.NOT_PROCESSED, sent=True, attempts=5, circuit_open=True)
    assert (verdict.state, verdict.refund) == ("retryable", True)


def test_an_open_circuit_does_not_refund_what_the_breaker_does_not_count() -> None:
    assert decided(Fact.REJECTED, sent=True, circuit_open=True).refund is False


def test_who_waits_for_an_agents_user_in_doubt_stays_in_doubt() -> None:
    verdict = decided(Fact.AGENT_UNMAPPED, in_doubt=True, attempts=5)
    assert (verdict.state, verdict.doubt, verdict.refund) == ("waiting", Doubt.KEEP, True)


@pytest.mark.parametrize("fact", [Fact.GATE_RATE, Fact.RATE_LIMITED, Fact.LOCAL_NETWORK, Fact.NOT_READY])
def test_waiting_is_never_failing(fact: Fact) -> None:
    assert decided(fact, sent=True, attempts=99).state in ("waiting", "retryable")
