"""The run of `tests/chaos/redis_frozen.py` made short."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import redis_frozen
from tests.stack import Stack

pytestmark = pytest.mark.stack


def test_tours_are_saved_while_redis_stands_still_and_all_arrive(tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as stack:
        outcome = redis_frozen.run(stack, frozen_s=4.0, settle_limit_s=90)

    found = outcome.findings
    assert found is not None
    assert found.wrong == []
    assert outcome.found == outcome.saved > 2
    assert found.of("gohighlevel").effects["appointment create"] == outcome.saved
    assert found.of("rollout").effects["appointment create"] == outcome.saved
