"""A recorded change in words: names, clocks of the tour's zone, labels."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from integrations.models import AuditEvent, Tour
from integrations.operations import change_words
from tests.factories import AgentFactory, AuditEventFactory, ContactFactory, TourFactory

pytestmark = pytest.mark.django_db
ZONE = ZoneInfo("America/Los_Angeles")


@pytest.fixture
def tour() -> Tour:
    made: Tour = TourFactory(
        agent=AgentFactory(name="Rosa Keller"), buyer=ContactFactory(first_name="Imke", last_name="Vandoorn")
    )
    return made


def told(tour: Tour, verb: str, before: dict[str, Any] | None, after: dict[str, Any], reason: str = "") -> str:
    event: AuditEvent = AuditEventFactory(object_id=tour.pk, verb=verb, before=before, after=after, reason=reason)
    return change_words.words(event, change_words.names(tour, [event], ZONE))


def test_people_are_named_and_times_are_the_tours(tour: Tour, django_assert_num_queries: Any) -> None:
    after = {"title": "", "starts_at": "2026-12-01T18:00:00+00:00", "agent": tour.agent_id, "buyer": tour.buyer_id}
    event = AuditEventFactory(object_id=tour.pk, verb="tour.create", after=after)
    with django_assert_num_queries(0):
        names = change_words.names(tour, [event], ZONE)
    assert change_words.words(event, names) == (
        "tour added: title none, start Tue 1 Dec 2026, 10:00 PST, agent Rosa Keller, buyer Imke Vandoorn"
    )


def test_who_it_was_before_is_named_too(tour: Tour) -> None:
    other = AgentFactory(name="Owen Tallis")
    assert told(tour, "tour.update", {"agent": other.pk}, {"agent": tour.agent_id}, "she is ill") == (
        "tour changed: agent Owen Tallis → Rosa Keller (she is ill)"
    )


def test_who_is_deleted_since_is_said_to_be(tour: Tour) -> None:
    told_of = told(tour, "tour.update", {"further_buyers": [987_654]}, {"further_buyers": []})
    assert told_of == "tour changed: further buyers buyer 987654, deleted since → none"


@pytest.mark.parametrize(
    ("verb", "before", "after", "words"),
    [
        (
            "stop.move",
            {"stop 3 appointment_start": "2026-12-01T20:00:00+00:00"},
            {"stop 3 appointment_start": "2026-12-01T20:15:00+00:00"},
            "stop moved: stop 3 start Tue 1 Dec 2026, 12:00 PST → Tue 1 Dec 2026, 12:15 PST",
        ),
        (
            "stop.status",
            {"stop 1 appointment_status": "pending", "stop 1 version": 1},
            {"stop 1 appointment_status": "confirmed", "stop 1 version": 2},
            "stop status: stop 1 status Pending → Confirmed",
        ),
        ("tour.update", {"notes": "a" * 61}, {"notes": "b" * 60}, f"tour changed: notes {'a' * 59}… → {'b' * 60}"),
        ("tour.unheard_of", None, {"a_flag": True}, "tour unheard of: a flag yes"),
    ],
)
def test_each_value_is_told_as_people_say_it(
    tour: Tour, verb: str, before: dict[str, Any] | None, after: dict[str, Any], words: str
) -> None:
    assert told(tour, verb, before, after) == words
