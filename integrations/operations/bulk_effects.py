"""What a verb does to an operation among many, or why it leaves it as it is. Pure.

It acts only where the operation's own page would offer the verb (`operation_state.allowed`).
"""

from __future__ import annotations

from dataclasses import dataclass

from integrations.engine import states

from . import wording

VERBS = {verb.slug: verb for verb in (wording.RETRY, wording.CANCEL, wording.SKIP)}

AT_AN_END = "At an end already"
BEING_SENT = "Being sent this very moment"
DECISION = "It asks for a decision of its own, on its page"


@dataclass(frozen=True, slots=True)
class Standing:
    """How an operation stands. `stuck`: what it waits for failed or was stopped (and may have arrived)."""

    state: str
    reason: str = ""
    in_doubt: bool = False
    blocked: bool = False
    cancel_requested: bool = False
    stuck: bool = False
    stuck_in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """`acts`: something happens; `sends`: it leads to requests."""

    words: str
    acts: bool = False
    sends: bool = False


def effect(verb: str, at: Standing) -> Effect:
    """What `verb` (its slug) does. Raises KeyError for one that is not done to many."""
    return {"retry": _retry, "cancel": _cancel, "skip": _skip}[verb](at)


def _retry(at: Standing) -> Effect:
    if wording.decision(at.state, at.reason):
        return Effect(DECISION)
    if at.state == "leased":
        return Effect(BEING_SENT)
    if at.state in states.CLAIMABLE:
        return Effect("It waits already, and goes by itself")
    if (at.state, at.reason) == ("cancelled", "left_out"):
        return Effect("Left out of this CRM; take that back first")
    if at.state not in ("dead", "cancelled", "needs_person"):
        return Effect(AT_AN_END)
    if at.in_doubt:
        return Effect("Looked up in the CRM first; sent only if it is not there", acts=True, sends=True)
    return Effect("Sent again when its turn comes, as the record is then", acts=True, sends=True)


def _cancel(at: Standing) -> Effect:
    if at.state in states.TERMINAL:
        return Effect(AT_AN_END)
    if wording.decision(at.state, at.reason):
        return Effect(DECISION)
    if at.state == "leased":
        asked = at.cancel_requested
        return Effect(BEING_SENT + ("; it was asked to stop already" if asked else "; asked to stop"), acts=not asked)
    if at.in_doubt or at.state == "unknown":
        return Effect("It may have arrived: it can only be looked up")
    return Effect("Stopped; nothing is sent for it", acts=True)


def _skip(at: Standing) -> Effect:
    if at.state in states.TERMINAL:
        return Effect(AT_AN_END)
    if at.state not in states.CLAIMABLE or not at.blocked:
        return Effect("It waits for no other operation")
    if not at.stuck:
        return Effect("What it waits for has not failed")
    if at.stuck_in_doubt:
        return Effect("What it waits for may have arrived: look that up first")
    return Effect("No longer waits for what failed or was stopped; sent when its turn comes", acts=True, sends=True)
