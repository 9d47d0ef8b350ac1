"""The one sentence that answers "why hasn't this synced?", a test a row of the table."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from integrations.operations.sync_state import Blocker, Cell, HolderFacts, OperationFacts, Tone, explain

ZONE = ZoneInfo("America/Los_Angeles")
NOW = 1_789_421_405_000  # 2026-09-14 14:30:05 PDT
LATER = NOW + 125_000
CELL = Cell(standing=True, included=True, route="This connection serves the whole brokerage.")
PENDING = OperationFacts(id=7, state="pending", due_ms=NOW - 5_000)
ACTIVE = HolderFacts()


def told(cell: Cell, holder: HolderFacts = ACTIVE) -> tuple[Tone, str, str]:
    line = explain(cell, holder, now_ms=NOW, zone=ZONE)
    return line.tone, line.head, line.text


def with_operation(**values: object) -> Cell:
    return replace(CELL, operation=replace(PENDING, **values))  # type: ignore[arg-type]  # columns by name


ROWS: dict[str, tuple[Cell, HolderFacts, tuple[Tone, str, str]]] = {
    "in the CRM": (
        replace(with_operation(state="succeeded"), external_id="appt_1"),
        ACTIVE,
        (Tone.IN, "In the CRM", "appt_1"),
    ),
    "in the CRM, its operation purged": (
        replace(CELL, external_id="appt_1"),
        ACTIVE,
        (Tone.IN, "In the CRM", "appt_1"),
    ),
    "its turn comes next": (
        with_operation(),
        ACTIVE,
        (Tone.WAITS, "Waits", "Its turn comes next; due since 14:30:00 PDT (5 s ago)."),
    ),
    "rate limited": (
        with_operation(state="waiting", reason="rate_limited", due_ms=LATER),
        ACTIVE,
        (Tone.WAITS, "Waits", "The CRM's rate limit; not before 14:32:10 PDT (in 2 min 5 s)."),
    ),
    "tried again later, with what the CRM said": (
        with_operation(state="retryable", reason="not_processed", due_ms=LATER, message="busy"),
        ACTIVE,
        (
            Tone.WAITS,
            "Waits",
            "The CRM could not take it just now; not before 14:32:10 PDT (in 2 min 5 s). (“busy”)",
        ),
    ),
    "the connection is held longer than the row": (
        with_operation(state="waiting", reason="rate_limited", due_ms=NOW + 1000),
        HolderFacts(hold_reason="day_used", hold_until_ms=LATER),
        (Tone.WAITS, "Waits", "The CRM's limit for a day is used up; not before 14:32:10 PDT (in 2 min 5 s)."),
    ),
    "the circuit is open": (
        with_operation(),
        HolderFacts(hold_reason="circuit_open", hold_until_ms=LATER),
        (
            Tone.WAITS,
            "Waits",
            (
                "The CRM is not answering properly; sending pauses so that it can recover; "
                "not before 14:32:10 PDT (in 2 min 5 s)."
            ),
        ),
    ),
    "a hold that is over": (
        with_operation(),
        HolderFacts(hold_reason="circuit_open", hold_until_ms=NOW),
        (Tone.WAITS, "Waits", "Its turn comes next; due since 14:30:00 PDT (5 s ago)."),
    ),
    "Redis is away": (
        with_operation(),
        HolderFacts(gate_mode="away"),
        (Tone.WAITS, "Waits", "Redis cannot be reached, so no more than a trickle is sent."),
    ),
    "a cold start": (
        with_operation(),
        HolderFacts(gate_mode="cold"),
        (Tone.WAITS, "Waits", "Counting the CRM's limits starts anew after Redis forgot."),
    ),
    "paused": (
        with_operation(due_ms=LATER),
        HolderFacts(state="paused", state_reason="moving house"),
        (Tone.WAITS, "Waits", "This connection is paused; resume it to send. (“moving house”)"),
    ),
    "sign-in needed": (
        with_operation(),
        HolderFacts(state="auth_needed"),
        (Tone.WAITS, "Waits", "This connection needs someone to sign in: give it new credentials."),
    ),
    "disabled": (
        with_operation(),
        HolderFacts(state="disabled"),
        (Tone.WAITS, "Waits", "This connection is disabled; nothing is sent."),
    ),
    "blocked": (
        replace(with_operation(blockers=1), blocker=Blocker(3, "Buyer: failed (The CRM refused it)")),
        HolderFacts(state="paused"),
        (Tone.BLOCKED, "Blocked by", "Buyer: failed (The CRM refused it)"),
    ),
    "being sent": (
        with_operation(state="leased"),
        ACTIVE,
        (Tone.WAITS, "Being sent", "A worker has it in hand now."),
    ),
    "sent, no answer yet": (
        with_operation(state="leased", sent_ms=NOW - 3000),
        ACTIVE,
        (Tone.WAITS, "Being sent", "Sent 14:30:02 PDT (3 s ago); the CRM's answer is awaited."),
    ),
    "being stopped": (
        with_operation(state="leased", cancel_requested=True),
        ACTIVE,
        (Tone.WAITS, "Being stopped", "It stops before it leaves us, if it has not left yet."),
    ),
    "in doubt, looked up later": (
        with_operation(state="unknown", in_doubt=True, reason="answer_lost", due_ms=LATER),
        ACTIVE,
        (
            Tone.WAITS,
            "May have arrived",
            "The CRM's answer was lost; it will be looked up not before 14:32:10 PDT (in 2 min 5 s).",
        ),
    ),
    "in doubt, looked up next": (
        with_operation(state="unknown", in_doubt=True, reason="worker_lost"),
        ACTIVE,
        (
            Tone.WAITS,
            "May have arrived",
            "The process sending it died after it may have been sent; it is looked up next.",
        ),
    ),
    "needs a person": (
        with_operation(state="needs_person", reason="no_look_up"),
        HolderFacts(state="paused"),
        (Tone.PERSON, "Needs a person", "Did it arrive in the CRM? Look there and answer."),
    ),
    "failed": (
        with_operation(state="dead", reason="rejected", message="calendar not found"),
        ACTIVE,
        (
            Tone.FAILED,
            "Failed",
            "The CRM refused it. (“calendar not found”) Correct what the message names, then retry.",
        ),
    ),
    "failed, an older version stands there": (
        replace(with_operation(state="dead", reason="attempts_used_up"), external_id="appt_1"),
        ACTIVE,
        (
            Tone.FAILED,
            "Failed",
            "Every try failed. Check that the CRM works, then retry. The CRM still shows it as appt_1.",
        ),
    ),
    "ignored": (
        with_operation(state="ignored", message="no event"),
        ACTIVE,
        (Tone.NOT_SENT, "Ignored by the CRM", "The CRM answered, but did nothing. (“no event”)"),
    ),
    "stopped by a person": (
        with_operation(state="cancelled", reason="by_person"),
        ACTIVE,
        (Tone.NOT_SENT, "Stopped by a person", "Retry the operation to send it."),
    ),
    "cancelled there": (
        replace(
            with_operation(state="succeeded"), standing=False, not_standing="The tour is cancelled.", external_id="a1"
        ),
        ACTIVE,
        (Tone.CANCELLED, "Cancelled there", "a1. The tour is cancelled."),
    ),
    "cancelled there because it left the connection": (
        replace(with_operation(state="succeeded"), standing=False, included=False, route="Another.", external_id="a1"),
        ACTIVE,
        (Tone.CANCELLED, "Cancelled there", "a1. Another."),
    ),
    "never stood there": (
        replace(
            with_operation(state="succeeded", reason="nothing_to_do"),
            standing=False,
            not_standing="The stop is denied.",
        ),
        ACTIVE,
        (Tone.NOT_SENT, "Not there", "It never stood there. The stop is denied."),
    ),
    "routed elsewhere": (
        replace(CELL, standing=False, included=False, route="This connection belongs to another agent."),
        ACTIVE,
        (Tone.NOT_SENT, "Not sent here", "This connection belongs to another agent."),
    ),
    "a draft": (
        replace(CELL, standing=False, not_standing="The tour is a draft; it is sent once it is scheduled."),
        ACTIVE,
        (Tone.NOT_SENT, "Not sent here", "The tour is a draft; it is sent once it is scheduled."),
    ),
    "not planned": (CELL, ACTIVE, (Tone.NOT_SENT, "Not planned yet", "Save the tour once to send it here.")),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_sentence(name: str) -> None:
    cell, holder, expected = ROWS[name]
    assert told(cell, holder) == expected


def test_a_line_names_its_operation() -> None:
    assert explain(with_operation(), ACTIVE, now_ms=NOW, zone=ZONE).operation_id == 7


def test_a_blocked_line_names_what_blocks_it() -> None:
    cell = replace(with_operation(blockers=1), blocker=Blocker(3, "Buyer: waiting its turn"))
    assert explain(cell, ACTIVE, now_ms=NOW, zone=ZONE).blocker_id == 3


def test_the_later_of_row_and_connection_is_the_time() -> None:
    holder = HolderFacts(hold_reason="rate_limited", hold_until_ms=NOW + 1000)
    assert explain(with_operation(due_ms=LATER), holder, now_ms=NOW, zone=ZONE).until_ms == LATER


def test_a_time_on_another_day_carries_its_date() -> None:
    cell = with_operation(state="waiting", reason="day_used", due_ms=NOW + 86_400_000)
    assert "not before 2026-09-15 14:30:05 PDT (in 1 d)" in told(cell)[2]
