"""The guard: the order of a send, one report for each admission, and what each answer means to the gate."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest

from integrations.gate import GateAway, Learned, Outcome, Reason, Refusal
from integrations.providers.retry_after import retry_after
from integrations.transport import (
    DirectWire,
    GateUnreachable,
    GuardedTransport,
    NotSent,
    Refused,
    UnsendableError,
    counting,
    within,
)
from tests.integrations.transport.conftest import CLOSED, SCOPE, Clock, Peer, ScriptedGate


@pytest.fixture
def http(peer: Peer, gate: ScriptedGate, clock: Clock) -> Iterator[httpx.Client]:
    wire = DirectWire(connections=2, ssl_context=httpx.create_ssl_context(trust_env=False))
    transport = GuardedTransport(wire, gate, SCOPE, deadline_s=5, retry_after=retry_after, clock=clock)
    with httpx.Client(base_url=peer.url, transport=transport) as client:
        yield client


def read(http: httpx.Client, **kwargs: Any) -> httpx.Response:
    return http.get("/", extensions={"reanna.phase": "read"}, **kwargs)


def write(http: httpx.Client, before_write: Callable[[], None]) -> httpx.Response:
    return http.post("/", json={"a": 1}, extensions={"reanna.phase": "write", "reanna.before_write": before_write})


def answering(peer: Peer, status: str, body: bytes = b"{}", *headers: str) -> None:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    peer.serve = lambda connection: peer.answer(connection, "\r\n".join(lines).encode() + body)


def refusal(reason: Reason = Reason.CIRCUIT_OPEN) -> Refusal:
    return Refusal(SCOPE, reason, 5_000)


# --- the order of a send -------------------------------------------------------------------------------------------


def test_a_write_is_admitted_then_committed_then_sent_then_reported(
    http: httpx.Client, gate: ScriptedGate, peer: Peer
) -> None:
    def before_write() -> None:
        gate.log.append(("commit", len(peer.received)))

    assert write(http, before_write).status_code == 200
    assert gate.log == ["admit", ("commit", 0), Outcome.OK]
    assert len(peer.received) == 1


def test_a_read_and_a_token_call_are_admitted_and_reported(http: httpx.Client, gate: ScriptedGate) -> None:
    read(http)
    http.post("/", extensions={"reanna.phase": "token"})
    assert gate.log == ["admit", Outcome.OK, "admit", Outcome.OK]


def test_a_refusal_sends_and_commits_nothing(http: httpx.Client, gate: ScriptedGate, peer: Peer) -> None:
    gate.answers = [refusal()]
    with pytest.raises(Refused) as caught:
        write(http, lambda: gate.log.append("commit"))
    assert (caught.value.refusal, caught.value.after_commit) == (refusal(), False)
    assert (gate.log, peer.accepted) == (["admit"], 0)


def test_without_the_gate_nothing_is_sent(http: httpx.Client, gate: ScriptedGate, peer: Peer) -> None:
    gate.answers = [GateAway("Redis gave no answer")]
    with pytest.raises(GateUnreachable) as caught:
        write(http, lambda: gate.log.append("commit"))
    assert isinstance(caught.value, GateAway)
    assert (gate.log, peer.accepted) == (["admit"], 0)


def test_before_write_that_raises_stops_the_write_and_gives_the_slot_back(
    http: httpx.Client, gate: ScriptedGate, peer: Peer
) -> None:
    class LeaseLost(Exception):
        pass

    def before_write() -> None:
        raise LeaseLost

    with counting() as tally, pytest.raises(LeaseLost):
        write(http, before_write)
    assert gate.log == ["admit", Outcome.NOT_SENT]
    assert (peer.received, tally.calls) == ([], 0)


def test_a_refused_connection_is_reported_as_failure_and_not_committed(
    http: httpx.Client, gate: ScriptedGate, peer: Peer
) -> None:
    peer.close()
    with pytest.raises(NotSent) as caught:
        write(http, lambda: gate.log.append("commit"))
    assert gate.log == ["admit", Outcome.FAILURE]
    assert (caught.value.after_commit, caught.value.breaker) == (False, CLOSED)


def test_our_own_network_is_reported_as_our_fault(http: httpx.Client, gate: ScriptedGate) -> None:
    with pytest.raises(NotSent):
        http.get("http://crm.invalid/", extensions={"reanna.phase": "read"})
    assert gate.log == ["admit", Outcome.LOCAL_FAULT]


def test_an_unsendable_request_gives_the_slot_back(http: httpx.Client, gate: ScriptedGate) -> None:
    with pytest.raises(UnsendableError):
        read(http, headers={"X-Bad": "a\nb"})
    assert gate.log == ["admit", Outcome.NOT_SENT]


class LeaseOverError(Exception):
    """What an engine raises when the row is no longer its own."""


# --- the permit ----------------------------------------------------------------------------------------------------


def test_a_permit_that_ran_out_while_committing_is_asked_for_again_and_the_lease_looked_at_again(
    http: httpx.Client, gate: ScriptedGate, clock: Clock, peer: Peer
) -> None:
    gate.guard_ms = 500
    took = iter([0.6, 0.0])

    def before_write() -> None:
        gate.log.append("lease looked at")
        clock.now += next(took)

    with counting() as tally:
        write(http, before_write)
    assert gate.log == ["admit", "lease looked at", Outcome.NOT_SENT, "admit", "lease looked at", Outcome.OK]
    assert (len(peer.received), tally.calls) == (1, 1)


def test_a_lease_that_ended_while_a_new_permit_was_asked_for_sends_nothing(
    http: httpx.Client, gate: ScriptedGate, clock: Clock, peer: Peer
) -> None:
    gate.guard_ms = 500
    seen: list[float] = []

    def before_write() -> None:
        if seen:
            raise LeaseOverError
        seen.append(clock.now)
        clock.now += 120

    with pytest.raises(LeaseOverError):
        write(http, before_write)
    assert peer.received == []
    assert gate.log == ["admit", Outcome.NOT_SENT, "admit", Outcome.NOT_SENT]


def test_a_permit_that_never_holds_gives_up(http: httpx.Client, gate: ScriptedGate, clock: Clock, peer: Peer) -> None:
    gate.guard_ms = 500

    def before_write() -> None:
        clock.now += 0.6

    with pytest.raises(Refused) as caught:
        write(http, before_write)
    assert caught.value.after_commit
    assert peer.received == []


def test_a_permit_at_the_edge_of_its_guard_still_holds(http: httpx.Client, gate: ScriptedGate, clock: Clock) -> None:
    gate.guard_ms = 500

    def before_write() -> None:
        clock.now += 0.5

    write(http, before_write)
    assert gate.log == ["admit", Outcome.OK]
    assert gate.delays == [500]


def test_a_second_asking_that_is_refused_after_the_commit_says_so_and_sends_nothing(
    http: httpx.Client, gate: ScriptedGate, clock: Clock, peer: Peer
) -> None:
    gate.guard_ms = 500
    gate.answers = [gate.permit(), refusal(Reason.RATE_LIMITED)]

    def before_write() -> None:
        clock.now += 0.6

    with pytest.raises(Refused) as caught:
        write(http, before_write)
    assert caught.value.after_commit is True
    assert (gate.log, peer.received) == (["admit", Outcome.NOT_SENT, "admit"], [])


def test_a_gate_lost_after_the_commit_says_so_and_sends_nothing(
    http: httpx.Client, gate: ScriptedGate, clock: Clock, peer: Peer
) -> None:
    gate.guard_ms = 500
    gate.answers = [gate.permit(), GateAway("gone")]

    def before_write() -> None:
        clock.now += 0.6

    with pytest.raises(GateUnreachable) as caught:
        write(http, before_write)
    assert (caught.value.after_commit, peer.received) == (True, [])


def test_permits_that_always_come_too_late_end_in_a_refusal_and_widen_the_guard(
    http: httpx.Client, gate: ScriptedGate, clock: Clock, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.guard_ms = 500
    admit = gate.admit

    def slowly(*args: Any) -> Any:
        clock.now += 0.7
        return admit(*args)

    monkeypatch.setattr(gate, "admit", slowly)
    with pytest.raises(Refused) as caught:
        read(http)
    assert caught.value.refusal == Refusal(SCOPE, Reason.RATE_LIMITED, 2_000)
    assert gate.log == ["admit", Outcome.NOT_SENT] * 3
    assert gate.delays == [None, 700, 700]
    assert peer.received == []


# --- what an answer means ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        ("200 OK", b"{}", Outcome.OK),
        ("201 Created", b'{"id": 1}', Outcome.OK),
        ("204 No Content", b"", Outcome.OK),
        ("302 Found", b"", Outcome.OK),
        ("400 Bad Request", b"<html>", Outcome.NEUTRAL),
        ("401 Unauthorized", b"{}", Outcome.NEUTRAL),
        ("404 Not Found", b"{}", Outcome.NEUTRAL),
        ("422 Unprocessable Entity", b"{}", Outcome.NEUTRAL),
        ("500 Internal Server Error", b"{}", Outcome.FAILURE),
        ("503 Service Unavailable", b"{}", Outcome.FAILURE),
        ("200 OK", b'{"id": "a', Outcome.FAILURE),
        ("200 OK", b"<html>maintenance</html>", Outcome.FAILURE),
        ("200 OK", b"", Outcome.FAILURE),
        ("200 OK", b"\xff\xfe", Outcome.FAILURE),
    ],
)
def test_an_answer_is_reported_once_for_what_it_says_of_the_providers_health(
    http: httpx.Client, gate: ScriptedGate, peer: Peer, status: str, body: bytes, outcome: Outcome
) -> None:
    answering(peer, status, body)
    response = read(http)
    assert gate.log == ["admit", outcome]
    assert response.extensions["reanna.breaker"] == CLOSED


def test_a_429_is_reported_with_its_retry_after(http: httpx.Client, gate: ScriptedGate, peer: Peer) -> None:
    answering(peer, "429 Too Many Requests", b"{}", "Retry-After: 7")
    assert read(http).status_code == 429
    assert gate.log == ["admit", (Outcome.RATE_LIMITED, 7.0)]


def test_a_report_tells_how_long_it_took_and_what_the_answer_says_of_limits(gate: ScriptedGate, peer: Peer) -> None:
    def learned(headers: Mapping[str, str]) -> list[Learned]:
        return [Learned("burst", remaining=int(headers["X-Left"]))]

    answering(peer, "200 OK", b"{}", "X-Left: 7")
    wire = DirectWire(connections=1, ssl_context=httpx.create_ssl_context(trust_env=False))
    transport = GuardedTransport(wire, gate, SCOPE, deadline_s=5, retry_after=retry_after, learned=learned)
    with httpx.Client(base_url=peer.url, transport=transport) as client:
        read(client)
    assert gate.learned == [Learned("burst", remaining=7)]
    assert [took is not None and 0 <= took < 5_000 for took in gate.took] == [True]


def test_a_lost_answer_is_reported_as_failure_and_leaves_doubt(
    http: httpx.Client, gate: ScriptedGate, peer: Peer
) -> None:
    peer.serve = lambda connection: peer.answer(connection, b"")
    with pytest.raises(httpx.RemoteProtocolError):
        write(http, lambda: None)
    assert gate.log == ["admit", Outcome.FAILURE]


def test_an_answer_counts_even_when_the_gate_cannot_be_told(
    http: httpx.Client, gate: ScriptedGate, caplog: pytest.LogCaptureFixture
) -> None:
    gate.report_away = True
    response = write(http, lambda: None)
    assert (response.status_code, response.extensions["reanna.breaker"]) == (200, None)
    assert "could not be told" in caplog.text


def test_a_defect_after_the_first_byte_is_not_reported_as_unsent(
    peer: Peer, gate: ScriptedGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def send(self, request: httpx.Request, *, deadline_s: float, first_byte: Callable[[], None]) -> httpx.Response:
            first_byte()
            raise ZeroDivisionError

        def close(self) -> None: ...

    transport = GuardedTransport(Broken(), gate, SCOPE, deadline_s=5, retry_after=retry_after)
    with httpx.Client(base_url=peer.url, transport=transport) as client, pytest.raises(ZeroDivisionError):
        read(client)
    assert gate.log == ["admit"]


# --- what the engine reads off -------------------------------------------------------------------------------------


def test_a_tally_counts_what_passed_and_keeps_the_last_words_of_the_gate(http: httpx.Client) -> None:
    with counting() as tally:
        read(http)
        write(http, lambda: None)
    read(http)
    assert (tally.calls, tally.budget, tally.breaker) == (2, 99, CLOSED)


def test_a_tally_counts_a_write_before_its_commit(http: httpx.Client) -> None:
    counted: list[int] = []
    with counting() as tally:
        read(http)
        write(http, lambda: counted.append(tally.calls))
    assert counted == [2]


def test_a_refused_request_is_not_counted(http: httpx.Client, gate: ScriptedGate) -> None:
    gate.answers = [refusal()]
    with counting() as tally, pytest.raises(Refused):
        read(http)
    assert tally.calls == 0


@pytest.mark.parametrize(
    "extensions",
    [
        {},
        {"reanna.phase": "other"},
        {"reanna.phase": "write"},
        {"reanna.phase": "read", "reanna.before_write": print},
    ],
)
def test_a_request_that_does_not_say_what_it_is_is_a_defect(
    http: httpx.Client, gate: ScriptedGate, extensions: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="reanna"):
        http.get("/", extensions=extensions)
    assert gate.log == []


# --- less time than usual --------------------------------------------------------------------------------------------


def test_who_has_little_time_gives_up_a_slow_answer(http: httpx.Client, peer: Peer, gate: ScriptedGate) -> None:
    def silent(connection: socket.socket) -> None:
        peer.read_request(connection)
        connection.recv(1)

    peer.serve = silent
    with within(0.1), pytest.raises(httpx.TimeoutException):
        read(http)
    assert gate.log == ["admit", Outcome.FAILURE]


def test_who_has_no_time_left_asks_nobody(http: httpx.Client, peer: Peer, gate: ScriptedGate) -> None:
    with within(0.0), pytest.raises(NotSent, match="no time was left"):
        read(http)
    assert (gate.log, peer.received) == ([], [])


def test_afterwards_there_is_time_again(http: httpx.Client) -> None:
    with within(0.0):
        pass
    assert read(http).status_code == 200
