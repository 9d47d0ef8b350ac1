"""The words staff read for states, reasons and kinds, and what to do about each. Pure tables.

A name that has no words yet (a new provider's reason) is shown as it is, with its underscores as spaces.
"""

from __future__ import annotations

from dataclasses import dataclass

REASONS = {
    "": "",
    "agent_unmapped": "The tour’s agent has no user in this CRM yet",
    "already_there": "It was in the CRM already, as wanted",
    "answer_lost": "The CRM's answer was lost",
    "attempts_used_up": "Every try failed",
    "auth_needed": "The CRM refused our sign-in",
    "by_person": "Stopped by a person",
    "changed_at_provider": "The record was changed in the CRM since we last wrote it",
    "circuit_open": "The CRM is not answering properly; sending pauses so that it can recover",
    "connect_refused": "The CRM could not be reached",
    "day_used": "The CRM's limit for a day is used up",
    "defect": "A fault in REanna Router",
    "forced_open": "A person stopped all sending to this CRM by its circuit",
    "gate_away": "Redis cannot be reached, so no more than a trickle is sent",
    "gate_back": "Redis is back and begins to count the CRM's limits",
    "gate_cold": "Counting the CRM's limits starts anew after Redis forgot",
    "gate_paused": "A backup was restored, and nothing is sent until a person says go",
    "gate_trickle": "Redis cannot be reached, so no more than a trickle is sent",
    "gone_at_provider": "The record was deleted in the CRM",
    "host_open": "The CRM fails for several accounts; sending pauses so that it can recover",
    "ignored_by_provider": "The CRM answered, but did nothing",
    "kept_theirs": "A person kept what the CRM shows",
    "left_out": "Left out of this CRM",
    "local_network": "Our own network or name look-up failed",
    "look_up_failed": "Looking the record up in the CRM failed",
    "mapped_elsewhere": "The CRM's record is linked to another of our records",
    "merged": "The buyer was merged into another, whose operation took its place",
    "needs_missing": "What this hangs on is not in the CRM",
    "newer_version": "A newer version took its place",
    "no_change": "The CRM showed this already",
    "no_look_up": "This CRM cannot be asked whether it arrived",
    "not_before": "The CRM asked us to wait",
    "not_processed": "The CRM could not take it just now",
    "not_ready": "The CRM is still working on what came before",
    "nothing_to_do": "There was nothing to send: nothing of it should stand in the CRM",
    "person_said_arrived": "A person found it in the CRM",
    "poison": "The process sending it died three times",
    "rate_limited": "The CRM's rate limit",
    "rejected": "The CRM refused it",
    "restored": "A backup was restored, so it is looked up before it is sent",
    "settling": "The CRM gets a moment to show what it received before we look",
    "token_refresh": "The sign-in is being renewed",
    "two_matches": "More than one record in the CRM could be this one",
    "undo_time": "Kept back for a moment so that it can be undone",
    "worker_lost": "The process sending it died after it may have been sent",
}

STATES = {
    "pending": "Waiting its turn",
    "leased": "Being sent",
    "waiting": "Told to wait",
    "retryable": "Will be tried again",
    "unknown": "May have arrived",
    "needs_person": "Needs a person",
    "succeeded": "Done",
    "dead": "Failed",
    "ignored": "Ignored by the CRM",
    "superseded": "Replaced",
    "cancelled": "Stopped",
}

KINDS = {
    "contact.link": "Buyer",
    "appointment_type.link": "Appointment type",
    "appointment.sync": "Appointment",
    "feedback.note": "Feedback note",
    "feedback.task": "Follow-up task",
    "contact.fields": "Buyer's interest",
    "tour.summary": "Tour summary",
}

OUTCOMES = {
    "": "no answer yet",
    "understood": "taken by the CRM",
    "uncertain": "its answer was lost",
    "worker_lost": "its process died",
}

QUESTIONS = {
    "two_matches": "Which record in the CRM is this one? Delete the double there, then retry, or give its id.",
    "changed_at_provider": "It was changed in the CRM since we last wrote it. Send ours over it, or keep theirs?",
    "mapped_elsewhere": "Are these two of our buyers one person? Merge them. If not, part them in the CRM, then retry.",
    "no_look_up": "Did it arrive in the CRM? Look there and answer.",
    "attempts_used_up": "Did it arrive in the CRM? It could not be looked up: look there and answer.",
    "needs_missing": "The buyer is not linked in the CRM. Retry the buyer's operation, then this one.",
    "poison": "Did it arrive in the CRM? Sending it ended our process three times: look there and answer.",
}
QUESTION = "Did it arrive in the CRM? Look there and answer."

