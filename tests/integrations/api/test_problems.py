"""Whatever goes wrong is a problem of RFC 9457, and never our fault."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.models import Tour
from tests.integrations.api.asking import Asking, fields
from tests.integrations.api.test_tours import TOUR

MEMBERS = {"type", "title", "status", "detail", "instance", "request_id", "errors"}


def is_problem(answer: Any, status: int) -> dict[str, Any]:
    told = answer.json()
    assert (answer.status_code, answer["Content-Type"], told["status"]) == (status, "application/problem+json", status)
    assert told.keys() == MEMBERS
    assert told["request_id"] == answer["X-Request-ID"] != ""
    return dict(told)


@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/tours/", "/api/tours/x", "/api/tours/1/2", "/api/%00"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_an_address_that_is_nothing(api: Asking, path: str, method: str) -> None:
    is_problem(api.ask(method, path), 404)


def test_an_id_that_is_nobodys(api: Asking) -> None:
    is_problem(api.get("/api/tours/999999999999999999"), 404)
    is_problem(api.get("/api/tours/" + "9" * 40), 404)


@pytest.mark.parametrize("method", ["DELETE", "PUT", "OPTIONS", "TRACE", "PATCH"])
def test_a_method_there_is_not(api: Asking, tour: Tour, method: str) -> None:
    answer = api.ask(method, "/api/tours")
    is_problem(answer, 405)
    assert answer["Allow"] == "GET, HEAD, POST"


def test_a_body_of_another_type(api: Asking) -> None:
    is_problem(api.ask("POST", "/api/tours", "a=1", Content_Type="application/x-www-form-urlencoded"), 415)
    is_problem(api.ask("POST", "/api/tours", "<a/>", Content_Type="text/xml"), 415)


@pytest.mark.parametrize(
    "raw",
    [
        b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}', b'{"a": ' + b"9" * 5000 + b"}", b'{"a": 1, "a": 2}',
        b'{"a":' * 50 + b"1" + b"}" * 50, b"", b"[]", b"null", b'"text"', b"12",
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read(api: Asking, raw: bytes) -> None:
    is_problem(api.ask("POST", "/api/tours", raw), 400)


@pytest.mark.parametrize("value", ["\x00", "a\x00b", "\ud800", "x" * 100_000, "\u202e", 10**30, -1, 1.5, [], {}, True])
@pytest.mark.parametrize("name", ["reference", "title", "time_zone", "starts_at", "notes", "status"])
def test_hostile_values_are_taken_or_refused_by_name(api: Asking, name: str, value: Any) -> None:
    answer = api.ask("POST", "/api/tours", json.dumps({**TOUR, name: value}))
    if answer.status_code != 201:
        is_problem(answer, 400)
        assert name in fields(answer)


@pytest.mark.parametrize("value", ["\x00", "x" * 500, 10**30, -1, 1e300, [], {}, [None], None])
@pytest.mark.parametrize("name", ["agent", "buyer", "stops", "further_buyers"])
def test_hostile_parts_are_refused_by_name(api: Asking, name: str, value: Any) -> None:
    answer = api.ask("POST", "/api/tours", json.dumps({**TOUR, name: value}))
    if answer.status_code != 201:
        is_problem(answer, 400)
        assert all(field.startswith(name) for field in fields(answer))


def test_a_body_that_is_too_large(api: Asking, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    is_problem(api.post("/api/tours", {"notes": "x" * 2000}), 413)
    is_problem(api.post("/api/tours", {"notes": "x" * 2000}, Idempotency_Key="k"), 413)


def test_a_fault_of_ours_tells_nothing(api: Asking, tour: Tour, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("integrations.operations.one_click.press_tour", broken)
    answer = api.post(f"/api/tours/{tour.pk}/cancel")
    is_problem(answer, 500)
    assert "secret" not in answer.content.decode()
