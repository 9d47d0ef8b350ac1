"""Whoever writes whatever gets what is documented."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integrations.api.whatever import WHO, ask_whatever, labels


@pytest.mark.parametrize("label", labels("POST", "PATCH", "DELETE"))
def test_whoever_writes_whatever_gets_what_is_documented(
    label: str, ids: dict[str, int], request: pytest.FixtureRequest, settings: Any
) -> None:
    settings.REANNA_API_READS_PER_MIN = settings.REANNA_API_WRITES_PER_MIN = 1_000_000
    if "/api/connections" in label:
        request.getfixturevalue("there")  # what is asked of the CRM is asked of the sandbox
    got = ask_whatever(label, ids)
    assert {who for who in WHO if 401 in got[who]} == set()
