"""What a verb does to one operation among many: never more than the operation's own page offers."""

from __future__ import annotations

import itertools

import pytest

from integrations.engine.verdict import VERDICTS
from integrations.models import Operation, State
from integrations.operations.bulk_effects import VERBS, Standing, effect
from integrations.operations.operation_state import allowed

REASONS = sorted({"", "left_out", "kept_theirs", "by_person", "poison", *(one.reason for one in VERDICTS.values())})


@pytest.mark.parametrize("verb", VERBS)
def test_it_acts_where_the_page_offers_the_verb_and_nowhere_else(verb: str) -> None:
    wrong = []
    for state, reason, doubt, blocked, asked, stuck in itertools.product(State.values, REASONS, *[(False, True)] * 4):
        at = Standing(state, reason, doubt, blocked, asked, stuck and blocked)
        row = Operation(
            state=state,
            reason=reason,
            in_doubt=doubt,
            blockers=int(blocked),
            cancel_requested=asked,
            entity_type="stop",
        )
        offered = VERBS[verb] in allowed(row, ["dead"] if stuck and blocked else ["pending"])
        if effect(verb, at).acts != offered:
            wrong.append((at, offered))
    assert wrong == []


def test_what_may_have_arrived_is_looked_up_first() -> None:
    assert effect("retry", Standing("dead", "rejected", in_doubt=True)).words.startswith("Looked up in the CRM first")
    assert not effect("cancel", Standing("unknown", in_doubt=True)).acts
    waits = Standing("pending", blocked=True, stuck=True, stuck_in_doubt=True)
    assert effect("skip", waits).words == "What it waits for may have arrived: look that up first"
    assert not effect("skip", waits).acts


def test_only_what_is_sent_counts_as_requests() -> None:
    assert effect("retry", Standing("dead")).sends
    assert not effect("cancel", Standing("pending")).sends


def test_another_verb_is_none_for_many() -> None:
    with pytest.raises(KeyError):
        effect("recreate", Standing("dead", "gone_at_provider"))
