"""Whatever is sent, the answer is a 4xx in JSON, and the sandbox lives on."""

from __future__ import annotations

import json
import socket

import httpx
import pytest

from tests.crm_client import Crm
from tests.sandbox_server import TOKEN, SandboxServer

JSON_HEADERS = {"Authorization": f"Bearer {TOKEN}", "Version": "2021-07-28", "Content-Type": "application/json"}
BODIES = [
    b"{",
    b"",
    b"[]",
    b"null",
    b"1",
    b'"x"',
    b"\xff\xfe",
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": Infinity}',
    b"[" * 100_000,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b'{"locationId": "loc_demo", "name": "\\ud800"}',
    b'{"\\udfff": 1}',
    b'{"locationId": "loc_demo", "name": ' + b"9" * 5000 + b"}",
    b'{"locationId": {"a": []}}',
    b"\x00",
]


def raw(sandbox: SandboxServer, data: bytes) -> bytes:
    """What comes back on a bare socket until it closes."""
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    return received


@pytest.fixture(autouse=True)
def unharmed(sandbox: SandboxServer) -> object:
    yield
    assert httpx.get(f"{sandbox.url}/_sandbox/health").json()["ok"] is True
    assert "Traceback" not in sandbox.log()


@pytest.mark.parametrize("path", ["/contacts/", "/calendars/events/appointments", "/oauth/token"])
@pytest.mark.parametrize("body", BODIES)
def test_bad_bodies_to_the_vendor(sandbox: SandboxServer, body: bytes, path: str) -> None:
    version = "2021-04-15" if path.startswith("/calendars") else "2021-07-28"
    answer = httpx.post(sandbox.url + path, content=body, headers=JSON_HEADERS | {"Version": version})
    assert answer.status_code in (400, 422)
    assert answer.json()["statusCode"] == answer.status_code
    (row,) = sandbox.journal()
    assert (row["status"], row["effect"]) == (answer.status_code, None)


@pytest.mark.parametrize("path", ["/_sandbox/faults", "/_sandbox/accounts"])
@pytest.mark.parametrize("body", BODIES)
def test_bad_bodies_to_the_sandbox(sandbox: SandboxServer, body: bytes, path: str) -> None:
    answer = httpx.post(sandbox.url + path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize("body", [b"preset=%ff", b"&" * 5000 + b"a=1", b"a=1&" * 500])
def test_bad_forms(sandbox: SandboxServer, body: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in ("/_sandbox/faults", "/_sandbox/reset", "/oauth/token"):
        assert 400 <= httpx.post(sandbox.url + path, content=body, headers=headers).status_code < 500


def test_a_large_body_is_413_and_journaled(crm: Crm, sandbox: SandboxServer) -> None:
    fits = json.dumps({"locationId": "loc_demo", "name": "x" * 1_000_000})
    assert httpx.post(f"{sandbox.url}/contacts/", content=fits, headers=JSON_HEADERS).status_code == 201
    head = "POST /contacts/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in JSON_HEADERS.items()) + "\r\n"
    answer = raw(sandbox, head.encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["statusCode"] == 413
    assert (sandbox.journal()[-1]["status"], sandbox.journal()[-1]["account"]) == (413, "loc_demo")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /contacts/ HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /contacts/ HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /contacts/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab", 400),
        (b"POST /contacts/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
        (b"POST /contacts/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST /_sandbox/faults HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET /contacts/%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n", 401),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /contacts/x?a=%ff HTTP/1.1\r\nHost: x\r\n\r\n", 401),
        (b"GET /_sandbox/journal?since=%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"BREW /_sandbox/faults HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /_sandbox/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    ],
)
def test_bad_requests_on_the_wire(sandbox: SandboxServer, request_bytes: bytes, status: int) -> None:
    answer = raw(sandbox, request_bytes)
    assert answer.split(b" ", 2)[1] == str(status).encode()
    assert json.loads(answer.partition(b"\r\n\r\n")[2])


def test_a_body_that_stops_short_is_not_a_request(sandbox: SandboxServer) -> None:
    assert raw(sandbox, b"POST /contacts/ HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{") == b""
    assert sandbox.journal() == []


def test_another_sites_page_cannot_press_the_buttons(sandbox: SandboxServer) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        form = {"preset": "garble", "provider": "gohighlevel"}
        assert httpx.post(f"{sandbox.url}/_sandbox/faults", data=form, headers=headers).status_code == 403
    assert sandbox.active_faults() == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"provider": "acme"}, "provider"),
        ({"account": ""}, "account"),
        ({"account": 1}, "account"),
        ({"token": ""}, "token"),
        ({"token": 5}, "token"),
        ({"calendar": []}, "calendar"),
        ({"duplicates": "no"}, "duplicates"),
        ({"oauth": []}, "oauth"),
        ({"oauth": {}}, "oauth.client_id"),
        ({"oauth": {"x": 1}}, "oauth.x"),
        ({"limits": 5}, "limits"),
        ({"colour": 1}, "colour"),
        ({"limits": {"hourly": 5}}, "limits.hourly"),
        ({"limits": {"burst": -1}}, "limits.burst.limit"),
        ({"limits": {"burst": {"seconds": 0}}}, "limits.burst.seconds"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"account": "loc_other"}, "token"),
    ],
)
def test_a_bad_account_is_400_naming_the_field(sandbox: SandboxServer, change: dict[str, object], field: str) -> None:
    document = {"provider": "gohighlevel", "account": "loc_demo", "token": TOKEN, **change}
    answer = httpx.post(f"{sandbox.url}/_sandbox/accounts", json=document)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
