"""The life of one operation as pure functions: which move is allowed from where, and what it changes.

The database code computes every move here and writes it with a compare-and-set; the model check in the tests walks
these functions with two workers, a sweeper and late answers. Times are milliseconds, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .verdict import Doubt, Due, Verdict

CLAIMABLE = frozenset({"pending", "waiting", "retryable", "unknown"})
TERMINAL = frozenset({"succeeded", "dead", "ignored", "superseded", "cancelled"})
MAX_STRIKES = 3
ALONE_STRIKES = 2


class IllegalMove(Exception):
    """This move does not exist from that state."""


@dataclass(frozen=True, slots=True)
class Row:
    """The columns that make up an operation's state."""

    state: str = "pending"
    reason: str = ""
    in_doubt: bool = False
    blockers: int = 0
    token: int = 0
    lease_until_ms: int | None = None
    entered: bool = False
    sent_ms: int | None = None
    attempts: int = 0
    waits: int = 0
    strikes: int = 0
    due_ms: int = 0
    cancel_requested: bool = False
    redrive_no: int = 0


def claimable(row: Row, now_ms: int) -> bool:
    """Due, not blocked, not held, not at an end."""
    return row.state in CLAIMABLE and row.blockers == 0 and row.due_ms <= now_ms


def claim(row: Row, now_ms: int, lease_ms: int) -> Row:
    """pending, waiting, retryable, unknown → leased. Doubt stays: the holder must look first."""
    if not claimable(row, now_ms):
        raise IllegalMove(f"cannot claim: {row.state}")
    return replace(
        row,
        state="leased",
        token=row.token + 1,
        lease_until_ms=now_ms + lease_ms,
        entered=False,
        sent_ms=row.sent_ms if row.in_doubt else None,
        attempts=row.attempts + 1,
    )


def must_look_first(row: Row) -> bool:
    """A row in doubt is claimed look-first, whatever state it passed through."""
    return row.in_doubt


def mark_sent(row: Row, token: int, now_ms: int) -> Row:
    """Committed before the first byte of a write leaves."""
    if row.state != "leased" or row.token != token:
        raise IllegalMove("not ours any more")
    return replace(row, sent_ms=now_ms, in_doubt=True, entered=True)


def settle(row: Row, token: int, verdict: Verdict, *, until_ms: int) -> Row:
    """leased → what the verdict says. `until_ms`: the time `verdict.due` came to (ignored when it is never)."""
    if row.state != "leased" or row.token != token:
        raise IllegalMove("not ours any more")
    in_doubt = {Doubt.KEEP: row.in_doubt, Doubt.CLEAR: False, Doubt.SET: True}[verdict.doubt]
    waits = row.waits + (1 if verdict.state == "waiting" or verdict.hold != "none" else 0)
    return replace(
        row,
        state=verdict.state,
        reason=verdict.reason,
        in_doubt=in_doubt,
        lease_until_ms=None,
        entered=False,
        sent_ms=row.sent_ms if in_doubt else None,
        attempts=row.attempts - (1 if verdict.refund else 0),
        waits=waits,
        strikes=row.strikes if verdict.refund else 0,
        due_ms=row.due_ms if verdict.due is Due.NEVER else until_ms,
    )


def recover(row: Row, now_ms: int, *, settled_at_ms: int) -> Row:
    """A lease that ran out.

    Nothing sent: back to pending, attempt refunded. Sent: unknown, not before `settled_at_ms`. It keeps its place in
    the queue (also what was sent, once that is past: by law a lease outlasts it, but for a CRM that settles slowly):
    what became due meanwhile, or waits since long, does not go first.

    A strike is given when the holder surely was at work on this row, or once when that cannot be told (a first loss in
    a batch); the third strike ends it as poison unless something may have been sent, which only a person or a look-up
    can end.
    """
    if row.state != "leased" or row.lease_until_ms is None or row.lease_until_ms > now_ms:
        raise IllegalMove("the lease still runs")
    at_work = row.entered or row.strikes == 0
    strikes = row.strikes + (1 if at_work else 0)
    base = replace(row, lease_until_ms=None, entered=False, strikes=strikes)
    if strikes >= MAX_STRIKES:
        state = "needs_person" if row.in_doubt else "dead"
        return replace(base, state=state, reason="poison")
    if row.in_doubt:
        due_ms = row.due_ms if settled_at_ms <= now_ms else settled_at_ms
        return replace(base, state="unknown", reason="worker_lost", due_ms=due_ms)
    return replace(base, state="pending", reason="", attempts=row.attempts - 1)


