"""Answers that were lost: what is in doubt is looked up before anything is sent again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from integrations.models import (
    Operation,
)
from integrations.operations import operations as verbs
from integrations.operations.audit import Who
from tests.crm import Crm, make_tour, move

POST_APPOINTMENT = {"method": "POST", "path": "/calendars/events/appointments"}
STAFF = Who("olga", "admin")


def test_nothing_is_asked_before_the_answer_must_have_settled(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    seen = len(crm.requests())
    crm.pass_time(10)
    crm.drain()
    assert len(crm.requests()) == seen


def test_a_to_b_to_a_while_the_answer_to_b_is_lost_ends_at_a(synced: Crm) -> None:
    start = synced.stop.appointment_start
    synced.sandbox.faults("drop_after_effect", match={"method": "PUT"})
    move(synced.stop, 30)
    synced.sync(synced.tour)
    move(synced.stop, -30)
    synced.sync(synced.tour)
    assert synced.operation().blockers == 1, "A waits for what became of B"
    synced.settle_doubt()
    synced.drain()
    last = [row["body"]["startTime"] for row in synced.requests("PUT")][-1]
    assert datetime.fromisoformat(last) == start
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}
    assert len(synced.appointments()) == 3


@pytest.mark.parametrize(
    "refusal",
    [{"kind": "status", "status": 503}, {"kind": "rate_limited", "retry_after": 3}, {"kind": "status", "status": 422}],
)
def test_what_was_found_is_not_forgotten_when_the_change_of_it_is_refused(
    each_crm: Crm, tomorrow: datetime, refusal: dict[str, Any]
) -> None:
    """The create arrived, its answer did not; then the stop was moved, and the CRM says a definite no to that."""
    vendor, tour = each_crm.connection.provider, make_tour(tomorrow)
    created = {"method": "POST", "path": "^.*/(appointments|calendar|meetings)$"}
    each_crm.sandbox.faults("drop_after_effect", provider=vendor, match=created)
    each_crm.sync(tour)
    move(tour.stops.get(), 30)
    each_crm.sandbox.faults(provider=vendor, match={"method": "PATCH" if vendor == "hubspot" else "PUT"}, **refusal)
    each_crm.settle_doubt()
    each_crm.drain()
    assert not each_crm.operation().in_doubt
    if each_crm.operation().state == "dead":
        verbs.retry(each_crm.operation().pk, STAFF)
    each_crm.pass_time(700)
    each_crm.redis.wipe_warm("reanna:gate")
    each_crm.drain()
    assert each_crm.operation().state == "succeeded"
    assert [effect["op"] for effect in each_crm.sandbox.effects("appointment")] == ["create", "update"]


def test_attempts_used_up_in_doubt_ask_a_person_and_never_send_again(crm: Crm, tomorrow: datetime) -> None:
    crm.sandbox.faults("drop_after_effect", match=POST_APPOINTMENT)
    crm.sync(make_tour(tomorrow))
    Operation.objects.filter(kind="appointment.sync").update(attempts=4)
    crm.settle_doubt()
    crm.sandbox.faults("status", status=500, match={"method": "GET"})
    crm.drain()
    assert (crm.operation().state, crm.operation().reason) == ("needs_person", "attempts_used_up")
