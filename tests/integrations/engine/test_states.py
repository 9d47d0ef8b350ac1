"""A breadth-first search over the pure state machine: two workers, a sweeper, a provider that may lose answers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import pytest

from integrations.engine import states
from integrations.engine.states import IllegalMove, Row
from integrations.engine.verdict import Fact, decide

LEASE_MS = 1
MAX_ATTEMPTS = 2


@dataclass(frozen=True)
class Worker:
    """`phase`: idle, holding, looked (not found), sent (committed), flying (bytes out), answered."""

    phase: str = "idle"
    token: int = 0
    found: bool = False
    answer: Fact | None = None


@dataclass(frozen=True)
class World:
    """One desired record. `there`: how many of it the provider holds. `lease_ok`: the holder's lease still runs."""

    row: Row = field(default_factory=Row)
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    there: int = 0
    lease_ok: bool = False
    people: int = 0

    def with_worker(self, index: int, worker: Worker) -> World:
        pair = list(self.workers)
        pair[index] = worker
        return replace(self, workers=(pair[0], pair[1]))


def settle(world: World, index: int, fact: Fact, *, sent: bool) -> World:
    """The settling transaction: nothing happens when the token is old."""
    worker, row = world.workers[index], world.row
    idle = world.with_worker(index, Worker())
    if row.state != "leased" or row.token != worker.token:
        return idle
    verdict = decide(
        fact,
        in_doubt=row.in_doubt,
        sent=sent,
        attempts=row.attempts,
        max_attempts=MAX_ATTEMPTS,
        circuit_open=False,
    )
    return replace(idle, row=states.settle(row, worker.token, verdict, until_ms=0), lease_ok=False)


def flying(world: World) -> bool:
    """Bytes on the wire. `settle_s` and the total deadline keep a look-up from starting while this is so."""
    return any(worker.phase == "flying" for worker in world.workers)


def worker_moves(world: World, index: int) -> list[World]:
    worker, row = world.workers[index], world.row
    holds = row.state == "leased" and row.token == worker.token and world.lease_ok
    if worker.phase == "idle":
        if not states.claimable(row, 0) or (row.in_doubt and flying(world)):
            return []
        claimed = states.claim(row, 0, LEASE_MS)
        moved = world.with_worker(index, Worker("holding", claimed.token))
        return [replace(moved, row=claimed, lease_ok=True)]
    if worker.phase == "holding":
        back = settle(world, index, Fact.GATE_RATE, sent=False)
        if not states.must_look_first(row) and holds:
            left_out = settle(world, index, Fact.LEFT_OUT, sent=False)
            # A read before an update shows that people changed the record there.
            asks = settle(world, index, Fact.CHANGED_AT_PROVIDER, sent=False)
            return [
                back,
                left_out,
                asks,
                world.with_worker(index, replace(worker, phase="looked")),
                _dies(world, index),
            ]
        if holds:
            # The record was left out meanwhile: it ends only where the look-up does not find it.
            out = [] if world.there else [settle(world, index, Fact.LEFT_OUT, sent=False)]
            looks = settle(world, index, Fact.READ_FAILED, sent=False)
            if world.there:
                looked = settle(world, index, Fact.ALREADY_THERE, sent=False)
            else:
                looked = world.with_worker(index, replace(worker, phase="looked"))
            return [looks, looked, *out, _dies(world, index)]
        return [world.with_worker(index, Worker())]
    if worker.phase == "looked":
        if not holds:
            return [world.with_worker(index, Worker())]
        sent = replace(world, row=states.mark_sent(row, worker.token, 0))
        return [sent.with_worker(index, replace(worker, phase="sent")), _dies(world, index)]
    if worker.phase == "sent":
        # Directly before the socket the lease is checked again: without it nothing is sent.
        if not holds:
            return [world.with_worker(index, Worker())]
        aborted = settle(world, index, Fact.CONNECT_REFUSED, sent=True)
        return [world.with_worker(index, replace(worker, phase="flying")), aborted, _dies(world, index)]
    if worker.phase == "flying":
        landed = replace(world, there=world.there + 1)
        return [
            landed.with_worker(index, replace(worker, phase="answered", answer=Fact.UNDERSTOOD)),
            landed.with_worker(index, replace(worker, phase="answered", answer=Fact.UNCERTAIN)),
            world.with_worker(index, replace(worker, phase="answered", answer=Fact.UNCERTAIN)),
            world.with_worker(index, replace(worker, phase="answered", answer=Fact.NOT_PROCESSED)),
            _dies(landed, index),
            _dies(world, index),
        ]
    assert worker.answer is not None
    return [settle(world, index, worker.answer, sent=True), _dies(world, index)]


def _dies(world: World, index: int) -> World:
    """SIGKILL: whatever the worker knew is gone."""
    return world.with_worker(index, Worker())


