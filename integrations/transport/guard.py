"""The law of a send: the gate is asked, the request goes out, the gate is told.

The order of a write is

    gate admits → connected → before_write() commits that we are about to send → the permit is still valid → bytes

and the last three run directly before the first byte (`Wire`).

Every request carries `extensions["reanna.phase"]`: "read", "write" or "token"; a write also `"reanna.before_write"`.
`before_write` runs again whenever time may have passed since: after a permit had to be asked for anew, and when a write
is sent again after a 401 (definite: nothing was done). So the lease is always looked at directly before the socket.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from integrations.gate import BreakerState, GateAway, Learned, Outcome, Permit, Reason, Refusal, Scope

from .record import Passed, passed
from .wire import NotSent, TransportRefusal, Wire

PHASES = frozenset({"read", "write", "token"})
MAX_ASKED_AGAIN = 2

logger = logging.getLogger(__name__)


class Refused(TransportRefusal):
    """The gate said no."""

    def __init__(self, refusal: Refusal, *, after_commit: bool = False) -> None:
        super().__init__(f"{refusal.scope.key}: {refusal.reason} until {refusal.until_ms}", after_commit=after_commit)
        self.refusal = refusal


class GateUnreachable(TransportRefusal, GateAway):
    """The gate could not be asked."""


@dataclass
class Tally:
    """What passed during one `counting()` block of this thread.

    `calls`: requests that count against the limit, those for tokens and those sent again included. `budget`: how many
    more the gate would have admitted at the last permit. `breaker`: the circuit after the last report. `passed`: what
    may be kept of each request that left us.
    """

    calls: int = 0
    budget: int | None = None
    breaker: BreakerState | None = None
    passed: list[Passed] = field(default_factory=list)


_tally: ContextVar[Tally | None] = ContextVar("reanna_tally", default=None)


@contextmanager
def counting() -> Iterator[Tally]:
    """Count what passes in this thread until the block ends; an inner block does not add to the outer one."""
    tally = Tally()
    before = _tally.set(tally)
    try:
        yield tally
    finally:
        _tally.reset(before)


def calls_so_far() -> int:
    """What passed in the innermost `counting()` block of this thread, so far."""
    tally = _tally.get()
    return 0 if tally is None else tally.calls


_until: ContextVar[float | None] = ContextVar("reanna_until", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """While the block lasts, all requests of this thread together, those for tokens included, take so long at most.

    Asking the gate comes on top. One that begins too late raises NotSent.
    """
    before = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(before)


def _left(longest: float) -> float:
    """Seconds a request of this thread may take. Raises NotSent when there are none."""
    until = _until.get()
    left = longest if until is None else min(longest, until - time.monotonic())
    if left <= 0:
        raise NotSent("no time was left", local=True)
    return left


class Admitting(Protocol):
    """What the guard needs of the gate (`integrations.gate.Gate`)."""

    def admit(self, scope: Scope, cost: int = 1) -> Permit | Refusal: ...

    def report(
        self,
        permit: Permit,
        outcome: Outcome,
        *,
        retry_after_s: float | None = None,
        delay_ms: int | None = None,
        took_ms: int | None = None,
        learned: Sequence[Learned] = (),
    ) -> BreakerState: ...


def not_json(response: httpx.Response) -> bool:
    """Whether a body that should be JSON is none: a garbled answer, for which the circuit counts."""
    try:
        json.loads(response.content)
    except (ValueError, RecursionError):
        return True
    return False


class GuardedTransport(httpx.BaseTransport):
    """Asks the gate, sends, reports: exactly one report for each admission.

    Raises Refused, GateUnreachable, NotSent (no byte of this request left us), UnsendableError, what before_write
    raised, or httpx.TransportError (bytes may have left: doubt). `deadline_s` bounds connecting, TLS, request, headers
    and body together. `retry_after` reads the seconds out of a 429's headers, `learned` what an answer's say of the
    provider's windows; `garbled` judges a 2xx with a body. `narrowed`: the scope with the windows alone that a request
    takes from (None: it takes from all).
    """

    def __init__(
        self,
        wire: Wire,
        gate: Admitting,
        scope: Scope,
        *,
        deadline_s: float,
        retry_after: Callable[[Mapping[str, str]], float | None],
        learned: Callable[[Mapping[str, str]], Sequence[Learned]] = lambda _headers: (),
        garbled: Callable[[httpx.Response], bool] = not_json,
        narrowed: Callable[[httpx.Request], Scope] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wire = wire
        self._gate = gate
        self._scope_of = narrowed or (lambda _request: scope)
        self._deadline_s = deadline_s
        self._retry_after = retry_after
        self._learned = learned
        self._garbled = garbled
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request, admitted and reported. `response.extensions["reanna.breaker"]`: the circuit afterwards."""
        crossing = _Crossing(self._gate, self._scope_of(request), self._clock, request)
        deadline_s = _left(self._deadline_s)
        crossing.admit()
        try:
            response = self._wire.send(request, deadline_s=deadline_s, first_byte=crossing.first_byte)
        except NotSent as error:
            error.after_commit = crossing.committed
            error.breaker = crossing.report(Outcome.LOCAL_FAULT if error.local else Outcome.FAILURE)
            raise
        except httpx.TransportError:
            crossing.report(Outcome.FAILURE)
            crossing.keep(request, None)
            raise
        except BaseException:
            # Stopped before the first byte (before_write, an unsendable request): the slot is given back. Stopped
            # after it, the slot stays used and a probe's lease runs out by itself.
            if not crossing.started:
                crossing.report(Outcome.NOT_SENT)
            raise
        response.extensions["reanna.breaker"] = crossing.report(
            self._outcome(response),
            retry_after_s=self._retry_after(response.headers),
            learned=self._learned(response.headers),
        )
        crossing.keep(request, response)
        return response

    def _outcome(self, response: httpx.Response) -> Outcome:
        status = response.status_code
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return Outcome.RATE_LIMITED
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return Outcome.FAILURE
        if status >= httpx.codes.BAD_REQUEST:
            return Outcome.NEUTRAL
        bodiless = (httpx.codes.NO_CONTENT, httpx.codes.RESET_CONTENT)
        if response.is_success and status not in bodiless and self._garbled(response):
            return Outcome.FAILURE
        return Outcome.OK

    def close(self) -> None:
        self._wire.close()


