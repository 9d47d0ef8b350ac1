"""The run of `tests/chaos/spine.py` made short: fewer tours, two kills, and leases that end sooner."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import spine
from tests.stack import Stack
from tests.tour_files import many_tours

pytestmark = pytest.mark.stack
TOURS, LIVE = 13, 41
SEED = 1
# Only what bounds the waiting: a lease of a dead worker ends after 26 s, a lost answer is looked for after 10 s.
SOONER = {
    "REANNA_LEASE_S": "26",
    "REANNA_TOTAL_DEADLINE_S": "5",
    "REANNA_HEARTBEAT_S": "6",
    "REANNA_SWEEP_S": "3",
}


def test_kills_a_flush_and_a_freeze_change_nothing_of_what_arrives(tmp_path: Path) -> None:
    file = many_tours(tmp_path / "tours.csv", TOURS)
    blows = spine.blows_of(SEED, spine.requests_of(file), kills=2, frozen_s=5.0)

    with Stack(tmp_path / "data", **SOONER) as stack:
        outcome = spine.run(stack, file, blows, seed=SEED, settle_limit_s=90)

    found = outcome.findings
    assert found is not None
    assert found.wrong == [], outcome.blows
    assert outcome.log_trouble == []
    assert found.operations == {"succeeded": 2 * (TOURS + LIVE) + 1}
    made = {"contact create": TOURS, "appointment create": LIVE}
    assert found.of("gohighlevel").effects == made
    assert found.of("rollout").effects == {**made, "appointment_type create": 1}
    for each in found.connections:
        assert (each.right_stops, each.appointments, each.right_buyers, each.contacts) == (LIVE, LIVE, TOURS, TOURS)
        assert each.busiest <= each.limit
    # The kill was one that mattered: answers were lost, and looked for instead of sent again.
    assert found.reasons["succeeded already_there"] >= 1, outcome.blows
