"""The socket: one deadline for everything, and a first byte one can stand before."""

from __future__ import annotations

import gzip
import socket
import struct
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from integrations.transport import DirectWire, NotSent, UnsendableError
from tests.integrations.transport.conftest import OK, Peer

DRIPS = 100
DRIP_S = 0.02  # 100 drips take two seconds: a deadline of half a second that did not hold would let the answer arrive


@pytest.fixture
def wire() -> Iterator[DirectWire]:
    direct = DirectWire(connections=4, ssl_context=httpx.create_ssl_context(trust_env=False))
    yield direct
    direct.close()


def nothing() -> None:
    pass


def request(url: str, **kwargs: object) -> httpx.Request:
    timeout = httpx.Timeout(None, connect=5, pool=0.2).as_dict()
    return httpx.Request("POST", url, content=b'{"a": 1}', extensions={"timeout": timeout}, **kwargs)  # type: ignore[arg-type]


def dripping(peer: Peer, head: bytes, drip: bytes, tail: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        peer.read_request(connection)
        connection.sendall(head)
        for _ in range(DRIPS):
            connection.sendall(drip)
            time.sleep(DRIP_S)
        connection.sendall(tail)

    return serve


def test_a_whole_answer_is_read(wire: DirectWire, peer: Peer) -> None:
    answer = wire.send(request(peer.url), deadline_s=5, first_byte=nothing)
    assert (answer.status_code, answer.json()) == (200, {})
    assert peer.received[0].endswith(b'{"a": 1}')


def test_headers_that_drip_are_cut_off_at_the_deadline(wire: DirectWire, peer: Peer) -> None:
    peer.serve = dripping(peer, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Drip: ", b"x", b"\r\n\r\n")
    with pytest.raises(httpx.ReadTimeout):
        wire.send(request(peer.url), deadline_s=0.5, first_byte=nothing)


def test_a_body_that_drips_is_cut_off_at_the_deadline(wire: DirectWire, peer: Peer) -> None:
    peer.serve = dripping(peer, f"HTTP/1.1 200 OK\r\nContent-Length: {DRIPS}\r\n\r\n".encode(), b"x", b"")
    with pytest.raises(httpx.ReadTimeout):
        wire.send(request(peer.url), deadline_s=0.5, first_byte=nothing)


def test_an_answer_that_drips_within_the_deadline_arrives(wire: DirectWire, peer: Peer) -> None:
    peer.serve = dripping(peer, f"HTTP/1.1 200 OK\r\nContent-Length: {DRIPS}\r\n\r\n".encode(), b"x", b"")
    assert wire.send(request(peer.url), deadline_s=20, first_byte=nothing).content == b"x" * DRIPS


def test_a_request_nobody_reads_is_cut_off_at_the_deadline(wire: DirectWire, peer: Peer) -> None:
    peer.serve = lambda connection: time.sleep(2)
    big = httpx.Request("POST", peer.url, content=b"x" * 32_000_000)
    with pytest.raises(httpx.WriteTimeout):
        wire.send(big, deadline_s=0.5, first_byte=nothing)


def test_a_tls_handshake_nobody_answers_is_not_sent(wire: DirectWire, peer: Peer) -> None:
    peer.serve = lambda connection: time.sleep(1)
    asked: list[str] = []
    with pytest.raises(NotSent) as caught:
        wire.send(
            request(peer.url.replace("http:", "https:")), deadline_s=0.3, first_byte=lambda: asked.append("first byte")
        )
    assert (caught.value.local, asked) == (False, [])


def test_a_peer_that_speaks_no_tls_is_not_sent(wire: DirectWire, peer: Peer) -> None:
    peer.serve = lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(NotSent) as caught:
        wire.send(request(peer.url.replace("http:", "https:")), deadline_s=5, first_byte=nothing)
    assert caught.value.local is False


def test_a_refused_connection_is_not_sent_and_not_our_fault(wire: DirectWire, peer: Peer) -> None:
    peer.close()
    with pytest.raises(NotSent) as caught:
        wire.send(request(peer.url), deadline_s=5, first_byte=nothing)
    assert caught.value.local is False


def test_a_name_that_cannot_be_resolved_is_our_fault(wire: DirectWire) -> None:
    with pytest.raises(NotSent) as caught:
        wire.send(request("http://crm.invalid"), deadline_s=5, first_byte=nothing)
    assert caught.value.local is True


def test_an_unreachable_network_is_our_fault(wire: DirectWire) -> None:
    # 240.0.0.0/4 is reserved: the kernel itself has no way there.
    with pytest.raises(NotSent) as caught:
        wire.send(request("http://255.255.255.255"), deadline_s=5, first_byte=nothing)
    assert caught.value.local is True


def test_the_second_address_is_tried_when_the_first_refuses(
    wire: DirectWire, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo

    def two(host: str, port: int, *args: object, **kwargs: object) -> list[object]:
        known = ("127.0.0.2", "127.0.0.1") if host == "crm.example" else (host,)
        return [entry for name in known for entry in resolve(name, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    assert wire.send(request(peer.url.replace("127.0.0.1", "crm.example")), deadline_s=5, first_byte=nothing).is_success


def test_first_byte_runs_once_connected_and_before_any_byte(wire: DirectWire, peer: Peer) -> None:
    seen: list[tuple[int, list[bytes]]] = []
    started = time.monotonic()

    def first_byte() -> None:
        while peer.accepted == 0 and time.monotonic() < started + 5:
            time.sleep(0.001)
        time.sleep(0.05)
        seen.append((peer.accepted, list(peer.received)))

    wire.send(request(peer.url), deadline_s=5, first_byte=first_byte)
    assert seen == [(1, [])]


def test_what_first_byte_raises_comes_out_unchanged_and_nothing_was_sent(wire: DirectWire, peer: Peer) -> None:
    class Stop(Exception):
        pass

    def first_byte() -> None:
        raise Stop

    with pytest.raises(Stop):
        wire.send(request(peer.url), deadline_s=5, first_byte=first_byte)
    assert peer.received == []


def test_time_spent_before_the_first_byte_is_not_the_networks(wire: DirectWire, peer: Peer) -> None:
    answer = wire.send(request(peer.url), deadline_s=0.5, first_byte=lambda: time.sleep(0.6))
    assert answer.is_success


def test_a_connection_is_used_again(wire: DirectWire, peer: Peer) -> None:
    peer.serve = lambda connection: peer.answer(connection, OK, OK)
    for _ in range(2):
        wire.send(request(peer.url), deadline_s=5, first_byte=nothing)
    assert (peer.accepted, len(peer.received)) == (1, 2)


def test_an_answer_cut_off_in_its_body_leaves_doubt(wire: DirectWire, peer: Peer) -> None:
    peer.serve = lambda connection: peer.answer(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    with pytest.raises(httpx.RemoteProtocolError):
        wire.send(request(peer.url), deadline_s=5, first_byte=nothing)


def test_a_reset_in_the_body_leaves_doubt(wire: DirectWire, peer: Peer) -> None:
    def serve(connection: socket.socket) -> None:
        peer.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    peer.serve = serve
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        wire.send(request(peer.url), deadline_s=5, first_byte=nothing)


def test_a_connection_closed_without_an_answer_leaves_doubt(wire: DirectWire, peer: Peer) -> None:
    peer.serve = lambda connection: peer.answer(connection, b"")
    with pytest.raises(httpx.RemoteProtocolError):
        wire.send(request(peer.url), deadline_s=5, first_byte=nothing)


def test_something_that_is_not_http_leaves_doubt_and_is_not_quoted(wire: DirectWire, peer: Peer) -> None:
    peer.serve = lambda connection: peer.answer(connection, b"SSH-2.0-secret\r\n\r\n")
    with pytest.raises(httpx.RemoteProtocolError) as caught:
        wire.send(request(peer.url), deadline_s=5, first_byte=nothing)
    assert "secret" not in str(caught.value)


def test_an_answer_above_the_cap_is_not_kept(wire: DirectWire, peer: Peer) -> None:
    size = 5 * 1024 * 1024
    peer.serve = lambda connection: peer.answer(
        connection, f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size
    )
    with pytest.raises(httpx.ReadError, match="larger than 4 MiB"):
        wire.send(request(peer.url), deadline_s=10, first_byte=nothing)


def test_a_small_body_that_unpacks_above_the_cap_is_not_kept(wire: DirectWire, peer: Peer) -> None:
    packed = gzip.compress(b"x" * 64 * 1024 * 1024)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    peer.serve = lambda connection: peer.answer(connection, head + packed)
    with pytest.raises(httpx.ReadError, match="larger than 4 MiB"):
        wire.send(request(peer.url), deadline_s=10, first_byte=nothing)


def test_a_packed_answer_is_unpacked_once(wire: DirectWire, peer: Peer) -> None:
    packed = gzip.compress(b'{"id": "a"}')
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    peer.serve = lambda connection: peer.answer(connection, head + packed)
    assert wire.send(request(peer.url), deadline_s=5, first_byte=nothing).json() == {"id": "a"}


def test_an_answer_that_cannot_be_unpacked_leaves_doubt(wire: DirectWire, peer: Peer) -> None:
    peer.serve = lambda connection: peer.answer(
        connection, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"
    )
    with pytest.raises(httpx.ReadError, match="cannot be decoded"):
        wire.send(request(peer.url), deadline_s=5, first_byte=nothing)


def test_a_header_that_is_none_stops_unsent_and_is_not_quoted(wire: DirectWire, peer: Peer) -> None:
    with pytest.raises(UnsendableError) as caught:
        wire.send(request(peer.url, headers={"Authorization": "Bearer secret\nX: y"}), deadline_s=5, first_byte=nothing)
    assert "secret" not in repr(caught.value)
    assert peer.received == []


def test_no_free_connection_is_our_fault(peer: Peer) -> None:
    one = DirectWire(connections=1, ssl_context=httpx.create_ssl_context(trust_env=False))
    refused: list[NotSent] = []

    def serve(connection: socket.socket) -> None:
        peer.read_request(connection)
        # The only connection is held by this request while the second one is tried.
        with pytest.raises(NotSent) as caught:
            one.send(request(peer.url), deadline_s=5, first_byte=nothing)
        refused.append(caught.value)
        connection.sendall(OK)

    peer.serve = serve
    assert one.send(request(peer.url), deadline_s=5, first_byte=nothing).is_success
    one.close()
    assert [error.local for error in refused] == [True]
    assert peer.accepted == 1


def test_a_proxy_in_the_environment_is_not_used(wire: DirectWire, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert wire.send(request(peer.url), deadline_s=5, first_byte=nothing).is_success


def test_a_retired_wire_lets_the_request_on_its_way_end(wire: DirectWire, peer: Peer) -> None:
    assert wire.send(request(peer.url), deadline_s=5, first_byte=wire.retire).is_success


def test_a_request_within_a_request_is_a_defect(wire: DirectWire, peer: Peer) -> None:
    def first_byte() -> None:
        wire.send(request(peer.url), deadline_s=5, first_byte=nothing)

    with pytest.raises(RuntimeError, match="inside a request"):
        wire.send(request(peer.url), deadline_s=5, first_byte=first_byte)
