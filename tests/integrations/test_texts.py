"""Texts of others among ours."""

from __future__ import annotations

import base64

import pytest

from integrations.operations.values import clean_text
from integrations.texts import FORCED, readable, undirected, without


def test_what_forces_a_direction_is_dropped_and_nothing_else() -> None:
    forced = "".join(chr(code) for code in FORCED)
    assert undirected(f"a{forced}b") == "ab"
    kept = "עברית \u200e\u200f\u200b👩\u200d👧 <b>"
    assert undirected(kept) == kept


def test_what_is_typed_is_stored_without_it() -> None:
    assert clean_text(" \u202d+19165550101\u202c ", 40) == "+19165550101"


def test_what_no_database_or_page_can_hold_is_replaced() -> None:
    assert readable("a\x00b\x1bc\ud800\udfffd") == "a b c\ufffd\ufffdd"
    kept = "lines\nand\ttabs, עברית \u200e👩\u200d👧 <b>"
    assert readable(kept) == kept


@pytest.mark.parametrize(
    "echo",
    ['se/cret+"1', "se/cret%2B%221", "se%2Fcret%2B%221", 'se/cret+\\"1', "se/cret+&quot;1", b'se/cret+"1'.hex()],
)
def test_what_a_vendor_echoes_is_hidden_in_every_notation(echo: str) -> None:
    assert without(f"no {echo} here", ['se/cret+"1']) == "no ••• here"


@pytest.mark.parametrize("before", ["", "u", "me", "user"])
def test_it_is_hidden_inside_base64(before: str) -> None:
    whole = base64.b64encode(f'{before}se/cret+"1:'.encode()).decode()
    left = without(whole, ['se/cret+"1'])
    assert ("•••" in left, b"ecret" in base64.b64decode(left.split("•••")[0] + "==", validate=False)) == (True, False)


def test_a_secret_that_was_cut_is_hidden_and_other_words_stay() -> None:
    assert without("key se/cret", ['se/cret+"1']) == "key •••"
    assert without("key se/cret+…", ['se/cret+"1']) == "key •••"
    assert without("a secret is short", ["short", "a", ""]) == "a secret is short"
