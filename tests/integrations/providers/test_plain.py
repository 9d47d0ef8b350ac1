"""What a record of a CRM says under a name."""

from __future__ import annotations

import pytest

from integrations.providers.plain import told


@pytest.mark.parametrize("record", [None, [], {}, {"name": None}, {"name": 1}, {"name": ["x"]}, {"name": "\u202e "}])
def test_what_a_crm_does_not_tell_is_empty(record: object) -> None:
    assert told(record, "name") == ""


def test_what_it_tells_can_be_stored_and_shown() -> None:
    assert told({"name": " A\x00nn\ud800\u202e B\x85. "}, "name") == "A nn\ufffd B ."