def other_moves(world: World) -> list[World]:
    """The lease runs out, the sweeper recovers, a person retries or cancels."""
    moves: list[World] = []
    row = world.row
    if row.state == "leased":
        if world.lease_ok:
            moves.append(replace(world, lease_ok=False))
        else:
            moves.append(replace(world, row=states.recover(row, LEASE_MS, settled_at_ms=0)))
    if world.people < 1:
        asked = replace(world, people=world.people + 1)
        for move in (
            lambda: states.redrive(row, 0),
            lambda: states.cancel(row),
            lambda: states.leave_out(row),
            lambda: states.send_ours(row, 0),
            lambda: states.keep_theirs(row),
        ):
            try:
                moves.append(replace(asked, row=replace(move(), due_ms=0)))
            except IllegalMove:
                continue
    return [replace(item, row=replace(item.row, due_ms=0)) for item in moves]


def canonical(world: World) -> World:
    """The same world in the one form that is searched from: no step asks for more than is left here.

    Of tokens it matters only which is the row's own (1) and which is old (0), of the two workers not which is which, of
    attempts not by how many they are used up (one more stays, which a refund takes back). So the search needs no bound
    on claims and deaths: whatever number of them leads to a world, it was searched.
    """
    row = world.row
    ours = [w if w.phase == "idle" else replace(w, token=int(w.token == row.token)) for w in world.workers]
    first, second = sorted(ours, key=lambda w: (w.phase, w.token, str(w.answer)))
    row = replace(row, token=1, attempts=min(row.attempts, MAX_ATTEMPTS + 1), due_ms=0, waits=0)
    return replace(world, row=row, workers=(first, second))


def explore() -> tuple[set[World], int]:
    start = canonical(World())
    seen, queue, steps = {start}, deque([start]), 0
    while queue:
        world = queue.popleft()
        successors = other_moves(world)
        for index in (0, 1):
            successors += worker_moves(world, index)
        for successor in successors:
            steps += 1
            check(world, successor)
            following = canonical(successor)
            if following not in seen:
                seen.add(following)
                queue.append(following)
    return seen, steps


def check(before: World, after: World) -> None:
    """The invariants of the law, on every edge."""
    assert after.there <= 1, f"doubled effect\n{before}\n{after}"
    assert after.row.token >= before.row.token
    if before.row.state in states.TERMINAL and after.row.state != before.row.state:
        assert after.people > before.people, "a terminal state moved by itself"
    if after.row.state == "succeeded":
        assert after.there == 1, f"succeeded without effect\n{before}\n{after}"
    for was, now in zip(before.workers, after.workers, strict=True):
        if now.phase == "flying" and was.phase != "flying":
            row = before.row
            assert row.state == "leased", "sent without a lease"
            assert (row.token, before.lease_ok) == (now.token, True), "sent without a lease of its own that still runs"
            assert row.in_doubt, "sent before it was committed"
    holders = [w for w in after.workers if w.phase != "idle" and w.token == after.row.token]
    assert len(holders) <= 1
    assert (
        after.row.state in states.TERMINAL
        or after.row.state in ("leased", "needs_person")
        or states.claimable(after.row, 0)
    )


def test_no_interleaving_doubles_an_effect_or_loses_an_operation() -> None:
    """Every reachable state keeps the law; the search is large enough to mean something."""
    seen, steps = explore()
    assert len(seen) > 3000
    assert steps > len(seen)
    assert {world.row.state for world in seen} >= {
        "pending", "leased", "waiting", "retryable", "unknown", "needs_person", "succeeded", "dead", "cancelled"
    }  # fmt: skip


def test_the_search_would_notice_a_missing_look_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search is an oracle only if breaking the rule breaks it."""
    monkeypatch.setattr(states, "must_look_first", lambda row: False)
    with pytest.raises(AssertionError, match="doubled effect"):
        explore()


def test_the_search_would_notice_a_send_that_was_not_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not on record before the bytes leave is sent again."""
    monkeypatch.setattr(states, "mark_sent", lambda row, token, now_ms: row)
    with pytest.raises(AssertionError, match="sent before it was committed"):
        explore()


def test_the_search_would_notice_forgotten_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without sticky doubt a recovered worker's request goes out twice."""
    real = states.recover
    monkeypatch.setattr(
        states, "recover", lambda row, now, settled_at_ms: replace(real(row, now, settled_at_ms=0), in_doubt=False)
    )
    with pytest.raises(AssertionError, match="doubled effect"):
        explore()


def test_a_late_answer_after_the_lease_was_taken_over_changes_nothing() -> None:
    row = replace(Row(), state="leased", token=2, lease_until_ms=9)
    with pytest.raises(IllegalMove):
        states.settle(row, 1, decide_understood(), until_ms=0)


def decide_understood():  # type: ignore[no-untyped-def]
    return decide(Fact.UNDERSTOOD, in_doubt=True, sent=True, attempts=1, max_attempts=5, circuit_open=False)


