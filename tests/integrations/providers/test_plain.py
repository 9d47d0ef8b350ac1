"""Texts of others among ours."""

from __future__ import annotations

import pytest

from integrations.operations.values import clean_text
from integrations.providers.plain import FORCED, told, undirected


def test_what_forces_a_direction_is_dropped_and_nothing_else() -> None:
    forced = "".join(chr(code) for code in FORCED)
    assert undirected(f"a{forced}b") == "ab"
    kept = "עברית \u200e\u200f\u200b👩\u200d👧 <b>"
    assert undirected(kept) == kept


def test_what_is_typed_is_stored_without_it() -> None:
    assert clean_text(" \u202d+19165550101\u202c ", 40) == "+19165550101"


@pytest.mark.parametrize("record", [None, [], {}, {"name": None}, {"name": 1}, {"name": ["x"]}, {"name": "\u202e "}])
def test_what_a_crm_does_not_tell_is_empty(record: object) -> None:
    assert told(record, "name") == ""
