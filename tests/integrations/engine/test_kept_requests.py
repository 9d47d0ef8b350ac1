"""What an Attempt keeps of the requests of its try."""

from __future__ import annotations

import json
from datetime import datetime

from integrations.models import Attempt
from tests.crm import Crm, make_tour
from tests.sandbox_server import TOKEN


def lines(attempt: Attempt) -> list[tuple[str, str, int | None]]:
    return [(kept["method"], kept["path"], kept["status"]) for kept in attempt.requests]


def test_each_request_of_a_try_is_kept_in_order(crm: Crm, tomorrow: datetime) -> None:
    crm.sync(make_tour(tomorrow))

    link, sync = Attempt.objects.order_by("pk")

    assert lines(link)[-1] == ("POST", "/contacts/", 201)
    assert [method for method, _, _ in lines(link)[:-1]] == ["GET"] * (len(link.requests) - 1)
    assert len(link.requests) == link.calls
    assert lines(sync) == [("POST", "/calendars/events/appointments", 200)]
    assert sync.requests[0]["request"]["toNotify"] is False
    assert sync.requests[0]["response"]["appointmentStatus"] == "confirmed"


def test_nothing_of_the_buyer_and_no_token_is_kept(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.sync(tour)

    text = json.dumps([attempt.requests for attempt in Attempt.objects.all()])

    for private in (tour.buyer.email, tour.buyer.last_name, tour.buyer.phone, TOKEN, "Bearer"):
        assert private not in text


def test_a_request_without_an_answer_is_kept_too(crm: Crm, tomorrow: datetime) -> None:
    tour = make_tour(tomorrow)
    crm.plan(tour)
    crm.sandbox.faults("drop_after_effect", match={"method": "POST", "path": "/calendars/events/appointments"})
    crm.drain()

    lost = Attempt.objects.get(operation__kind="appointment.sync")

    assert (lost.outcome, lines(lost)) == ("uncertain", [("POST", "/calendars/events/appointments", None)])
