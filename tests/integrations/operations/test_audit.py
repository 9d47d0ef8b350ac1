"""The audit trail: plain values, cut to size."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from integrations.models import AuditEvent
from integrations.operations import audit
from tests import factories as make


@pytest.mark.django_db
def test_an_event_says_who_did_what_to_which() -> None:
    tour = make.TourFactory(title="t" * 200)

    audit.record("tour.look", tour, actor="a" * 200, via="api", reason="r" * 600, before={}, after={"n": 1})

    event = AuditEvent.objects.get()
    assert (event.object_type, event.object_id, event.via, event.after) == ("tour", tour.pk, "api", {"n": 1})
    assert (len(event.actor), len(event.object_label), len(event.reason)) == (150, 200, 500)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        (True, True),
        (7, 7),
        ("x", "x"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 9, 14), "2026-09-14"),
        (make.START, "2026-09-14T21:00:00+00:00"),
        (["a", Decimal(1)], ["a", "1"]),
        (make.AgentFactory.build(pk=9), 9),
        ({1}, "{1}"),
    ],
)
def test_values_are_stored_plainly(value: Any, stored: Any) -> None:
    assert audit.plain(value) == stored
