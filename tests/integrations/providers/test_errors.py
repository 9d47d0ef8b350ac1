"""Reading an answer that says no."""

from __future__ import annotations

import httpx
import pytest

from integrations.providers import errors


@pytest.mark.parametrize(
    ("status", "linked", "kind"),
    [
        (400, False, errors.Rejected),
        (401, False, errors.AuthError),
        (403, False, errors.AuthError),
        (404, False, errors.Rejected),
        (404, True, errors.Gone),
        (408, False, errors.NotProcessed),
        (410, True, errors.Gone),
        (422, True, errors.Rejected),
        (425, False, errors.NotProcessed),
        (429, False, errors.RateLimited),
        (500, False, errors.Uncertain),
        (502, False, errors.Uncertain),
        (503, False, errors.NotProcessed),
        (504, False, errors.Uncertain),
        (302, False, errors.Uncertain),
    ],
)
def test_a_status_is_read_by_https_own_meaning(status: int, linked: bool, kind: type[errors.ProviderError]) -> None:
    response = httpx.Response(status, json={}, request=httpx.Request("GET", "http://crm.example/"))
    error = errors.error_for("crm", response, request_id="t1", linked=linked)
    assert (type(error), error.status, error.request_id) == (kind, status, "t1")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "no such thing"}', "no such thing"),
        (b'{"message": ["title must be a string", "x"]}', "title must be a string; x"),
        (b'{"errorMessage": "busy"}', "busy"),
        (b'{"error": "Unauthorized"}', "Unauthorized"),
        (b'{"message": ""}', "Bad Request"),
        (b"[]", "Bad Request"),
        (b"<html>", "Bad Request"),
        (b"\xff", "Bad Request"),
        (b"", "Bad Request"),
    ],
)
def test_the_providers_words_are_found_in_any_body(body: bytes, words: str) -> None:
    assert errors.words_of(httpx.Response(400, content=body)) == words


def test_the_providers_words_are_cut_short() -> None:
    assert len(errors.words_of(httpx.Response(400, json={"message": "x" * 1000}))) == 300


def test_an_error_says_who_what_and_what_to_do() -> None:
    error = errors.Rejected("crm", "title is too long", 422)
    assert str(error) == "crm 422: title is too long"
    assert error.advice == "Correct the record the provider complains about, then retry."