def test_three_losses_at_work_are_poison() -> None:
    row = Row()
    for expected in ("pending", "pending", "dead"):
        row = states.claim(replace(row, due_ms=0), 0, LEASE_MS)
        row = states.recover(replace(row, entered=True), LEASE_MS, settled_at_ms=0)
        assert row.state == expected
    assert row.reason == "poison"


def test_an_innocent_of_a_lost_batch_gets_no_second_strike() -> None:
    row = states.claim(replace(Row(), strikes=1), 0, LEASE_MS)
    assert states.recover(row, LEASE_MS, settled_at_ms=0).strikes == 1


def test_a_lost_lease_before_anything_was_sent_refunds_the_attempt() -> None:
    row = states.claim(Row(), 0, LEASE_MS)
    assert row.attempts == 1
    recovered = states.recover(row, LEASE_MS, settled_at_ms=0)
    assert (recovered.state, recovered.attempts) == ("pending", 0)


@pytest.mark.parametrize(("settled_at_ms", "due_ms"), [(25_050, 25_050), (101, 101), (100, 0), (60, 0)])
def test_a_lost_lease_after_sending_waits_until_the_answer_must_have_settled(settled_at_ms: int, due_ms: int) -> None:
    """Where that is past it keeps its place."""
    row = states.mark_sent(states.claim(Row(), 0, 100), 1, 50)
    recovered = states.recover(row, 100, settled_at_ms=settled_at_ms)
    assert (recovered.state, recovered.in_doubt, recovered.due_ms) == ("unknown", True, due_ms)


def test_a_poisoned_row_that_was_sent_asks_a_person() -> None:
    row = states.mark_sent(states.claim(replace(Row(), strikes=2), 0, 1), 1, 0)
    assert states.recover(row, 1, settled_at_ms=0).state == "needs_person"


@pytest.mark.parametrize("state", sorted(states.TERMINAL | {"leased", "needs_person"}))
def test_only_open_rows_can_be_claimed(state: str) -> None:
    with pytest.raises(IllegalMove):
        states.claim(replace(Row(), state=state), 0, 1)


def test_a_blocked_row_cannot_be_claimed() -> None:
    assert not states.claimable(replace(Row(), blockers=1), 0)


def test_a_row_in_doubt_cannot_be_superseded() -> None:
    with pytest.raises(IllegalMove):
        states.supersede(replace(Row(), state="retryable", in_doubt=True))


ASKS = replace(Row(), state="needs_person", reason="changed_at_provider", attempts=1)


def test_whose_values_win_is_a_persons_to_say() -> None:
    assert states.send_ours(ASKS, 7).state == "pending"
    kept = states.keep_theirs(ASKS)
    assert (kept.state, kept.reason) == ("cancelled", "kept_theirs")
    assert states.supersede(ASKS).state == "superseded"


@pytest.mark.parametrize("row", [Row(), replace(ASKS, reason="two_matches"), replace(ASKS, in_doubt=True)])
def test_without_that_question_neither_wins(row: Row) -> None:
    for move in (lambda: states.send_ours(row, 0), lambda: states.keep_theirs(row)):
        with pytest.raises(IllegalMove):
            move()


@pytest.mark.parametrize("state", ["leased", "succeeded", "unknown", "cancelled"])
def test_what_is_in_hand_or_ended_cannot_be_left_out(state: str) -> None:
    with pytest.raises(IllegalMove):
        states.leave_out(replace(Row(), state=state, in_doubt=state == "unknown"))


def test_a_row_in_doubt_cannot_be_cancelled() -> None:
    with pytest.raises(IllegalMove):
        states.cancel(replace(Row(), state="unknown", in_doubt=True))


def test_a_redrive_keeps_the_doubt() -> None:
    row = states.redrive(replace(Row(), state="needs_person", in_doubt=True, attempts=5, strikes=2), 7)
    assert (row.state, row.in_doubt, row.attempts, row.strikes, row.redrive_no) == ("pending", True, 0, 0, 1)


def test_a_person_saying_it_did_not_arrive_clears_the_doubt() -> None:
    row = states.answer_not_arrived(replace(Row(), state="needs_person", in_doubt=True, sent_ms=3), 7)
    assert (row.state, row.in_doubt, row.sent_ms) == ("pending", False, None)


def test_a_person_saying_it_arrived_ends_it() -> None:
    row = states.answer_arrived(replace(Row(), state="needs_person", in_doubt=True))
    assert (row.state, row.in_doubt) == ("succeeded", False)


@pytest.mark.parametrize("move", [states.answer_arrived, lambda row: states.answer_not_arrived(row, 0)])
def test_answers_need_a_question(move) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(IllegalMove):
        move(Row())


def test_a_running_lease_is_not_recovered() -> None:
    with pytest.raises(IllegalMove):
        states.recover(states.claim(Row(), 0, 10), 9, settled_at_ms=0)