class _Crossing:
    """One request's way past the gate."""

    def __init__(self, gate: Admitting, scope: Scope, clock: Callable[[], float], request: httpx.Request) -> None:
        self._gate, self._scope, self._clock = gate, scope, clock
        phase = request.extensions.get("reanna.phase")
        if phase not in PHASES:
            raise ValueError(f"reanna.phase is {phase!r}; it must be one of {', '.join(sorted(PHASES))}")
        self._before_write: Callable[[], None] | None = request.extensions.get("reanna.before_write")
        if (phase == "write") is (self._before_write is None):
            raise ValueError("reanna.before_write belongs to a write, and to nothing else")
        self._tally = _tally.get() or Tally()
        self.committed = False
        self.started = False
        self._permit: Permit | None = None
        self._asked = 0.0
        self._delay_ms: int | None = None
        self._asked_again = 0

    def admit(self) -> None:
        """Ask the gate. Raises Refused, GateUnreachable."""
        self._asked = self._clock()
        try:
            answer = self._gate.admit(self._scope)
        except GateAway as error:
            raise GateUnreachable(str(error), after_commit=self.committed) from error
        if isinstance(answer, Refusal):
            raise Refused(answer, after_commit=self.committed)
        self._permit = answer
        self._tally.calls += 1
        self._tally.budget = answer.budget

    def keep(self, request: httpx.Request, response: httpx.Response | None) -> None:
        """What is kept of a request whose bytes left us."""
        self._tally.passed.append(passed(request, response, self._clock() - self._asked))

    def first_byte(self) -> None:
        """Directly before the first byte: a permit that holds, the commit, and a permit that still holds."""
        self._hold_permit()
        if self._before_write is not None:
            self._before_write()
            self.committed = True
            self._asked_again = 0
            while self._hold_permit():
                # Asking anew took time: what must be true directly before the socket (the lease) is looked at again.
                self._before_write()
        self._delay_ms = self._elapsed_ms()
        self.started = True

    def _hold_permit(self) -> bool:
        """The permit is within its guard, or a new one was asked for (True). Raises Refused when that does not help."""
        renewed = False
        while True:
            permit = self._permit
            if permit is None:
                raise RuntimeError("no permit to hold")
            if self._elapsed_ms() <= permit.guard_ms:
                return renewed
            # The first may have waited for a connection; one that expires at once means that asking itself is slow,
            # and the gate must learn it to widen the guard.
            slow_ms = self._elapsed_ms() if self._asked_again else None
            self.report(Outcome.NOT_SENT, delay_ms=slow_ms)
            if self._asked_again == MAX_ASKED_AGAIN:
                until_ms = permit.admitted_ms + max(1000, permit.guard_ms)
                raise Refused(Refusal(self._scope, Reason.RATE_LIMITED, until_ms), after_commit=self.committed)
            self.admit()
            self._asked_again += 1
            renewed = True

    def report(
        self,
        outcome: Outcome,
        *,
        retry_after_s: float | None = None,
        delay_ms: int | None = None,
        learned: Sequence[Learned] = (),
    ) -> BreakerState | None:
        """Tell the gate once what became of the permit. A gate that is away cannot take back what happened: None."""
        permit, self._permit = self._permit, None
        if permit is None:
            return None
        if outcome is Outcome.NOT_SENT:
            self._tally.calls -= 1
        try:
            state = self._gate.report(
                permit,
                outcome,
                retry_after_s=retry_after_s,
                delay_ms=self._delay_ms if delay_ms is None else delay_ms,
                took_ms=self._elapsed_ms() - self._delay_ms if self._delay_ms is not None else None,
                learned=learned,
            )
        except GateAway:
            logger.warning("the gate could not be told that a call to %s ended %s", self._scope.key, outcome.value)
            return None
        self._tally.breaker = state
        return state

    def _elapsed_ms(self) -> int:
        return int((self._clock() - self._asked) * 1000)