def supersede(row: Row) -> Row:
    """A newer version was planned. Only what is neither leased nor in doubt nor at an end."""
    if not can_supersede(row):
        raise IllegalMove(f"cannot supersede: {row.state}")
    return replace(row, state="superseded", reason="newer_version")


def can_supersede(row: Row) -> bool:
    """Also the question whether to overwrite: the newer version asks it itself, of what it wants."""
    open_to_it = row.state in ("pending", "waiting", "retryable", "dead") or asks_to_overwrite(row)
    return open_to_it and not row.in_doubt


def cancel(row: Row) -> Row:
    """A person: at once when unsent and not in doubt; on a leased row a request, honoured before the write."""
    if row.state == "leased":
        return replace(row, cancel_requested=True)
    if row.state in ("pending", "waiting", "retryable", "needs_person") and not row.in_doubt:
        return replace(row, state="cancelled", reason="by_person")
    raise IllegalMove(f"cannot cancel: {row.state}{' in doubt' if row.in_doubt else ''}")


def leave_out(row: Row) -> Row:
    """People keep the record out of this CRM: whatever was not sent, and is not in hand or in doubt, ends."""
    if not can_leave_out(row):
        raise IllegalMove(f"cannot leave out: {row.state}{' in doubt' if row.in_doubt else ''}")
    return replace(row, state="cancelled", reason="left_out")


def can_leave_out(row: Row) -> bool:
    return row.state in ("pending", "waiting", "retryable", "needs_person", "dead") and not row.in_doubt


def merge_away(row: Row) -> Row:
    """Its buyer was merged into another, whose own operation does it: what is neither leased nor in doubt."""
    if not can_leave_out(row):
        raise IllegalMove(f"cannot merge away: {row.state}{' in doubt' if row.in_doubt else ''}")
    return replace(row, state="superseded", reason="merged")


def asks_to_overwrite(row: Row) -> bool:
    """Whether it waits for a person to say whose values win. Nothing was sent, so nothing is in doubt."""
    return row.state == "needs_person" and row.reason == "changed_at_provider" and not row.in_doubt


def send_ours(row: Row, now_ms: int) -> Row:
    """A person lets ours win: it is sent, without comparing."""
    if not asks_to_overwrite(row):
        raise IllegalMove(f"no such question is open: {row.state}")
    return replace(redrive(row, now_ms), redrive_no=row.redrive_no)


def keep_theirs(row: Row) -> Row:
    """A person lets the CRM's win: nothing is sent. The next change asks again."""
    if not asks_to_overwrite(row):
        raise IllegalMove(f"no such question is open: {row.state}")
    return replace(row, state="cancelled", reason="kept_theirs")


def redrive(row: Row, now_ms: int) -> Row:
    """A person says try again. Keeps the doubt, so a doubted row looks first; counters start anew."""
    if row.state not in ("dead", "cancelled", "needs_person"):
        raise IllegalMove(f"cannot retry: {row.state}")
    return replace(
        row,
        state="pending",
        reason="",
        attempts=0,
        strikes=0,
        waits=0,
        due_ms=now_ms,
        cancel_requested=False,
        redrive_no=row.redrive_no + 1,
    )


def answer_arrived(row: Row) -> Row:
    """A person says it did arrive (and gives the id)."""
    if row.state != "needs_person":
        raise IllegalMove(f"no question is open: {row.state}")
    return replace(row, state="succeeded", reason="person_said_arrived", in_doubt=False, sent_ms=None)


def answer_not_arrived(row: Row, now_ms: int) -> Row:
    """A person says it did not arrive: the doubt is cleared and it may be sent again."""
    if row.state != "needs_person":
        raise IllegalMove(f"no question is open: {row.state}")
    return replace(redrive(row, now_ms), in_doubt=False, sent_ms=None, redrive_no=row.redrive_no)
