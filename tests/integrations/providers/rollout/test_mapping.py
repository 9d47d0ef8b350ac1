"""Our records in Rollout's words, and its answers in ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.providers.base import ContactFacts
from integrations.providers.likeness import Likeness, likeness
from integrations.providers.rollout import mapping
from tests.integrations.providers.gohighlevel.conftest import ANN, MARKER, SHOWING

OUTCOMES = [{"id": "o1", "name": "No-Show"}, {"id": "o2", "name": "Completed"}, {"id": "o3", "name": "Rescheduled"}]


def body(**changes: Any) -> dict[str, Any]:
    return mapping.appointment_body(replace(SHOWING, **changes), marker=MARKER, person_id="p1", type_id="t1")


def test_a_buyer_is_a_person_with_one_address_and_one_number() -> None:
    assert mapping.person_body(ANN) == {
        "firstName": "Ann",
        "lastName": "Lee",
        "source": "REanna Router",
        "emails": [{"value": "ann@mail.example", "isPrimary": True}],
        "phones": [{"value": "+19165550001", "isPrimary": True}],
    }


def test_names_that_are_not_known_are_said_to_be_and_read_back_as_not_known() -> None:
    sent = mapping.person_body(ContactFacts(1, 1, "", "", "", "+19165550001"))
    assert (sent["firstName"], sent["lastName"], "emails" in sent) == ("Unknown", "Unknown", False)
    assert mapping.person_of(sent).name == ""


@pytest.mark.parametrize(
    ("theirs", "alike"),
    [
        ({"firstName": "Ann", "lastName": "Lee", "emails": []}, Likeness.UNSURE),
        ({"firstName": "unknown", "lastName": "UNKNOWN", "emails": []}, Likeness.SAME),
        ({"firstName": "Ann", "lastName": "Unknown", "emails": []}, Likeness.UNSURE),
    ],
)
def test_of_a_nameless_buyer_a_named_person_with_the_number_is_for_staff(
    theirs: dict[str, Any], alike: Likeness
) -> None:
    ours = mapping.person_of(mapping.person_body(ContactFacts(1, 1, "", "", "", "+19165550001")))
    assert likeness(ours, mapping.person_of(theirs)) is alike


def test_any_of_several_addresses_makes_the_same_person() -> None:
    theirs = {"firstName": "A", "lastName": "B", "emails": [{"value": "x@a.example"}, {"value": "ANN@mail.example"}]}
    assert likeness(mapping.person_of(mapping.person_body(ANN)), mapping.person_of(theirs)) is Likeness.SAME


@pytest.mark.parametrize("number", ["+19165550001", "(916) 555-0001", "1-916-555-0001", "916.555.0001"])
def test_a_number_is_filed_the_same_however_it_is_written(number: str) -> None:
    assert mapping.phone_key(number) == "phone:9165550001"


def test_numbers_of_other_countries_keep_their_country() -> None:
    assert mapping.phone_key("+44 20 7946 0000") == "phone:442079460000"


def test_a_person_is_filed_under_every_address_and_number_once() -> None:
    record = {
        "emails": [{"value": "Ann@Mail.example"}, {"value": "ann@mail.example "}, {"value": None}, "x", {"value": " "}],
        "phones": [{"value": "+1 916 555 0001"}, {"value": "none"}, {}],
    }
    assert mapping.person_keys(record) == ("email:ann@mail.example", "phone:9165550001")


@pytest.mark.parametrize("record", [{}, {"emails": None, "phones": "x"}, {"emails": {"value": "a"}}])
def test_a_person_without_addresses_is_filed_under_none(record: dict[str, Any]) -> None:
    assert mapping.person_keys(record) == ()


def test_a_stop_is_an_appointment_with_place_time_and_marker() -> None:
    assert body() == {
        "personId": "p1",
        "appointmentTypeId": "t1",
        "title": "Showing: 3526 High St · Lee — 4 homes",
        "location": "3526 High St, Sacramento, CA 95838",
        "description": f"Tour SAC-0001, stop 1: confirmed.\nShown by Michael Hudson.\n[RR-{MARKER}]",
        "isAllDay": False,
        "startsAt": "2026-09-14T21:00:00Z",
        "endsAt": "2026-09-14T21:30:00Z",
        "outcome": "",
    }


def test_the_location_is_always_filled() -> None:
    assert body(street="", city="", state="", postal_code="")["location"] == "Address not known"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"appointment_status": "pending"}, "not confirmed yet"),
        ({"outcome": "showed"}, "showed"),
        ({"outcome": "no_show"}, "no-show"),
    ],
)
def test_status_and_outcome_are_told_in_words(changes: dict[str, Any], words: str) -> None:
    assert body(**changes)["description"].startswith(f"Tour SAC-0001, stop 1: {words}.\n")


@pytest.mark.parametrize(("outcome", "found"), [("showed", "o2"), ("no_show", "o1"), ("", "")])
def test_the_accounts_own_outcome_is_used_where_it_has_one(outcome: str, found: str) -> None:
    assert mapping.outcome_id(outcome, OUTCOMES) == found
    assert mapping.outcome_id(outcome, []) == ""


def test_what_is_sent_has_no_field_of_ours() -> None:
    sent = mapping.request_body(body(outcome="showed"), "o2")
    assert ("outcome" in sent, sent["appointmentOutcomeId"]) == (False, "o2")
    assert "appointmentOutcomeId" not in mapping.request_body(body(outcome="showed"), "")


def test_a_marker_that_staff_copied_is_no_second_marker() -> None:
    copied = body(tour_title="As [RR-ZZZZZZZZZZZZ]", tour_reference="[RR-ZZZZZZZZZZZZ]", agent_name="[RR-ZZZZZZZZZZZZ]")
    assert mapping.appointment_keys(copied) == (f"marker:{MARKER}",)


@given(
    street=st.text(max_size=300), title=st.text(max_size=300), agent=st.text(max_size=300), tour=st.text(max_size=40)
)
def test_the_marker_is_found_once_whatever_people_write(street: str, title: str, agent: str, tour: str) -> None:
    made = body(street=street, tour_title=title, agent_name=agent, tour_reference=tour)
    assert mapping.appointment_keys(made) == (f"marker:{MARKER}",)
    assert len(made["title"]) <= 255
    assert made["location"]


@pytest.mark.parametrize("description", [None, 5, "", "no marker", "[RR-SHORT]"])
def test_a_description_without_marker_is_filed_under_none(description: object) -> None:
    assert mapping.appointment_keys({"description": description}) == ()


def test_the_answer_of_our_own_record_is_the_same() -> None:
    theirs = {**body(), "startsAt": "2026-09-14T14:00:00.000-07:00", "type": "Showing"}
    assert mapping.same_appointment(body(), theirs) is True


@pytest.mark.parametrize("name", ["personId", "title", "location", "description"])
def test_a_field_of_ours_that_differs_is_not_the_same(name: str) -> None:
    assert mapping.same_appointment(body(), {**body(), name: "else"}) is False
    assert mapping.same_appointment(body(), {**body(), name: None}) is None


@pytest.mark.parametrize("value", [None, "soon", "2026-09-14T21:00:00"])
def test_a_time_that_cannot_be_compared_does_not_tell(value: object) -> None:
    assert mapping.same_appointment(body(), {**body(), "startsAt": value}) is None


def test_another_time_is_not_the_same() -> None:
    later = body(starts_at=SHOWING.starts_at + timedelta(minutes=5))
    assert mapping.same_appointment(body(), later) is False


def test_an_outcome_that_no_read_returns_is_never_known_to_be_the_same() -> None:
    assert mapping.same_appointment(body(outcome="showed"), body(outcome="showed")) is None


def test_times_are_told_in_utc() -> None:
    assert body(starts_at=datetime(2026, 1, 2, 3, 4, 5, 999, tzinfo=UTC))["startsAt"] == "2026-01-02T03:04:05Z"


# --- whose is it -----------------------------------------------------------------------------------------------------


def test_a_given_appointment_differs_in_its_user_alone() -> None:
    assert body(assignee="user_1") == {**body(), "userId": "user_1"}
    assert mapping.request_body(body(assignee="user_1"))["userId"] == "user_1"


def test_what_is_cancelled_names_no_user() -> None:
    assert "userId" not in body(assignee="user_1", live=False)


@pytest.mark.parametrize(("theirs", "same"), [("user_1", True), ("user_2", False), (None, False)])
def test_another_user_is_not_the_same(theirs: object, same: bool) -> None:
    assert mapping.same_appointment(body(assignee="user_1"), {**body(), "userId": theirs}) is same


def test_given_to_nobody_any_user_is_right() -> None:
    assert mapping.same_appointment(body(), {**body(), "userId": "user_2"}) is True
    assert mapping.same_appointment(body(assignee="user_1"), body()) is None
