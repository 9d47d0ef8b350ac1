"""The life of operations over real rows, by a Hypothesis state machine.

Two workers, a sweeper, a provider that loses answers, staff who change and press, and a clock in hand. What the
breadth-first search (`test_states.py`) says of the pure machine is held here for the database's moves: claims, marks,
settling, recovery and the verbs are the product's own; only the provider and the clock are the test's.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from integrations.engine import claims, settling, states
from integrations.engine.kinds import KINDS
from integrations.engine.settling import Ending, Figures
from integrations.engine.verdict import Fact
from integrations.models import Connection, ExternalRef, Operation, OperationDependency, Tour
from integrations.operations import operations as verbs
from integrations.operations import planning
from integrations.operations.audit import Who
from tests.crm import make_connection, make_tour, move
from tests.database_clock import database_says

LEASE_MS, DEADLINE_S, SETTLE_S = 60_000, 20.0, 5.0
FIGURES = Figures(total_deadline_s=DEADLINE_S, max_attempts=5, backoff_base_s=2.0, backoff_cap_s=300.0)
OLGA = Who("olga", "admin")
TOMORROW = datetime(2026, 12, 1, 17, tzinfo=UTC)
WORKERS = (0, 1)
HOUR_MS = 3_600_000
_numbers = itertools.count(1)


class Clock:
    """Milliseconds, for every process of the example."""

    now = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


CLOCK = Clock()


class Hand:
    """One claimed row in a worker's hand: `phase` claimed, sent or answered; `answer` on its way back."""

    def __init__(self, claimed: claims.Claim) -> None:
        self.claimed = claimed
        self.phase = "claimed"
        self.sent_ms: int | None = None
        self.answer = Fact.UNDERSTOOD
        self.external_id: str | None = None

    @property
    def left_s(self) -> float:
        return self.claimed.lease_end - CLOCK.now / 1000


