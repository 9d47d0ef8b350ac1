"""What the vendor's own headers tell is obeyed: a lower limit, and what others used of it, without one refusal."""

from __future__ import annotations

from datetime import datetime

from integrations import wiring
from integrations.models import Connection, Operation
from tests.crm import Crm, make_tour
from tests.sandbox_server import ACCOUNT


def test_a_lower_limit_that_others_used_up_is_not_run_into(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.account(limits={"daily": {"limit": 20}})
    for _ in range(15):
        crm.get(f"/locations/{ACCOUNT}")
    crm.sync(make_tour(tomorrow, stops=8))
    ours = [row["status"] for row in crm.requests()[15:]]
    assert (len(ours), 429 in ours) == (5, False)
    told = wiring.gate().look(wiring.scope(crm.connection))
    assert (told.limits["daily"], told.used["daily"]) == (20, 20)
    assert Connection.objects.get().hold_reason == "day_used"
    assert (
        Operation.objects.filter(state="pending", attempts=0).count()
        == Operation.objects.exclude(state="succeeded").count()
        > 0
    )