REMEDIES = {
    "attempts_used_up": "Check that the CRM works, then retry.",
    "gone_at_provider": "Create it again, or leave it out of this CRM.",
    "poison": "Report this; retry once it is mended.",
    "rejected": "Correct what the message names, then retry.",
}
REMEDY = "Read the message, mend its cause, then retry."

# Reasons of an operation that a person's "yes, it arrived" or "no, it did not" settles.
_OTHER_REMEDY = frozenset({"changed_at_provider", "mapped_elsewhere", "needs_missing"})


@dataclass(frozen=True, slots=True)
class Verb:
    """Something a person may do to an operation. `says`: what will happen, one sentence each."""

    slug: str
    label: str
    says: tuple[str, ...]
    danger: bool = False


RETRY = Verb(
    "retry",
    "Retry",
    ("It is sent again as soon as its turn comes, built from the record as it is now.", "Its counters start anew."),
)
CANCEL = Verb(
    "cancel",
    "Cancel",
    (
        "Nothing is sent for this operation. If it is being sent this very moment, it stops before it leaves us.",
        "What stands in the CRM stays as it is; operations that wait for this one keep waiting.",
    ),
    danger=True,
)
ARRIVED = Verb(
    "arrived",
    "It arrived",
    ("The record with the id you give is linked to ours, and this operation ends as done.", "Nothing is sent."),
)
NOT_ARRIVED = Verb(
    "not-arrived",
    "It did not arrive",
    ("It is sent again. If it did arrive after all, the CRM will show it twice: look there first.",),
    danger=True,
)
SKIP = Verb(
    "skip",
    "Go on without predecessor",
    ("It no longer waits for the failed or stopped operations below, and is sent when its turn comes.",),
    danger=True,
)
RECREATE = Verb(
    "recreate",
    "Recreate",
    ("A new record is made in the CRM, from ours as it is now.", "Its counters start anew."),
)
LEAVE_OUT = Verb(
    "leave-out",
    "Leave out",
    ("It is kept out of this CRM from now on, with a reason; you can take it back on the connection's page.",),
    danger=True,
)
SEND_OURS = Verb(
    "send-ours",
    "Send ours",
    ("Our record, as it is now, is written over what was changed in the CRM.",),
    danger=True,
)
KEEP_THEIRS = Verb(
    "keep-theirs",
    "Keep theirs",
    ("Nothing is sent; the CRM keeps what was changed there.", "The next change of our record asks again."),
)
MERGE = Verb(
    "merge",
    "Merge these two buyers",
    ("A page says what comes together, what stays apart in each CRM, and asks.",),
)
VERBS = {
    verb.slug: verb
    for verb in (RETRY, CANCEL, ARRIVED, NOT_ARRIVED, SKIP, RECREATE, LEAVE_OUT, SEND_OURS, KEEP_THEIRS, MERGE)
}

ACTIONS = tuple((slug, slug) for slug in VERBS)
"""As choices."""


MERGEABLE = ("needs_person", "mapped_elsewhere")
"""State and reason of a buyer's link that finds a person whom another of our buyers is linked to."""


def decision(state: str, reason: str) -> tuple[Verb, ...]:
    """The only ways on where a person must choose between two; empty elsewhere."""
    if (state, reason) == ("dead", "gone_at_provider"):
        return (RECREATE, LEAVE_OUT)
    if (state, reason) == ("needs_person", "changed_at_provider"):
        return (SEND_OURS, KEEP_THEIRS)
    return ()


def reason(name: str) -> str:
    """The reason in words; empty for none."""
    return REASONS.get(name, name.replace("_", " "))


def outcome(name: str) -> str:
    """What came of a try."""
    return OUTCOMES.get(name, name.replace("_", " "))


def state(name: str) -> str:
    return STATES.get(name, name)


def kind(name: str) -> str:
    return KINDS.get(name, name)


def question(name: str) -> str:
    """What a person is asked, by the operation's reason."""
    return QUESTIONS.get(name, QUESTION)


def remedy(name: str) -> str:
    """What to do about a failure, by the operation's reason."""
    return REMEDIES.get(name, REMEDY)


def answerable(name: str) -> bool:
    """Whether "it arrived" and "it did not arrive" answer the question of this reason."""
    return name not in _OTHER_REMEDY
