"""Texts of others among ours."""

from __future__ import annotations

from integrations.operations.values import clean_text
from integrations.texts import FORCED, readable, undirected


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
