"""The gate as the rest of the product sees it: Redis's, and while that is away a trickle by the database."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Literal, TypeVar

from django.db import transaction

from integrations.gate import (
    BreakerState,
    Gate,
    GateAway,
    Learned,
    Outcome,
    Permit,
    Reason,
    Refusal,
    Scope,
    SeedSource,
    Snapshot,
)
from integrations.gate.types import Mode as CircuitMode
from integrations.models import TrickleScope
from integrations.models.clock import db_now
from integrations.reach import Reach
from integrations.transport import calls_so_far

from . import mode
from .book import LOOK_AGAIN_MS, SHORT_WINDOW_S, Book, Wait
from .mode import Mode, Now, Obeyed

T = TypeVar("T")

OURS = "trickle:"
ASK_AGAIN_MS = 500
GUARD_SHARE = 0.25
"""A permit of the database is valid for so much of the shortest window: asking takes a commit here."""

PATIENCE_S = 15.0
"""An operation that has asked something already waits for its next call: handed back, it would ask all of it again."""

KEY_LENGTH = 240


class FallbackGate:
    """`transport.Admitting`: asks Redis, or in a trickle the database, as the mode's row says.

    In a trickle one call of a scope is in flight at a time, at most a tenth of each limit is used, and circuit and
    not-before are those last stored. `lease_s`: how long a call may be in flight before its place is taken from it.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        seeds: SeedSource,
        reach: Reach,
        lease_s: Callable[[], float],
        random: Callable[[], float],
        save: Callable[[Scope, BreakerState | None, int | None], None],
        hand: Callable[[Scope], tuple[CircuitMode, int | None] | None] = lambda _scope: None,
        now: Callable[[], int] = db_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.redis_gate = gate
        self.obeyed = Obeyed()
        self._seeds, self._reach, self._lease_s, self._random, self._save = seeds, reach, lease_s, random, save
        self._now, self._sleep, self._hand = now, sleep, hand

    # --- as the transport sees it -------------------------------------------------------------------------------

    def admit(self, scope: Scope, cost: int = 1) -> Permit | Refusal:
        """Leave to make one call, or why not and until when. Raises GateAway."""
        began = time.monotonic()
        while True:
            told = self.obeyed.now()
            if told.mode not in (Mode.TRICKLE, Mode.BACK):
                return self._ask_redis(scope, cost)
            waited_ms = int((time.monotonic() - began) * 1000)
            answer = self._ask_database(scope, cost, told, waited_ms)
            if isinstance(answer, Permit) or answer.reason is not Reason.AWAY:
                return answer
            wait_s = max(0.02, (answer.until_ms - self._now()) / 1000)
            if not calls_so_far() or time.monotonic() - began + wait_s > PATIENCE_S:
                return answer
            self._sleep(wait_s)

    def report(
        self,
        permit: Permit,
        outcome: Outcome,
        *,
        retry_after_s: float | None = None,
        delay_ms: int | None = None,
        took_ms: int | None = None,
        learned: Sequence[Learned] = (),
    ) -> BreakerState:
        """Tell whoever admitted it. Raises GateAway."""
        if permit.id.startswith(OURS):
            return self._report_database(permit, outcome, retry_after_s)
        try:
            state = self.redis_gate.report(
                permit, outcome, retry_after_s=retry_after_s, delay_ms=delay_ms, took_ms=took_ms, learned=learned
            )
        except GateAway:
            self._reach.failed()
            raise
        self._reach.answered()
        return state

    def look(self, scope: Scope) -> Snapshot:
        """The scope as Redis knows it now. Raises GateAway, at once when it was away a moment ago."""
        return self._asking(lambda: self.redis_gate.look(scope))

    def control(
        self, scope: Scope, mode: CircuitMode | Literal["closed"] | None, until_ms: int | None = None, *, since_ms: int
    ) -> BreakerState:
        """As `Gate.control`; at once GateAway when Redis was away a moment ago."""
        return self._asking(lambda: self.redis_gate.control(scope, mode, until_ms, since_ms=since_ms))

    # --- for whoever tends the mode -----------------------------------------------------------------------------

    def answers(self) -> bool:
        """Whether Redis answers now."""
        return self._works(self.redis_gate.ping)

    def begin_epoch(self) -> bool:
        """Lets Redis count from the beginning; False when it could not be told."""
        return self._works(self.redis_gate.begin_epoch)

    def _works(self, ask: Callable[[], None]) -> bool:
        try:
            ask()
        except GateAway:
            self._reach.failed()
            return False
        self._reach.answered()
        return True

    # --- Redis --------------------------------------------------------------------------------------------------

    def _ask_redis(self, scope: Scope, cost: int) -> Permit | Refusal:
        return self._asking(lambda: self.redis_gate.admit(scope, cost))

    def _asking(self, ask: Callable[[], T]) -> T:
        if not self._reach.allow():
            raise GateAway("Redis gave no answer a moment ago; nothing may be sent")
        try:
            answer = ask()
        except GateAway:
            self._reach.failed()
            raise
        self._reach.answered()
        return answer

    # --- the database -------------------------------------------------------------------------------------------

    def _ask_database(self, scope: Scope, cost: int, told: Now, waited_ms: int) -> Permit | Refusal:
        """`waited_ms`: since the caller began to ask; the permit's guard counts from then."""
        if told.mode == Mode.BACK or not told.sealed_ms:
            self.obeyed.forget()
            return Refusal(scope, Reason.AWAY, self._now() + ASK_AGAIN_MS)
        guard_ms = guard_of(scope)
        from_ms = told.sealed_ms + quiet_ms(scope)
        if self._now() < from_ms:
            return Refusal(scope, Reason.AWAY, from_ms)
        told_by_hand = self._hand(scope)
        hand, until_ms = told_by_hand or ("", None)
        if hand and until_ms is not None and until_ms <= self._now():
            hand = ""
        if hand == "forced_open":
            return Refusal(scope, Reason.FORCED_OPEN, until_ms or self._now() + LOOK_AGAIN_MS)
        seed_due = not TrickleScope.objects.filter(pk=key_of(scope), book__outage=told.sealed_ms).exists()
        seed = self._seeds.seed(scope) if seed_due else None
        with transaction.atomic():
            if not mode.in_trickle(told.sealed_ms):
                self.obeyed.forget()
                return Refusal(scope, Reason.AWAY, self._now() + ASK_AGAIN_MS)
            row, _ = TrickleScope.objects.get_or_create(pk=key_of(scope))
            row = TrickleScope.objects.select_for_update().get(pk=row.pk)
            now = self._now()
            book = Book.read(row.book)
            fresh = seed is not None and book.outage != told.sealed_ms
            if seed is not None and fresh:
                book = Book.begin(told.sealed_ms, seed, scope.windows)
            if row.owner and now < row.until_ms:
                return Refusal(scope, Reason.AWAY, min(row.until_ms, now + ASK_AGAIN_MS))
            wait = book.ask(scope.windows, cost, now, guard_ms, circuit=not hand)
            if wait is None:
                book.count(scope.windows, cost, now, guard_ms)
                row.owner, row.until_ms = uuid.uuid4().hex, now + int(self._lease_s() * 1000)
            if wait is None or fresh:
                row.book = book.stored()
                row.save()
        if isinstance(wait, Wait):
            return Refusal(scope, wait.reason, wait.until_ms)
        return Permit(scope, f"{OURS}{row.owner}:{cost}", now, waited_ms + guard_ms, None, 0)

    def _report_database(self, permit: Permit, outcome: Outcome, retry_after_s: float | None) -> BreakerState:
        owner, _, cost = permit.id.removeprefix(OURS).partition(":")
        scope = permit.scope
        not_before = None
        with transaction.atomic():
            row = TrickleScope.objects.select_for_update().get(pk=key_of(scope))
            book = Book.read(row.book)
            if row.owner != owner:  # its lease ran out: the place is another's, what it learned is old
                return book.circuit
            before, now = book.circuit, self._now()
            if outcome is Outcome.NOT_SENT:
                book.give_back(scope.windows, int(cost), permit.admitted_ms)
            book.learn(outcome, scope.breaker, now, self._random())
            if outcome is Outcome.RATE_LIMITED:
                not_before = now + int(1000 * (retry_after_s or min(window.seconds for window in scope.windows)))
                book.not_before_ms = max(book.not_before_ms, not_before)
            row.book, row.owner, row.until_ms = book.stored(), "", 0
            row.save()
            if asdict(book.circuit) != asdict(before) or not_before:
                # Redis is told of it from there when it comes back.
                self._save(scope, book.circuit, not_before)
        return book.circuit


def key_of(scope: Scope) -> str:
    """The primary key of its row."""
    return scope.key if len(scope.key) <= KEY_LENGTH else hashlib.sha256(scope.key.encode()).hexdigest()


def guard_of(scope: Scope) -> int:
    """How long a permit is valid: that of the gate at its widest, milliseconds."""
    shortest = min([*(window.seconds for window in scope.windows), SHORT_WINDOW_S])
    return int(shortest * 1000 * GUARD_SHARE)


def quiet_ms(scope: Scope) -> int:
    """From the moment a trickle is in force until nothing that Redis admitted before counts in a short window.

    Others may act on the former mode for a second; what they were admitted arrives within the guard.
    """
    longest = max([window.seconds for window in scope.windows if window.seconds <= SHORT_WINDOW_S], default=0)
    return int(mode.OBEYED_WITHIN_S * 1000) + guard_of(scope) + longest * 1000
