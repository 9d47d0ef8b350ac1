"""What is kept of a request: by a list of names, so that nothing is kept by accident."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.transport.record import HIDDEN, LONGEST, SHOWN, body_of, passed, path_of


def kept(value: Any) -> Any:
    return body_of(json.dumps(value).encode())


def test_listed_fields_are_kept_and_all_others_hidden() -> None:
    assert kept({"title": "Showing", "email": "bea@mail.example", "total": 3, "phone": 5}) == {
        "title": "Showing", "email": HIDDEN, "total": 3, "phone": HIDDEN,
    }  # fmt: skip


def test_yes_no_and_nothing_tell_nobody_apart() -> None:
    assert kept({"dnd": True, "email": None}) == {"dnd": True, "email": None}


def test_what_stands_deeper_is_judged_by_its_own_name() -> None:
    assert kept({"contact": {"id": "c1", "firstName": "Bea", "tags": ["a", "b"]}}) == {
        "contact": {"id": "c1", "firstName": HIDDEN, "tags": ["a", "b"]}
    }


def test_long_lists_are_shown_in_part() -> None:
    assert kept({"tags": list("abcdefgh")}) == {"tags": ["a", "b", "c", "d", "e", "and 3 more"]}


def test_long_texts_are_cut_and_long_bodies_not_kept() -> None:
    assert kept({"title": "x" * 400}) == {"title": "x" * 300 + "…"}
    assert kept({f"key{number}": {"title": "x" * 200} for number in range(40)}).endswith("bytes, too long to keep")


@pytest.mark.parametrize(
    ("body", "words"), [(b"", None), (b"<html>", "6 bytes that are no JSON"), (b"\xff", "1 bytes that are no JSON")]
)
def test_other_bodies_are_told_by_their_size(body: bytes, words: str | None) -> None:
    assert body_of(body) == words


def test_very_deep_bodies_do_not_break_it() -> None:
    assert body_of(b"[" * 100_000 + b"]" * 100_000) == "200000 bytes that are no JSON"


def test_of_a_query_only_the_names_are_kept() -> None:
    url = httpx.URL("https://crm.example/contacts/search?email=bea@mail.example&locationId=l1&email=x")

    assert path_of(url) == "/contacts/search?email&locationId"


def test_bodies_of_token_calls_are_not_kept() -> None:
    request = httpx.Request("POST", "https://crm.example/token", json={"id": "s"}, extensions={"reanna.phase": "token"})
    response = httpx.Response(200, json={"id": "secret"})

    found = passed(request, response, 0.25)

    assert (found.request, found.response, found.status, found.ms) == (None, None, 200, 250)


def test_a_request_without_an_answer() -> None:
    request = httpx.Request("PUT", "https://crm.example/a", json={"id": "1"}, extensions={"reanna.phase": "write"})

    found = passed(request, None, 1.0)

    assert (found.method, found.status, found.request, found.response) == ("PUT", None, {"id": "1"}, None)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=12), inner, max_size=6),
    max_leaves=30,
)


@given(_json, st.text(st.characters(categories=("L", "N")), min_size=8, max_size=30))
def test_nothing_under_an_unlisted_name_is_kept(value: Any, private: str) -> None:
    found = body_of(json.dumps({"email": private, "more": [value, {"name": private}]}).encode())

    assert "email" not in SHOWN
    text = json.dumps(found, ensure_ascii=False)
    assert len(json.dumps(found)) <= LONGEST
    if private not in json.dumps(value, ensure_ascii=False):
        assert private not in text


def test_what_no_database_can_hold_is_not_kept() -> None:
    assert kept({"mess\x00age": "x", "message": "a\x00b\ud800", "errors": ["\x00"]}) == {
        "mess age": HIDDEN, "message": "a b\ufffd", "errors": [" "],
    }  # fmt: skip