class Life(RuleBasedStateMachine):
    """One connection; what the provider holds is `there`, by entity."""

    @initialize()
    def begin(self) -> None:
        self.connection = make_connection(account_key=f"life_{next(_numbers)}")
        # Only this example's tours come here.
        Connection.objects.exclude(pk=self.connection.pk).update(state="disabled")
        self.hands: dict[int, list[Hand]] = {worker: [] for worker in WORKERS}
        self.there: dict[tuple[str, int], str] = {}
        self.created: Counter[tuple[str, int]] = Counter()
        self.tokens: dict[int, int] = {}
        self.ended: dict[int, str] = {}
        self.pressed: set[int] = set()
        self.tour = make_tour(TOMORROW + timedelta(days=next(_numbers)))
        self._plan()

    def _plan(self) -> None:
        with transaction.atomic():
            planning.plan_tours([Tour.objects.select_related("agent").get(pk=self.tour.pk)])
        self._operations().filter(due_ms__gt=CLOCK.now + HOUR_MS).update(due_ms=CLOCK.now)

    def _operations(self) -> Any:
        return Operation.objects.filter(connection=self.connection)

    # --- staff, time ------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 7, 30, 61, 400]))
    def time_passes(self, seconds: int) -> None:
        CLOCK.now += seconds * 1000

    @rule()
    def staff_move_the_stop(self) -> None:
        move(self.tour.stops.get(), 15)
        self._plan()

    @rule(
        verb=st.sampled_from([verbs.retry, verbs.cancel, verbs.skip_predecessors, verbs.answer_not_arrived]),
        which=st.integers(0, 7),
    )
    def staff_press(self, verb: Any, which: int) -> None:
        rows = list(self._operations().order_by("pk").values_list("pk", "kind", "entity_type", "entity_id"))
        pk, _kind, *entity = rows[which % len(rows)]
        if verb is verbs.answer_not_arrived and (entity[0], entity[1]) in self.there:
            return  # staff look before they answer
        try:
            verb(pk, OLGA)
        except ValidationError:
            return
        self.pressed.add(pk)

    # --- workers ----------------------------------------------------------------------------------------------

    @rule(worker=st.sampled_from(WORKERS), limit=st.integers(1, 3))
    def claim(self, worker: int, limit: int) -> None:
        owner = f"{self.connection.pk}:{worker}#{next(_numbers)}"
        for each in claims.claim(self.connection.pk, owner, limit, LEASE_MS, CLOCK.now / 1000):
            self.hands[worker].append(Hand(each))

    @rule(worker=st.sampled_from(WORKERS))
    def hand_back(self, worker: int) -> None:
        unsent = [hand for hand in self.hands[worker] if hand.phase == "claimed"]
        for hand in unsent:
            claims.hand_back([hand.claimed])
            self.hands[worker].remove(hand)

    @rule(worker=st.sampled_from(WORKERS))
    def die(self, worker: int) -> None:
        self.hands[worker] = []

    @rule()
    def sweep(self) -> None:
        claims.recover(CLOCK.now, settle_ms=int((DEADLINE_S + SETTLE_S) * 1000))

    @precondition(lambda self: any(self.hands.values()))
    @rule(
        worker=st.sampled_from(WORKERS),
        fact=st.sampled_from([Fact.GATE_RATE, Fact.LOCAL_NETWORK, Fact.READ_FAILED, Fact.DEFECT_UNSENT]),
    )
    def it_ends_unsent(self, worker: int, fact: Fact) -> None:
        for hand in [each for each in self.hands[worker] if each.phase == "claimed"][:1]:
            self._settle(worker, hand, fact)

    @precondition(lambda self: any(self.hands.values()))
    @rule(
        worker=st.sampled_from(WORKERS),
        arrives=st.booleans(),
        answer=st.sampled_from([Fact.UNDERSTOOD, Fact.UNDERSTOOD, Fact.UNCERTAIN, Fact.NOT_PROCESSED, Fact.REJECTED]),
    )
    def send(self, worker: int, arrives: bool, answer: Fact) -> None:
        for hand in [each for each in self.hands[worker] if each.phase == "claimed"][:1]:
            self._send(worker, hand, arrives, answer)

    @precondition(lambda self: any(self.hands.values()))
    @rule(worker=st.sampled_from(WORKERS))
    def the_answer_comes(self, worker: int) -> None:
        """Perhaps long after the lease was lost."""
        for hand in [each for each in self.hands[worker] if each.phase == "answered"][:1]:
            self._settle(worker, hand, hand.answer)

    def _send(self, worker: int, hand: Hand, arrives: bool, answer: Fact) -> None:
        """As `outbound.py` goes about it: look first in doubt, mark, look at the lease, send."""
        operation = hand.claimed.operation
        entity = (operation.entity_type, operation.entity_id)
        ref = self._ref(operation)
        if operation.in_doubt:
            if CLOCK.now < (operation.sent_ms or 0) + (DEADLINE_S + SETTLE_S) * 1000:
                self._settle(worker, hand, Fact.SETTLING)
                return
            if entity in self.there and ref.external_id is None:
                hand.external_id = self.there[entity]
                self._settle(worker, hand, Fact.ALREADY_THERE)
                return
        try:
            hand.sent_ms = claims.mark_sent(hand.claimed, ref=ref, version=operation.version, digest="d", started_ms=0)
        except claims.LeaseLost:
            self.hands[worker].remove(hand)
            return
        except claims.CancelAsked:
            self._settle(worker, hand, Fact.CANCEL_ASKED)
            return
        hand.phase = "sent"
        if hand.left_s <= DEADLINE_S + 5:
            self._settle(worker, hand, Fact.HANDED_BACK)
            return
        self._bytes(hand, entity, ref, arrives and answer in (Fact.UNDERSTOOD, Fact.UNCERTAIN))
        # What did not arrive is not answered as if it had.
        hand.answer = Fact.UNCERTAIN if answer is Fact.UNDERSTOOD and not arrives else answer
        hand.phase = "answered"

    def _bytes(self, hand: Hand, entity: tuple[str, int], ref: ExternalRef, arrives: bool) -> None:
        row = Operation.objects.get(pk=hand.claimed.operation.pk)
        assert (row.state, row.token) == ("leased", hand.claimed.token), "sent without a lease"
        assert row.lease_until_ms is not None
        assert row.lease_until_ms > CLOCK.now + DEADLINE_S * 1000, "sent with too little of a lease"
        if arrives and ref.external_id is None:
            self.created[entity] += 1
            self.there.setdefault(entity, f"id-{next(_numbers)}")
        hand.external_id = self.there.get(entity)

    def _settle(self, worker: int, hand: Hand, fact: Fact) -> None:
        done = fact in (Fact.UNDERSTOOD, Fact.ALREADY_THERE)
        ending = Ending(
            fact=fact,
            until_ms=CLOCK.now + 5_000,
            external_id=hand.external_id if done else None,
            acknowledged=done,
            version=hand.claimed.operation.version,
            digest="d",
            sent_ms=hand.sent_ms,
            settle_s=SETTLE_S,
        )
        settling.settle(hand.claimed, self._ref(hand.claimed.operation), ending, FIGURES, lambda: 0.5)
        self.hands[worker].remove(hand)

    def _ref(self, operation: Operation) -> ExternalRef:
        ref, _ = ExternalRef.objects.get_or_create(
            connection=self.connection,
            entity_type=operation.entity_type,
            entity_id=operation.entity_id,
            resource=KINDS[operation.kind].resource,
        )
        return ref

    # --- what always holds ------------------------------------------------------------------------------------

    @invariant()
    def the_law_holds(self) -> None:
        if not hasattr(self, "connection"):
            return
        rows = list(self._operations())
        assert max(self.created.values(), default=0) <= 1, "doubled effect"
        held = Counter((row.entity_type, row.entity_id, row.kind) for row in rows if row.state == "leased")
        assert max(held.values(), default=0) <= 1, "two holders"
        edges = OperationDependency.objects.filter(operation__connection=self.connection, settled=False)
        blocked = Counter(edges.values_list("operation_id", flat=True))
        for row in rows:
            assert row.token >= self.tokens.get(row.pk, 0), "a token fell"
            self.tokens[row.pk] = row.token
            assert row.blockers == blocked[row.pk], "what it waits for is miscounted"
            before = self.ended.get(row.pk)
            moved = before is not None and before != row.state
            newer = (before, row.state) == ("dead", "superseded")
            assert not moved or newer or row.pk in self.pressed, f"{before} moved to {row.state} by itself"
            if row.state in states.TERMINAL:
                self.ended[row.pk] = row.state
            else:
                self.ended.pop(row.pk, None)
                assert row.state in (*states.CLAIMABLE, "leased", "needs_person")
                # Waiting has an end: never longer than the longest backoff after the last doubt settled.
                assert row.due_ms <= CLOCK.now + HOUR_MS
            assert (row.lease_until_ms is not None) == (row.state == "leased")
            if row.state == "succeeded" and row.reason == "":
                assert (row.entity_type, row.entity_id) in self.there, "succeeded without effect"
        self.pressed.clear()
        mine = [hand.claimed for hands in self.hands.values() for hand in hands]
        tokens = Counter((each.operation.pk, each.token) for each in mine)
        assert max(tokens.values(), default=0) <= 1, "one token in two hands"

    def teardown(self) -> None:
        """Quiet weather: everything comes to its end, and stands there once."""
        if not hasattr(self, "connection"):
            return
        self.hands = {worker: [] for worker in WORKERS}
        for _ in range(12):
            CLOCK.now += HOUR_MS
            self.sweep()
            for pk in list(self._operations().filter(state__in=("dead", "needs_person")).values_list("pk", flat=True)):
                verbs.retry(pk, OLGA)
            for pk in list(self._operations().filter(blockers__gt=0).values_list("pk", flat=True)):
                with suppress(ValidationError):  # one that may have arrived is looked up first
                    verbs.skip_predecessors(pk, OLGA)
            self.claim(0, 3)
            while self.hands[0]:
                hand = self.hands[0][0]
                self._send(0, hand, arrives=True, answer=Fact.UNDERSTOOD)
                if hand in self.hands[0]:
                    self._settle(0, hand, hand.answer)
        ends = set(self._operations().values_list("state", flat=True))
        assert ends <= states.TERMINAL, "something never came to an end"
        assert max(self.created.values(), default=0) <= 1
        ended_well = self._operations().filter(state="succeeded").values_list("entity_type", "entity_id")
        assert {tuple(entity) for entity in ended_well} <= self.there.keys()


@pytest.fixture
def clock_in_hand(db: None) -> Iterator[None]:
    with database_says(CLOCK):
        yield


@pytest.mark.usefixtures("clock_in_hand")
def test_rows_keep_the_law_whatever_happens() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            phases=(Phase.explicit, Phase.generate),  # shrinking an example of rows takes minutes
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.usefixtures("clock_in_hand")
def test_the_machine_would_notice_forgotten_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """It proves something only if breaking the law breaks it."""
    real = states.recover

    def forgetful(row: states.Row, now_ms: int, *, settled_at_ms: int) -> states.Row:
        found = real(row, now_ms, settled_at_ms=settled_at_ms)
        return type(found)(**{**{n: getattr(found, n) for n in states.Row.__slots__}, "in_doubt": False})

    monkeypatch.setattr(states, "recover", forgetful)
    life = Life()
    life.begin()
    life.claim(0, 1)
    life.send(0, True, Fact.UNDERSTOOD)
    life.die(0)
    life.time_passes(400)
    life.sweep()
    life.time_passes(400)
    life.claim(1, 1)
    life.send(1, True, Fact.UNDERSTOOD)
    with pytest.raises(AssertionError, match="doubled effect"):
        life.the_law_holds()
